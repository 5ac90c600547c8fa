import numpy as np

from landmarks.data import GroundTruth, ImageTable

NAMES = np.array(["arch", "bridge", "castle"])


def test_queries_find_the_images_of_their_landmark() -> None:
    queries = ImageTable(np.array([1, 2, 3, 4], np.uint64), np.array([2, -1, 0, 2], np.int32), NAMES)
    index = ImageTable(np.array([20, 10, 30, 40], np.uint64), np.array([2, 0, -1, 2], np.int32), NAMES)
    truth = GroundTruth.of_tables(queries, np.array([True, False, False, True]), index)
    assert truth.retrieval is not None and truth.recognition is not None
    assert truth.retrieval.query_ids.tolist() == [1, 3, 4]
    assert truth.retrieval.positives_start.tolist() == [0, 2, 3, 5]
    assert truth.retrieval.positives.tolist() == [20, 40, 10, 20, 40]
    assert truth.retrieval.public.tolist() == [True, False, True]
    assert truth.retrieval.ignored_ids.tolist() == [2]
    assert truth.recognition.image_ids.tolist() == [1, 2, 3, 4]
    assert truth.recognition.landmarks_start.tolist() == [0, 1, 1, 2, 3]
    assert truth.recognition.landmarks.tolist() == [2, 0, 2]
    assert truth.recognition.public.tolist() == [True, False, False, True]
