"""Monitoring: errors of predictions whose outcomes are known by now."""
