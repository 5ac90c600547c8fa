"""Interprets a single tar header and decides whether such a member is allowed in a tar of images.

Tars are downloaded, so anything that could mislead a reader is refused: links, devices, paths that leave the folder,
names that are not ids, headers that rename or resize the member after them. The format is POSIX pax,
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
"""

from landmarks.data.stores.store import IMAGE_NAME
from landmarks.data.stores.tar_files import ReadTar
from landmarks.errors import LandmarksError
from landmarks.ids import format_id

BLOCK = 512  # bytes; headers and contents of a tar are aligned to it
# Far larger than any image of the data set, and small enough to do no harm if read by mistake.
MAX_IMAGE = 1 << 28
MAX_PAX = 1 << 16
REPAIR = "compare it with the md5sum file of its split and download it again"

_MAGIC = (b"ustar\0", b"ustar ", bytes(6))  # POSIX, GNU, and from before both
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"K": "a GNU long name",
    b"L": "a GNU long name",
    b"S": "a sparse file",
}
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class RefusedTarError(LandmarksError):
    """Raised for a tar that is corrupt, truncated or has forbidden content. The message does not name the tar."""


def corrupt(what: str) -> RefusedTarError:
    """Make the error for a tar that differs from the published one."""
    return RefusedTarError(f"not a complete uncompressed tar ({what}); {REPAIR}")


def image_id(header: bytes, size: int, offset: int, read: ReadTar) -> int | None:
    """Return the id of the image after a header, None for a folder or a harmless pax header.

    Args:
        header: 512 bytes, not all zero.
        size: Size of the member in bytes, -1 if the field is invalid.
        offset: Offset of the header in the tar, bytes.
        read: Returns bytes of the tar, given an offset and a length.

    Raises:
        RefusedTarError: The header is corrupt or belongs to anything else.
    """
    _require_header(header, size, offset)
    name, kind = member_name(header), header[156:157]
    place = f"member {name!r} at byte {offset}"
    if kind in (b"x", b"g"):
        _check_pax(size, offset, read)
        return None
    if kind == b"5" or (kind == b"\0" and name.endswith("/")):
        _require_relative(name, place)
        if size:
            raise RefusedTarError(f"{place} is a folder that claims {size} bytes; {REPAIR}")
        return None
    if kind not in (b"0", b"\0"):
        what = _REFUSED.get(kind, f"of the unknown type {kind!r}")
        raise RefusedTarError(f"{place} is {what}, and only regular files and folders are read; {REPAIR}")
    _require_relative(name, place)
    match = IMAGE_NAME.fullmatch(name.rpartition("/")[2])
    if match is None:
        raise RefusedTarError(
            f"{place} is not an image: its name is not an id (16 digits of 0-9 and a-f) and .jpg; {REPAIR}, "
            "or make the tar again without it"
        )
    if size > MAX_IMAGE:
        raise RefusedTarError(f"{place} claims {size:,} bytes, but an image has at most {MAX_IMAGE:,}; {REPAIR}")
    return int(match[1], 16)


def member_name(header: bytes) -> str:
    """Return the name in a header, with the ustar prefix if there is one."""
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return (prefix + b"/" + name if prefix else name).decode("utf-8", "backslashreplace")


def announces(header: bytes, image_id: int, size: int) -> bool:
    """Return whether a header is that of the given image with `size` bytes; checked whenever an image is read."""
    name = header[:100].partition(b"\0")[0].rpartition(b"/")[2]
    try:
        return name == f"{format_id(image_id)}.jpg".encode() and int(header[124:136].rstrip(b"\0"), 8) == size
    except ValueError:
        return False


def _require_header(header: bytes, size: int, offset: int) -> None:
    if offset == 0:
        for magic, kind in _COMPRESSED.items():
            if header.startswith(magic):
                raise RefusedTarError(
                    f"not a complete uncompressed tar (it is compressed with {kind}); unpack it first"
                )
    try:
        checksum = int(header[148:156].strip(b"\0 "), 8)
    except ValueError:
        checksum = -1
    # The checksum counts its own field as spaces.
    if checksum != sum(header) - sum(header[148:156]) + 8 * 32 or header[257:263] not in _MAGIC:
        raise corrupt(f"no valid header at byte {offset}")
    if size < 0 or header[124:136].translate(None, b"01234567 \0"):  # int() also takes -1, 0o1 and 1_0
        raise RefusedTarError(
            f"member {member_name(header)!r} at byte {offset}: its size {header[124:136]!r} is not an octal number; "
            f"{REPAIR}"
        )


def _require_relative(name: str, place: str) -> None:
    if name.startswith("/"):
        raise RefusedTarError(f"{place} has an absolute path; {REPAIR}")
    if ".." in name.split("/"):
        raise RefusedTarError(f"{place} leaves the folder with '..'; {REPAIR}")


def _check_pax(size: int, offset: int, read: ReadTar) -> None:
    """Refuse pax records that give the next member another name or size. A record is `LENGTH KEY=VALUE` on a line."""
    place = f"the pax header at byte {offset}"
    if size > MAX_PAX:
        raise RefusedTarError(f"{place} claims {size:,} bytes, but at most {MAX_PAX:,} are read; {REPAIR}")
    records = read(offset + BLOCK, size)
    position = 0
    while position < size:
        digits = records[position : position + 6].partition(b" ")[0]
        end = position + int(digits) if digits.isdigit() else position
        if end <= position or records[end - 1 : end] != b"\n":
            raise RefusedTarError(f"{place} is corrupt; {REPAIR}")
        key = records[position + len(digits) + 1 : end].partition(b"=")[0]
        if key in (b"path", b"linkpath", b"size") or key.startswith(b"GNU.sparse"):
            name = key.decode("ascii", "backslashreplace")
            raise RefusedTarError(f"{place} changes {name!r} of the member after it; {REPAIR}")
        position = end
