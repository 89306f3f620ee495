"""Training: plan, one read of the data, selection, evaluation, registration, report."""
