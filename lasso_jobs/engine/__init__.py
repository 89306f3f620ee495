"""The workers that a job runs on, threads or a Dask cluster's, and their tasks."""
