"""Evaluation of trained nets: crops, predictions, errors, ensembles, statistics and analyses."""
