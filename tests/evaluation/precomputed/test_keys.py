"""Invalid combinations of keys are all named at once, before a file is opened."""

import pytest
from omegaconf import OmegaConf

from landmarks.config import ConfigError, demo_data
from landmarks.evaluation.precomputed import available_needs, check_keys, used_part


@pytest.fixture
def keys(compose_config, tmp_path):
    """`keys(queries="a.npy", …)`: a configuration with these keys of `descriptors`, others left as they are."""

    def made(**given):
        config = compose_config("evaluate", run_dir=tmp_path)
        config.descriptors.update(given)
        return config

    return made


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ["queries and descriptors.index are not given"]),
        ({"queries": "a"}, ["descriptors.queries is given and descriptors.index is not"]),
        ({"index": "a"}, ["descriptors.index is given and descriptors.queries is not"]),
        ({"query_labels": "a"}, ["descriptors.query_labels is given and descriptors.index_labels is not"]),
        ({"index_regions": "a"}, ["descriptors.index_regions is given and descriptors.query_regions is not"]),
        ({"gallery_labels": "a", "gallery_ids": "b"}, ["gallery_labels is given and", "gallery_ids is given and"]),
        ({"solution": "s", "query_labels": "a", "index_labels": "b"}, ["are both ground truth"]),
        (
            {"queries": "a", "index": "b", "query_ids": "c", "solution": "s", "use_data": True},
            ["solution needs ids: give descriptors.index_ids", "use_data needs ids: give descriptors.index_ids"],
        ),
        ({"queries": "a", "index": ["b", "c"], "weights": [1, 2]}, ["descriptors.queries is not a list"]),
        ({"queries": ["a", "b"], "index": ["c", "d"], "weights": [1, 2, 3]}, ["3 values for the 2 sets"]),
        ({"queries": ["a", "b"], "index": ["c", "d"], "weights": [1, 0]}, ["must be above 0"]),
    ],
)
def test_keys_that_do_not_go_together_are_all_named(keys, given, words):
    with pytest.raises(ConfigError) as refused:
        check_keys(keys(**given).descriptors)
    for word in words:
        assert word in str(refused.value)


def test_valid_combinations_list_the_inputs_they_provide(keys, tmp_path):
    given = {"queries": str(tmp_path), "index": "b"}
    for more, available in (
        ({}, []),
        ({"index_ids": "i", "use_data": True}, ["images"]),
        ({"query_regions": "q", "index_regions": "i"}, ["regions"]),
        ({"gallery": "g"}, []),
        ({"gallery": "g", "gallery_labels": "l"}, ["gallery"]),
        ({"gallery": str(tmp_path), "index_ids": "i", "use_data": True}, ["images", "gallery"]),
    ):
        found = keys(**given, **more)
        check_keys(found.descriptors)
        assert available_needs(found, "index") == available


def test_only_what_is_used_is_kept_and_its_references_still_lead_somewhere(compose_config, tmp_path):
    config = compose_config("evaluate", "pipeline=dba_qe", run_dir=tmp_path)
    used = used_part(config)
    assert not {"data", "trainer", "augmentation", "callbacks"} & set(used)
    resolved = OmegaConf.to_container(used.pipeline, resolve=True)
    assert resolved == OmegaConf.to_container(config.pipeline, resolve=True)
    config.descriptors.use_data = True
    assert set(used_part(config).data) == {"root", "source", "held_out"}
    assert used_part(config).data.root == config.data.root == demo_data("world")
