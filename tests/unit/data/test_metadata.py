"""Broken metadata keeps no image from being read, and is noted; what pixels depend on may not be broken."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from alexnet2012.data.decode import decode
from alexnet2012.data.metadata import strip_metadata

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8))


def save(form: str, **options) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, form, **options)
    return buffer.getvalue()


WHOLE = {form: save(form, **({"lossless": True} if form == "WEBP" else {})) for form in ("JPEG", "PNG", "WEBP", "TIFF")}


def jpeg(marker: int, content: bytes) -> bytes:
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    return WHOLE["JPEG"][:2] + segment + WHOLE["JPEG"][2:]


def png(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    return WHOLE["PNG"][:33] + chunk + WHOLE["PNG"][33:]


def webp(kind: bytes, content: bytes, flag: int) -> bytes:
    header = b"VP8X" + struct.pack("<IB3x", 10, flag) + (47).to_bytes(3, "little") + (31).to_bytes(3, "little")
    chunks = b"WEBP" + header + WHOLE["WEBP"][12:] + kind + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def tiff(tag: int, kind: int, count: int, value: int) -> bytes:
    """With one entry more, in place of its description."""
    content = bytearray(save("TIFF", tiffinfo={270: "described"}))
    (first,) = struct.unpack_from("<I", content, 4)
    for at in range(first + 2, len(content) - 12, 12):
        if struct.unpack_from("<H", content, at) == (270,):
            struct.pack_into("<HHII", content, at, tag, kind, count, value)
            return bytes(content)
    raise AssertionError


BROKEN = {
    "jpeg-icc": ("JPEG", jpeg(0xE2, b"ICC_PROFILE\0")),
    "jpeg-exif": ("JPEG", jpeg(0xE1, b"Exif\0\0II*\0" + struct.pack("<IH", 8, 500) + b"abc")),
    "png-exif": ("PNG", png(b"eXIf", b"garbage")),
    "png-compressed-text": ("PNG", png(b"zTXt", b"a\0\x05notzlib")),
    "png-icc": ("PNG", png(b"iCCP", b"a\0\x07notzlib")),
    "png-time": ("PNG", png(b"tIME", b"abc", 3)),
    "webp-exif": ("WEBP", webp(b"EXIF", b"garbage!", 8)),
    "tiff-description": ("TIFF", tiff(270, 2, 400, 99_999_999)),
    "tiff-xmp": ("TIFF", tiff(700, 1, 400, 99_999_999)),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.filterwarnings("error")
def test_broken_metadata_is_ignored_and_noted(case):
    form, content = BROKEN[case]
    image = decode(content, f"x.{form.lower()}", 16)
    np.testing.assert_array_equal(image.pixels, decode(WHOLE[form], f"x.{form.lower()}", 16).pixels)
    assert image.notes == "broken metadata ignored"


@pytest.mark.parametrize("form", WHOLE)
def test_pixels_are_the_same_without_metadata(form):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    content = save(form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    stripped = strip_metadata(content)
    assert stripped != content
    found, expected = decode(stripped, "x", 16), decode(content, "x", 16)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    if form != "TIFF":  # which Pillow turns
        assert "EXIF orientation ignored" in expected.notes and "EXIF" not in found.notes
