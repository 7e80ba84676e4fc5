"""Noise-aware anomalous sound detection with a near and a far microphone."""

__version__ = "0.1.0"
