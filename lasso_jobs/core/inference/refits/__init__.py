"""Fits to parts of the rows and to resamples of them: stability, errors, learning curve."""
