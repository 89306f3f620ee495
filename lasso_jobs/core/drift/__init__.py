"""Mathematics of drift: statistics of scored rows, their limits, their verdicts."""
