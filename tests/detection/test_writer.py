import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from found import CLASSES, PROTOCOL
from landmarks.detection import DetectionWriter
from landmarks.errors import LandmarksError
from landmarks.recognition.detections import DetectionClasses, Detections, read_detections
from landmarks.retrieval.descriptors import OtherSetError

IDS = np.arange(1, 21, dtype=np.uint64)


def chunk(ids):
    """Boxes, as many in an image as its id says, images in mixed order."""
    image_ids = np.repeat(ids, ids.astype(int) % 4)
    rng = np.random.default_rng(int(ids[0]))
    rng.shuffle(image_ids)
    corners = np.sort(rng.random((len(image_ids), 2, 2)), axis=1).reshape(-1, 4)
    labels = rng.integers(0, 4, len(image_ids)).astype(np.int32)
    return ids, Detections(image_ids, labels, rng.random(len(image_ids)), corners, CLASSES.names)


def write(folder, chunks):
    with DetectionWriter(folder, CLASSES, PROTOCOL) as writer:
        for ids in chunks:
            if not np.isin(ids, writer.done).all():
                writer.add(*chunk(ids))
        writer.close()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Files of a set that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "d"
    write(folder, np.split(IDS, 5))
    return contents(folder)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """Files of the same set before it is closed."""
    folder = tmp_path_factory.mktemp("unfinished") / "d"
    with DetectionWriter(folder, CLASSES, PROTOCOL) as writer:
        for ids in np.split(IDS, 5):
            writer.add(*chunk(ids))
    return contents(folder.with_name("d.partial"))


@pytest.mark.parametrize(("name", "step"), [("detections.csv", 61), ("images.csv", 11), ("checksums.txt", 23)])
def test_cut_off_at_any_byte_it_goes_on_to_the_same_files(tmp_path, whole, unfinished, name, step):
    """A kill leaves files that are cut off, or bytes behind the last whole chunk."""
    for kept in range(0, len(unfinished[name]), step):
        folder = tmp_path / str(kept)
        partial = folder.with_name(f"{kept}.partial")
        partial.mkdir()
        for file, data in unfinished.items():
            (partial / file).write_bytes(data[:kept] if file == name else data)
        with DetectionWriter(folder, CLASSES, PROTOCOL) as writer:
            assert len(writer.done) in range(0, 20, 4)
        write(folder, np.split(IDS, 5))
        assert contents(folder) == whole


SCRIPT = """
import sys, time
import numpy as np
sys.path[:0] = {paths!r}
from test_writer import CLASSES, IDS, PROTOCOL, DetectionWriter, chunk
with DetectionWriter({folder!r}, CLASSES, PROTOCOL) as writer:
    for ids in np.split(IDS, 5):
        if not np.isin(ids, writer.done).all():
            writer.add(*chunk(ids))
            print(len(writer.done), flush=True)
            time.sleep(60)
    writer.close()
"""


def test_killed_it_keeps_what_is_complete_and_lets_go_of_the_set(tmp_path, whole):
    folder = tmp_path / "d"
    support = Path(sys.modules["found"].__file__).parent
    script = SCRIPT.format(paths=[str(Path(__file__).parent), str(support)], folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "4\n"
    with pytest.raises(LandmarksError, match="another process writes this set"):
        DetectionWriter(folder, CLASSES, PROTOCOL)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with (folder.with_name("d.partial") / "detections.csv").open("ab") as file:
        file.write(b"0000000000000009,/m/01,0.25,0.1")
    with DetectionWriter(folder, CLASSES, PROTOCOL) as writer:
        assert writer.done.tolist() == [1, 2, 3, 4]
    write(folder, np.split(IDS, 5))
    assert contents(folder) == whole


def test_a_finished_set_takes_more_images(tmp_path, whole):
    write(tmp_path / "d", np.split(IDS, 5)[:2])
    write(tmp_path / "d", np.split(IDS, 5))
    assert contents(tmp_path / "d") == whole
    (tmp_path / "d.partial").mkdir()
    with pytest.raises(LandmarksError, match="remove one of them"):
        write(tmp_path / "d", [])


@pytest.mark.parametrize("finished", [True, False])
def test_a_set_made_otherwise_is_refused_and_left_alone(tmp_path, finished):
    folder = tmp_path / "d"
    with DetectionWriter(folder, CLASSES, PROTOCOL) as writer:
        writer.add(*chunk(IDS))
        if finished:
            writer.close()
    there = folder if finished else folder.with_name("d.partial")
    before = contents(there)
    other = dataclasses.replace(PROTOCOL, weights="def", score_threshold=0.2)
    with pytest.raises(OtherSetError, match=r"weights: 'abc' != 'def'; score_threshold: 0.1 != 0.2"):
        DetectionWriter(folder, CLASSES, other)
    fewer = DetectionClasses(CLASSES.names[:2], CLASSES.titles[:2])
    with pytest.raises(OtherSetError, match=r"classes: 4 \(Tower, Person, Dog, …\) != 2 \(Tower, Person\)"):
        DetectionWriter(folder, fewer, PROTOCOL)
    assert contents(there) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.txt").write_text("all of it")
    with pytest.raises(LandmarksError, match="contains no detections"):
        DetectionWriter(tmp_path / "d", CLASSES, PROTOCOL)
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["thesis.txt"]


def test_unreadable_images_are_told_apart_and_tried_again(tmp_path):
    folder = tmp_path / "d"
    with DetectionWriter(folder, CLASSES, PROTOCOL) as writer:
        writer.add_unreadable([("00000000000000aa", 'not a JPEG,\n "truncated"'), ("00000000000000bb", "")])
        writer.add(*chunk(IDS[:4]))
        writer.close()
    assert b'00000000000000aa,0,"not a JPEG, ""truncated"""\n' in (folder / "images.csv").read_bytes()
    assert read_detections(folder).looked_at.tolist() == [1, 2, 3, 4]
    with DetectionWriter(folder, CLASSES, PROTOCOL) as writer:
        assert writer.done.tolist() == [1, 2, 3, 4]
        writer.add(np.array([0xAA], np.uint64), chunk(IDS)[1].take(slice(0)))
        writer.close()
    assert read_detections(folder).looked_at.tolist() == [1, 2, 3, 4, 0xAA]
    assert b"bb" not in (folder / "images.csv").read_bytes()


def test_flipped_bits_are_an_error_or_change_nothing(tmp_path, whole):
    folder = tmp_path / "d"
    folder.mkdir()
    for name, data in whole.items():
        (folder / name).write_bytes(data)
    expected = read_detections(folder)
    rng = np.random.default_rng(0)
    for name, data in whole.items():
        for place in rng.integers(0, len(data), 20).tolist():
            flipped = data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]
            (folder / name).write_bytes(flipped)
            with pytest.raises(LandmarksError, match=str(folder)):
                read_detections(folder)
        (folder / name).write_bytes(data)
    assert read_detections(folder).looked_at.tolist() == expected.looked_at.tolist()
    (folder / "checksums.txt").unlink()
    with pytest.raises(LandmarksError, match=r"checksums\.txt: is missing.*detect again"):
        read_detections(folder)
    with pytest.raises(LandmarksError, match="this set was written by an earlier version"):
        write(folder, np.split(IDS, 5))


def test_what_does_not_fit_is_refused_and_the_rest_stays_good(tmp_path):
    with DetectionWriter(tmp_path / "d", CLASSES, PROTOCOL) as writer:
        writer.add(*chunk(IDS[:4]))
        with pytest.raises(LandmarksError, match="0004 was added before"):
            writer.add(*chunk(IDS[3:5]))
        ids, found = chunk(IDS[4:8])
        with pytest.raises(LandmarksError, match="0008 was added before"):
            writer.add(np.append(ids, ids[-1]), found)
        with pytest.raises(LandmarksError, match="is in image 0000000000000005, which is not among"):
            writer.add(ids[1:], found)
        with pytest.raises(LandmarksError, match="boxes of other classes"):
            writer.add(ids, dataclasses.replace(found, classes=CLASSES.names[::-1]))
        writer.add(ids, found)
        writer.close()
        with pytest.raises(LandmarksError, match="closed"):
            writer.add(*chunk(IDS[8:9]))
    assert read_detections(tmp_path / "d").looked_at.tolist() == list(range(1, 9))


def test_a_full_disk_is_reported_and_costs_nothing(tmp_path, whole, monkeypatch):
    with DetectionWriter(tmp_path / "d", CLASSES, PROTOCOL) as writer:
        writer.add(*chunk(IDS[:4]))

        def full(file, data):
            file.write(data[: len(data) // 2])
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("landmarks.storage.append_log.write_all", full)
            with pytest.raises(LandmarksError, match="free disk space and run the same command again"):
                writer.add(*chunk(IDS[4:8]))
    write(tmp_path / "d", np.split(IDS, 5))
    assert contents(tmp_path / "d") == whole
