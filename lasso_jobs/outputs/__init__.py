"""What a person does to an output that is written: recount it, take it back, clean it."""
