"""What is known of a fit beyond its coefficients: stability, diagnostics, checks, errors."""
