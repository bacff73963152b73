"""What the names of images tell, and how names are written into a line."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# .JPEG in any case, and what gzip makes of it; a name that starts with a dot is some system's own.
IMAGE_NAME = re.compile(r"(?i)(?:^|/)[^./][^/]*\.(?:jpe?g|png)(?:\.gz)?\Z")
EXTENSION = r"(?i)\.(jpe?g|png)(\.gz)?$"
CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
WNID = re.compile(r"n\d{8}", re.ASCII)
OWN_WNID = r"^(?P<wnid>n\d{8})_"
ADDED_WNID = r"_(?P<wnid>n\d{8})$"  # the Hugging Face copy adds it: n01440764_10026_n01440764.JPEG
LISTED = 20


def stems_of(paths: "pa.Array") -> "pa.Array":
    """The edition's own names of images: no folder, no extension, no WordNet id that a copy has added."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(_without_extension(paths), ADDED_WNID, "")


def find_wnids(paths: "pa.Array", pattern: str) -> "pa.Array":
    """The WordNet id that each image's name begins with (OWN_WNID), or that a copy has added to it (ADDED_WNID); null
    where there is none.
    """
    import pyarrow.compute as pc

    return pc.struct_field(pc.extract_regex(_without_extension(paths), pattern), "wnid")


def _without_extension(paths: "pa.Array") -> "pa.Array":
    import pyarrow.compute as pc

    return pc.replace_substring_regex(pc.replace_substring_regex(paths, "^.*/", ""), EXTENSION, "")


def numbers_of(names: "pa.Array") -> "np.ndarray":
    """The eight digits that each name ends with, int64."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers: np.ndarray = pc.cast(pc.utf8_slice_codeunits(names, -8), pa.int64()).to_numpy()
    return numbers


def in_one_line(name: str | bytes) -> str:
    """A name in one line, with backslashes in place of line breaks and of bytes that are not UTF-8.

    Arrow's strings hold no others, and lists of problems have a line for each.
    """
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return CONTROL.sub(lambda odd: odd[0].encode("unicode_escape").decode(), raw.decode("utf-8", "backslashreplace"))


def list_some(items: Sequence[str], limit: int = LISTED) -> str:
    """The first of them in a line, and how many more there are."""
    more = f" and {len(items) - limit:,} more" if len(items) > limit else ""
    return ", ".join(in_one_line(item) for item in items[:limit]) + more


def as_list(lines: Iterable[str]) -> str:
    """A line for each of them, below a heading."""
    return "\n".join(f"  - {line}" for line in lines)
