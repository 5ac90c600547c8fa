import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from image_models import retrieval_file
from images import image_set, png, scene
from landmarks.data import Preprocessing
from landmarks.errors import LandmarksError
from landmarks.local_features import Delf, Matcher, open_delf
from landmarks.models import ModelRecord, build_network, write_model
from landmarks.retrieval import LocalFeatureStore
from resources import make_resources


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("delf") / "local.safetensors"
    network = {"network": "timm_net", "name": "test_resnet", "dim": 8, "local_dim": 6}
    torch.manual_seed(0)
    record = ModelRecord("net", "retrieval", network, Preprocessing("aspect", 96))
    write_model(path, record, build_network(network).state_dict())
    return path


def test_features_are_those_of_the_network_in_any_process(model, tmp_path):
    extractor, image = Delf(model, max_features=40, device="cpu"), scene(0, 96, 128)
    found, expected = extractor(image), open_delf(model, max_features=40)(image)
    assert np.array_equal(found.points, expected.points) and np.array_equal(found.scores, expected.scores)
    numbers = found.kind.numbers(found.descriptors) / found.kind.length
    limits = np.iinfo(np.int8)
    stored = np.clip(expected.descriptors, limits.min / found.kind.length, limits.max / found.kind.length)
    np.testing.assert_allclose(numbers, stored, atol=0.51 / found.kind.length)
    sent = pickle.dumps(extractor)
    assert len(sent) < 2000 and np.array_equal(pickle.loads(sent)(image).descriptors, found.descriptors)
    store = LocalFeatureStore(extractor, tmp_path)
    table = store.collect(image_set([png(image), png(scene(1, 8, 8))]), np.arange(2), make_resources(workers=2))
    assert np.array_equal(table.of(0).points, found.points) and table.sizes.tolist() == [[96, 128], [8, 8]]
    assert len(Matcher("mutual", max_distance=0.8)(found, found)) > 10


def test_other_weights_and_models_without_a_branch_are_told_apart(model, tmp_path):
    assert Delf(model).signature() == Delf(model).signature() != Delf(model, max_features=5).signature()
    with pytest.raises(LandmarksError, match="no local branch"):
        Delf(retrieval_file(tmp_path / "without.safetensors"))
    with pytest.raises(LandmarksError, match="int8, not uint8"):
        Delf(model, stored="uint8")
