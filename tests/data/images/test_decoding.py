import io
import json
import resource
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from landmarks.data.images import UnreadableImageError, decode, heif_is_read, open_image


def close(a: np.ndarray, b: np.ndarray, tolerance: float = 3.0) -> bool:
    return a.shape == b.shape and np.abs(a.astype(float) - b).mean() < tolerance


def test_jpeg_is_rgb_and_writable(make: SimpleNamespace) -> None:
    image = decode(make.jpeg(1))
    assert image.dtype == np.uint8 and close(image, make.image(1))
    image[0] = 0  # transforms may work in place


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "AVIF"])
def test_other_formats_whatever_the_file_is_called(make: SimpleNamespace, kind: str) -> None:
    assert close(decode(make.encoded(make.image(2), kind)), make.image(2))


def test_heic_images_come_out_upright_once() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    rows, columns = np.mgrid[0:64, 0:96]
    upright, exif = np.stack([columns * 2, rows * 3, rows + columns], -1).astype(np.uint8), Image.Exif()
    for orientation in (1, 6, 8):
        exif[0x0112] = orientation
        stored = Image.fromarray(np.ascontiguousarray(as_stored_for(upright, orientation)))
        file = io.BytesIO()
        stored.save(file, "HEIF", exif=exif.tobytes(), quality=95)
        assert close(decode(file.getvalue()), upright, 6), orientation
    with pytest.raises(UnreadableImageError):
        decode(file.getvalue()[:400])


def test_a_heic_image_names_the_package_that_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    heif_is_read.cache_clear()
    with pytest.raises(UnreadableImageError, match=r"HEIC .* pip install 'landmarks\[heif\]'"):
        decode(b"\0\0\0\x18ftypheic" + bytes(100))
    heif_is_read.cache_clear()


def test_grey_cmyk_palette_alpha_and_16_bit(make: SimpleNamespace) -> None:
    image = Image.fromarray(make.image(3))
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
    assert close(image, make.image(4, *size), 4)


def as_stored_for(upright: np.ndarray, orientation: int) -> np.ndarray:
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]


def exif_file(name: str, stored: np.ndarray) -> bytes:
    """A file as `oracles/exif/orientations.json` calls it."""
    stem, _, suffix = name.partition(".")
    parts = stem.split("_")
    kind, order = (4 if "long" in parts else 3), (">" if "be" in parts else "<")
    entry = {3: "HHIHxx", 4: "HHII"}[kind]

    def directory(*orientations: int, others: int = 0, after: int = 0) -> bytes:
        rows = [struct.pack("<HHIHxx", 0x100 + n, 3, 1, 7) for n in range(others)]
        rows += [struct.pack(order + entry, 0x112, kind, 1, value) for value in orientations]
        return struct.pack(order + "H", len(rows)) + b"".join(rows) + struct.pack(order + "I", after)

    head = {"<": b"II*\0", ">": b"MM\0*"}[order]
    numbers = [int(part) for part in parts if part.isdigit()]
    blocks = {
        "broken_cut_before_entry": head + struct.pack("<IH", 8, 1),
        "broken_cut_in_entry": head + struct.pack("<IH", 8, 1) + struct.pack("<HHI", 0x112, 3, 1),
        "broken_offset": head + struct.pack("<I", 9999) + directory(6),
        "broken_header": b"XX*\0" + struct.pack("<I", 8) + directory(6),
        "broken_empty": b"",
        "second_only_6": head + struct.pack("<I", 8) + directory(after=14) + directory(6),
        "first_1_second_6": head + struct.pack("<I", 8) + directory(1, after=26) + directory(6),
        "first_6_second_1": head + struct.pack("<I", 8) + directory(6, after=26) + directory(1),
        "third_entry": head + struct.pack("<I", 8) + directory(8, others=2),
        "odd_offset": head + struct.pack("<I", 9) + b"x" + directory(5),
        "after_xmp": head + struct.pack("<I", 8) + directory(6),
    }
    file = io.BytesIO()
    if suffix == "tif":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags.tagtype[0x112], tags[0x112] = kind, numbers[0]
        image = Image.fromarray(np.ascontiguousarray(stored))
        second = image.copy()
        second.encoderinfo = {"tiffinfo": tags}
        if stem == "second_page_6":
            image.save(file, "TIFF", save_all=True, append_images=[second])
        else:
            image.save(file, "TIFF", tiffinfo=tags)
        return file.getvalue()
    Image.fromarray(np.ascontiguousarray(stored)).save(file, "JPEG", quality=95, subsampling=0)
    data = file.getvalue()
    bodies = [b"http://ns.adobe.com/xap/1.0/\0<x/>"] if stem == "after_xmp" else []
    if stem != "no_exif":
        bodies.append(b"Exif\0\0" + blocks.get(stem, head + struct.pack(order + "I", 8) + directory(*numbers)))
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body for body in bodies)
    return data[:2] + segments + data[2:]


def test_orientations_are_those_that_other_programs_apply(oracles: Path, make: SimpleNamespace) -> None:
    upright = make.image(5, 24, 40)
    for name, orientation in json.loads((oracles / "exif" / "orientations.json").read_text()).items():
        image = decode(exif_file(name, as_stored_for(upright, orientation)))
        assert close(image, upright, 4), name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "CMYK"])
def test_images_come_out_upright(make: SimpleNamespace, orientation: int, kind: str) -> None:
    upright = make.image(5)
    stored = as_stored_for(upright, orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image, file = Image.fromarray(np.ascontiguousarray(stored)), io.BytesIO()
    image = image.convert("CMYK") if kind == "CMYK" else image
    image.save(file, "PNG" if kind == "PNG" else "JPEG", exif=exif, quality=95)
    assert close(decode(file.getvalue()), upright, 4)
    as_stored = open_image(file.getvalue()).as_stored()
    assert (as_stored.height, as_stored.width) == stored.shape[:2]
    assert close(as_stored.decode(), stored, 4)


@pytest.mark.parametrize("kind", ["JPEG", "CMYK", "L", "PNG"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_size_is_known_before_the_pixels(make: SimpleNamespace, kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image, file = Image.fromarray(make.image(5, 210, 317)), io.BytesIO()
    image = image.convert(kind) if kind in ("CMYK", "L") else image
    image.save(file, "PNG" if kind == "PNG" else "JPEG", exif=exif)
    encoded = open_image(file.getvalue())
    assert (encoded.height, encoded.width) == ((210, 317) if orientation == 1 else (317, 210))
    assert encoded.decode().shape == (encoded.height, encoded.width, 3)
    for divisor in (2, 4, 8):
        part = 1 if kind == "PNG" else divisor
        assert encoded.decode(divisor).shape == (-(-encoded.height // part), -(-encoded.width // part), 3)


def test_cmyk_looks_as_pillow_shows_it(make: SimpleNamespace) -> None:
    file = io.BytesIO()
    cmyk = Image.merge("CMYK", [Image.fromarray(make.image(seed)[..., 0]) for seed in range(4)])
    cmyk.save(file, "JPEG", quality=95)
    with Image.open(file) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(decode(file.getvalue()) - expected).max() <= 1
    assert close(decode(file.getvalue(), 15), np.asarray(Image.fromarray(decode(file.getvalue())).reduce(4)), 2)
    half = file.getvalue()[: len(file.getvalue()) // 2]
    with pytest.raises(UnreadableImageError, match="corrupt JPEG"):
        decode(half + bytes(len(half)))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Tag data larger")
def test_corrupt_exif_does_not_cost_the_image(make: SimpleNamespace) -> None:
    data = make.jpeg(6)
    for body in (b"", b"II*\x00\xff\xff\xff\xff", b"junk" * 5, b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x02"):
        segment = b"Exif\x00\x00" + body
        marked = data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
        assert close(decode(marked), make.image(6))


def test_bytes_between_markers_are_no_damage(make: SimpleNamespace) -> None:
    data = make.jpeg(7, 400, 600)
    assert close(decode(data + b"trailing bytes"), make.image(7, 400, 600))
    position = data.index(b"\xff\xda")
    odd = data[:position] + b"\x00\x00\x00" + data[position:]  # which only Pillow reads
    assert close(decode(odd), make.image(7, 400, 600))
    assert decode(odd, 100).shape == (100, 150, 3) and close(decode(odd, 100), decode(data, 100), 2)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(
    ("kind", "tail"),  # WebP has no checksum: a tail of zeros may be pixels
    [("JPEG", "cut"), ("JPEG", "zeros"), ("PNG", "cut"), ("PNG", "zeros"), ("WEBP", "cut")],
)
def test_truncated_files_are_unreadable(make: SimpleNamespace, kept: float, kind: str, tail: str) -> None:
    data = make.encoded(make.image(8, 200, 300), kind)
    size = min(int(len(data) * kept), len(data) - 3)
    broken = data[:size] + (bytes(len(data) - size) if tail == "zeros" else b"")
    with pytest.raises(UnreadableImageError):
        decode(broken)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (bytes(3000), "nothing but zeros"),
        (b"<html>not found</html>", "not an image"),
        (b"\xff\xd8\xff", "."),
        (b"\xff\xd8" + b"text" * 100, "."),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 50, "."),
        (b"GIF89a", "."),
    ],
)
def test_other_files_are_not_images(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError, match=reason):
        decode(data)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(height: int, width: int, *others: bytes) -> bytes:
    """A PNG that announces its size and holds 100 zeros."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *others, chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def announcing(jpeg: bytes, height: int, width: int) -> bytes:
    """A JPEG whose header gives another size."""
    frame = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"))
    return jpeg[: frame + 5] + struct.pack(">HH", height, width) + jpeg[frame + 9 :]


def with_scans(jpeg: bytes, count: int) -> bytes:
    """A JPEG whose last scan is repeated."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * count + jpeg[-2:]


def bombs(make: SimpleNamespace) -> dict[str, tuple[bytes, str]]:
    """Small files that ask for gigabytes or minutes, and what must be said of them."""
    jpeg = make.jpeg()
    odd = announcing(jpeg, 9_000, 9_000).replace(b"\xff\xc0", bytes(3) + b"\xff\xc0")
    webp = bytearray(make.encoded(make.image(), "WEBP", lossless=True))
    webp[21:25] = struct.pack("<I", 7_999 | 7_999 << 14)
    bitmap = struct.pack("<IIiiHHIIiiII", 54, 40, 13_000, 13_000, 1, 24, 0, 0, 0, 0, 0, 0)
    progressive = make.encoded(make.image(0, 200, 200), progressive=True)
    text = chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(2_000_000)))
    return {
        "jpeg": (announcing(jpeg, 14_000, 14_000), "14000 x 14000 pixels are more than the limit"),
        "lying jpeg": (announcing(jpeg, 9_000, 9_000), "9000 x 9000 pixels cannot be in"),
        "odd jpeg": (odd, "9000 x 9000 pixels cannot be in"),
        "scans": (with_scans(announcing(progressive, 900, 900), 2500), "25.. scans of 900 x 900 pixels"),
        "png": (png(14_000, 14_000), "14000 x 14000|decompression bomb"),
        "png within Pillow's limit": (png(9_000, 9_000), "9000 x 9000 pixels are more than the limit"),
        "png text": (png(4, 4, text), "too large"),
        "webp": (bytes(webp), "8000 x 8000 pixels are more than the limit"),
        "bmp": (b"BM" + bytes(8) + bitmap, "13000 x 13000 pixels are more than the limit"),
    }


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_by_their_header(make: SimpleNamespace) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = bombs(make)
    made = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, (data, reason) in files.items():
        with pytest.raises(UnreadableImageError, match=reason):
            decode(data)
            pytest.fail(name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - max(before, made) < 100_000  # kilobytes


def test_many_frames_cost_no_more_than_the_first(make: SimpleNamespace) -> None:
    frames = [Image.fromarray(make.image(seed)) for seed in range(30)]
    for kind in ("GIF", "WEBP", "PNG"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        assert close(decode(file.getvalue()), make.image(0), 6), kind


@pytest.mark.parametrize("kind", ["EPS", "PDF", "PPM", "ICO", "TGA", "PCX", "SGI", "JPEG2000"])
def test_other_formats_are_no_images(make: SimpleNamespace, kind: str) -> None:
    with pytest.raises(UnreadableImageError, match="not an image of a known format"):
        decode(make.encoded(make.image(0), kind))


def test_progressive_jpegs(make: SimpleNamespace) -> None:
    data = make.encoded(make.image(2, 200, 300), quality=95, progressive=True)
    assert close(decode(data), make.image(2, 200, 300))
    assert decode(data, 50).shape == (50, 75, 3)
    repeated = with_scans(data, 20)  # unusual, but within reason
    assert close(decode(repeated), make.image(2, 200, 300))


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (7, 3)])
def test_tiny_images(make: SimpleNamespace, shape: tuple[int, int]) -> None:
    for minimum in (None, 1, 300):
        assert min(decode(make.jpeg(9, *shape), minimum).shape[:2]) >= 1


@pytest.mark.filterwarnings("ignore")  # Pillow warns of all sorts of damage
@pytest.mark.parametrize("kind", ["JPEG", "progressive", "CMYK", "EXIF", "PNG", "WEBP", "GIF", "BMP"])
def test_damage_gives_an_image_or_an_unreadable_image(make: SimpleNamespace, kind: str) -> None:
    rng = np.random.default_rng(0)
    image, file, exif = Image.fromarray(make.image(0, 40, 50)), io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    options = {"progressive": kind == "progressive", "exif": exif if kind == "EXIF" else b""}
    is_jpeg = kind in ("progressive", "CMYK", "EXIF")
    image.convert("CMYK" if kind == "CMYK" else "RGB").save(file, "JPEG" if is_jpeg else kind, **options)
    data = file.getvalue()
    for turn in range(150):
        broken = bytearray(data)
        for place in rng.integers(len(data) if turn % 2 else min(len(data), 200), size=3):
            broken[place] = rng.integers(256)
        if turn % 5 == 0:  # a part is missing, or doubled
            start, end = np.sort(rng.integers(len(data), size=2))
            broken[start:end] = broken[start:end] * (turn % 2 * 2)
        for divisor in (1, 4):
            try:
                pixels = open_image(bytes(broken)).decode(divisor)
            except UnreadableImageError:
                continue
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3


def test_real_photographs(shared_data: Path) -> None:
    for path in sorted((shared_data / "landmark_test_images").iterdir()):
        data = path.read_bytes()
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGB"))
        assert close(decode(data), expected, 1.5), path.name
