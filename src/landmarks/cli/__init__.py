"""The commands; everything they do lives elsewhere."""

import os

# Two compute threads and two loader workers on two cores: threads that spin while they wait for each other then take
# the time slices that the workers need. Sleeping ones made training 5 times as fast there. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
