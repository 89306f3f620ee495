"""Models: the object, its file, the registry of versions."""
