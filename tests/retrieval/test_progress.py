import logging

from landmarks.retrieval import Progress, progress


def test_long_work_says_share_rate_and_time_left(caplog, monkeypatch):
    monkeypatch.setattr(progress, "PERIOD_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        work = Progress("graph", 2000, done=500)
        work.advance(500)
    assert caplog.messages[0] == "graph: going on after 500 of 2,000"
    assert "graph: 1,000 of 2,000" in caplog.messages[1] and "left" in caplog.messages[1]


def test_short_work_says_nothing(caplog):
    with caplog.at_level(logging.INFO):
        Progress("graph", 10).advance(10)
    assert not caplog.messages
