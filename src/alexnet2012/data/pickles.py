"""Safe reading of pickled numpy arrays: a downloaded pickle could contain code, which is never run here."""

import pickle
from typing import IO, Any

import numpy as np
from numpy._core.multiarray import _reconstruct

ALLOWED = {"_reconstruct": _reconstruct, "ndarray": np.ndarray, "dtype": np.dtype}
MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")


def unpickle_arrays(file: IO[bytes], encoding: str) -> Any:
    """The contents of a pickle of arrays, lists, dictionaries, numbers, strings and bytes.

    `encoding`: that of Python 2's strings, or "bytes". Raises pickle.UnpicklingError, with the name, if the pickle asks
    for anything else; a damaged pickle may raise other exceptions too.
    """
    return _ArraysOnlyUnpickler(file, encoding=encoding).load()


class _ArraysOnlyUnpickler(pickle.Unpickler):  # noqa: S301 (only what ALLOWED names)
    def find_class(self, module: str, name: str) -> Any:
        if module in MODULES and name in ALLOWED:
            return ALLOWED[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not read: only numpy arrays are")
