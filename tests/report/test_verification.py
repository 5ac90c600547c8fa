import io

import numpy as np
from rich.console import Console

from landmarks.data.gldv2.checks import Fault, FileProblem, Findings
from landmarks.report import NONE, SHOWN_MESSAGES, verification_messages, verification_tables

ALL = frozenset(["train", "train_clean"])


def findings(faults: list[Fault], problems: list[FileProblem], deep: bool = True) -> Findings:
    keys = ("listed", "present", "without_landmark", "landmarks", "landmarks_with_one_image")
    values = {
        "train": (4_132_914, 4_000_000, 0, 203_094, 17),
        "train_clean": (1_580_470, 1_500_000, 0, 81_313, 0),
        "index": (761_757, 761_757, 300_000, 101_302, 0),
        "test": (117_577, 117_577, 117_577, 0, 0),
    }
    counts = {split: dict(zip(keys, figures, strict=True)) for split, figures in values.items()}
    return Findings("GLDV2", deep, ("train_clean", "index", "test"), counts, tuple(faults), tuple(problems))


def fault(
    kind: str, split: str, count: int, where: str = "train/images_000.tar", blocks: frozenset = frozenset()
) -> Fault:
    return Fault(kind, split, np.arange(1, count + 1, dtype=np.uint64), [where] * count, blocks)


def shown(found: Findings) -> list[str]:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as text:
        console.print(verification_tables(found))
    return text.get().splitlines()


def row(lines: list[str], start: str) -> list[str]:
    return next(line for line in lines if line.strip().startswith(start)).split()


def test_counts_of_the_full_size_fit_into_80_columns() -> None:
    lines = shown(findings([fault("missing", "train", 132_914, blocks=frozenset(["train"]))], []))
    assert not any("…" in line for line in lines)
    assert row(lines, "images listed")[-4:] == ["4,132,914", "1,580,470", "761,757", "117,577"]
    assert row(lines, "without a landmark")[-4:] == ["0", "0", "300,000", NONE]
    assert row(lines, "missing (listed")[-4:] == ["132,914", "0", "0", "0"]
    assert row(lines, "can be used")[-4:] == ["no", "yes", "yes", "yes"]


def test_what_decoding_tells_is_shown_after_decoding_only() -> None:
    assert row(shown(findings([fault("tiny", "index", 2)], [])), "tiny (short")[-4:] == ["0", "0", "2", "0"]
    lines = shown(findings([], [], deep=False))
    assert not any("tiny" in line for line in lines) and any("--deep" in line for line in lines)
    assert not any("First images with each fault" in line for line in lines)


def test_examples_that_train_and_train_clean_share_are_shown_once() -> None:
    lines = shown(
        findings([fault("tiny", "train", 5), fault("tiny", "train_clean", 5), fault("leaked", "test", 1)], [])
    )
    assert row(lines, "tiny  ") == ["tiny", "train,", "train_clean"]
    assert sum("0000000000000001" in line for line in lines) == 2  # the leaked one is another
    assert sum("0000000000000003" in line for line in lines) == 1
    assert not any("0000000000000004" in line for line in lines)


def test_the_last_line_is_the_verdict() -> None:
    last = str(verification_messages(findings([], []))[-1])
    assert last == "Training can start with train_clean, index, test."
    problems = [FileProblem("train.csv is wrong", frozenset(["train"])), FileProblem("tar 7 is cut off", ALL)]
    faults = [fault("missing", "train_clean", 9, blocks=frozenset(["train_clean"]))]
    messages = [str(message) for message in verification_messages(findings(faults, problems))]
    assert messages[0] == "train.csv is wrong"
    assert messages[1].startswith("images are missing, 9 of 1,580,470 of train_clean: `landmarks data download")
    assert messages[2] == "Training cannot start: tar 7 is cut off (and 1 more, see above)"


def test_hundreds_of_corrupt_tars_do_not_fill_the_screen() -> None:
    problems = [FileProblem(f"tar {number} is cut off", ALL) for number in range(500)]
    messages = [str(message) for message in verification_messages(findings([], problems))]
    assert len(messages) == SHOWN_MESSAGES + 2
    assert messages[-2] == f"and {499 - SHOWN_MESSAGES} more; --json lists all"


def test_too_many_unreadable_images_are_a_reason() -> None:
    faults = [fault("unreadable", "train_clean", 101, blocks=frozenset(["train_clean"]))]
    messages = [str(message) for message in verification_messages(findings(faults, []))]
    assert "101 images of train_clean cannot be read" in messages[-1]
    assert "data.source.exclude=FILE" in messages[0]
