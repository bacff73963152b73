"""A check of a machine with a GPU in one command: what is right, how fast it is, and what it would be used for."""

from alexnet2012.gpu_check.without_numba import stand_in

NUMBA_ABSENT = stand_in()  # before any other module of this package imports the compiled loops
