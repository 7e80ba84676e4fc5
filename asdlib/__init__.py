"""Noise-aware anomalous sound detection with a near and a far microphone."""

from asdlib import surroundings

__version__ = "0.1.0"

surroundings.prepare()  # before any library that reads what it sets
