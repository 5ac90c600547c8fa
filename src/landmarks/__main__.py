"""`python -m landmarks` is the command `landmarks`."""

import sys
from pathlib import Path

if __name__ == "__main__" and not sys.flags.safe_path and sys.path[:1] == [str(Path.cwd())]:
    del sys.path[0]  # `-m` puts it first, and a stranger's folder may hold files named after libraries

from landmarks.cli.main import main

if __name__ == "__main__":
    main()
