"""Drift: how far scored rows lie from the training rows, run by run."""
