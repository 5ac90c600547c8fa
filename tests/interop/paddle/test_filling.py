"""Which variable fills which parameter, and everything that can be wrong with one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from landmarks.errors import LandmarksError
from landmarks.interop.paddle import count_classes, fill, open_variables
from landmarks.models import PUBLISHED_MODELS
from paddle_files import write_combined, write_separate
from published_oracles import random_values

pytestmark = pytest.mark.usefixtures("small_backbones")

V1, V2, RETRIEVAL = "res152_softmax_v1", "res152_softmax_v2", "res152_arcmargin"


def message(name: str, folder: Path, values: dict[str, np.ndarray], leave_out: tuple[str, ...] = ()) -> str:
    with pytest.raises(LandmarksError) as caught:
        fill(name, open_variables(write_combined(folder, values), leave_out))
    return str(caught.value)


@pytest.mark.parametrize(("name", "classes"), [(V1, 5), (V2, 4), (RETRIEVAL, 0)])
def test_every_value_comes_where_it_belongs(name: str, classes: int, tmp_path: Path) -> None:
    values = random_values(name, classes)
    variables = open_variables(write_separate(tmp_path, values))
    assert count_classes(PUBLISHED_MODELS[name], variables) == classes
    read: list[int] = []
    net, head = fill(name, variables, read.append)
    assert read[-1] == variables.nbytes and len(read) == len(values) and sorted(read) == read
    # nothing but a layout changes: as many numbers, and the same ones
    tensors = {**net, **{f"classifier.{key}": value for key, value in (head or {}).items()}}
    counters = [key for key in tensors if key.endswith("num_batches_tracked")]
    assert counters and all(tensors.pop(key) == 0 for key in counters)
    ours = np.sort(np.concatenate([value.numpy().ravel() for value in tensors.values()]))
    assert np.array_equal(ours, np.sort(np.concatenate([value.ravel() for value in values.values()])))
    if name == V1:
        assert head is not None
        assert np.array_equal(head["weight"].numpy(), values["fc_1.w_0"].T)
        assert np.array_equal(net["fc.weight"].numpy(), values["fc_0.w_0"].T)
        assert np.array_equal(net["backbone.bn1.running_var"].numpy(), values["bnv1_3_variance"])
    if name == RETRIEVAL:
        assert head is None
    assert all(value.is_contiguous() for value in net.values())


def test_other_floats_become_float32(tmp_path: Path) -> None:
    values = random_values(V2)
    stored = {name: value.astype(np.float16 if n % 2 else np.float64) for n, (name, value) in enumerate(values.items())}
    net, _ = fill(V2, open_variables(write_separate(tmp_path, stored)))
    assert net["backbone.bn1.weight"].dtype == torch.float32
    assert torch.allclose(net["backbone.bn1.weight"], torch.from_numpy(values["bnv1_3_scale"]), rtol=1e-3)


def test_all_that_is_wrong_is_in_one_message(tmp_path: Path) -> None:
    values: dict[str, np.ndarray] = dict(random_values(V1))
    del values["res2a_branch2a_weights"], values["bn3a_branch1_mean"]
    values["something_else"] = np.zeros(2, np.float32)
    values["fc_0.w_0"] = np.ascontiguousarray(values["fc_0.w_0"].T)
    values["bnv1_1_scale"] = np.ones(4, np.int64)
    values["bnv1_1_offset"][1] = np.nan
    values["bnv1_2_mean"] = np.full(4, 1e300)
    values["bnv1_2_variance"][2] = -1e-3
    said = message(V1, tmp_path, values)
    assert f"{tmp_path}: its variables are not those of {V1}" in said
    assert "2 missing: res2a_branch2a_weights, bn3a_branch1_mean" in said
    assert "1 extra: something_else" in said and "--leave-out" in said
    assert "1 of another shape: fc_0.w_0: the file has shape [256, 32], the network needs [32, 256]" in said
    assert "1 of another type: bnv1_1_scale (holds int64, weights are float)" in said
    assert "2 with infinite values or NaN: bnv1_1_offset, bnv1_2_mean" in said
    assert "1 with negative variances: bnv1_2_variance" in said


def test_what_training_kept_may_be_left_out(tmp_path: Path) -> None:
    values: dict[str, np.ndarray] = dict(random_values(V2))
    more = {f"{name}_velocity_0": value for name, value in values.items()}
    more |= {"learning_rate_0": np.array([0.1], np.float32), "@LR_DECAY_COUNTER@": np.array([30_000])}
    said = message(V2, tmp_path / "m", values | more, ("@*",))
    assert f"{len(more) - 1} extra: " in said and f"and {len(more) - 11} more" in said and "missing" not in said
    variables = open_variables(tmp_path / "m", ("*_velocity_0", "learning_rate*", "@*"))
    assert variables.left_out == len(more)
    assert fill(V2, variables)[1] is not None


def test_the_name_that_would_fit_is_said(tmp_path: Path) -> None:
    said = message("res152_npairs", tmp_path, random_values(V2))
    assert f"These are the variables of {V2}: import them by that name" in said and "--leave-out" not in said
    assert "and " in said.splitlines()[1] and said.splitlines()[1].endswith("more")


@pytest.mark.parametrize("lost", ["fc_1.w_0", "fc_1.b_0"])
def test_a_classifier_without_its_last_layer(lost: str, tmp_path: Path) -> None:
    values = random_values(V1, 6)
    del values[lost]
    assert message(V1, tmp_path, values).splitlines()[1:] == [f"  1 missing: {lost}"]


def test_a_last_layer_whose_parts_disagree(tmp_path: Path) -> None:
    values = random_values(V1, 6)
    values["fc_1.b_0"] = np.zeros(5, np.float32)
    assert "1 of another shape: fc_1.b_0: the file has shape [5], the network needs [6]" in message(
        V1, tmp_path, values
    )
    values["fc_1.w_0"] = np.float32(0)
    said = message(V1, tmp_path, values)
    assert "fc_1.w_0: the file has shape [], the network needs [256, 5]" in said
