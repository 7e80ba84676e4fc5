"""The embedded recordings: machines, rooms and noises, and the data set that they make."""
