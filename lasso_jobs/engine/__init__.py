"""Dask: the cluster that a job runs on, its health, and its tasks."""
