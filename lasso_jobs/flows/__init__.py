"""Prefect flows over the jobs: coarse tasks, names and artifacts that a person can read."""
