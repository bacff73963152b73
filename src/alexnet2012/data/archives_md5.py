"""The md5 of official archives, measured beside the packing: another one is worth a warning, for mirrors re-pack."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from alexnet2012.data.downloads import checksum
from alexnet2012.data.sources.source import Checksum


@dataclass
class Measured:
    """md5 by file name; `warnings` is complete once the context that gave this has ended."""

    md5: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@contextmanager
def measured_beside(expected: tuple[Checksum, ...]) -> Iterator[Measured]:
    """Measures the archives' md5 in a thread while the block runs; hashing leaves the interpreter to others."""
    measured = Measured()

    def measure() -> None:
        for each in expected:
            try:
                found = measured.md5[each.path.name] = checksum(each.path, "md5")
            except OSError as error:
                warning = f"the md5 of {each.path} could not be measured: {error.strerror}"
            else:
                warning = (
                    f"{each.path} has md5 {found}, its publisher says {each.md5}: it is another packing of the images, "
                    "or a damaged one"
                )
                if found == each.md5:
                    continue
            measured.warnings.append(warning)
            print(f"warning: {warning}", flush=True)

    thread = threading.Thread(target=measure, daemon=True)
    thread.start()
    yield measured
    thread.join()
