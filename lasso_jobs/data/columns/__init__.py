"""Kinds of columns: how the files of a dataset agree on the type of each."""
