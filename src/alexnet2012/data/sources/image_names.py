"""Parsing of image names (stem, WordNet id, number), and names in messages."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# .JPEG in any case, possibly gzipped; hidden files (names that begin with a dot) are no images.
IMAGE_NAME = re.compile(r"(?i)(?:^|/)[^./][^/]*\.(?:jpe?g|png)(?:\.gz)?\Z")
EXTENSION = r"(?i)\.(jpe?g|png)(\.gz)?$"
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
WNID = re.compile(r"n\d{8}", re.ASCII)
OWN_WNID = r"^(?P<wnid>n\d{8})_"
ADDED_WNID = r"_(?P<wnid>n\d{8})$"  # added in the Hugging Face copy: n01440764_10026_n01440764.JPEG
LISTED = 20


def stems_of(paths: "pa.Array") -> "pa.Array":
    """Images' names as in the edition: without folder, extension, and a WordNet id added by a copy."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(_without_extension(paths), ADDED_WNID, "")


def find_wnids(paths: "pa.Array", pattern: str) -> "pa.Array":
    """The WordNet id at the beginning of each image's name (OWN_WNID), or added at its end by a copy (ADDED_WNID); null
    if there is none.
    """
    import pyarrow.compute as pc

    return pc.struct_field(pc.extract_regex(_without_extension(paths), pattern), "wnid")


def _without_extension(paths: "pa.Array") -> "pa.Array":
    import pyarrow.compute as pc

    return pc.replace_substring_regex(pc.replace_substring_regex(paths, "^.*/", ""), EXTENSION, "")


def numbers_of(names: "pa.Array") -> "np.ndarray":
    """The number in the last eight digits of each name, int64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers: np.ndarray = pc.cast(pc.utf8_slice_codeunits(names, -8), pa.int64()).to_numpy()
    return numbers


def in_one_line(name: str | bytes) -> str:
    """A name in valid UTF-8 on one line: line breaks and invalid bytes are written as backslash escapes.

    Arrow's strings must be UTF-8, and lists of problems have one line per image.
    """
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return CONTROL.sub(lambda odd: odd[0].encode("unicode_escape").decode(), raw.decode("utf-8", "backslashreplace"))


def list_some(items: Sequence[str], limit: int = LISTED) -> str:
    """The first `limit` items on one line, and the number of further ones."""
    more = f" and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(in_one_line(item) for item in items[:limit]) + more


def as_list(lines: Iterable[str]) -> str:
    """A bulleted list, one item per line."""
    return "\n".join(f"  - {line}" for line in lines)
