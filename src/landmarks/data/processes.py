"""Ends worker processes together with their parent."""

import multiprocessing
import os
import threading
from multiprocessing.process import BaseProcess


def leave_with_parent() -> None:
    """End this worker process when its parent ends; if the parent is killed, it would otherwise wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
