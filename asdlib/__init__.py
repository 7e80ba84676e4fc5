"""Noise-aware anomalous sound detection with a near and a far microphone."""

import os

__version__ = "0.1.0"

# Read when torch is first imported. By default its threads wait for one another at full speed; on a
# machine that others use as well, one thread then waits for a core and the rest burn theirs: 60
# times slower, measured on two cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # some microseconds: the next operation is near
