"""Makes `metrics.json` files of invented runs, with the stamp of the whole GLDv2 test set unless a test changes it."""

import copy
import json
from pathlib import Path
from typing import Any

WHOLE: dict[str, Any] = {
    "job": "evaluate",
    "scores": {
        "public": {"map@100": 0.25, "gap": 0.5, "classifier_gap": 0.4},
        "private": {"map@100": 0.31, "gap": 0.52, "classifier_gap": 0.41},
    },
    "protocol": [{"model": "res152_arcmargin", "weights": "0123456789abcdef", "input_size": 448, "resize": "aspect"}],
    "pipeline": {"retrieval": ["search"], "recognition": ["search", "votes"], "choices": {"index": "exact"}},
    "data": {
        "source": "gldv2",
        "release": "v2.1",
        "held_out": False,
        "embedded": {"queries": 117_577, "index": 761_757},
        "truth": {
            "retrieval": {"from": "gldv2", "public": 379, "private": 750, "ignored": 116_448, "digest": "a"},
            "recognition": {"from": "gldv2", "public": 500, "private": 600, "ignored": 116_477, "digest": "b"},
        },
    },
}


def changed(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The whole set's content with other values at dotted places; numbers are places in lists."""
    content = copy.deepcopy(WHOLE)
    for key, value in (changes or {}).items():
        *path, last = (int(word) if word.isdigit() else word for word in key.split("."))
        node: Any = content
        for word in path:
            node = node[word]
        node[last] = value
    return content


def write_run(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    """Write such a file into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(changed(changes)))
    return folder
