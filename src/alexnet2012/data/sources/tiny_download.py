"""Tiny ImageNet's official archive, fetched from the address that it was published at."""

import sys
from pathlib import Path

from alexnet2012.data.downloads import Archive, Way, fetch_resumably
from alexnet2012.data.sources.tiny_layouts import ACCEPTED, ADDRESS, ARCHIVE, Place
from alexnet2012.errors import DataError

PUBLISHED = Archive(ARCHIVE, "md5", "90528d7ca1a48142e341f4ef8d21d0de")
PUBLISHED_BYTES = 248_100_043

# Flushed, so that every byte that came shows and is kept. 416: all of it is there already. A connection that ends
# early raises nothing by itself.
RESUMING_CODE = """
import pathlib, sys, urllib.error, urllib.request
address, path = sys.argv[1], pathlib.Path(sys.argv[2])
begun = path.stat().st_size if path.exists() else 0
request = urllib.request.Request(address, headers={"Range": f"bytes={begun}-"} if begun else {})
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    sys.exit(0 if begun and error.code == 416 else f"{error} ({address})")
came = 0
with answer, path.open("ab" if answer.status == 206 else "wb") as file:
    while block := answer.read1(2**16):
        came += file.write(block)
        file.flush()
expected = int(answer.headers.get("Content-Length", came))
if came < expected:
    sys.exit(f"the connection ended after {came:,} of {expected:,} bytes")
"""


def by_address(address: str, archive: Archive) -> Way:
    """The way that fetches a file by its address and, where it was broken off, goes on."""
    return Way(address, (sys.executable, "-c", RESUMING_CODE, address, archive.file_name), archive)


OFFICIAL = by_address(ADDRESS, PUBLISHED)


def fetch_tiny_imagenet(downloads: Path, way: Way, stall_s: float) -> Place:
    """The archive in `downloads`. Raises DataError with the reason why it could not be fetched, and other ways."""
    print(f"Tiny ImageNet: fetching {way.name} ...", flush=True)
    try:
        return Place("zip", fetch_resumably(way, downloads, stall_s))
    except DataError as error:
        raise DataError(
            f"Tiny ImageNet could not be fetched from {way.name}: {error}. The next run goes on where a download "
            f"was broken off; or put {ACCEPTED} into {downloads}, or name it as the dataset's folder."
        ) from None
