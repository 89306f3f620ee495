"""The LASSO by scikit-learn's conventions, on rows in memory or in the partitions of Dask."""
