"""The mathematics: arrays in, values out; no I/O, no clock, no logging."""
