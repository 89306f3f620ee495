"""Rows in memory: laid out, or by their entries, and what follows from those."""
