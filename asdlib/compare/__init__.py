"""Comparisons of systems: statistics, tables, submissions, and ideas that do not help."""
