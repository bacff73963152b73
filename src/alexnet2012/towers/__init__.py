"""One net over two processes, as the paper's over two GPUs (§3.2, figure 2): a tower and half of each layer in each."""
