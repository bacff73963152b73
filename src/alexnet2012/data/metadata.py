"""Image files without their metadata, of which only broken pieces keep an image from being decoded.

EXIF, XMP, colour profiles, comments and text change no pixel here. Decoders read them all the same, and refuse an image
for their sake.
"""

import struct

JPEG_SCAN, JPEG_COMMENT, JPEG_APPLICATIONS, ADOBE_BYTES = 0xDA, 0xFE, range(0xE0, 0xF0), 16
PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
WEBP_METADATA, WEBP_FLAGS = (b"ICCP", b"EXIF", b"XMP "), 0x2C  # the flags say that these are there
# What pixels depend on: sizes, compression, orientation (Pillow turns TIFFs), places of the data, colours.
TIFF_TAGS = {*range(254, 260), 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, *range(322, 326)}
TIFF_TAGS |= {338, 339, 347, *range(529, 533)}
TIFF_ENTRY_BYTES = 12


def strip_metadata(content: bytes) -> bytes:
    """A JPEG, PNG, WebP or TIFF without what its pixels do not depend on; other files as they are."""
    if content.startswith(b"\xff\xd8"):
        return _strip_jpeg(content)
    if content.startswith(PNG_BEGIN):
        return _strip_png(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _strip_webp(content)
    if content.startswith((b"II*\0", b"MM\0*")):
        return _strip_tiff(content)
    return content


def _strip_jpeg(content: bytes) -> bytes:
    """Without comments and the segments of applications, except Adobe's, which tells the colour space."""
    kept, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != JPEG_SCAN:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
        segment = content[at:end]
        told = segment[4:9] == b"Adobe" and len(segment) >= ADOBE_BYTES
        if told or segment[1] not in (JPEG_COMMENT, *JPEG_APPLICATIONS):
            kept.append(segment)
        at = end
    return b"".join((*kept, content[at:]))


def _strip_png(content: bytes) -> bytes:
    """Without ancillary chunks, whose names begin with a small letter, except transparency."""
    kept, at = [content[:8]], 8
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        if content[at + 4 : at + 5].isupper() or content[at + 4 : at + 8] == b"tRNS":
            kept.append(content[at:end])
        at = end
    return b"".join((*kept, content[at:]))


def _strip_webp(content: bytes) -> bytes:
    kept, at = [b"WEBP"], 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if content[at : at + 4] == b"VP8X":
            kept.append(content[at : at + 8] + bytes([content[at + 8] & ~WEBP_FLAGS]) + content[at + 9 : end])
        elif content[at : at + 4] not in WEBP_METADATA:
            kept.append(content[at:end])
        at = end
    chunks = b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def _strip_tiff(content: bytes) -> bytes:
    """With a harmless value, the number 1, for each tag of its first image that no pixel depends on."""
    order = "<" if content.startswith(b"II") else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, first)
        stripped = bytearray(content)
        for at in range(first + 2, first + 2 + count * TIFF_ENTRY_BYTES, TIFF_ENTRY_BYTES):
            (tag,) = struct.unpack_from(f"{order}H", content, at)
            if tag not in TIFF_TAGS:
                struct.pack_into(f"{order}HIB", stripped, at + 2, 1, 1, 1)
    except struct.error:
        return content
    return bytes(stripped)
