"""The live explorer."""
