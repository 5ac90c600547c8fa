"""Every file in conf/, experiments/ and sweeps/ composes, passes the checker, and builds what it names."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from landmarks.config import DetectorSettings, EvaluateSettings, TrainSettings, check_config, config_root
from landmarks.training import train
from published_oracles import shrink_backbones

Compose = Callable[..., DictConfig]
CHOICES = sorted((path.parent.name, path.stem) for path in (config_root() / "conf").glob("*/*.yaml"))
# What needs an account, several processes or a trained network.
UNBUILT = {("logger", "wandb"), ("trainer", "ddp"), ("local_features", "delf")}
PARTS = {"stage", "matcher"}  # of other nodes
GROUPS = [(group, name) for group, name in CHOICES if group not in PARTS and name != "base"]
STAGES = [name for group, name in CHOICES if group == "stage"]
MATCHERS = [name for group, name in CHOICES if group == "matcher"]
PIPELINES = [name for group, name in CHOICES if group == "pipeline"]
RECOGNITION = [name for group, name in CHOICES if group == "recognition"]
EXPERIMENTS = sorted(path.stem for path in (config_root() / "experiments").glob("*.yaml"))
SWEEPS = sorted(path.stem for path in (config_root() / "sweeps").glob("*.yaml"))
# Others are trained with the README; their published figures are held in tests/leaderboard.
PUBLISHED = ["res152_npairs", "se_x152_arcmargin", "inceptionv4_arcmargin"]


@pytest.mark.parametrize(("group", "name"), GROUPS)
def test_every_choice_composes_and_builds(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path, group: str, name: str
) -> None:
    tiny = [o for o in tiny_run if group == "data" or not o.startswith("data.")]
    tiny = [o for o in tiny if not (group == "data" and o.startswith(("data.root", "data.source")))]
    tiny = [o for o in tiny if not (group == "model" and o.startswith("model"))]
    extra = ["model.name=test_resnet"] if (group, name) == ("model", "timm") else []
    root = ["data.root=somewhere"] if group == "data" else []
    if (group, name) == ("local_features", "delf"):
        extra = ["local_features.extractor.model=x.ckpt"]
    config = compose_config("train", *tiny, f"{group}={name}", *extra, *root, run_dir=tmp_path)
    check_config(config, TrainSettings)
    node = config[group]
    for part in [node] if "_target_" in node else list(node.values()):
        if part is not None and (group, name) not in UNBUILT:
            assert instantiate(part) is not None


@pytest.mark.parametrize("matcher", MATCHERS)
def test_every_matcher_takes_the_place_of_another(compose_config: Compose, matcher: str) -> None:
    added = f"matcher@local_features.matcher={matcher}"
    config = compose_config(
        "evaluate", "checkpoint=x.ckpt", "data.image_size=64", "local_features=aliked", added, run_dir="."
    )
    check_config(config, EvaluateSettings)
    made = instantiate(config.local_features)
    assert made.matcher.signature()["match"] == matcher


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_can_be_added_from_the_command_line(compose_config: Compose, tmp_path: Path, name: str) -> None:
    added = f"+stage@recognition.stages.last={name}"
    config = compose_config("evaluate", "checkpoint=x.ckpt", "data.image_size=64", added, run_dir=tmp_path)
    check_config(config, EvaluateSettings)
    stages = instantiate(config.recognition).stages
    assert list(stages) == ["search", "votes", "last"] and all(callable(stage) for stage in stages.values())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes(compose_config: Compose, tmp_path: Path, name: str) -> None:
    config = compose_config("train", f"experiments={name}", "data.root=somewhere", run_dir=tmp_path)
    check_config(config, DetectorSettings if config.task == "detection" else TrainSettings)


@pytest.mark.parametrize("name", PUBLISHED)
def test_experiments_of_published_runs_train(
    compose_config: Compose, tiny_world: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "inceptionv4_arcmargin":  # one in full size; that the others train is tested in tests/models
        shrink_backbones(monkeypatch)
    overrides = [
        f"experiments={name}",
        "data=demo",
        f"data.root={tiny_world}",
        "data.image_size=32",
        "data.batch_size=4",
        "data.eval_batch_size=4",
        "data.num_workers=0",
        "trainer.accelerator=cpu",
        "trainer.devices=1",
        "trainer.fast_dev_run=true",
        "trainer.enable_progress_bar=false",
        "callbacks.progress=null",
        "evaluate_untrained=false",
    ]
    if name == "inceptionv4_arcmargin":
        overrides += ["data.image_size=96", "data.resize.short_side=96"]
    config = compose_config("train", *overrides, run_dir=tmp_path)
    check_config(config, TrainSettings)
    train(config, tmp_path)
    assert (tmp_path / "metrics.json").is_file()


@pytest.mark.parametrize(("name", "network"), [("modern_cnn", "test_efficientnet"), ("modern_vit", "test_vit")])
def test_modern_recipes_train(
    compose_config: Compose, tiny_run: list[str], tmp_path: Path, name: str, network: str
) -> None:
    small = [f"experiments={name}", "data=demo", *tiny_run, f"model.name={network}", "model.pretrained=false"]
    config = compose_config(
        "train", *small, "data.image_size=96", "trainer.limit_train_batches=3", "evaluate_untrained=false",
        run_dir=tmp_path,
    )  # fmt: skip
    check_config(config, TrainSettings)
    train(config, tmp_path)
    assert (tmp_path / "metrics.json").is_file()


def test_the_published_detector_has_its_published_figure_and_rules(compose_config: Compose, tmp_path: Path) -> None:
    """That it trains is tested with the README."""
    config = compose_config("train", "experiments=res50_oid_v4_detector", "data.root=somewhere", run_dir=tmp_path)
    assert (config.published.metric, config.published.public) == ("map@0.5", 0.55)
    rules = config.model
    assert (rules.score_threshold, rules.nms_threshold, rules.max_boxes) == (0.1, 0.5, 100)


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_varies_keys_that_exist(compose_config: Compose, tmp_path: Path, name: str) -> None:
    text = (config_root() / "sweeps" / f"{name}.yaml").read_text()
    parameters = OmegaConf.select(OmegaConf.create(text), "hydra.sweeper.params")
    first = [f"{key}={str(values).split(',')[0]}" for key, values in parameters.items()]
    config = compose_config("train", f"sweeps={name}", *first, run_dir=tmp_path)
    check_config(config, TrainSettings)


@pytest.mark.parametrize("name", PIPELINES)
def test_evaluation_composes_with_every_pipeline(compose_config: Compose, tmp_path: Path, name: str) -> None:
    overrides = ["checkpoint=x.ckpt", "data.image_size=64", f"pipeline={name}"]
    check_config(compose_config("evaluate", *overrides, run_dir=tmp_path), EvaluateSettings)


@pytest.mark.parametrize("name", RECOGNITION)
def test_every_stage_of_recognition_but_the_votes_can_be_taken_out(
    compose_config: Compose, tmp_path: Path, name: str
) -> None:
    overrides = ["checkpoint=x.ckpt", "data.image_size=64", f"recognition={name}"]
    config = compose_config("evaluate", *overrides, run_dir=tmp_path)
    check_config(config, EvaluateSettings)
    stages = list(config.recognition.stages)
    assert stages[:2] == ["search", "votes"]
    out = [f"recognition.stages.{stage}=null" for stage in stages[2:]]
    config = compose_config("evaluate", *overrides, *out, run_dir=tmp_path)
    check_config(config, EvaluateSettings)
    assert list(instantiate(config.recognition).stages) == ["search", "votes"]


def test_configs_are_short() -> None:
    for folder in ("conf", "experiments", "sweeps"):
        for path in (config_root() / folder).rglob("*.yaml"):
            assert len(path.read_text().splitlines()) <= 45, path
