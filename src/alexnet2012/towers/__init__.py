"""Training of one net by two processes, like the paper's two GPUs (§3.2, figure 2): each holds half of every layer."""
