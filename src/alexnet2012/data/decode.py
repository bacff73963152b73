"""Decoding of an image file into a square of pixels, with notes on everything unusual about it.

§2: "we first rescaled the image such that the shorter side was of length 256, and then cropped out the central 256x256
patch from the resulting image."

Pillow decodes: on 500x375 JPEGs it was as fast as simplejpeg (within 2 % of decoding and resizing) with the same
pixels, and it reads all the formats that the archives hold under the name .JPEG.
"""

import gzip
import io
import re
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, features

from alexnet2012.data.metadata import strip_metadata
from alexnet2012.data.reading import MAX_UNPACKED_BYTES

IMAGE_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".pnm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
READ_FORMATS = sorted({*IMAGE_FORMATS.values()})  # Pillow's others include interpreters (EPS)
# The first bytes of these formats. TIFF is left out: cameras' raw files begin like it, and their preview would be read.
FIRST_BYTES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP|BM.{4}\0{4}.{4}[\x0c(4@l|8]\0{3}|P[1-6]\s+[#\d]", re.DOTALL
)
FIRST = 512  # bytes to read for this, of a file that may be gzipped
MAX_PIXELS = 89_478_485  # Pillow's own limit; the largest photographs of ImageNet have about 60 million
GZIP_MAGIC = b"\x1f\x8b"
EXIF_ORIENTATION = 0x0112
TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_SAMPLES, SIGNED = 258, 262, 339, 2
JPEG_END = b"\xff\xd9"
# The scan of a baseline JPEG that has no other, up to the end mark.
ONLY_SCAN = re.compile(rb"\xff\xc0.*?\xff\xda(?:[^\xff]++|\xff+[\0\xd0-\xd7])*+(?=\xff+\xd9)", re.DOTALL)
HOLE = bytes(4096)  # a block that was never written to disk; no compressed photograph has so many zeros in a row
JPEGS = ("JPEG", "MPO")  # MPO: several JPEGs in one file, as telephones write them
COMPRESSED = (*JPEGS, "PNG", "WEBP", "GIF")
BROKEN_METADATA = "broken metadata ignored"
MODES = {"L": "greyscale", "1": "black and white", "P": "palette", "RGBA": "alpha ignored", "LA": "alpha ignored"}


class ImageError(Exception):
    """An image cannot be read; the text is the reason. All are reported together."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """A decoded image: `pixels` uint8 (s, s, 3) in RGB; its original size in pixels; `notes` separated by "; "."""

    pixels: np.ndarray
    width: int
    height: int
    notes: str


def decode(content: bytes, name: str, size_px: int) -> DecodedImage:
    """The central square of an image file. Raises ImageError unless it is a whole image of a known format.

    EXIF orientation is ignored, as in 2012, and noted; so is broken metadata. A format other than the one `name`
    indicates is noted.
    """
    notes = []
    if content.startswith(GZIP_MAGIC):
        content = _unzip(content)
        notes.append("gzipped")
    if not content:
        raise ImageError("the file is empty")
    try:
        return _decode_content(content, name, size_px, notes)
    except (ImageError, MemoryError):
        raise
    # A damaged file can raise any exception within a decoder; it is reported, and prepare then stops.
    except Exception as error:
        # What metadata says is ignored, so that none may keep an image from being read.
        if (stripped := strip_metadata(content)) != content:
            with suppress(Exception):
                return _decode_content(stripped, name, size_px, [*notes, BROKEN_METADATA])
        raise ImageError(_reason(error)) from error


def begins_like_an_image(start: bytes) -> bool:
    """Whether a file with these first bytes, FIRST or fewer, is an image that `decode` reads, whatever its name."""
    if start.startswith(GZIP_MAGIC):
        with suppress(zlib.error):
            start = zlib.decompressobj(wbits=31).decompress(start, FIRST)
    return FIRST_BYTES.match(start) is not None


def fit_square(image: Image.Image, size_px: int) -> Image.Image:
    """The central square of `image` after scaling its SHORTER side to `size_px` (§2); the aspect ratio is kept.

    Only the square is resampled, not what is cropped away. Pillow keeps the box in float32, which changes a pixel by
    one grey level at most.
    """
    width, height = image.size
    shorter = min(width, height)
    scaled = tuple(max(size_px, round(side * size_px / shorter)) for side in (width, height))
    left, top = ((side - size_px) // 2 for side in scaled)
    if scaled == image.size:
        return image.crop((left, top, left + size_px, top + size_px))
    across, down = width / scaled[0], height / scaled[1]
    box = (left * across, top * down, min(width, (left + size_px) * across), min(height, (top + size_px) * down))
    return image.resize((size_px, size_px), Image.Resampling.BILINEAR, box=box)


def describe_decoder() -> str:
    """The versions of the libraries that decoded pixels depend on."""
    return f"Pillow {features.version('pil')}, libjpeg-turbo {features.version('libjpeg_turbo')}"


def _decode_content(content: bytes, name: str, size_px: int, notes: list[str]) -> DecodedImage:
    """As `decode`, of a file that is not gzipped and after the `notes`; raises what Pillow does, too."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        # Pillow only warns of images this large; here they are refused before they are decoded.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(content), formats=READ_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(
                f"it would have {image.width:,} x {image.height:,} pixels: a decompression bomb; the limit is "
                f"{MAX_PIXELS:,} pixels"
            )
        image.load()
        oddities = _list_oddities(image, name, size_px)
    if warned and BROKEN_METADATA not in notes:
        notes = [*notes, BROKEN_METADATA]
    notes = [*notes, *oddities, *_list_damages(image, content)]
    pixels = np.asarray(fit_square(_convert_to_rgb(image), size_px))
    return DecodedImage(pixels, image.width, image.height, "; ".join(notes))


def _unzip(content: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as file:
            unzipped = file.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ImageError(f"it is gzipped and damaged: {error}") from error
    if len(unzipped) > MAX_UNPACKED_BYTES:
        raise ImageError(f"unzipped it is larger than {MAX_UNPACKED_BYTES:,} bytes")
    return unzipped


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    if SIGNED in getattr(image, "tag_v2", {}).get(TIFF_SAMPLES, ()):
        raise ImageError("its pixels are signed numbers, whose range is unknown")
    if image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I"):
        # Pillow would clip 16-bit values at 255, turning the image white.
        return Image.fromarray(_scale_to_bytes(image)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ImageError(f'its pixels are 32 bits wide (mode "{image.mode}") and their range is unknown')
    return image if image.mode == "RGB" else image.convert("RGB")


def _scale_to_bytes(image: Image.Image) -> np.ndarray:
    """The values of a greyscale image of 9 to 16 bits, uint8 (h, w), by the number of bits that a TIFF states."""
    tags = getattr(image, "tag_v2", {})  # a dictionary of a TIFF; Pillow itself scales the other formats to 16 bits
    bits = tags.get(TIFF_BITS, (16,))[0]
    values: np.ndarray = (np.asarray(image) >> (bits - 8)).astype(np.uint8)
    return 255 - values if tags.get(TIFF_PHOTOMETRIC) == 0 else values  # 0: white is zero


def _list_oddities(image: Image.Image, name: str, size_px: int) -> list[str]:
    notes = [] if image.mode == "RGB" else [MODES.get(image.mode, image.mode)]
    promised = IMAGE_FORMATS.get(PurePosixPath(name).suffix.lower(), "JPEG")  # ImageNet's own names have no suffix
    if image.format != promised and not (promised == "JPEG" and image.format in JPEGS):
        notes.append(f"{image.format} named as {promised}")
    if image.getexif().get(EXIF_ORIENTATION, 1) != 1:
        notes.append("EXIF orientation ignored")
    if getattr(image, "is_animated", False):
        notes.append("first of several frames")
    if min(image.size) < size_px:
        notes.append("enlarged")
    return notes


def _list_damages(image: Image.Image, content: bytes) -> list[str]:
    """Signs of damage that a decoder does not report, but fills with grey or with other pixels."""
    compressed = image.format in COMPRESSED or image.info.get("compression") == "jpeg"  # as TIFFs may be
    damages = ["a hole of zeros, perhaps damaged"] if compressed and HOLE in content else []
    if image.format in JPEGS:
        damages += [] if JPEG_END in content else ["without its end mark"]
        damages += ["ends early, filled with grey"] if _ends_early(image, content) else []
    return damages


def _ends_early(image: Image.Image, content: bytes) -> bool:
    """Whether the end mark of a baseline JPEG comes before its last row; of others it cannot be told.

    A decoder fills what is missing with one colour. Only where the last block has one colour is the file decoded again,
    with its end mark replaced: then the decoder waits for more, and fails, unless it has all rows.
    """
    last = image.crop((image.width - 8, image.height - 8, image.width, image.height))
    content = strip_metadata(content) if last.getcolors(1) else b""  # which may hold a small JPEG
    if not (scan := ONLY_SCAN.search(content)):
        return False
    again = Image.open(io.BytesIO(content[: scan.end()] + bytes(16)), formats=READ_FORMATS)
    again.draft(None, (1, 1))  # an eighth of its size
    try:
        again.load()
    except OSError:
        return True
    return False


def _reason(error: Exception) -> str:
    text = str(error)
    if "cannot identify image file" in text:
        return "it is no image of a known format"
    if "could not create decoder object" in text:
        return "it is a WebP that is cut short or damaged"
    return text or type(error).__name__
