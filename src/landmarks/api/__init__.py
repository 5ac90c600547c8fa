"""Public Python interface: a function for each command, models, and search and re-ranking of any descriptors."""

import os

import lazy_loader

# With two compute threads and two loader workers on two cores, threads that spin while they wait take the time slices
# that the workers need; with sleeping threads training was 5 times as fast. Torch reads this when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
