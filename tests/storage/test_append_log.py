"""Logs whose writing ended at any byte, and bits that flipped."""

import multiprocessing
import random
import resource
import signal
import time
from pathlib import Path

import pytest
import xxhash

from landmarks.storage import CHECKSUMS_FILE, AppendLog, ChangedError, LockedError, check_folder

FILES = {"a.bin": b"", "b.bin": b""}
CHUNKS = [{"a.bin": bytes([n]) * (n + 3), "b.bin": bytes([100 + n]) * (2 * n)} for n in range(5)]


def contents(folder: Path, chunks: int) -> dict[str, bytes]:
    return {name: b"".join(chunk[name] for chunk in CHUNKS[:chunks]) for name in FILES}


def read(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def write(folder: Path, start: int = 0, stop: int = 5) -> AppendLog:
    log = AppendLog(folder, FILES)
    for chunk in CHUNKS[start:stop]:
        log.append(chunk)
    return log


def whole_chunks(log: AppendLog) -> int:
    for number in range(6):
        if log.sizes == {name: len(data) for name, data in contents(log.folder, number).items()}:
            return number
    raise AssertionError(log.sizes)


def test_what_is_finished_has_checksums_of_every_file(tmp_path: Path) -> None:
    log = write(tmp_path / "log.partial")
    (tmp_path / "log.partial" / "protocol.json").write_text("{}")
    log.finish(tmp_path / "log")
    assert read(tmp_path / "log") == contents(tmp_path, 5)
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == [
        "a.bin", "b.bin", CHECKSUMS_FILE, "protocol.json",
    ]  # fmt: skip
    check_folder(tmp_path / "log")
    rng = random.Random(0)
    for name in ("a.bin", "b.bin", CHECKSUMS_FILE, "protocol.json"):
        path = tmp_path / "log" / name
        good = path.read_bytes()
        for _ in range(40):
            bad = bytearray(good)
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
            path.write_bytes(bad)
            with pytest.raises(ChangedError, match=name):
                check_folder(tmp_path / "log")
        path.write_bytes(good[:-1])
        with pytest.raises(ChangedError, match=name):
            check_folder(tmp_path / "log")
        path.write_bytes(good)


def test_chunks_make_no_difference_to_a_finished_log(tmp_path: Path) -> None:
    write(tmp_path / "x.partial").finish(tmp_path / "x")
    write(tmp_path / "y.partial", 0, 2).close()
    write(tmp_path / "y.partial", 2, 5).finish(tmp_path / "y")
    assert (tmp_path / "x" / CHECKSUMS_FILE).read_bytes() == (tmp_path / "y" / CHECKSUMS_FILE).read_bytes()


def test_a_kill_at_any_byte_costs_at_most_the_last_chunk(tmp_path: Path) -> None:
    """Writes of a chunk come in one order: the files, then the line. A kill leaves a beginning of them."""
    write(tmp_path / "whole").close()
    lines = (tmp_path / "whole" / CHECKSUMS_FILE).read_bytes().splitlines(keepends=True)
    for number, chunk in enumerate(CHUNKS):
        writes = [("a.bin", chunk["a.bin"]), ("b.bin", chunk["b.bin"]), (CHECKSUMS_FILE, lines[number])]
        total = sum(len(data) for _, data in writes)
        for left in range(total + 1):
            folder = tmp_path / f"{number}-{left}"
            write(folder, 0, number).close()
            for name, data in writes:
                with (folder / name).open("ab") as file:
                    file.write(data[:left])
                left = max(left - len(data), 0)
            log = AppendLog(folder, FILES)
            assert whole_chunks(log) == number + (folder.name == f"{number}-{total}")
            log.close()
            assert read(folder) == contents(folder, whole_chunks(log))
            write(folder, whole_chunks(log)).close()
            assert read(folder) == contents(folder, 5)


@pytest.mark.parametrize("name", ["a.bin", "b.bin", CHECKSUMS_FILE])
def test_what_follows_a_flipped_bit_or_a_lost_end_is_dropped(tmp_path: Path, name: str) -> None:
    write(tmp_path / "whole").close()
    good = (tmp_path / "whole" / name).read_bytes()
    for byte in range(0, len(good), 5 if name == CHECKSUMS_FILE else 1):
        folder = tmp_path / str(byte)
        for lost in (False, True):
            write(folder).discard()
            write(folder).close()
            flipped = bytes([good[byte] ^ 4])
            (folder / name).write_bytes(good[:byte] if lost else good[:byte] + flipped + good[byte + 1 :])
            log = AppendLog(folder, FILES)
            assert whole_chunks(log) < 5
            log.close()
            assert read(folder) == contents(folder, whole_chunks(log))


def test_a_bit_that_flips_meanwhile_is_found_when_it_is_finished(tmp_path: Path) -> None:
    log = write(tmp_path / "log.partial")
    data = (tmp_path / "log.partial" / "b.bin").read_bytes()
    (tmp_path / "log.partial" / "b.bin").write_bytes(data[:3] + b"!" + data[4:])
    with pytest.raises(ChangedError, match=r"b\.bin: corrupt"):
        log.finish(tmp_path / "log")
    log.close()
    assert not (tmp_path / "log").exists()
    write(tmp_path / "log.partial", whole_chunks(AppendLog(tmp_path / "log.partial", FILES)) and 5).close()


def test_files_without_checksums_are_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path).close()
    (tmp_path / CHECKSUMS_FILE).unlink()
    with pytest.raises(ChangedError, match=f"{CHECKSUMS_FILE}: is missing"):
        check_folder(tmp_path)
    with AppendLog(tmp_path, FILES) as log:
        assert whole_chunks(log) == 0 and "computing all of it again" in caplog.text


def test_files_can_be_cut(tmp_path: Path) -> None:
    with write(tmp_path) as log:
        log.truncate({"a.bin": 4})
        assert log.sizes["a.bin"] == 4 and (tmp_path / "a.bin").stat().st_size == 4
    write(tmp_path, 5).close()
    assert read(tmp_path) == {**contents(tmp_path, 5), "a.bin": CHUNKS[0]["a.bin"] + CHUNKS[1]["a.bin"][:1]}


def test_a_file_that_begins_otherwise_is_refused(tmp_path: Path) -> None:
    for start in (b"", b"head", b"head,line\nrow\n"):
        (tmp_path / "a.csv").write_bytes(start)
        with AppendLog(tmp_path, {"a.csv": b"head,line\n"}) as log:
            assert log.sizes == {"a.csv": 10} and (tmp_path / "a.csv").read_bytes() == b"head,line\n"
    with pytest.raises(ValueError, match=r"a\.csv: does not begin with other,line"):
        AppendLog(tmp_path, {"a.csv": b"other,line\n"})


@pytest.mark.parametrize("text", [b"[]", b'{"a.bin":[-5,9,""]}', b'{"a.bin":[0,1]}', b"{", b'{"a.bin":["x",1,""]}'])
def test_checksums_of_others_are_no_good(tmp_path: Path, text: bytes) -> None:
    (tmp_path / CHECKSUMS_FILE).write_bytes(xxhash.xxh3_64_hexdigest(text).encode() + b" " + text + b"\n")
    with pytest.raises(ChangedError, match=CHECKSUMS_FILE):
        check_folder(tmp_path)


def test_a_full_disk_keeps_what_was_written(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log = AppendLog(tmp_path / "log", {"a.bin": b""})
    log.append({"a.bin": b"x" * 900})
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        with pytest.raises(OSError, match="too large"):
            log.append({"a.bin": b"y" * 200})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    with AppendLog(tmp_path / "log", {"a.bin": b""}) as again:
        assert again.sizes == {"a.bin": 900}


def _add_forever(folder: Path) -> None:
    log = AppendLog(folder, {"a.bin": b""})
    for number in range(log.sizes["a.bin"] // 1000, 10**6):
        log.append({"a.bin": bytes([number % 251]) * 1000})


def test_killed_again_and_again_it_goes_on(tmp_path: Path) -> None:
    chance, before, file = random.Random(0), 0, tmp_path / "log" / "a.bin"
    for _ in range(8):
        process = multiprocessing.get_context("fork").Process(target=_add_forever, args=(tmp_path / "log",))
        process.start()
        for _ in range(3000):  # on a busy machine it starts late
            if file.is_file() and file.stat().st_size > before:
                break
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.02))
        process.kill()
        process.join()
        with AppendLog(tmp_path / "log", {"a.bin": b""}) as log:
            size = log.sizes["a.bin"]
        assert size >= before and size % 1000 == 0
        before = size
    data = file.read_bytes()
    assert data == b"".join(bytes([number % 251]) * 1000 for number in range(before // 1000)) and data


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    log = write(tmp_path / "log.partial")
    with pytest.raises(LockedError, match="another process writes this set"):
        AppendLog(tmp_path / "log.partial", FILES)
    context = multiprocessing.get_context("fork")
    started, enough = context.Event(), context.Event()
    child = context.Process(target=lambda: (started.set(), enough.wait()))
    child.start()  # a child that lives on holds nothing
    started.wait()
    log.finish(tmp_path / "log")
    (tmp_path / "log").rename(tmp_path / "log.partial")
    with AppendLog(tmp_path / "log.partial", FILES) as again:
        assert whole_chunks(again) == 5
    enough.set()
    child.join()


def test_a_process_that_waits_finds_the_log_finished(tmp_path: Path) -> None:
    log = write(tmp_path / "log.partial")
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_wait_and_look, args=(tmp_path,))
    process.start()
    time.sleep(0.2)
    log.finish(tmp_path / "log")
    process.join(20)
    assert process.exitcode == 0 and not (tmp_path / "log.partial").exists()


def _wait_and_look(folder: Path) -> None:
    with AppendLog(folder / "log.partial", FILES, wait=True) as log:
        assert (folder / "log").is_dir() and not any(log.sizes.values())
        log.discard()
