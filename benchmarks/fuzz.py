"""What do readers do with corrupt files? Corrupts 100,000 inputs of all readers, and looks what comes of each.

A case takes sound files, changes one of them in one to three ways (bytes flipped, cut off, inserted, removed, spliced
with another place, emptied, headers exchanged; fields of tables and values of JSON and YAML put out of range), and
reads them. What may come of it:

    refused   an error of this program that names the file
    equal     the values that were there before
    other     other values; allowed only where nothing in the files tells that they were changed (plain CSV, images), so
              `other` of a reader whose files carry checksums counts as a fault, as do all of the rest:
    uncaught  any other exception
    unnamed   an error of this program that names no file
    crashed   the process died
    hung      it took longer than 20 s
    memory    it asked for more than 1 GB

Every case can be repeated by its number: `--case READER:NUMBER` prints the traceback and keeps the file.

    python benchmarks/fuzz.py                        # 100,000 cases: benchmarks/results/fuzz.csv
    python benchmarks/fuzz.py --readers npy tars     # as many of these as there are, whose rows are replaced
    python benchmarks/fuzz.py --cases 2000           # a quick look, writes nothing
    python benchmarks/fuzz.py --case npy:17          # again, with all it says
"""

import argparse
import copy
import csv
import dataclasses
import functools
import hashlib
import io
import json
import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from machine import machine, write_csv
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save_file

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import image_models
import paddle_files
import stamped
from embedded import write_set
from landmarks import read_record
from landmarks.config import read_kind
from landmarks.data import (
    FlatFolderStore,
    ImageSet,
    ImageTable,
    LocalTars,
    decode,
    open_tar_store,
    read_by_id,
    read_categories,
    read_ids,
    read_image_list,
    read_labels,
)
from landmarks.data.gldv2.tables import read_clean
from landmarks.data.images import image_sizes
from landmarks.data.photo_table import read_photo_table
from landmarks.detection import DetectionWriter, load_detector, load_detector_weights, read_hierarchy, read_truth
from landmarks.detection.openimages.annotations import read_box_rows, read_label_rows
from landmarks.errors import LandmarksError
from landmarks.evaluation.precomputed.files import map_floats
from landmarks.evaluation.precomputed.files import read_ids as read_given_ids
from landmarks.evaluation.precomputed.files import read_labels as read_given_labels
from landmarks.evaluation.precomputed.sets import open_set
from landmarks.ids import format_ids
from landmarks.interop import check_images, open_variables, read_image
from landmarks.interop.paddle.labels import read_labels as read_class_list
from landmarks.leaderboard import find_runs, read_rows
from landmarks.local_features import RootSift
from landmarks.metrics import (
    read_recognition_solution,
    read_recognition_submission,
    read_retrieval_solution,
    read_retrieval_submission,
)
from landmarks.models import load_weights, open_checkpoint, open_model
from landmarks.recognition import (
    DetectionClasses,
    Detections,
    Predictions,
    read_boxes,
    read_classes,
    read_detections,
    read_predictions,
    write_predictions,
)
from landmarks.recognition.detections.files import (
    BOXES_FILE,
    CLASSES_FILE,
    IMAGES_FILE,
    PROTOCOL_FILE,
    DetectionProtocol,
)
from landmarks.report import read_curves
from landmarks.retrieval import (
    Cache,
    DescriptorSet,
    ExtractionProtocol,
    LocalFeatureStore,
    learn_whitening,
    load_whitening,
    save_whitening,
)
from landmarks.retrieval.descriptors.writer import DescriptorWriter
from landmarks.storage import Column, RowLog, write_checksums
from rectangles import write_rectangles
from resources import make_resources
from tiny_sets import image, jpeg, write_tar

RESULTS = Path(__file__).parent / "results" / "fuzz.csv"
CASES = 100_000
SLOWEST = 20  # seconds
MEMORY = 10**9  # bytes
OUTCOMES = ("refused", "equal", "other", "uncaught", "unnamed", "crashed", "hung", "memory")

Form = Literal["bytes", "csv", "json", "yaml", "text"]


@dataclass(frozen=True)
class Reader:
    """Something that reads files.

    `write` puts sound files into a folder and says which may be corrupted; `read` gives their values.
    """

    name: str
    write: Callable[[Path], list[Path]]
    read: Callable[[Path], Any]
    form: Form = "bytes"
    sealed: bool = False  # whether checksums tell of every change
    weight: float = 1.0  # of the cases that it gets


# Values to compare


def digest(value: Any, folder: Path) -> str:
    """Say what values are, wherever the files lie."""
    total = hashlib.blake2b(digest_size=12)

    def add(one: Any) -> None:
        if isinstance(one, torch.Tensor):
            one = one.detach().cpu().contiguous().numpy()
        if isinstance(one, np.ndarray) or (np.isscalar(one) and isinstance(one, np.generic)):
            one = np.asarray(one)
            total.update(f"{one.dtype}{one.shape}".encode())
            total.update(repr(one.tolist()).encode() if one.dtype.hasobject else np.ascontiguousarray(one).tobytes())
        elif dataclasses.is_dataclass(one) and not isinstance(one, type):
            for field in dataclasses.fields(one):
                add(getattr(one, field.name))
        elif isinstance(one, Mapping):
            for key in sorted(one, key=repr):
                total.update(repr(key).encode())
                add(one[key])
        elif isinstance(one, (set, frozenset)):
            add(sorted(one, key=repr))
        elif isinstance(one, (list, tuple)):
            total.update(b"[")
            for each in one:
                add(each)
            total.update(b"]")
        else:
            total.update(repr(one).replace(str(folder), "").encode("utf-8", "surrogatepass"))

    add(value)
    return total.hexdigest()


# Ways to corrupt

ODD_TEXTS = (
    "", " ", "nan", "NaN", "inf", "-inf", "-1", "0", "1e999", "1e-400", "99999999999999999999", "9223372036854775808",
    "4294967296", "2147483648", "-2147483649", "0x10", "1_000", "+5", "5.0", "1,5", "é", "日本", "\u202e", "\x00",
    "\ufeff", "'",
    '"', '""', "None", "null", "true", "a" * 5000, "../../etc", "=1+1", "\ud800", "\r", "\n", "\t", "\x1b[31m", "٣",
    "½",
    "ffffffffffffffff", "0000000000000000", "FFFFFFFFFFFFFFFF", "gggggggggggggggg", "index:7", "index:", "#", "1 2",
    "1  2",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e300, float("nan"), float("inf"), 10**30, 10**9, 2**63, -(2**63), "", "x", "é\u0000",
    "a" * 3000,
    [], {}, [[]], [1], {"a": {"b": [None]}}, "nan", "1", 0.5,
)  # fmt: skip


def corrupt_bytes(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    way = chance.choice(
        (
            "flip",
            "flip",
            "flips",
            "set",
            "cut",
            "insert",
            "remove",
            "splice",
            "swap",
            "zeros",
            "empty",
            "start",
            "twice",
            "tail",
        )
    )
    size = len(found)
    if way == "empty" and chance.random() < 0.2:
        return b""
    if size < 2:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(40)))
    at = chance.randrange(size) if chance.random() < 0.6 else chance.randrange(min(size, 200))
    length = min(chance.choice((1, 2, 4, 8, 16, 100, 1000, size)), size - at)
    if way in ("flip", "empty"):
        found[at] ^= 1 << chance.randrange(8)
    elif way == "flips":
        for _ in range(chance.randrange(2, 30)):
            found[chance.randrange(size)] ^= 1 << chance.randrange(8)
    elif way == "set":
        for place in range(at, min(at + chance.choice((1, 2, 4, 8)), size)):
            found[place] = chance.choice((0, 0xFF, 0x7F, 0x80, chance.randrange(256)))
    elif way == "cut":
        del found[at:]
    elif way == "insert":
        found[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 2, 4, 8, 100))))
    elif way == "remove":
        del found[at : at + length]
    elif way == "splice":
        other = chance.randrange(size)
        found[at : at + length] = found[other : other + length]
    elif way == "swap":
        half = min(length, size // 2)
        begin, end = bytes(found[:half]), bytes(found[size - half :])
        found[:half], found[size - half :] = end, begin
    elif way == "zeros":
        found[at : at + length] = bytes(length)
    elif way == "start":
        found[: min(16, size)] = chance.choice(
            (
                b"PK\x03\x04",
                b"\x93NUMPY\x01\x00",
                b"\xff\xd8\xff\xe0",
                b"\x89PNG\r\n\x1a\n",
                b"\x80\x02}q",
                b"{",
                b"\xef\xbb\xbf",
            )
        )
    elif way == "twice":
        found += found[at:]
    elif way == "tail":
        found += bytes(chance.randrange(256) for _ in range(chance.choice((1, 3, 50))))
    return bytes(found)


def corrupt_csv(data: bytes, chance: random.Random) -> bytes:
    lines = data.decode("utf-8", "replace").split("\n")
    way = chance.choice(
        ("field", "field", "field", "field", "drop", "repeat", "shuffle", "column", "header", "ends", "quote", "number")
    )
    at = chance.randrange(len(lines))
    fields = lines[at].split(",")
    place = chance.randrange(len(fields))
    if way == "field":
        fields[place] = chance.choice(ODD_TEXTS)
        lines[at] = ",".join(fields)
    elif way == "number":
        fields[place] = str(
            chance.choice(
                (chance.randrange(-(10**12), 10**12), chance.uniform(-2, 2), 10.0 ** chance.randrange(-320, 308))
            )
            if chance.random() < 0.9
            else "1" * 400
        )
        lines[at] = ",".join(fields)
    elif way == "drop":
        del lines[at]
    elif way == "repeat":
        lines.insert(chance.randrange(len(lines)), lines[at])
    elif way == "shuffle":
        other = chance.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif way == "column":
        fields.insert(place, "x") if chance.random() < 0.5 else fields.pop(place)
        lines[at] = ",".join(fields)
    elif way == "header":
        first = lines[0].split(",")
        first[chance.randrange(len(first))] = chance.choice((*ODD_TEXTS, first[0]))
        lines[0] = ",".join(first)
    elif way == "ends":
        return chance.choice(("\r\n", "\r", "\n\n", "\n\r\n")).join(lines).encode("utf-8", "surrogatepass")
    elif way == "quote":
        lines[at] = '"' + lines[at] if chance.random() < 0.5 else f'"{lines[at]}"'
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def corrupt_tree(value: Any, chance: random.Random) -> Any:
    """Another value at one place of JSON."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        found = dict(value)
        key = chance.choice(list(found))
        way = chance.random()
        if way < 0.1:
            del found[key]
        elif way < 0.15:
            found[chance.choice(("x", "", key + " ", "a" * 300))] = found.pop(key)
        else:
            found[key] = corrupt_tree(found[key], chance)
        return found
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [*value[:place], corrupt_tree(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD_VALUES)


def corrupt(data: bytes, form: Form, chance: random.Random) -> bytes:
    if form == "csv" and chance.random() < 0.75:
        return corrupt_csv(data, chance)
    if form in ("json", "yaml") and chance.random() < 0.02:
        return chance.choice((b"[", b'{"a":')) * 50_000
    if form in ("json", "yaml") and chance.random() < 0.7:
        with suppress(Exception):  # what was corrupted before is no tree any more
            tree = json.loads(data) if form == "json" else OmegaConf.to_container(OmegaConf.create(data.decode()))
            found = corrupt_tree(tree, chance)
            return json.dumps(found).encode("utf-8", "surrogatepass")
    if form == "text" and chance.random() < 0.6:
        lines = data.decode("utf-8", "replace").split("\n")
        lines[chance.randrange(len(lines))] = chance.choice(ODD_TEXTS)
        return "\n".join(lines).encode("utf-8", "surrogatepass")
    return corrupt_bytes(data, chance)


# Readers


def image_ids(count: int, seed: int = 0) -> np.ndarray:
    return np.unique(np.random.default_rng(seed).integers(1, 2**63, count).astype(np.uint64))


def one_file(name: str, content: bytes | str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return [path]

    return write


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def model_values(path: Path, onnx: bool = False) -> Any:
    opened = open_model(path, onnx=onnx)
    state = opened.network.state_dict()
    if onnx:
        state = {"out": opened.network(torch.ones(1, 3, 64, 64))}
    return (
        opened.record.to_metadata(),
        state,
        opened.head.state_dict() if opened.head and not onnx else None,
        opened.trained_on,
    )


@functools.cache
def tiny_net() -> Any:
    return image_models.tiny_net()


def pretrained_values(path: Path) -> Any:
    net = copy.deepcopy(tiny_net())
    load_weights(net, path)
    return net.state_dict()


def write_pretrained(name: str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        state, path = image_models.tiny_net().state_dict(), folder / name
        if path.suffix == ".safetensors":
            save_file({key: value.contiguous() for key, value in state.items()}, path)
        else:
            torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=name != "old.pth")
        return [path]

    return write


def detector_weights(path: Path) -> Any:
    from landmarks.models import build_network

    net = build_network(image_models.DETECTOR, num_classes=2)
    load_detector_weights(net, path)
    return net.state_dict()


def write_detector_weights(folder: Path) -> list[Path]:
    from landmarks.models import build_network

    torch.manual_seed(3)
    torch.save(build_network(image_models.DETECTOR, num_classes=2).state_dict(), folder / "detector.pt")
    return [folder / "detector.pt"]


def write_descriptors(folder: Path) -> list[Path]:
    ids = image_ids(40)
    rows = np.random.default_rng(1).standard_normal((len(ids), 8)).astype(np.float32)
    write_set(folder / "set", ids, rows)
    return files_of(folder / "set")


def descriptor_values(folder: Path) -> Any:
    found = DescriptorSet.open(folder / "set")
    return found.ids, found.descriptors, found.protocol


def partial_set(folder: Path) -> DescriptorWriter:
    protocol = ExtractionProtocol(model="m", weights="w", input_size=64, resize="square")
    return DescriptorWriter(folder / "set", 40, 8, protocol)


PARTS = np.random.default_rng(1).standard_normal((40, 8)).astype(np.float32)


def write_partial_set(folder: Path) -> list[Path]:
    with partial_set(folder) as writer:
        for start in range(0, 30, 10):
            writer.add(image_ids(40)[start : start + 10], PARTS[start : start + 10])
    return [path for path in files_of(folder) if path.name != ".lock"]


def finished_set(folder: Path) -> Any:
    """An extraction that goes on where it was killed."""
    with partial_set(folder) as writer:
        count = len(writer.done)
        writer.add(image_ids(40)[count:], PARTS[count:])
        found = writer.finish()
    return found.ids, found.descriptors


def precomputed_values(folder: Path) -> Any:
    found = open_set("descriptors.queries", str(folder / "set"), None)
    return found.read(None, Cache(folder / "cache"))


def write_partial(folder: Path) -> list[Path]:
    with RowLog(folder / "log.partial", {"a": Column(np.int32), "b": Column(np.float32, (3,))}) as rows:
        for start in range(0, 30, 10):
            numbers = np.arange(start, start + 10)
            rows.add({"a": numbers, "b": np.repeat(numbers, 3).reshape(-1, 3)})
    return [path for path in files_of(folder) if path.name != ".lock"]


def partial_values(folder: Path) -> Any:
    """All that is there must be what was written, at its place; fewer rows are as good."""
    try:
        with RowLog(folder / "log.partial", {"a": Column(np.int32), "b": Column(np.float32, (3,))}) as rows:
            found = rows.read("a"), rows.read("b")
    except ValueError as error:  # as its users take it
        raise LandmarksError(f"{folder}: {error}") from error
    numbers = np.arange(len(found[0]))
    right = np.array_equal(found[0], numbers) and np.array_equal(found[1], np.repeat(numbers, 3).reshape(-1, 3))
    return "a part of what was written" if right else found


def cached(folder: Path) -> Any:
    def make(start: int, stop: int) -> dict[str, np.ndarray]:
        return {"a": np.arange(start, stop, dtype=np.int32), "b": np.ones((stop - start, 2), np.float32)}

    columns = {"a": Column(np.int32), "b": Column(np.float32, (2,))}
    return Cache(folder / "cache").rows("kept", 50, columns, make, 20, [np.arange(5)], {"p": 1})


def write_cache(folder: Path) -> list[Path]:
    cached(folder)
    return files_of(folder / "cache")


def write_whitening(folder: Path) -> list[Path]:
    write_descriptors(folder)
    save_whitening(learn_whitening(DescriptorSet.open(folder / "set"), 4), folder / "whitening.npz")
    return [path for path in files_of(folder) if path.parent == folder]


def whitening_values(folder: Path) -> Any:
    return load_whitening(next(path for path in folder.iterdir() if path.name.startswith("whitening")))


def write_found_predictions(folder: Path) -> list[Path]:
    ids, rng = image_ids(20), np.random.default_rng(2)
    probabilities = np.sort(rng.random((len(ids), 3)).astype(np.float32))[:, ::-1] / 3
    landmarks = np.tile(np.array([2, 0, 1], np.int32), (len(ids), 1))
    protocol = ExtractionProtocol(model="m", weights="w", input_size=64, resize="square")
    names = np.array(["7", "20", "Tour"])
    write_predictions(
        folder / "p", Predictions(ids, landmarks, np.ascontiguousarray(probabilities), names, "p"), protocol
    )
    return files_of(folder / "p")


def write_found_detections(folder: Path) -> list[Path]:
    target = folder / "d"
    target.mkdir()
    ids = format_ids(image_ids(5))
    boxes = [f"{ids[n % 4]},/m/{'ab'[n % 2]},0.{9 - n},0.1,0.{n + 2},0.2,0.9" for n in range(6)]
    boxes.sort(key=lambda line: ids.tolist().index(line[:16]) if hasattr(ids, "tolist") else list(ids).index(line[:16]))
    counts = Counter(line[:16] for line in boxes)
    (target / BOXES_FILE).write_text(
        "ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n" + "".join(f"{one}\n" for one in boxes)
    )
    (target / IMAGES_FILE).write_text("ImageID,Boxes,Reason\n" + "".join(f"{one},{counts[one]},\n" for one in ids))
    (target / CLASSES_FILE).write_text("/m/a,Tower\n/m/b,Boat\n")
    DetectionProtocol("m", "w", 64, 96, 0.1, 0.5, 100).write(target / PROTOCOL_FILE)
    write_checksums(target)
    return files_of(target)


def partial_detections(folder: Path) -> DetectionWriter:
    classes = DetectionClasses(np.array(["/m/a", "/m/b"]), np.array(["Tower", "Boat"]))
    return DetectionWriter(folder / "d", classes, DetectionProtocol("m", "w", 64, 96, 0.1, 0.5, 100))


def found_in(images: np.ndarray) -> Detections:
    count, names = len(images), np.array(["/m/a", "/m/b"])
    boxes = np.tile([0.1, 0.2, 0.5, 0.75], (count, 1))
    return Detections(images, np.arange(count, dtype=np.int32) % 2, np.full(count, 0.5), boxes, names)


def write_partial_detections(folder: Path) -> list[Path]:
    with partial_detections(folder) as writer:
        for images in np.split(image_ids(8)[:6], 2):
            writer.add(images, found_in(images))
    return [path for path in files_of(folder) if path.name != ".lock"]


def finished_detections(folder: Path) -> Any:
    with partial_detections(folder) as writer:
        for images in (image_ids(8)[:3], image_ids(8)[3:6], image_ids(8)[6:]):
            if not np.isin(images, writer.done).all():
                writer.add(images, found_in(images))
        writer.close()
    found = read_detections(folder / "d")
    return found.boxes, found.classes.names, found.classes.titles


def flat_images(folder: Path) -> ImageSet:
    store = FlatFolderStore(folder)
    return ImageSet(ImageTable.unlabelled(store.ids()), store)


def local_values(folder: Path) -> Any:
    images = flat_images(folder / "photos")
    store = LocalFeatureStore(RootSift(), folder / "features")
    table = store.collect(images, np.arange(len(images)), make_resources(workers=1))
    return [table.of(row) for row in range(len(images))]


def write_local(folder: Path) -> list[Path]:
    (folder / "photos").mkdir()
    for number in range(2):
        (folder / "photos" / f"{number + 1:016x}.jpg").write_bytes(jpeg(number, 48, 64))
    local_values(folder)
    return [path for path in files_of(folder / "features") if path.name != ".lock"]


def write_sizes(folder: Path) -> list[Path]:
    (folder / "photos").mkdir()
    for number in range(3):
        (folder / "photos" / f"{number + 1:016x}.jpg").write_bytes(jpeg(number, 20, 24 + number))
    sizes_values(folder)
    return files_of(folder / "sizes")


def sizes_values(folder: Path) -> Any:
    return image_sizes(flat_images(folder / "photos"), folder / "sizes")


def write_tars(folder: Path) -> list[Path]:
    names = format_ids(image_ids(6))
    write_tar(folder / "tars" / "images_000.tar", {name: jpeg(seed, 20, 24)[:400] for seed, name in enumerate(names)})
    return files_of(folder / "tars")


def tar_values(folder: Path) -> Any:
    store = open_tar_store(LocalTars(folder / "tars"), folder / "offsets" / "train.safetensors")
    ids = store.offsets.ids if hasattr(store, "offsets") else image_ids(6)
    found = {}
    for image_id in ids.tolist():
        found[image_id] = read_by_id(store, image_id)
    return found


def write_offsets_too(folder: Path) -> list[Path]:
    write_tars(folder)
    tar_values(folder)
    return [path for path in files_of(folder / "offsets") if path.suffix == ".safetensors"]


def image_values(path: Path) -> Any:
    return read_image(path)


def size_values(path: Path) -> Any:
    return check_images([path])


def decoded(path: Path) -> Any:
    try:
        return decode(path.read_bytes())
    except LandmarksError as error:
        raise LandmarksError(f"{path}: {error}") from error  # who calls it names the image


def image_bytes(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image(3, 40, 56)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x9003] = 6, "maker", "2020:01:01 00:00:00"
    return image_bytes("JPEG", exif=exif, quality=90)


def write_paddle(combined: bool) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        rng = np.random.default_rng(0)
        values = {
            name: rng.standard_normal(shape).astype(np.float32)
            for name, shape in (("conv1_weights", (4, 3, 3, 3)), ("fc_b", (4,)), ("bn_mean", (6,)))
        }
        (paddle_files.write_combined if combined else paddle_files.write_separate)(folder / "saved", values)
        return files_of(folder / "saved")

    return write


def paddle_values(folder: Path) -> Any:
    found = open_variables(folder / "saved")
    return {name: found.read(name) for name in found.stored}


def write_open_images(folder: Path) -> list[Path]:
    write_rectangles(folder / "oi", 4, 3)
    return [path for path in files_of(folder / "oi") if path.suffix in (".csv", ".json")]


NAMES = np.array(["/m/01fdzj", "/m/0cgh4", "/m/07j7r", "/m/0bl9f"])


def box_values(path: Path) -> Any:
    return read_box_rows(path, NAMES, "skip"), read_box_rows(path, NAMES, "error", exact=True)


def truth_values(folder: Path) -> Any:
    return read_truth(
        folder / "oi/validation-annotations-bbox.csv",
        folder / "oi/validation-annotations-human-imagelabels-boxable.csv",
    )


def write_truth(folder: Path) -> list[Path]:
    write_rectangles(folder / "oi", 4, 3)
    return sorted((folder / "oi").glob("validation-*.csv"))


def one_table(name: str) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        write_rectangles(folder / "oi", 4, 3)
        return [folder / "oi" / name]

    return write


def write_photo_table(folder: Path) -> list[Path]:
    (folder / "photos").mkdir()
    rows = ["path,landmark,split"]
    for number in range(6):
        (folder / "photos" / f"{number}.jpg").write_bytes(b"x")
        rows.append(f"{number}.jpg,{'ab'[number % 2]},{('train', 'index', 'query')[number % 3]}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return [folder / "table.csv"]


IDS = [str(one) for one in format_ids(image_ids(12))]
TRAIN = "id,url,landmark_id\n" + "".join(f"{one},http://a/{n}.jpg,{n % 4}\n" for n, one in enumerate(IDS))
CLEAN = "landmark_id,images\n" + "".join(f"{n},{IDS[n]} {IDS[n + 4]}\n" for n in range(4))
INDEX = "id\n" + "".join(f"{one}\n" for one in IDS)
LABELS = "id,landmark_id\n" + "".join(f"{one},{n % 4}\n" for n, one in enumerate(IDS))
CATEGORIES = "landmark_id,category\n" + "".join(f'{n},"http://commons/Category:Tower, {n}"\n' for n in range(4))
RETRIEVAL = (
    "id,images,Usage\n"
    + "".join(f"{IDS[n]},{IDS[n + 4]} {IDS[n + 8]},{('Public', 'Private')[n % 2]}\n" for n in range(3))
    + f"{IDS[3]},None,Ignored\n"
)
RECOGNITION = (
    "id,landmarks,Usage\n"
    + "".join(f"{IDS[n]},{n} {n + 7},{('Public', 'Private')[n % 2]}\n" for n in range(3))
    + f"{IDS[3]},,Private\n{IDS[4]},,Ignored\n"
)
RETRIEVED = "id,images\n" + "".join(f"{IDS[n]},{' '.join(IDS[4:12])}\n" for n in range(4))
RECOGNISED = "id,landmarks\n" + "".join(f"{IDS[n]},{n} 0.{n + 3}\n" for n in range(3)) + f"{IDS[3]},\n"
BOXES = "ImageID,LabelName,Score,XMin,XMax,YMin,YMax\n" + "".join(
    f"{IDS[n]},/m/{'ab'[n % 2]},0.{9 - n},0.1,0.{n + 2},0.2,0.9\n" for n in range(6)
)
CURVES = "epoch,step,train/loss,public/map@100\n" + "".join(
    f"{n // 3},{n},{1 / (n + 1)},\n{n // 3},{n},,0.{n}\n" for n in range(8)
)
EXPERIMENT = """
name: mine
published: {metric: map@100, public: 0.3, private: 0.28, source: 'a paper'}
data: {image_size: 448, resize: {short_side: 448}}
model: {name: x}
"""


def write_run(folder: Path) -> list[Path]:
    return [stamped.write_run(folder / "runs" / "one") / "metrics.json"]


def run_values(folder: Path) -> Any:
    """A corrupt run is named among the notes, which is as good as a refusal."""
    found = find_runs(folder / "runs")
    if found.notes:
        raise LandmarksError("; ".join(found.notes))
    return [(run.scores, run.stamp) for run in found.runs], found.unstamped


def write_experiment(folder: Path) -> list[Path]:
    (folder / "experiments").mkdir()
    (folder / "experiments" / "mine.yaml").write_text(EXPERIMENT)
    return [folder / "experiments" / "mine.yaml"]


def experiment_values(folder: Path) -> Any:
    before = Path.cwd()
    os.chdir(folder)
    try:
        return read_rows().get("mine")
    finally:
        os.chdir(before)


def write_config(folder: Path) -> list[Path]:
    (folder / "config.yaml").write_text(
        "job: train\nseed: 0\ndata: {root: x, image_size: 64}\nmodel: {_target_: a.b, dim: 32}\n"
    )
    (folder / "run.json").write_text(json.dumps({"job": "train", "task": "landmarks", "seed": 0}))
    return [folder / "run.json"]


def write_checked(folder: Path) -> list[Path]:
    """The records of `landmarks data verify --deep`."""
    from landmarks.data.gldv2.checks.containers import open_tar
    from landmarks.data.gldv2.checks.images import ContainerCheck

    write_tars(folder)
    container = open_tar("train", LocalTars(folder / "tars"), "images_000.tar")
    (folder / "checks" / "train").mkdir(parents=True)
    check = ContainerCheck(stamp=container.stamp, md5="0" * 32, bad=[(IDS[0], "unreadable", "no image")])
    from landmarks.data.gldv2.checks.images import _record

    path = _record(container, folder / "checks")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(check.model_dump_json())
    return [path]


def checked_values(folder: Path) -> Any:
    from landmarks.data.gldv2.checks.containers import open_tar
    from landmarks.data.gldv2.checks.images import find_checked

    container = open_tar("train", LocalTars(folder / "tars"), "images_000.tar")
    found = find_checked([container], folder / "checks")
    if not found:
        raise LandmarksError(f"{folder}: what an earlier check found is not used")
    return {name: check.model_dump() for name, check in found.items()}


def write_given(name: str, array: np.ndarray) -> Callable[[Path], list[Path]]:
    def write(folder: Path) -> list[Path]:
        np.save(folder / name, array)
        return [folder / name]

    return write


def only(folder: Path) -> Path:
    """The one file of a reader that takes a path."""
    return next(path for path in sorted(folder.iterdir()) if path.is_file())


def on_path(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda folder: read(only(folder))


def write_checkpoint(folder: Path) -> list[Path]:
    return [image_models.checkpoint_file(folder / "best.ckpt", "Softmax")]


FLOATS = np.random.default_rng(5).standard_normal((20, 6)).astype(np.float32)


def table(
    name: str, file: str, content: str, read: Callable[[Path], Any], form: Form = "csv", weight: float = 1.5
) -> Reader:
    return Reader(name, one_file(file, content), on_path(read), form, weight=weight)


def image_reader(name: str, file: str, content: bytes, weight: float = 1.0) -> Reader:
    return Reader(
        name,
        one_file(file, content),
        on_path(lambda path: (image_values(path), size_values(path), decoded(path))),
        weight=weight,
    )


READERS = (
    Reader("checkpoint", write_checkpoint, on_path(model_values), sealed=True, weight=0.8),
    Reader("resume", write_checkpoint, on_path(lambda path: open_checkpoint(path)), sealed=True, weight=0.8),
    Reader(
        "model file",
        lambda f: [image_models.classifier_file(f / "m.safetensors", ("1", "2", "x"))],
        on_path(model_values),
        sealed=True,
        weight=0.8,
    ),
    Reader(
        "model record",
        lambda f: [image_models.retrieval_file(f / "m.safetensors")],
        on_path(lambda p: read_record(p).to_metadata()),
    ),
    Reader(
        "detector file",
        lambda f: [image_models.detector_file(f / "d.safetensors")],
        on_path(lambda p: load_detector(p).model.state_dict()),
        sealed=True,
        weight=0.3,
    ),
    Reader(
        "onnx",
        lambda f: [image_models.onnx_file(f / "m.onnx", "classification")],
        on_path(lambda p: model_values(p, True)),
    ),
    Reader("weights .pt", write_pretrained("w.pt"), on_path(pretrained_values), weight=0.8),
    Reader("weights old .pth", write_pretrained("old.pth"), on_path(pretrained_values), weight=0.8),
    Reader("weights .safetensors", write_pretrained("w.safetensors"), on_path(pretrained_values), weight=0.8),
    Reader("detector weights", write_detector_weights, on_path(detector_weights), weight=0.3),
    Reader("paddle combined", write_paddle(True), paddle_values),
    Reader("paddle separate", write_paddle(False), paddle_values),
    table("paddle labels", "labels.csv", "class,landmark_id\n0,7\n1,20\n2,3\n", read_class_list),
    Reader("descriptor set", write_descriptors, descriptor_values, sealed=True, weight=1.5),
    Reader("precomputed set", write_descriptors, precomputed_values, sealed=True, weight=1.5),
    Reader("npy", write_given("q.npy", FLOATS), on_path(lambda p: map_floats(p, 2, "[N, D]"))),
    Reader("npy ids", write_given("ids.npy", image_ids(20)), on_path(lambda p: read_given_ids(p, 20))),
    Reader("npy id texts", write_given("ids.npy", np.array(IDS)), on_path(lambda p: read_given_ids(p, len(IDS)))),
    Reader("npy labels", write_given("labels.npy", np.arange(20)), on_path(lambda p: read_given_labels(p, 20))),
    table("text ids", "ids.txt", "\n".join(IDS) + "\n", lambda p: read_given_ids(p, len(IDS)), "text"),
    table(
        "text labels", "labels.txt", "\n".join(map(str, range(12))) + "\n", lambda p: read_given_labels(p, 12), "text"
    ),
    Reader("descriptor set, partial", write_partial_set, finished_set, sealed=True, weight=1.5),
    Reader("append log", write_partial, partial_values, sealed=True, weight=2),
    Reader("retrieval cache", write_cache, cached, sealed=True, weight=1.5),
    Reader("whitening", write_whitening, whitening_values, sealed=True),
    Reader("predictions", write_found_predictions, lambda f: read_predictions(f / "p"), sealed=True, weight=1.5),
    Reader("detections", write_found_detections, lambda f: read_detections(f / "d"), "csv", sealed=True, weight=1.5),
    Reader("detections, partial", write_partial_detections, finished_detections, "csv", sealed=True, weight=1.5),
    table("boxes", "boxes.csv", BOXES, read_boxes),
    table("classes", "classes.csv", "/m/01fdzj,Tower\n/m/0cgh4,Building\n/m/07j7r,Tree\n", read_classes),
    Reader("local features", write_local, local_values, sealed=True, weight=0.6),
    Reader("image sizes", write_sizes, sizes_values, sealed=True),
    Reader("tars", write_tars, tar_values, weight=1.5),
    Reader("tar offsets", write_offsets_too, tar_values, sealed=True),
    Reader("deep checks", write_checked, checked_values, "json"),
    table("train.csv", "train.csv", TRAIN, read_labels, weight=2),
    table("train_clean.csv", "train_clean.csv", CLEAN, read_clean, weight=2),
    table("index.csv", "index.csv", INDEX, read_ids, weight=2),
    table("index_image_to_landmark.csv", "index_image_to_landmark.csv", LABELS, read_labels),
    table("label_to_category.csv", "train_label_to_category.csv", CATEGORIES, read_categories),
    table("retrieval solution", "retrieval_solution.csv", RETRIEVAL, read_retrieval_solution, weight=2),
    table("recognition solution", "recognition_solution.csv", RECOGNITION, read_recognition_solution, weight=2),
    table("retrieval submission", "retrieval.csv", RETRIEVED, read_retrieval_submission, weight=2),
    table("recognition submission", "recognition.csv", RECOGNISED, read_recognition_submission, weight=2),
    table(
        "image list, text",
        "list.txt",
        "# mine\n" + "\n".join(IDS[:5]) + "\n1501\nindex:7 # a comment\n",
        read_image_list,
        "text",
    ),
    table("image list, CSV", "list.csv", CLEAN, read_image_list),
    Reader("photo table", write_photo_table, lambda f: read_photo_table(f / "table.csv", f / "photos", "none"), "csv"),
    Reader(
        "Open Images boxes",
        one_table("train-annotations-bbox.csv"),
        lambda f: box_values(f / "oi/train-annotations-bbox.csv"),
        "csv",
        weight=1.5,
    ),
    Reader(
        "Open Images labels",
        one_table("validation-annotations-human-imagelabels-boxable.csv"),
        lambda f: read_label_rows(f / "oi/validation-annotations-human-imagelabels-boxable.csv", NAMES, "skip"),
        "csv",
    ),
    Reader("Open Images truth", write_truth, truth_values, "csv"),
    Reader(
        "Open Images hierarchy",
        one_table("bbox_labels_600_hierarchy.json"),
        lambda f: read_hierarchy(f / "oi/bbox_labels_600_hierarchy.json"),
        "json",
    ),
    image_reader("JPEG", "a.jpg", jpeg(1, 40, 56), 2),
    image_reader("JPEG, progressive", "a.jpg", image_bytes("JPEG", progressive=True, quality=90), 1),
    image_reader("JPEG, CMYK", "a.jpg", image_bytes("JPEG", "CMYK"), 0.7),
    image_reader("JPEG, grey", "a.jpg", image_bytes("JPEG", "L"), 0.7),
    image_reader("EXIF", "a.jpg", with_exif(), 1.5),
    image_reader("PNG", "a.png", image_bytes("PNG"), 1.2),
    image_reader("PNG, palette", "a.png", image_bytes("PNG", "P"), 0.7),
    image_reader("GIF", "a.gif", image_bytes("GIF", "P"), 0.7),
    image_reader("TIFF", "a.tif", image_bytes("TIFF", compression="tiff_lzw"), 1),
    image_reader("BMP", "a.bmp", image_bytes("BMP"), 0.7),
    image_reader("WebP", "a.webp", image_bytes("WEBP"), 1),
    Reader("run.json", write_config, read_kind, "json"),
    Reader("metrics.json", write_run, run_values, "json", weight=1.5),
    table("metrics.csv", "metrics.csv", CURVES, lambda p: read_curves([p])),
    Reader("experiment of a row", write_experiment, experiment_values, "yaml", weight=0.2),
)
BY_NAME = {reader.name: reader for reader in READERS}


# One case


class TooSlowError(BaseException):
    pass


@contextmanager
def limited() -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TooSlowError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SLOWEST)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used = pages * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


@dataclass
class Tested:
    outcome: str
    says: str = ""


def prepare(reader: Reader, folder: Path) -> tuple[list[Path], str]:
    """Write sound files, and give those to corrupt (relative) and what they say."""
    folder.mkdir(parents=True)
    paths = [path.relative_to(folder) for path in reader.write(folder)]
    assert paths, reader.name
    copy = folder.with_name(folder.name + " first")
    shutil.copytree(folder, copy)
    expected = digest(reader.read(copy), copy)
    shutil.rmtree(copy)
    return paths, expected


def test(reader: Reader, number: int, sound: Path, paths: list[Path], expected: str, folder: Path) -> Tested:
    chance = random.Random(f"{reader.name}:{number}")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sound, folder)
    path = folder / chance.choice(paths)
    times = path.stat()
    data = before = path.read_bytes()
    form = (
        {".json": "json", ".csv": reader.form, ".yaml": "yaml"}.get(path.suffix, reader.form)
        if reader.form != "bytes"
        else "bytes"
    )
    if path.suffix == ".json" and chance.random() < 0.5:
        form = "json"
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = corrupt(data, form, chance)
    if data == before and path.name != "empty":
        data = corrupt_bytes(data, chance)
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    try:
        with limited():
            found = digest(reader.read(folder), folder)
    except TooSlowError:
        return Tested("hung")
    except MemoryError as error:
        return Tested("memory", "".join(traceback.format_exception(error)))
    except LandmarksError as error:
        named = any(part in str(error) for part in (str(folder), path.name))
        return Tested("refused" if named else "unnamed", str(error))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Tested("uncaught", "".join(traceback.format_exception(error)))
    return Tested("equal" if found == expected else "other")


# All cases


def work(jobs: Any, results: Any, folder: Path, sound: Path) -> None:
    quiet()
    known: dict[str, tuple[list[Path], str]] = {}
    while (job := jobs.get()) is not None:
        name, start, stop = job
        reader = BY_NAME[name]
        if name not in known:
            found = json.loads((sound / f"{name}.json").read_text())
            known[name] = [Path(path) for path in found[0]], found[1]
        for number in range(start, stop):
            results.put((os.getpid(), name, number, None, ""))
            tested = test(reader, number, sound / name, *known[name], folder / str(os.getpid()))
            results.put((os.getpid(), name, number, tested.outcome, tested.says[-1500:]))
        results.put((os.getpid(), name, stop, "done", ""))


def quiet() -> None:
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.dup2(nowhere, 1)


def prepare_all(sound: Path) -> None:
    """In another process, so that those who test inherit no threads."""

    def make() -> None:
        torch.set_num_threads(1)
        for reader in READERS:
            paths, expected = prepare(reader, sound / reader.name)
            (sound / f"{reader.name}.json").write_text(json.dumps([[str(path) for path in paths], expected]))

    process = multiprocessing.get_context("fork").Process(target=make)
    process.start()
    process.join()
    assert process.exitcode == 0, "the sound files cannot be read"


def run_all(
    counts: Mapping[str, int], workers: int, seed: int, log: Path | None
) -> tuple[dict[str, Counter[str]], list[tuple[str, int, str, str]]]:
    context = multiprocessing.get_context("fork")
    tallies: dict[str, Counter[str]] = defaultdict(Counter)
    faults: list[tuple[str, int, str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sound = folder / "sound"
        sound.mkdir()
        os.environ["LANDMARKS_CACHE"] = str(folder / "derived")
        prepare_all(sound)
        results = context.Queue()
        waiting = [
            (reader, start, min(start + 100, seed + count))
            for reader, count in counts.items()
            for start in range(seed, seed + count, 100)
        ]
        random.Random(0).shuffle(waiting)
        processes: dict[int, Any] = {}
        current: dict[int, tuple[str, int, int]] = {}
        # jobs are handed out one by one: what a process that dies leaves is known then
        pipes: dict[int, Any] = {}

        def begin() -> None:
            own = context.SimpleQueue()
            process = context.Process(target=work, args=(own, results, folder, sound))
            process.start()
            processes[process.pid], pipes[process.pid] = process, own

        def hand_out(pid: int) -> None:
            if waiting:
                current[pid] = waiting.pop()
                pipes[pid].put(current[pid])
            else:
                current.pop(pid, None)
                pipes[pid].put(None)
                processes.pop(pid).join(5)

        for _ in range(workers):
            begin()
        for pid in list(processes):
            hand_out(pid)
        at: dict[int, tuple[str, int]] = {}
        done, began = 0, time.monotonic()
        while processes:
            try:
                pid, reader, number, outcome, says = results.get(timeout=1)
            except Exception:
                for pid in [pid for pid, process in processes.items() if not process.is_alive()]:
                    reader, number = at.get(pid, (current[pid][0], current[pid][1]))
                    tallies[reader]["crashed"] += 1
                    faults.append((reader, number, "crashed", f"exit code {processes[pid].exitcode}"))
                    name, _, stop = current.pop(pid)
                    processes.pop(pid)
                    if number + 1 < stop:
                        waiting.append((name, number + 1, stop))
                    begin()
                    hand_out(max(processes))
                continue
            if outcome is None:
                at[pid] = (reader, number)
            elif outcome == "done":
                hand_out(pid)
            else:
                done += 1
                sealed = BY_NAME[reader].sealed
                tallies[reader][outcome] += 1
                if outcome not in ("refused", "equal", "other") or (outcome == "other" and sealed):
                    faults.append((reader, number, outcome, says))
                    if log is not None:
                        with log.open("a") as file:
                            file.write(json.dumps([reader, number, outcome, says]) + "\n")
                if done % 5000 == 0:
                    print(f"{done} cases, {len(faults)} faults, {time.monotonic() - began:.0f} s", flush=True)
    return tallies, faults


def repeat(case: str, keep: Path) -> None:
    name, _, number = case.rpartition(":")
    reader = BY_NAME[name]
    torch.set_num_threads(1)
    shutil.rmtree(keep, ignore_errors=True)
    os.environ["LANDMARKS_CACHE"] = str(keep / "derived")
    paths, expected = prepare(reader, keep / "sound")
    tested = test(reader, int(number), keep / "sound", paths, expected, keep / "case")
    print(tested.outcome, tested.says, f"the files are in {keep / 'case'}", sep="\n")


def keep_rows(rows: list[dict[str, Any]]) -> None:
    """Put rows among those of other readers that were tried before, and add all up."""
    found = {row["reader"]: row for row in rows}
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            found = {row["reader"]: row for row in csv.DictReader(file)} | found
    kept = [found[name] for name in BY_NAME if name in found]
    sums = {each: sum(int(row[each]) for row in kept) for each in ("cases", *OUTCOMES)}
    write_csv(RESULTS, [*kept, {"reader": "all", **sums}])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--readers", nargs="*", default=list(BY_NAME))
    parser.add_argument("--seed", type=int, default=0, help="number of the first case of each reader")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--case", metavar="READER:NUMBER")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-case")
    parser.add_argument("--log", type=Path, help="a line of JSON for every fault, as they come")
    arguments = parser.parse_args()
    if arguments.case:
        repeat(arguments.case, arguments.keep)
        return
    total = sum(reader.weight for reader in READERS)
    counts = {name: round(arguments.cases * BY_NAME[name].weight / total) for name in arguments.readers}
    counts[READERS[0].name] = arguments.cases - sum(round(arguments.cases * one.weight / total) for one in READERS[1:])
    counts = {name: counts[name] for name in arguments.readers}
    began = time.monotonic()
    tallies, faults = run_all(counts, arguments.workers, arguments.seed, arguments.log)
    print(f"{time.monotonic() - began:.0f} s")
    rows = [
        {
            "reader": name,
            "checksums": BY_NAME[name].sealed,
            "cases": tallies[name].total(),
            **{each: tallies[name][each] for each in OUTCOMES},
            **machine(torch=torch.__version__, numpy=np.__version__),
        }
        for name in arguments.readers
    ]
    for row in rows:
        print({key: row[key] for key in ("reader", "cases", *OUTCOMES) if row[key]})
    kinds = Counter(
        (reader, outcome, says.strip().splitlines()[-1][:150] if says.strip() else "")
        for reader, _, outcome, says in faults
    )
    for (reader, outcome, says), count in kinds.most_common(60):
        example = next(number for one, number, kind, _ in faults if (one, kind) == (reader, outcome))
        print(f"{count:6} {reader}:{example} {outcome}: {says}")
    if arguments.cases >= CASES:
        keep_rows(rows)


if __name__ == "__main__":
    main()
