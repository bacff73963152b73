"""`python -m alexnet2012`, as torchrun starts it."""

import sys

from alexnet2012.cli import main

sys.exit(main())
