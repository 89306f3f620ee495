"""The bars: cases that are measured in turns, and judged by what their ratios may be at most."""
