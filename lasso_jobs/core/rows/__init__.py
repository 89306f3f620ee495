"""Rows become moments: columns, buckets, folds, samples and sums by period."""
