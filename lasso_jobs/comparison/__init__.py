"""The use case compare: other estimators, searched on a sample of a training's rows."""
