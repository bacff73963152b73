"""Whether two results folders agree: bit-identical, statistically the same, or different and where."""
