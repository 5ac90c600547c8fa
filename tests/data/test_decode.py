import io
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from landmarks.data.decode import MAX_PIXELS, UnreadableImageError, decode


def close(a: np.ndarray, b: np.ndarray, tolerance: float = 3.0) -> bool:
    return a.shape == b.shape and np.abs(a.astype(float) - b).mean() < tolerance


def test_jpeg_is_rgb_and_writable(make: SimpleNamespace) -> None:
    image = decode(make.jpeg(1))
    assert image.dtype == np.uint8 and close(image, make.picture(1))
    image[0] = 0  # transforms may work in place


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_other_formats_whatever_the_file_is_called(make: SimpleNamespace, kind: str) -> None:
    assert close(decode(make.encoded(make.picture(2), kind)), make.picture(2))


def test_grey_cmyk_palette_alpha_and_16_bit(make: SimpleNamespace) -> None:
    image = Image.fromarray(make.picture(3))
    grey = np.asarray(image.convert("L"))
    for mode, kind in (("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "PNG")):
        file = io.BytesIO()
        image.convert(mode).save(file, kind)
        expected = np.repeat(grey[..., None], 3, axis=2) if mode == "L" else np.asarray(image)
        assert close(decode(file.getvalue()), expected, 20 if mode in "CMYK P" else 3), mode
    file = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16) * 257).save(file, "PNG")
    assert close(decode(file.getvalue()), np.repeat(grey[..., None], 3, axis=2), 1)


@pytest.mark.parametrize(
    ("minimum", "size"),
    [
        (None, (800, 1200)),
        (401, (800, 1200)),
        (400, (400, 600)),
        (201, (400, 600)),
        (200, (200, 300)),
        (100, (100, 150)),
        (1, (100, 150)),
        (5000, (800, 1200)),
    ],
)
def test_scale_is_the_smallest_that_keeps_the_short_side(
    make: SimpleNamespace, minimum: int | None, size: tuple[int, int]
) -> None:
    image = decode(make.jpeg(4, 800, 1200), minimum)
    assert image.shape[:2] == size
    assert close(image, make.picture(4, *size), 4)


def test_odd_sizes_keep_the_minimum(make: SimpleNamespace) -> None:
    for height in range(97, 130):
        assert min(decode(make.jpeg(0, height, 211), 48).shape[:2]) in (height, -(-height // 2))
        assert min(decode(make.jpeg(0, height, 211), 48).shape[:2]) >= 48


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "CMYK"])
def test_pictures_come_out_upright(make: SimpleNamespace, orientation: int, kind: str) -> None:
    upright = make.picture(5)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image, file = Image.fromarray(np.ascontiguousarray(stored)), io.BytesIO()
    image = image.convert("CMYK") if kind == "CMYK" else image
    image.save(file, "PNG" if kind == "PNG" else "JPEG", exif=exif, quality=95)
    assert close(decode(file.getvalue()), upright, 4)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Tag data larger")
def test_damaged_exif_does_not_cost_the_picture(make: SimpleNamespace) -> None:
    data = make.jpeg(6)
    for body in (b"", b"II*\x00\xff\xff\xff\xff", b"junk" * 5, b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x02"):
        segment = b"Exif\x00\x00" + body
        marked = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
        assert close(decode(marked), make.picture(6))


def test_bytes_between_markers_are_no_damage(make: SimpleNamespace) -> None:
    data = make.jpeg(7)
    assert close(decode(data + b"trailing bytes"), make.picture(7))
    position = data.index(b"\xff\xda")
    assert close(decode(data[:position] + b"\x00\x00\x00" + data[position:]), make.picture(7))


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(
    ("kind", "tail"),  # WebP has no checksum: a tail of zeros may be pixels
    [("JPEG", "cut"), ("JPEG", "zeros"), ("PNG", "cut"), ("PNG", "zeros"), ("WEBP", "cut")],
)
def test_truncated_files_are_unreadable(make: SimpleNamespace, kept: float, kind: str, tail: str) -> None:
    data = make.encoded(make.picture(8, 200, 300), kind)
    size = min(int(len(data) * kept), len(data) - 3)
    broken = data[:size] + (bytes(len(data) - size) if tail == "zeros" else b"")
    with pytest.raises(UnreadableImageError):
        decode(broken)


def test_half_downloaded_large_file_that_pillow_alone_would_accept(make: SimpleNamespace) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    data = make.encoded(noise, quality=95)
    half = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    with Image.open(io.BytesIO(half)) as image:
        assert image.convert("RGB").size == (500, 500)
    with pytest.raises(UnreadableImageError, match="damaged JPEG"):
        decode(half)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (bytes(3000), "nothing but zeros"),
        (b"<html>not found</html>", "not a picture"),
        (b"\xff\xd8\xff", "."),
        (b"\xff\xd8" + b"text" * 100, "."),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 50, "."),
        (b"GIF89a", "."),
    ],
)
def test_what_is_no_picture(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError, match=reason):
        decode(data)


def test_bombs_are_refused_by_their_header(make: SimpleNamespace) -> None:
    side = 14_000
    assert side * side > MAX_PIXELS
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")):
        png += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    jpeg = bytearray(make.jpeg())
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    for data in (png, bytes(jpeg)):
        with pytest.raises(UnreadableImageError, match=r"14000 x 14000|decompression bomb"):
            decode(data)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (7, 3)])
def test_tiny_pictures(make: SimpleNamespace, shape: tuple[int, int]) -> None:
    for minimum in (None, 1, 300):
        assert min(decode(make.jpeg(9, *shape), minimum).shape[:2]) >= 1


def test_flipped_bytes_never_crash(make: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "WEBP"):
        data = make.encoded(make.picture(0, 40, 50), kind)
        for _ in range(150):
            broken = bytearray(data)
            for place in rng.integers(len(data), size=3):
                broken[place] = rng.integers(256)
            try:
                image = decode(bytes(broken))
            except UnreadableImageError:
                continue
            assert image.dtype == np.uint8 and image.shape[2] == 3


def test_real_photographs(shared_data: Path) -> None:
    for path in sorted((shared_data / "landmark_test_images").iterdir()):
        data = path.read_bytes()
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGB"))
        assert close(decode(data), expected, 1.5), path.name
