import pytest

from landmarks.retrieval import StageReport


@pytest.fixture
def stages():
    """A search that an expansion betters on one split and worsens on the other."""
    return [
        StageReport("search", {"public/map@100": 0.25, "private/map@100": 0.3}, {}, 1.5, 812.4, 20.0, None),
        StageReport(
            "qe",
            {"public/map@100": 0.27, "private/map@100": 0.29},
            {"public/map@100": 0.02, "private/map@100": -0.01},
            0.25,
            900.0,
            30.0,
            None,
        ),
    ]
