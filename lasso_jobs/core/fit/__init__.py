"""Moments become a fit: the design, paths of alphas, cross-validation and the choice."""
