"""Training of a net by the rule of section 5: batches, updates, schedules, checkpoints, records."""
