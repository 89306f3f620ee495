"""Scores rows with a model, in runs that commit exactly once; `run` states the protocol."""
