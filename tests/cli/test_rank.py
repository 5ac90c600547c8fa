from importlib import import_module

from landmarks.cli.rank import JOBS


def test_every_job_of_a_rank_can_be_imported() -> None:
    for room, job in JOBS.values():
        assert callable(getattr(import_module(room), job))
