"""Dask: a cluster, a bounded map, a reduction in a fixed order."""
