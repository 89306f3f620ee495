"""The one read of the training rows, and the cache of what it leaves."""
