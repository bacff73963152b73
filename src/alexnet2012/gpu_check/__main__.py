"""`python -m alexnet2012.gpu_check`."""

import sys

from alexnet2012.gpu_check.runner import check_gpu as main

sys.exit(main())
