"""What a person writes: the job files of train, score, monitor and compare, and their dates."""
