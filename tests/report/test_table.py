from dataclasses import replace

from rich.console import Console

from landmarks.report.table import ablation_table


def text(table):
    console = Console(width=160, record=True, file=None, color_system=None)
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
    assert "GPU MiB" in text(ablation_table([replace(stage, gpu_peak_mb=5.0) for stage in stages]))
