"""What processes that decode or draw images need to know of their parent."""

import multiprocessing
import os
import threading
from multiprocessing.process import BaseProcess


def leave_with_parent() -> None:
    """End this worker process when its parent ends: one whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
