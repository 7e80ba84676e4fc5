"""The official recordings of DCASE 2026 Task 2: where they are, and what a folder holds of them."""

from asdlib.official.fetch import download

__all__ = ["download"]
