"""One net trained by two processes, as the paper's by two GPUs (§3.2, figure 2): each holds half of every layer."""
