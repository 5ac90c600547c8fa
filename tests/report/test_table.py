import csv
from dataclasses import replace

import pytest
from rich.console import Console

from landmarks.errors import LandmarksError
from landmarks.report import ablation_table, write_stages


def text(table, width=100):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def row(table, name):
    return next(line.split() for line in text(table).splitlines() if line.split()[:1] == [name])


def test_stages_with_changes_and_costs(stages):
    table = ablation_table(stages)
    assert row(table, "search") == ["search", "0.2500", "0.3000", "1.50", "812", "20"]
    assert row(table, "qe") == ["qe", "0.2700", "+0.0200", "0.2900", "-0.0100", "0.25", "900", "30"]
    assert "mapped files not counted" in text(table)
    assert "GPU" not in text(table)


def test_unknown_memory_has_no_column_and_no_change_is_told(stages):
    bare = [replace(stage, peak_mb=None, rise_mb=None, changes=dict.fromkeys(stage.changes, 0.0)) for stage in stages]
    assert "MiB" not in text(ablation_table(bare))
    assert row(ablation_table(bare), "qe") == ["qe", "0.2700", "±0", "0.2900", "±0", "0.25"]
    with_gpu = [replace(stage, gpu_peak_mb=5.0) for stage in stages]
    assert "GPU" in text(ablation_table(with_gpu))
    assert row(ablation_table(with_gpu), "search")[-1] == "5"


def test_long_names_are_folded_and_no_figure_is_cut(stages):
    name = "local_search_then_spatial_verification_of_the_first_hundred"
    long = [replace(stage, stage=f"{name}_{stage.stage}", gpu_peak_mb=81_920.0) for stage in stages]
    lines = text(ablation_table(long)).splitlines()
    assert max(map(len, lines)) <= 100
    for figure in ("0.2500", "0.2700", "+0.0200", "-0.0100", "81920", "seconds"):
        assert any(figure in line for line in lines)
    assert "".join(line.split()[0] for line in lines if "_" in line).count(name) == 2


def test_the_table_as_csv_holds_all_digits_and_nothing_where_nothing_is_known(tmp_path, stages):
    exact = [replace(stages[0], scores={"all/map@100": 1 / 3}), replace(stages[1], scores={"all/map@100": 0.5})]
    exact[1] = replace(exact[1], changes={"all/map@100": 1 / 6}, peak_mb=None)
    write_stages(tmp_path / "stages.csv", exact)
    first, second = csv.DictReader((tmp_path / "stages.csv").open())
    assert float(first["all/map@100"]) == 1 / 3 and first["change of all/map@100"] == ""
    assert float(second["change of all/map@100"]) == 1 / 6 and second["peak_mb"] == ""
    assert (first["stage"], first["seconds"], first["gpu_peak_mb"]) == ("search", "1.5", "")
    with pytest.raises(LandmarksError, match="could not write the table"):
        write_stages(tmp_path / "none" / "stages.csv", exact)
