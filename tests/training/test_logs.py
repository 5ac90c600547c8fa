from pathlib import Path

from landmarks.training import LOG, log_files, set_log_aside


def test_logs_of_interrupted_runs_are_kept_in_order(tmp_path: Path) -> None:
    assert log_files(tmp_path) == []
    set_log_aside(tmp_path)  # nothing to keep yet
    path = tmp_path / LOG
    path.parent.mkdir()
    for number in range(11):
        path.write_text(str(number))
        set_log_aside(tmp_path)
        assert not path.exists()
    path.write_text("11")
    assert [file.read_text() for file in log_files(tmp_path)] == [str(number) for number in range(12)]
