"""Training: the job, the Lightning module, its callbacks, schedules, and resuming of runs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
