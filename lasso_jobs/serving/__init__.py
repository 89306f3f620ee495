"""The service: a model of the registry that answers requests over HTTP."""
