"""`lease_job.py OUTPUT NEEDED GRANTED SECONDS`: a job that leases GPUs, sleeps, and writes the times and the GPUs."""

import json
import os
import sys
import time
from pathlib import Path

from alexnet2012.errors import DeviceError
from alexnet2012.gpus import lease_gpus


def main(output: Path, needed: int, granted: int, seconds: float) -> None:
    found = {"needed": needed, "asked": time.monotonic()}
    try:
        with lease_gpus(str(output), granted=granted, needed=needed):
            found |= {"started": time.monotonic(), "cards": os.environ["CUDA_VISIBLE_DEVICES"].split(",")}
            time.sleep(seconds)
            found["ended"] = time.monotonic()
    except DeviceError as error:
        found["error"] = str(error)
    output.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
