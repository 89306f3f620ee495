"""Reads columns of vectors, whose elements are features: how long they are, and their values."""
