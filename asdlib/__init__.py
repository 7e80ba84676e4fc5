"""Noise-aware anomalous sound detection with a near and a far microphone."""

from asdlib.runtime import process

__version__ = "0.1.0"

process.prepare()  # before any library that reads what it sets
