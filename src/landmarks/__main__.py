"""Runs the command `landmarks` as `python -m landmarks`."""

import sys
from pathlib import Path

if __name__ == "__main__" and not sys.flags.safe_path and sys.path[:1] == [str(Path.cwd())]:
    del sys.path[0]  # the working directory, which may be untrusted and hold files named after libraries

from landmarks.cli.main import main

if __name__ == "__main__":
    main()
