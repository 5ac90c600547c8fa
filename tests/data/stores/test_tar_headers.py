import io
import tarfile
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from landmarks.data.stores import (
    MAX_IMAGE,
    Images,
    RefusedTarError,
    read_headers,
    tar_headers,
)
from landmarks.ids import format_ids

IDS = [f"{i:03x}{i * 7919:013x}" for i in range(12)]


def member(name: str, size: int = 5, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def image(image_id: str, size: int = 5) -> tarfile.TarInfo:
    return member(f"{image_id[0]}/{image_id[1]}/{image_id[2]}/{image_id}.jpg", size)


def tar_of(*members: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(bytes(info.size)) if info.isreg() else None)
    return file.getvalue()


def opened(data: bytes) -> Callable[[int, int], bytes]:
    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= len(data) and 0 <= length <= tar_headers.MAX_PADDING, "memory is asked for blindly"
        return data[offset : offset + length]

    return read


def index(data: bytes) -> Images:
    return read_headers(opened(data), len(data))


def as_dict(images: Images) -> dict[str, tuple[int, int]]:
    places = zip((images.blocks * 512).tolist(), images.lengths.tolist(), strict=True)
    return dict(zip(format_ids(images.ids), places, strict=True))


def by_tarfile(data: bytes) -> dict[str, tuple[int, int]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name[-20:-4]: (info.offset_data, info.size) for info in tar.getmembers() if info.isreg()}


def with_header(data: bytes, offset: int, *fields: tuple[int, bytes]) -> bytes:
    """Overwrite parts of a header and make its checksum right again."""
    header = bytearray(data[offset : offset + 512])
    for start, value in fields:
        header[start : start + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:offset] + bytes(header) + data[offset + 512 :]


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 511, 512, 513, 9000]) | st.integers(0, 70000)),
             max_size=12, unique_by=lambda entry: entry[0]),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.sampled_from(["", "./", "train/", "a/b/c/"]),
    st.integers(1, 5),
)  # fmt: skip
def test_finds_what_tarfile_finds(entries: list[tuple[int, int]], form: int, folder: str, batch: int) -> None:
    members = [image(f"{number:016x}", size) for number, size in entries]
    for info in members:
        info.name = folder + info.name
    data = tar_of(*members, form=form)
    original, tar_headers.BATCH = tar_headers.BATCH, batch
    try:
        found = index(data)
    finally:
        tar_headers.BATCH = original
    assert as_dict(found) == by_tarfile(data)
    assert (np.diff(found.ids.astype(object)) > 0).all()


def test_an_id_may_stand_alone_or_in_any_relative_folder() -> None:
    names = [f"{IDS[0]}.jpg", f"train/{IDS[1]}.jpg", f"./f/f/f/{IDS[2]}.jpg", f"{'d' * 60}/{'e' * 60}/{IDS[3]}.jpg"]
    data = tar_of(member("train", 0, tarfile.DIRTYPE), *(member(name) for name in names))
    assert as_dict(index(data)) == by_tarfile(data) and len(by_tarfile(data)) == 4


def test_harmless_pax_headers_are_passed_over() -> None:
    members = [image(name) for name in IDS]
    for info in members:
        info.pax_headers = {"comment": "ü" * 300, "mtime": "1.25"}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "all"}) as tar:
        for info in members:
            tar.addfile(info, io.BytesIO(bytes(5)))
    assert as_dict(index(file.getvalue())) == by_tarfile(file.getvalue())


@pytest.mark.parametrize("field", [b"     000005 ", b"5\0\0\0\0\0\0\0\0\0\0\0", b"000000000005", b"00000000005 "])
def test_sizes_as_old_programs_wrote_them(field: bytes) -> None:
    data = with_header(tar_of(image(IDS[3])), 0, (124, field))
    assert as_dict(index(data)) == {IDS[3]: (512, 5)}


def test_before_ustar_there_was_no_magic() -> None:
    data = with_header(tar_of(image(IDS[3])), 0, (257, bytes(255)), (156, b"\0"))
    assert as_dict(index(data)) == {IDS[3]: (512, 5)}


LINKED = f"0/0/0/{IDS[0]}.jpg"
HOSTILE = {
    "absolute path": (member(f"/etc/{IDS[1]}.jpg"), "absolute path"),
    "up": (member(f"0/../../{IDS[1]}.jpg"), r"leaves the folder with '..'"),
    "up, folder": (member("..", 0, tarfile.DIRTYPE), r"leaves the folder with '..'"),
    "absolute folder": (member("/0", 0, tarfile.DIRTYPE), "absolute path"),
    "symbolic link": (member(LINKED, 0, tarfile.SYMTYPE, linkname="/etc/passwd"), "is a symbolic link"),
    "hard link": (member(LINKED, 0, tarfile.LNKTYPE, linkname="/etc/passwd"), "is a hard link"),
    "device": (member(LINKED, 0, tarfile.BLKTYPE), "is a device"),
    "character device": (member(LINKED, 0, tarfile.CHRTYPE), "is a device"),
    "pipe": (member(LINKED, 0, tarfile.FIFOTYPE), "is a pipe"),
    "contiguous": (member(LINKED, 0, tarfile.CONTTYPE), "of the unknown type b'7'"),
    "sparse": (member(LINKED, 0, tarfile.GNUTYPE_SPARSE), "is a sparse file"),
    "no id": (member("README.txt"), "'README.txt' at byte 1024 is not an image"),
    "upper case": (member(f"0/0/0/{IDS[10].upper()}.jpg"), "is not an image"),
    "left by macOS": (member(f"0/0/0/._{IDS[0]}.jpg"), "is not an image"),
    "other end": (member(f"0/0/0/{IDS[0]}.jpg.exe"), "is not an image"),
    "terminal": (member(f"\x1b[31m{IDS[0]}.jpg"), r"'\\x1b\[31m"),
}


@pytest.mark.parametrize(("info", "said"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_members_are_refused_by_name_and_place(info: tarfile.TarInfo, said: str) -> None:
    data = tar_of(image(IDS[5]), info, image(IDS[6]))
    with pytest.raises(RefusedTarError, match=said) as caught:
        index(data)
    assert "at byte 1024" in str(caught.value) and "download it again" in str(caught.value)


def test_long_gnu_names_are_refused() -> None:
    data = tar_of(member(f"{'a' * 120}/{IDS[1]}.jpg"), form=tarfile.GNU_FORMAT)
    with pytest.raises(RefusedTarError, match="GNU long name"):
        index(data)


@pytest.mark.parametrize("key", ["path", "size", "linkpath", "GNU.sparse.major"])
@pytest.mark.parametrize("globally", [False, True])
def test_pax_headers_must_not_change_the_next_member(key: str, globally: bool) -> None:
    record = f"{key}=1"
    record = f"{len(record) + 4} {record}\n"
    header = member("x", len(record), tarfile.XGLTYPE if globally else tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    data = header + record.encode().ljust(512, b"\0") + tar_of(image(IDS[0]))
    with pytest.raises(RefusedTarError, match=f"pax header at byte 0 changes '{key}'"):
        index(data)


@pytest.mark.parametrize(
    "records", [b"12 comment=a", b"0 a=b\n", b"999999999 a=b\n", b"x", b"-5 a\n", b"6 a=b\n\n", b"3 \n\0"]
)
def test_corrupt_pax_headers_are_named(records: bytes) -> None:
    header = member("x", len(records), tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    with pytest.raises(RefusedTarError, match="pax header at byte 0 is corrupt"):
        index(header + records.ljust(512, b"\0") + tar_of(image(IDS[0])))


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (b"77777777777\0", r"claims 8,589,934,591 bytes"),
        (b"777777777777", r"claims 68,719,476,735 bytes"),
        (f"{MAX_IMAGE + 1:011o}\0".encode(), r"claims 268,435,457 bytes, but an image has at most 268,435,456"),
        (b"\x80\0\0\0\0\0\0\0\0\0\0\x05", "not an octal number"),
        (b"\xff" * 12, "not an octal number"),
        (b"-0000000005\0", "not an octal number"),
        (b"0o000000005\0", "not an octal number"),
        (b"00000_00005\0", "not an octal number"),
        (b"\0" * 12, "not an octal number"),
        (b"00100000000\0", "cut off after"),
    ],
)
def test_absurd_sizes_are_refused(size: bytes, said: str) -> None:
    data = tar_of(image(IDS[0]), image(IDS[1]), image(IDS[2]))
    with pytest.raises(RefusedTarError, match=said) as caught:
        index(with_header(data, 1024, (124, size)))
    assert IDS[1] in str(caught.value)


def test_a_folder_has_no_bytes() -> None:
    data = with_header(tar_of(member("0", 0, tarfile.DIRTYPE)), 0, (124, b"00000000512\0"))
    with pytest.raises(RefusedTarError, match="'0/' at byte 0 is a folder that claims 330 bytes"):
        index(data)


def test_an_image_twice_is_refused() -> None:
    with pytest.raises(RefusedTarError, match=f"image {IDS[1]} is in it twice, at bytes 1024 and 2048"):
        index(tar_of(image(IDS[0]), image(IDS[1]), image(IDS[1], 9)))


@pytest.mark.parametrize("end", [0, 100, 512, 512 + 4, 1024, 1024 + 100, 2048 + 5])
def test_a_truncated_tar_is_named_wherever_it_ends(end: int) -> None:
    data = tar_of(image(IDS[0]), image(IDS[1]))
    with pytest.raises(RefusedTarError, match=r"not a complete uncompressed tar \(cut off after.*download it again"):
        index(data[:end])


def test_a_tar_that_is_shorter_than_it_was_is_cut_off() -> None:
    data = tar_of(image(IDS[0]))
    with pytest.raises(RefusedTarError, match="cut off"):
        read_headers(opened(data), len(data) + 10240)


def test_a_hole_is_not_taken_for_the_end() -> None:
    data = tar_of(*map(image, IDS))
    with pytest.raises(RefusedTarError, match="an empty block at byte 3072 ends it, but"):
        index(data[:3072] + bytes(512) + data[3584:])
    with pytest.raises(RefusedTarError, match="an empty block at byte 0 ends it, but"):
        index(bytes(tar_headers.MAX_PADDING + 512))


def test_a_corrupt_header_is_not_taken_for_the_end() -> None:
    data = tar_of(*map(image, IDS))
    with pytest.raises(RefusedTarError, match="no valid header at byte 2048"):
        index(data[:2048] + bytes(range(256)) * 2 + data[2560:])


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"BZh9", "compressed with bzip2"),
        (b"\xfd7zXZ\0", "compressed with xz"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"<html>404</html>", "no valid header at byte 0"),
    ],
)
def test_other_formats_are_named(start: bytes, said: str) -> None:
    with pytest.raises(RefusedTarError, match=rf"not a complete uncompressed tar \(.*{said}"):
        index(start.ljust(10240, b"\x01"))


def test_a_tar_beyond_two_tebibytes_is_refused_unread() -> None:
    with pytest.raises(RefusedTarError, match="2,199,023,255,552 can be indexed"):
        read_headers(opened(b""), tar_headers.MAX_TAR + 1)


WHOLE = tar_of(
    member("0", 0, tarfile.DIRTYPE),
    *(image(name, 600 * i) for i, name in enumerate(IDS[:6])),
    form=tarfile.GNU_FORMAT,
)


@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=20)), max_size=3),
    st.none() | st.integers(0, len(WHOLE)),
)
@example([(512 + 124, b"77777777777")], None)
@settings(max_examples=300)
def test_damage_is_refused_or_without_consequence(damage: list[tuple[int, bytes]], end: int | None) -> None:
    data = bytearray(WHOLE)
    for start, value in damage:
        data[start : start + len(value)] = value
    try:
        found = as_dict(index(bytes(data[: len(WHOLE) if end is None else end])))
    except RefusedTarError:
        return
    assert found == as_dict(index(WHOLE))


@given(
    st.sampled_from([0, 512, 1024, 2560]),
    # Names, sizes, types, magics, prefixes: of what else there is in a header tarfile asks more than we do.
    st.sampled_from([(0, 100), (124, 12), (156, 1), (257, 8), (345, 155)]).flatmap(
        lambda field: st.tuples(st.just(field[0]), st.binary(min_size=1, max_size=field[1]))
    ),
)
@example(512, (124, b"00000000000\0"))
@example(512, (156, b"5"))
@settings(max_examples=300)
def test_forged_headers_are_refused_or_read_as_tarfile_does(offset: int, edit: tuple[int, bytes]) -> None:
    forged = with_header(WHOLE, offset, edit)
    try:
        found = as_dict(index(forged))
    except RefusedTarError:
        return
    assert found == by_tarfile(forged)


@given(st.lists(st.binary(min_size=512, max_size=512) | st.just(bytes(512)), max_size=6))
@settings(max_examples=100)
def test_noise_is_refused(blocks: list[bytes]) -> None:
    if any(any(block) for block in blocks) or len(blocks) == 0:
        with pytest.raises(RefusedTarError):
            index(b"".join(blocks))


def test_what_a_pax_header_says_is_shown_as_it_can_be_printed() -> None:
    header = member("x", 17, tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    with pytest.raises(RefusedTarError, match=r"changes 'GNU\.sparse\\x1b\\\\xff' of the member"):
        index(header + b"17 GNU.sparse\x1b\xff=\n".ljust(512, b"\0") + tar_of(image(IDS[0])))
    header = member("x", 65537, tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    with pytest.raises(RefusedTarError, match="claims 65,537 bytes, but at most 65,536 are read"):
        index(header + bytes(65537 + 511) + tar_of(image(IDS[0])))
