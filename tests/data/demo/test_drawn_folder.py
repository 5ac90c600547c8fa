import json
import threading
from pathlib import Path

import pytest

from landmarks.data.demo.drawn_folder import drawn_once
from landmarks.errors import LandmarksError

STAMP = {"version": 1, "seed": 5}


def draw(root: Path, text: str = "whole") -> bool:
    with drawn_once(root, "sketch", "sketch.json", STAMP) as folder:
        if folder is None:
            return False
        assert not any(folder.iterdir()) and folder.parent == root.parent
        (folder / "picture").write_text(text)
        return True


def test_a_folder_is_drawn_once_and_stamped(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "set"
    assert draw(root) and not draw(root, "again")
    assert (root / "picture").read_text() == "whole"
    assert json.loads((root / "sketch.json").read_text()) == STAMP
    assert [p.name for p in root.parent.iterdir()] == ["set"]


def test_an_error_leaves_nothing_and_the_next_one_starts_afresh(tmp_path: Path) -> None:
    root = tmp_path / "set"
    with pytest.raises(OSError, match="disk full"), drawn_once(root, "sketch", "sketch.json", STAMP) as folder:
        assert folder is not None
        (folder / "half").write_text("half")
        raise OSError("disk full")
    assert not list(tmp_path.iterdir())
    assert draw(root) and not (root / "half").exists()


def test_of_many_at_once_one_draws(tmp_path: Path) -> None:
    drawn: list[bool] = []
    threads = [threading.Thread(target=lambda: drawn.append(draw(tmp_path / "set"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drawn) == [False, False, False, True]


def test_what_else_is_there_is_named(tmp_path: Path) -> None:
    root = tmp_path / "set"
    draw(root)
    with (
        pytest.raises(LandmarksError, match=r"holds the sketch \{.*'seed': 5\}, not \{.*'seed': 6\}.*data\.root"),
        drawn_once(root, "sketch", "sketch.json", STAMP | {"seed": 6}),
    ):
        pass
    (root / "sketch.json").write_text("[1,")
    with pytest.raises(LandmarksError, match="damaged"):
        draw(root)
    (root / "sketch.json").unlink()
    with pytest.raises(LandmarksError, match="is not a sketch"):
        draw(root)
