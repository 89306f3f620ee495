"""The input: which files there are, what their columns are, and the reading of their rows."""
