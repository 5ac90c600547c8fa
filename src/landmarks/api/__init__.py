"""What people import: a small function for each command, models, search and re-ranking of anybody's descriptors."""

import os

import lazy_loader

# Two compute threads and two loader workers on two cores: threads that spin while they wait for each other then take
# the time slices that the workers need. Sleeping ones made training 5 times as fast there. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
