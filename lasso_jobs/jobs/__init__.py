"""The use cases: train, score, plan. No Prefect here."""
