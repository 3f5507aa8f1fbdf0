"""Training: configuration, data, loop, checkpoints, statistics."""
