"""Whether two results folders agree: bit-identical, statistically the same, or different and where."""

from alexnet2012.reporting.compare.comparison import Comparison, compare_folders
from alexnet2012.reporting.compare.text import describe, render

__all__ = ["Comparison", "compare_folders", "describe", "render"]
