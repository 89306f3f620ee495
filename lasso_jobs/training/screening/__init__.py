"""Trains on very many columns: finds the few that matter, and proves the others zero."""
