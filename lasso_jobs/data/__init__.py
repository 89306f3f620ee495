"""Datasets: what files there are, what is in them, rows to arrays, results to tables."""
