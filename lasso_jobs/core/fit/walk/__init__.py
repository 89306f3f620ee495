"""Walks the solutions of many problems at once."""
