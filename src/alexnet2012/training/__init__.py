"""Training of a net (§5): batches, updates, schedules, checkpoints, records."""
