"""The training report and the model card, stored with each version."""
