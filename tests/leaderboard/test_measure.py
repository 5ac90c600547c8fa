"""Every kind of row has its commands, and mistakes are named before the first one runs."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st

from embedded import write_set
from landmarks.config import ConfigError, EvaluateSettings, check_config, quoted
from landmarks.errors import LandmarksError
from landmarks.leaderboard import Command, check_commands, composed, measuring, read_rows

ROWS = read_rows()
PARSER = OverridesParser.create()
WEIGHTS = Path("w.safetensors")


def embedded(folder: Path, *splits: str) -> None:
    for split in splits:
        write_set(folder / split, np.arange(3, dtype=np.uint64), np.ones((3, 2), np.float32))


def values_of(command: Command) -> dict[str, object]:
    return {one.get_key_element(): one.value() for one in PARSER.parse_overrides(list(command.overrides))}


def test_a_model_is_embedded_searched_and_scored(tmp_path: Path) -> None:
    extra = ["data.num_workers=0", "pipeline.stages.search.k=50", "dtype=float16", "trainer.devices=1"]
    row = ROWS["res152_arcmargin"]
    first, second = measuring(row, "GLDV2", {row.name: WEIGHTS}, tmp_path, extra)
    assert (first.name, second.name) == ("extract", "evaluate")
    made, searched = values_of(first), values_of(second)
    assert made["splits"] == ["queries", "index"]  # train images are three quarters of the work, and not needed
    assert searched["descriptors.index"] == f"{made['hydra.run.dir']}/index"
    assert searched["monitor"] == "private/map@100" and "pipeline" not in searched
    assert made["data.num_workers"] == 0 and made["dtype"] == "float16" and "pipeline.stages.search.k" not in made
    assert searched["pipeline.stages.search.k"] == 50 and "dtype" not in searched
    assert made["trainer.devices"] == searched["trainer.devices"] == 1


def test_the_user_s_values_come_last(tmp_path: Path) -> None:
    row = ROWS["res152_arcmargin"]
    first, _ = measuring(row, "GLDV2", {row.name: WEIGHTS}, tmp_path, ["data.image_size=64"])
    assert composed("extract", [o for o in first.overrides if "hydra" not in o]).data.image_size == 64


def test_a_classifier_needs_neither_index_nor_gallery(tmp_path: Path) -> None:
    row = ROWS["res152_softmax_v1"]
    (job,) = measuring(row, "GLDV2", {row.name: WEIGHTS}, tmp_path)
    found = values_of(job)
    assert (job.name, found["monitor"]) == ("evaluate", "private/classifier_gap")
    assert found["data.validation.index_distractors"] == 0 and "data.validation.queries" not in found
    check_config(composed("evaluate", [one for one in job.overrides if "hydra" not in one]), EvaluateSettings)


def test_a_detector_is_scored_on_open_images(tmp_path: Path) -> None:
    row = ROWS["res50_oid_v4_detector"]
    (job,) = measuring(row, "OPENIMAGES", {row.name: WEIGHTS}, tmp_path)
    assert values_of(job)["data"] == "openimages"


def test_a_system_takes_what_is_there_and_makes_the_rest(tmp_path: Path) -> None:
    row = ROWS["second_place_2019_retrieval"]
    there, new = row.models[:4], row.models[4:]
    for name in there:
        embedded(tmp_path / name / "descriptors", "queries", "index", "gallery")
    jobs = measuring(row, "GLDV2", dict.fromkeys(new, WEIGHTS), tmp_path)
    check_commands(jobs)
    assert [job.name for job in jobs] == ["extract", "extract", "evaluate"]
    found = values_of(jobs[-1])
    for split in ("queries", "index", "gallery"):
        assert found[f"descriptors.{split}"] == [str(tmp_path / name / "descriptors" / split) for name in row.models]
    assert found["pipeline"] == "second_place_2019"


def test_recognition_has_predictions_and_detections_made(tmp_path: Path) -> None:
    row = ROWS["second_place_2019_recognition"]
    opened = dict.fromkeys(row.parts, WEIGHTS)
    *parts, last = measuring(row, "GLDV2", opened, tmp_path)
    check_commands([*parts, last])
    made = {str(values_of(job)["hydra.run.dir"]): values_of(job) for job in parts}
    classifier = made[str(tmp_path / "res152_softmax_v2" / "descriptors")]
    assert classifier["predictions"] == 10 and classifier["splits"] == ["queries"]
    found = values_of(last)
    assert found["recognition"] == "second_place_2019" and found["monitor"] == "private/gap"
    assert found["predictions"] == f"{classifier['hydra.run.dir']}/queries_predictions"
    assert str(found["detections"]).endswith("res50_oid_v4_detector/descriptors/queries_detections")
    without = {name: one for name, one in opened.items() if name != row.detector}
    with pytest.raises(LandmarksError, match="--weights res50_oid_v4_detector=PATH"):
        measuring(row, "GLDV2", without, tmp_path)
    jobs = measuring(row, "GLDV2", without, tmp_path, ["recognition.stages.filter=null"])
    check_commands(jobs)
    assert "detections" not in values_of(jobs[-1])


def test_what_is_missing_is_said_with_how_to_make_it(tmp_path: Path) -> None:
    row = ROWS["second_place_2019_retrieval"]
    for name in row.models:
        embedded(tmp_path / name / "descriptors", "queries", "index", "gallery")
    index = tmp_path / "res152_npairs" / "descriptors" / "index"
    shutil.rmtree(index)
    with pytest.raises(LandmarksError) as caught:
        measuring(row, "GLDV2", {}, tmp_path)
    lines = str(caught.value).splitlines()
    assert [line.strip() for line in lines[1:-1]] == [str(index)]
    assert lines[-1].endswith("Make them with --weights res152_npairs=PATH")


@pytest.mark.parametrize(
    "override", ["checkpoint=x", "hydra.run.dir=x", "-m", "--multirun", "descriptors.weights=[1]", "+run_dir=x"]
)
def test_what_the_command_sets_itself_is_refused(tmp_path: Path, override: str) -> None:
    row = ROWS["res152_arcmargin"]
    with pytest.raises(LandmarksError, match="sets this itself"):
        measuring(row, "GLDV2", {row.name: WEIGHTS}, tmp_path, [override])


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("data.image_sice=3", HydraException),
        ("pipeline.stages.search.kk=3", HydraException),
        ("data.eval_batch_size=many", ConfigError),
        ("data.eval_batch_size", HydraException),
        ("nonsense=1", HydraException),
        ("pipeline=regional_diffusion", LandmarksError),  # which needs regions that nobody embeds
        ("pipeline=second_place_2019", LandmarksError),  # which needs a gallery
    ],
)
def test_mistakes_are_named_before_any_work(tmp_path: Path, override: str, error: type[Exception]) -> None:
    row = ROWS["res152_arcmargin"]
    with pytest.raises(error):
        check_commands(measuring(row, "GLDV2", {row.name: WEIGHTS}, tmp_path, [override]))


@given(st.text(st.characters(exclude_categories=("C",)), min_size=1))
def test_any_path_survives_the_grammar_of_overrides(text: str) -> None:
    (override,) = PARSER.parse_overrides([f"key={quoted(text)}"])
    assert override.value() == text
    (override,) = PARSER.parse_overrides([f"key=[{quoted(text)},{quoted(text)}]"])
    assert override.value() == [text, text]


def test_an_own_row_of_recognition_gets_a_gallery(tmp_path: Path) -> None:
    row = replace(ROWS["res152_arcmargin"], metric="gap", stages=("search", "votes"))
    first, second = measuring(row, "GLDV2", {row.name: WEIGHTS}, tmp_path)
    assert values_of(first)["splits"] == ["queries", "index", "gallery"]
    assert "descriptors.gallery" in values_of(second)
