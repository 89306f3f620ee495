"""The same work by others, a module each; each prints one JSON object."""
