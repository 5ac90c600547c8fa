"""Transfers of one file from a real local server with every known fault of servers and networks."""

import errno
import fcntl
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from http_server import HttpServer
from landmarks.data.gldv2 import (
    DownloadError,
    HttpFiles,
    NotServedError,
    PartialFile,
    Served,
    StoppedError,
    UnreachableError,
    partial_name,
)
from landmarks.errors import LandmarksError
from landmarks.storage import RetryPolicy

QUICK = RetryPolicy(attempts=3, first_wait=0.0005, longest_wait=0.001)
CONTENT = random.Random(0).randbytes(300_000)
OTHER = bytes(reversed(CONTENT))
GOOD = md5(CONTENT).hexdigest()


@dataclass
class Place:
    """A served file, and the name that it shall get here."""

    server: HttpServer
    url: str
    path: Path
    http: HttpFiles

    @property
    def partial(self) -> Path:
        return partial_name(self.path)

    def fetch(self, md5: str | None = GOOD, served: Served | None = None) -> None:
        self.http.fetch(self.url, self.path, served or self.http.ask(self.url), md5)

    def ranges(self) -> list[str | None]:
        return [request.range for request in self.server.seen("a.tar")]

    def litter(self) -> list[str]:
        return [path.name for path in self.path.parent.iterdir()] if self.path.parent.exists() else []


@pytest.fixture
def place(tmp_path: Path, http_server: Callable[[Path], HttpServer]) -> Place:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "there/a.tar").write_bytes(CONTENT)
    server = http_server(tmp_path / "there")
    return Place(server, f"{server.url}/a.tar", tmp_path / "here/a.tar", HttpFiles(threading.Event(), QUICK))


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"truncate": 1000, "times": 1},
        {"truncate": 0, "times": 2},
        {"truncate": 20_000},  # of each request: 15 of them bring something
        {"status": 500, "times": 2},
        {"status": 503, "times": 2, "headers": {"Retry-After": "0"}},
        {"no_length": True},
        {"no_length": True, "truncate": 1000, "times": 2},
        {"content": OTHER, "times": 1},
        {"content": b"<html>Sign in to this network</html>", "times": 2},
        {"content": CONTENT + b"and more", "times": 2},
        {"content": CONTENT + b"and more", "no_length": True, "times": 2},
        {"headers": {"ETag": None, "Last-Modified": None}, "method": "*"},
        {"status": 405, "method": "HEAD"},
        {"status": 500, "method": "HEAD"},
    ],
    ids=lambda fault: ",".join(fault) or "nothing",
)
def test_transfers_survive_faults(place: Place, fault: dict[str, Any]) -> None:
    place.server.fail("a.tar", **fault)
    place.fetch()
    assert place.path.read_bytes() == CONTENT and place.litter() == ["a.tar"]


def test_goes_on_after_the_last_byte_received(place: Place) -> None:
    place.server.fail("a.tar", truncate=1000, times=1)
    place.server.fail("a.tar", truncate=500, times=1)
    place.fetch()
    assert place.ranges() == [None, "bytes=1000-", "bytes=1500-"]


def test_goes_on_when_the_server_falls_silent(place: Place) -> None:
    place.http.stall_seconds = 0.3
    place.http.retry = replace(QUICK, attempts=20)  # a busy machine may take that long for an answer, too
    place.server.fail("a.tar", stall=1000, times=1)
    place.server.fail("a.tar", stall=0, times=1)
    place.fetch()
    assert place.path.read_bytes() == CONTENT and place.ranges()[-1] == "bytes=1000-"


def test_partial_file_of_an_earlier_run_is_completed(place: Place) -> None:
    place.partial.write_bytes(CONTENT[:1234])
    sizes: list[int] = []
    place.http.fetch(place.url, place.path, place.http.ask(place.url), GOOD, on_size=sizes.append)
    assert place.path.read_bytes() == CONTENT and place.ranges() == ["bytes=1234-"]
    assert sizes[0] == 1234 and sizes == sorted(sizes) and sizes[-1] == len(CONTENT)


@pytest.mark.parametrize(("served", "ranges"), [(None, []), (Served(), [f"bytes={len(CONTENT)}-"])])
def test_complete_partial_file_needs_no_bytes(place: Place, served: Served | None, ranges: list[str]) -> None:
    """The server answers 416 where nobody knows the length."""
    place.partial.write_bytes(CONTENT)
    place.fetch(served=served)
    assert place.path.read_bytes() == CONTENT and place.ranges() == ranges


@pytest.mark.parametrize("bad", [OTHER[:1000], OTHER, CONTENT + b"more"], ids=["other start", "other", "longer"])
def test_bad_partial_file_is_replaced(place: Place, bad: bytes) -> None:
    place.partial.write_bytes(bad)
    place.fetch()
    assert place.path.read_bytes() == CONTENT and place.ranges()[-1] is None


def test_server_that_ignores_ranges_sends_the_whole(place: Place) -> None:
    place.server.fail("a.tar", truncate=1000, times=1)
    place.server.fail("a.tar", ignore_range=True)
    place.fetch()
    assert place.path.read_bytes() == CONTENT and place.ranges() == [None, "bytes=1000-"]


@pytest.mark.parametrize("said", ["bytes 999-299999/300000", "bytes 1000-1999/*", "bytes */300000", "nonsense", ""])
def test_other_range_than_asked_for_starts_over(place: Place, said: str) -> None:
    place.partial.write_bytes(CONTENT[:1000])
    place.server.fail("a.tar", headers={"Content-Range": said}, times=1)
    place.fetch()
    assert place.path.read_bytes() == CONTENT and place.ranges() == ["bytes=1000-", None]


def test_file_that_changes_at_the_server_is_not_mixed_with_its_older_self(place: Place) -> None:
    served = place.http.ask(place.url)
    place.server.fail("a.tar", truncate=1000, times=1)
    place.server.fail("a.tar", content=OTHER)
    place.fetch(None, served)  # without a sum nothing else could tell
    assert place.path.read_bytes() == OTHER


def test_without_a_sum_an_older_partial_file_is_not_trusted(place: Place) -> None:
    place.partial.write_bytes(OTHER[:1000])
    os.utime(place.partial, (1, 1))
    place.fetch(None)
    assert place.path.read_bytes() == CONTENT and place.ranges() == [None]


def test_wrong_sum_twice_is_an_error_with_both_sums(place: Place) -> None:
    place.server.fail("a.tar", content=OTHER, method="*")
    with pytest.raises(DownloadError, match=rf"a\.tar: .* {md5(OTHER).hexdigest()} instead of {GOOD}"):
        place.fetch()
    assert place.litter() == [] and place.ranges() == [None, None]


def test_neither_sum_nor_length_is_an_error(place: Place) -> None:
    place.server.fail("a.tar", no_length=True, method="*")
    with pytest.raises(DownloadError, match="does not give the length"):
        place.fetch(None)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [(404, NotServedError, "the server does not have this file or denies access"), (400, DownloadError, "refused")],
)
def test_permanent_errors_are_not_retried(place: Place, status: int, kind: type[DownloadError], said: str) -> None:
    place.server.fail("a.tar", status=status)
    with pytest.raises(kind, match=rf"http://127.*/a\.tar: {said} \(status {status} "):
        place.fetch()
    assert place.ranges() == [None] and place.litter() == []


def test_size_etag_and_time_of_a_file(place: Place) -> None:
    said = {"Content-Length": "12", "ETag": '"abc"', "Last-Modified": "Thu, 01 Jan 1970 00:01:00 GMT"}
    place.server.fail("a.tar", method="HEAD", headers=said, times=1)
    place.server.fail(
        "a.tar", method="HEAD", headers={"Content-Length": None, "ETag": 'W/"abc"', "Last-Modified": "lately"}
    )
    assert place.http.ask(place.url) == Served(12, '"abc"', 60.0)
    assert place.http.ask(place.url) == Served()


@pytest.mark.parametrize("fault", [{"status": 500}, {"truncate": 0}], ids=lambda fault: ",".join(fault))
def test_gives_up_at_some_point_and_keeps_what_came(place: Place, fault: dict[str, Any]) -> None:
    place.server.fail("a.tar", truncate=1000, times=1)
    place.server.fail("a.tar", **fault)
    with pytest.raises(DownloadError, match=r"a\.tar: .*gave up after 3 failed attempts"):
        place.fetch()
    assert len(place.ranges()) == 4 and place.partial.read_bytes() == CONTENT[:1000] and not place.path.exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a", "nonsense", "ftp://host/a", "http://"])
def test_an_unreachable_server_is_named(place: Place, url: str) -> None:
    with pytest.raises(UnreachableError, match=url):
        place.http.ask(url)


def test_stop_ends_a_transfer_and_keeps_what_came(place: Place) -> None:
    with pytest.raises(StoppedError):
        place.http.fetch(place.url, place.path, Served(), on_size=lambda size: size and place.http.stop.set())
    assert CONTENT.startswith(place.partial.read_bytes()) and place.partial.stat().st_size > 0


PLACES = st.integers(0, len(CONTENT))
FAULTS = st.one_of(
    st.fixed_dictionaries({"truncate": PLACES}, optional={"ignore_range": st.just(True), "no_length": st.just(True)}),
    st.fixed_dictionaries({"status": st.sampled_from([404, 416, 429, 500, 206])}),
    st.fixed_dictionaries({"content": st.sampled_from([OTHER, b"", CONTENT[:-1], CONTENT + b"x"])}),
    st.fixed_dictionaries({"headers": st.just({"Content-Range": "bytes 0-9/10"})}),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FAULTS, max_size=8), st.none() | PLACES, st.booleans())
def test_any_sequence_of_faults_gives_the_correct_file_or_none(
    place: Place, faults: list[dict[str, Any]], before: int | None, known: bool
) -> None:
    place.server.heal()
    place.path.unlink(missing_ok=True)
    place.partial.unlink(missing_ok=True)
    if before is not None:
        place.partial.write_bytes(CONTENT[:before])
    served = place.http.ask(place.url) if known else Served()
    for fault in faults:
        place.server.fail("a.tar", times=1, **fault)
    try:
        place.fetch(served=served)
        assert place.path.read_bytes() == CONTENT
    except DownloadError:
        assert faults and not place.path.exists()
        place.server.heal()
        place.fetch(served=served)  # the next run brings it
        assert place.path.read_bytes() == CONTENT


def test_file_system_without_locks_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with PartialFile(tmp_path / "a") as partial:
        partial.append(b"bytes")
        partial.finish()
    assert (tmp_path / "a").read_bytes() == b"bytes"


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("a file where a folder should be")
    with pytest.raises(LandmarksError, match=r"train/a\.tar\.partial: cannot write here"):
        PartialFile(tmp_path / "train/a.tar")
