"""Models: the object, its file, the registry of versions and aliases, and what it exports to."""
