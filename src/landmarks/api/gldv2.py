"""Python functions for the commands on Google Landmarks v2, score files and the leaderboard."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from landmarks.errors import LandmarksError
from landmarks.progress import show_progress
from landmarks.storage import hide

if TYPE_CHECKING:
    from landmarks import data
    from landmarks.cleaning import AgreementRule, Cleaned, Verification
    from landmarks.data import IndexedSplit, Outcome
    from landmarks.detection import DetectionMetrics
    from landmarks.report import Board

Figures = dict[str, dict[str, float]]


def download_gldv2(
    root: str | Path,
    splits: Sequence[str] = ("metadata",),
    tars: str | None = None,
    base_url: str | None = None,
    workers: int = 4,
    check: bool = False,
) -> "list[Outcome]":
    """Download Google Landmarks v2, as `landmarks data download` does; an interrupted download is resumed.

    Args:
        root: Folder of the data set; it gets the official layout.
        splits: Any of "train", "index", "test" and "metadata".
        tars: Numbers of the tars of each split to download, such as "0-3,8"; by default all.
        base_url: Address of a mirror; by default that of the official release.
        workers: Number of files downloaded at the same time.
        check: Also check the MD5 of tars that were downloaded earlier.

    Returns:
        The outcome for each file.

    Raises:
        LandmarksError: There is no such split or tar, or no file could be downloaded.
    """
    from landmarks.data import BASE_URL, SPLITS, chosen_files, download

    chosen = [name for name in SPLITS if name in splits]
    if strange := [name for name in splits if name not in SPLITS]:
        raise LandmarksError(f"splits: {strange[0]!r} is none of {', '.join(SPLITS)}")
    with show_progress() as progress:
        return list(
            download(Path(root), chosen_files(chosen, tars), progress, hide(base_url or BASE_URL), workers, check)
        )


def index_gldv2(
    root: str | Path, splits: Sequence[str] | None = None, workers: int = 8, rebuild: bool = False
) -> "list[IndexedSplit]":
    """Index the tars of Google Landmarks v2, as `landmarks data index` does; training does this by itself.

    Args:
        root: Folder or address of the data set.
        splits: Any of "train", "index" and "test"; by default all that exist.
        workers: Number of tars read at the same time.
        rebuild: Also read tars again that have not changed.

    Returns:
        The result for each split; `update.refused` names tars that hold anything but images.

    Raises:
        LandmarksError: There is no such split, or no tar.
    """
    from landmarks.data import index_splits, open_root

    with show_progress() as progress:
        return list(index_splits(open_root(hide(str(root))), progress, splits, workers, rebuild))


def verify_gldv2(
    root: str | Path, deep: bool = False, splits: Sequence[Any] | None = None, workers: int | None = None
) -> "data.Findings":
    """Check the tables of Google Landmarks v2 against its images, as `landmarks data verify` does.

    Args:
        root: Folder or address of the data set.
        deep: Also decode every image and check the MD5 of tars; takes hours for the whole data set, and can be
            interrupted and resumed.
        splits: Any of "train", "train_clean", "index" and "test"; by default all.
        workers: Number of processes that decode; by default the number of cores.

    Returns:
        The findings; `can_train` says whether training can start.

    Raises:
        LandmarksError: There is no such data set.
    """
    from landmarks.config import available_cores
    from landmarks.data import open_root, verify

    with show_progress() as progress:
        return verify(open_root(hide(str(root))), progress, splits, (workers or available_cores()) if deep else 0)


def gldv2_statistics(root: str | Path) -> dict[str, Any]:
    """Count images and landmarks of each split and queries of the ground truth, as `landmarks data stats --json` does.

    Args:
        root: Folder or address of the data set.

    Returns:
        The counts, by split and by ground truth.

    Raises:
        LandmarksError: There is no such data set.
    """
    from landmarks.data import open_root, read_statistics

    return read_statistics(open_root(hide(str(root))))


def clean_gldv2(
    root: str | Path,
    descriptors: str | Path,
    out: str | Path,
    rule: "AgreementRule | None" = None,
    verification: "Verification | None" = None,
    sample: int | None = 65_536,
    search: Literal["exact", "hnsw", "ivf_pq"] = "exact",
    memory_mb: int = 1024,
    workers: int | None = None,
    seed: int = 0,
    force: bool = False,
) -> "Cleaned":
    """Keep train images that agree with others of their landmark, and write their list, like `landmarks data clean`.

    Args:
        root: Folder or address of the data set.
        descriptors: Folder of the descriptor set of the train images.
        out: The list to write, in the format of `train_clean.csv`.
        rule: Which images are kept; by default `landmarks.cleaning.AgreementRule()`.
        verification: Also verify images by local features: `landmarks.cleaning.Verification()`; takes days for all.
        sample: Size of the random sample in which images of other landmarks are searched; None for all, N² products.
        search: How all images are searched, without a sample.
        memory_mb: Working memory of a search in MiB.
        workers: Number of processes that verify; by default the number of cores.
        seed: Seed of the sample.
        force: Replace an existing list.

    Returns:
        The verdict on each image, with the reason if it is removed.

    Raises:
        LandmarksError: A file is missing or exists already, or no image would be left.
    """
    from landmarks.cleaning import AgreementRule, clean_gldv2, make_resources, refuse_existing, write_cleaned

    refuse_existing(Path(out), force)
    resources = make_resources(search, memory_mb, workers, seed)
    with show_progress():
        cleaned = clean_gldv2(
            hide(str(root)), Path(descriptors), resources, rule or AgreementRule(), sample, verification
        )
    write_cleaned(cleaned, Path(out))
    return cleaned


def score_retrieval(solution: str | Path, submission: str | Path) -> Figures:
    """Score a retrieval submission, as `landmarks score retrieval` does.

    Args:
        solution: Official solution file (CSV).
        submission: Submission file (CSV).

    Returns:
        ``{"public": {"map@100": …, …}, "private": {…}}``; NaN in a split without queries.

    Raises:
        LandmarksError: A file is not in its format; the message names the line.
    """
    from landmarks.metrics import read_retrieval_solution, read_retrieval_submission
    from landmarks.metrics import score_retrieval as score

    truth = read_retrieval_solution(Path(solution))
    return score(truth, read_retrieval_submission(Path(submission), truth))


def score_recognition(solution: str | Path, submission: str | Path) -> Figures:
    """Score a recognition submission, as `landmarks score recognition` does.

    Args:
        solution: Official solution file (CSV).
        submission: Submission file (CSV).

    Returns:
        ``{"public": {"gap": …, …}, "private": {…}}``; NaN in a split without images of landmarks.

    Raises:
        LandmarksError: A file is not in its format; the message names the line.
    """
    from landmarks.metrics import read_recognition_solution, read_recognition_submission
    from landmarks.metrics import score_recognition as score

    truth = read_recognition_solution(Path(solution))
    return score(truth, read_recognition_submission(Path(submission), truth))


def score_detection(
    boxes: str | Path,
    image_labels: str | Path,
    predictions: str | Path,
    classes: str | Path | None = None,
    hierarchy: str | Path | None = None,
) -> "dict[str, DetectionMetrics]":
    """Score predicted boxes as the Open Images evaluators do, as `landmarks score detection` does.

    Args:
        boxes: Ground-truth boxes (CSV of Open Images).
        image_labels: Human-verified image-level labels (CSV of Open Images).
        predictions: Predicted boxes with their scores (CSV).
        classes: File of the classes to score; by default all.
        hierarchy: JSON file of the class hierarchy; boxes and labels are first expanded to the parents of a class.

    Returns:
        Average precisions at IoU 0.5, by evaluator.

    Raises:
        LandmarksError: A file is not in its format; the message names the line.
    """
    from landmarks.detection import expand_truth, read_hierarchy, read_truth
    from landmarks.detection import score_detections as score
    from landmarks.recognition import read_boxes, read_classes

    truth, found = read_truth(Path(boxes), Path(image_labels)), read_boxes(Path(predictions))
    if hierarchy is not None:
        truth = expand_truth(truth, read_hierarchy(Path(hierarchy)))
    if classes is not None:
        truth = truth.of_classes(read_classes(Path(classes)).names)
    return score(truth, found)


def read_leaderboard(
    runs: str | Path = "runs",
    run: str | None = None,
    root: str | None = None,
    weights: Sequence[str] = (),
    out: str | Path = "runs/leaderboard",
    overrides: Sequence[str] = (),
    trust: str | Iterable[str] = (),
) -> "Board":
    """Put published metrics beside those of your own runs, as `landmarks leaderboard` does.

    Args:
        runs: Folder of runs, searched with all folders below it.
        run: Row to measure first: extract, search and score. An interrupted measurement is resumed.
        root: Folder or address of the data set, for `run`.
        weights: For `run`: a model file or checkpoint, or ``"ROW=PATH"`` for each model of a system.
        out: For `run`: folder that gets a folder for each row.
        overrides: For `run`: overrides as for `evaluate`.
        trust: For `run`: see `load_model`.

    Returns:
        Rows with their metrics, runs on other data, and the commands that measure what is missing.

    Raises:
        LandmarksError: There is no such row or file, or weights are of another model.
    """
    from landmarks.api.dispatch import run_evaluate, run_extract
    from landmarks.config import run_composed, trusted
    from landmarks.leaderboard import FoundRuns, build_board, find_row, find_runs, prepare
    from landmarks.leaderboard import read_rows as read

    rows, row, place = read(), None, Path(runs)
    if run is not None:
        row = find_row(rows, run)
        for command in prepare(row, rows, hide(root), list(weights), Path(out), hide(list(overrides)), trusted(trust)):
            run_composed(command.name, command.overrides, run_extract if command.name == "extract" else run_evaluate)
        place = Path(out) / run
    elif overrides or weights or root or trust:
        raise LandmarksError("root, weights, trust and overrides need run=ROW, the row to measure")
    no_runs_yet = row is None and place == Path("runs") and not place.exists()
    return build_board(rows, FoundRuns() if no_runs_yet else find_runs(place), row)
