"""A reproduction of "ImageNet Classification with Deep Convolutional Neural Networks" (NIPS 2012)."""
