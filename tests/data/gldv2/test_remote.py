import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmarks.data import ImageSet
from landmarks.data.gldv2 import GLDv2
from landmarks.data.stores import LocalTars, open_tar_store
from landmarks.errors import LandmarksError
from landmarks.storage import RetryPolicy


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults of these servers do not pass by waiting."""
    monkeypatch.setattr(RetryPolicy, "wait", lambda policy, failures: 0.01)


@pytest.fixture
def server(tiny: Any, http_server: Callable[[Path], Any]) -> Any:
    return http_server(tiny.root)


def sets_of(source: GLDv2) -> dict[str, ImageSet]:
    source.prepare()
    return {
        "train": source.train(),
        "gallery": source.gallery(),
        "index": source.index(),
        "queries": source.queries(),
    }


def assert_same(remote: GLDv2, local: GLDv2) -> None:
    for (name, here), there in zip(sets_of(local).items(), sets_of(remote).values(), strict=True):
        assert np.array_equal(here.table.ids, there.table.ids), name
        assert np.array_equal(here.table.landmarks, there.table.landmarks), name
        assert [here.read(row) for row in range(len(here))] == [there.read(row) for row in range(len(there))], name


@pytest.mark.parametrize("split", ["train_clean", "train+index"])
def test_an_address_is_the_same_as_the_folder(tiny: Any, server: Any, split: Any) -> None:
    remote, local = GLDv2(server.url, split), GLDv2(tiny.root, split)
    assert_same(remote, local)
    there, here = remote.truth(), local.truth()
    assert there.retrieval is not None and there.recognition is not None
    assert here.retrieval is not None and here.recognition is not None
    assert np.array_equal(there.retrieval.query_ids, here.retrieval.query_ids)
    assert np.array_equal(there.recognition.image_ids, here.recognition.image_ids)


def test_an_extracted_tree_is_the_same_too(tiny: Any, server: Any) -> None:
    tiny.remove_tars("train", "index", "test", extract=True)
    assert_same(GLDv2(server.url), GLDv2(tiny.root))
    assert not [request for request in server.requests if request.path.endswith(".tar")]


@pytest.mark.parametrize("extracted", [False, True])
def test_lists_are_not_needed(tiny: Any, server: Any, extracted: bool) -> None:
    if extracted:
        tiny.remove_tars("train", "index", "test", extract=True)
    for folder in ("train", "index", "test"):
        server.fail(f"{folder}/", status=403)
    assert_same(GLDv2(server.url), GLDv2(tiny.root))


def test_an_index_beside_the_data_names_the_tars_and_saves_reading_them(tiny: Any, server: Any) -> None:
    for folder in ("train", "index", "test"):
        server.fail(f"{folder}/", status=403)
        tars = tiny.root / folder
        for number in (0, 1):  # names that nobody would guess
            (tars / f"images_00{number}.tar").rename(tars / f"part-{number}.tar")
        open_tar_store(LocalTars(tars), tiny.root / f".landmarks/offsets/{folder}.safetensors")
    sets_of(GLDv2(server.url))
    assert not [request for request in server.requests if request.range and request.path.endswith(".tar")]
    assert_same(GLDv2(server.url), GLDv2(tiny.root))


def test_what_is_missing_is_listed_by_address(tiny: Any, server: Any) -> None:
    tiny.csv("train_clean").unlink()
    tiny.remove_tars("index")
    with pytest.raises(LandmarksError) as error:
        GLDv2(server.url).prepare()
    lines = str(error.value).splitlines()
    assert lines[1:3] == [
        f"  {server.url}/metadata/train_clean.csv",
        f"  {server.url}/index: no tar and no extracted folder",
    ]
    assert "landmarks data download --root FOLDER --split metadata,index" in lines[3] and len(lines) == 4


def test_ground_truth_may_be_missing_there(tiny: Any, server: Any, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(tiny.root / "ground_truth")
    truth = GLDv2(server.url).truth()
    assert truth.retrieval is None and truth.recognition is None
    assert f"{server.url}/ground_truth/retrieval_solution_v2.1.csv is missing" in caplog.text


def test_a_host_that_does_not_answer_is_one_message() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/gldv2"
        with pytest.raises(LandmarksError, match=f"{url}/metadata/test.csv: .*the address is right"):
            GLDv2(url).prepare()


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses_everything_says_so(
    tiny: Any, server: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("test", "train", "index", "train_clean", "index_image_to_landmark"):
        server.fail(f"metadata/{name}.csv", method="*", status=status)
    with pytest.raises(LandmarksError, match="lacks"):
        GLDv2(server.url).prepare()
    assert f"the server answers {status}" in caplog.text


def test_a_server_without_ranges_is_refused_before_it_sends_tars(server: Any) -> None:
    server.fail("metadata/test.csv", ignore_range=True)
    with pytest.raises(LandmarksError, match="ignores byte ranges"):
        GLDv2(server.url).prepare()
