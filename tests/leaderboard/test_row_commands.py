"""The commands that are printed are ones that can be given."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from landmarks.config import DetectorSettings, TrainSettings, check_config
from landmarks.leaderboard import FROM_TRAINING, FROM_WEIGHTS, Row, commands, read_rows

Compose = Callable[..., DictConfig]
ROWS = read_rows()
SINGLE = [row for row in ROWS.values() if row.experiment]


@pytest.mark.parametrize("row", SINGLE, ids=lambda row: row.name)
def test_training_commands_compose(compose_config: Compose, tmp_path: Path, row: Row) -> None:
    train, run = map(shlex.split, commands(row, ROWS)[FROM_TRAINING])
    assert train[:2] == ["python", "train.py"] and train[-1] == f"hydra.run.dir=runs/{row.name}"
    config = compose_config("train", *train[2:-1], run_dir=tmp_path)
    check_config(config, DetectorSettings if config.task == "detection" else TrainSettings)
    assert config.published.source == row.source
    assert run[-1] == f"runs/{row.name}/checkpoints/best.ckpt"


def test_fine_tuning_begins_where_the_other_row_ended() -> None:
    first, second = (commands(ROWS[name], ROWS)[FROM_TRAINING] for name in ("res152_arcmargin", "res152_npairs"))
    assert f"model.pretrained={shlex.split(first[1])[-1]}" in shlex.split(second[0])


def test_every_row_that_can_be_run_has_a_command_that_names_all_its_weights() -> None:
    for row in ROWS.values():
        lines = [line for of_kind in commands(row, ROWS).values() for line in of_kind]
        runs = [shlex.split(line) for line in lines if " --run " in line]
        assert bool(runs) == bool(row.models)
        for words in runs:
            given = [words[place + 1] for place, word in enumerate(words) if word == "--weights"]
            assert words[:4] == ["landmarks", "leaderboard", "--run", row.name]
            assert len(given) == len(row.parts)
            if len(row.parts) > 1:
                assert [one.partition("=")[0] for one in given] == list(row.parts)


def test_classifiers_are_imported_with_labels_and_nothing_was_released_for_own_rows() -> None:
    (imported, run) = commands(ROWS["res152_softmax_v1"], ROWS)[FROM_WEIGHTS]
    assert "--labels" in imported and shlex.split(run)[-1] == shlex.split(imported)[4]
    own = Row("mine", "map@100", 0.1, 0.1, "me", models=("mine",), experiment="mine")
    assert list(commands(own, {"mine": own})) == [FROM_TRAINING]
