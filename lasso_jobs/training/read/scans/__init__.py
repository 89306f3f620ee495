"""Scans before the one read: what says which columns there are, and which rows share a fold."""
