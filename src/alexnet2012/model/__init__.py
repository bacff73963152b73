"""The nets of the paper and of its author: layers, shapes, initial weights, response normalisation."""
