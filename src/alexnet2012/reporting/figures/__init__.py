"""The figures of a results folder: what the nets learnt, how fast, and how well."""
