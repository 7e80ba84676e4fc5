"""Files on disk: written whole, kept with a checksum, listed, decoded."""
