"""Experiments in landmark retrieval and recognition: train, search, re-rank, score."""

import os
import sys

# `python -m landmarks` puts the working directory first, and a stranger's folder may hold files named after libraries:
# it goes before the first of them is imported. Only what Python has loaded by itself is asked for until then.
if sys.argv[:1] == ["-m"] and {"landmarks", "-mlandmarks"} & set(sys.orig_argv) and not sys.flags.safe_path:
    sys.path[:1] = [path for path in sys.path[:1] if path != os.getcwd()]  # noqa: PTH109

import lazy_loader

__version__ = "0.1.0"

# Names are imported when they are first used, because torch alone takes seconds. `__init__.pyi` lists them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
