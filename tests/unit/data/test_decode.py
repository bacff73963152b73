"""One image at a time: geometry, and everything odd that archives hold under an image's name."""

import gzip
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from alexnet2012.data import decode as module
from alexnet2012.data.decode import ImageError, decode, fit_square

GREY = Image.new("L", (8, 8), 100)


def save(image: Image.Image, form: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def photograph(width: int = 48, height: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def draw_disc(width: int, height: int, radius: float) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    inside = (x - (width - 1) / 2) ** 2 + (y - (height - 1) / 2) ** 2 <= radius**2
    return Image.fromarray(np.repeat((inside * 255).astype(np.uint8)[:, :, None], 3, axis=2))


def largest_difference(found: Image.Image, expected: Image.Image | np.ndarray) -> int:
    found, expected = np.asarray(found).astype(int), np.asarray(expected).astype(int)
    assert found.shape == expected.shape
    return int(np.abs(found - expected).max())


def gzipped(content: bytes) -> bytes:
    """Without the time, as the bytes stand in names of tests, which two processes must find alike."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize("size", [(300, 200), (200, 300)])
def test_a_disc_stays_a_disc(size):
    square = np.asarray(fit_square(draw_disc(*size, radius=0.4 * min(size)), 64))[:, :, 0] > 127
    assert square.shape == (64, 64)
    # Radius 0.4 x 64 = 25.6, so 51 pixels across in both directions; a warped 300 x 200 would be 34 x 51.
    assert abs(square.any(axis=0).sum() - 51.2) <= 1.5
    assert abs(square.any(axis=1).sum() - 51.2) <= 1.5
    assert abs(square.sum() - np.pi * 25.6**2) < 0.03 * np.pi * 25.6**2


@pytest.mark.parametrize("size", [(500, 375), (101, 997), (257, 256)])
def test_resampling_the_square_alone_is_resampling_all_and_cropping(size):
    picture = photograph(*size)
    scaled = tuple(max(64, round(side * 64 / min(size))) for side in size)
    left, top = ((side - 64) // 2 for side in scaled)
    whole = picture.resize(scaled, Image.Resampling.BILINEAR).crop((left, top, left + 64, top + 64))
    assert largest_difference(fit_square(picture, 64), whole) <= 1


@pytest.mark.parametrize(
    ("content", "name", "notes", "colour"),
    [
        (save(photograph(8, 8).resize((8, 8)), "JPEG"), "x.JPEG", "", None),
        (save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100), "x.jpg", "CMYK", (255, 0, 0)),
        (save(GREY), "x.png", "greyscale", (100, 100, 100)),
        (save(GREY, "JPEG"), "train/n01440764/n01440764_10026", "greyscale", (100, 100, 100)),
        (save(Image.new("RGB", (8, 8), (10, 200, 30)).quantize(4)), "x.PNG", "palette", (10, 200, 30)),
        (save(Image.fromarray(np.full((8, 8), 0x8000, np.uint16))), "x.png", "I;16", (128, 128, 128)),
        (save(Image.new("RGBA", (8, 8), (9, 8, 7, 0))), "x.png", "alpha ignored", (9, 8, 7)),
        (save(Image.new("RGB", (8, 8), (9, 8, 7))), "x.JPEG", "PNG named as JPEG", (9, 8, 7)),
        (save(Image.new("RGB", (8, 8), (9, 8, 7))), "val/ILSVRC2012_val_00000001", "PNG named as JPEG", (9, 8, 7)),
        (save(Image.new("RGB", (16, 8)), "JPEG", exif=turned()), "x.JPEG", "EXIF orientation ignored", (0, 0, 0)),
        (gzipped(save(Image.new("RGB", (8, 8), (9, 8, 7)))), "x.png", "gzipped", (9, 8, 7)),
        (save(Image.new("RGB", (4, 6), (1, 2, 3)), "BMP"), "x.bmp", "enlarged", (1, 2, 3)),
        (gzipped(save(Image.new("L", (4, 4)))), "x.jpg", "gzipped; greyscale; PNG named as JPEG; enlarged", None),
    ],
)  # fmt: skip
def test_what_can_be_read_is_read_as_rgb_and_noted(content, name, notes, colour):
    image = decode(content, name, 8)
    assert (image.notes, image.pixels.shape, image.pixels.dtype) == (notes, (8, 8, 3), np.uint8)
    if colour:
        assert np.abs(image.pixels[4, 4].astype(int) - colour).max() <= 3


def test_the_exif_orientation_turns_nothing():
    """The left half is white; turned as EXIF asks it would be the upper half."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :8] = 255
    image = decode(save(Image.fromarray(pixels), "JPEG", exif=turned()), "x.jpg", 16)
    assert image.pixels[:, :6].min() > 200 and image.pixels[:, 10:].max() < 50


def test_a_jpeg_with_a_hole_or_without_its_end_is_read_and_noted():
    """libjpeg fills such images up in silence; a file that was fetched in parts has holes of whole blocks."""
    content = save(Image.fromarray(np.random.default_rng(0).integers(0, 256, (299, 299, 3), dtype=np.uint8)), "JPEG")
    holed = content[:3000] + bytes(5000) + content[8000:]
    assert decode(holed, "x.jpg", 16).notes == "a hole of zeros, perhaps damaged"
    endless = content[:-2] + bytes(2)
    assert decode(endless, "x.jpg", 16).notes == "without its end mark"
    assert decode(content, "x.jpg", 16).notes == ""


SMOOTH = photograph(24, 20).resize((320, 280), Image.Resampling.BICUBIC)
BORDERED = SMOOTH.copy()
BORDERED.paste("white", (0, 200, 320, 280))
# Each with the notes on a sound one: of many telephones, with a small JPEG inside, and with a plain border.
JPEGS = {
    "plain": (save(SMOOTH, "JPEG"), ""),
    "telephone": (save(SMOOTH, "MPO", save_all=True, append_images=[SMOOTH]), "first of several frames"),
    "thumbnail": (save(BORDERED, "JPEG", exif=b"Exif\0\0" + save(photograph(), "JPEG")), ""),
    "border": (save(BORDERED, "JPEG"), ""),
    "greyscale": (save(BORDERED.convert("L"), "JPEG"), "greyscale"),
    "restarts": (save(SMOOTH, "JPEG", restart_marker_rows=1), ""),
    "full chroma": (save(BORDERED, "JPEG", subsampling=0), ""),
}


@pytest.mark.parametrize("kind", JPEGS)
def test_an_end_mark_before_the_last_row_of_a_jpeg_is_noted(kind):
    content, usual = JPEGS[kind]
    assert decode(content, "x.jpg", 16).notes == usual
    middle = len(save(photograph(), "JPEG")) * (kind == "thumbnail") + 4000
    for early in (content[:middle] + b"\xff\xd9" + content[middle + 2 :], content[:middle] + b"\xff\xd9"):
        assert decode(early, "x.jpg", 16).notes == "; ".join(filter(None, (usual, "ends early, filled with grey")))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "GIF", "MPO", "TIFF"])
def test_a_hole_of_zeros_in_a_compressed_image_is_noted_or_refused(form):
    options = {"compression": "jpeg"} if form == "TIFF" else {}
    content = save(photograph(200, 200).convert("P" if form == "GIF" else "RGB"), form, **options)
    assert "hole" not in decode(content, "x", 16).notes
    try:
        assert (
            "a hole of zeros, perhaps damaged" in decode(content[:9000] + bytes(5000) + content[14000:], "x", 16).notes
        )
    except ImageError as refused:
        assert str(refused)


def claimed_png(width: int, height: int) -> bytes:
    """A PNG that claims to be `width` x `height` in a few bytes."""

    def block(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", zlib.compress(b"\0" * 99)) + block(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"not an image", "it is no image of a known format"),
        (save(photograph(64, 64), "JPEG")[:2000], "truncated"),
        (gzipped(save(photograph(64, 64)))[:500], "it is gzipped and damaged"),
        (claimed_png(9460, 9460), "9,460 x 9,460 pixels: a decompression bomb"),
        (save(photograph(64, 64), "WEBP")[:2000], "a WebP that is cut short"),
        (save(GREY, "TIFF", tiffinfo={339: 2}), "signed numbers"),
        (save(Image.new("I;16", (8, 8)), "TIFF", tiffinfo={339: 2}), "signed numbers"),
    ],
)
def test_what_cannot_be_read_says_why(content, reason):
    with pytest.raises(ImageError, match=reason):
        decode(content, "x.jpg", 8)


def test_gzip_is_unpacked_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(ImageError, match="larger than 1,000 bytes"):
        decode(gzipped(b"\0" * 1001), "x.jpg", 8)


def tiff_12_bit(value: int) -> bytes:
    """8 x 8 pixels of 12 bits, two of them in three bytes."""
    tags = {256: 8, 257: 8, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 96}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in tags.items())
    pair = (value << 12 | value).to_bytes(3, "big")
    return b"II*\0" + struct.pack("<I", 104) + 32 * pair + struct.pack("<H", len(tags)) + entries + bytes(4)


def pgm(value: int, maximum: int) -> bytes:
    return f"P5 8 8 {maximum}\n".encode() + 64 * value.to_bytes(1 + (maximum > 255), "big")


@pytest.mark.parametrize(
    ("content", "grey"),
    [
        (pgm(128, 255), 128),
        (pgm(512, 1023), 128),
        (pgm(0x8000, 65535), 128),
        (pgm(65535, 65535), 255),
        (b"P2 8 8 4095\n" + 64 * b"2048 ", 128),
        (tiff_12_bit(2048), 128),
        (save(Image.fromarray(np.full((8, 8), 0x8000, np.uint16)), "TIFF"), 128),
        (save(Image.fromarray(np.full((8, 8), 0x4000, np.uint16)), "TIFF", tiffinfo={262: 0}), 191),
    ],
    ids=["8", "10", "16", "white", "text", "tiff-12", "tiff-16", "tiff-white-is-zero"],
)
def test_grey_of_more_than_8_bits_is_scaled_by_its_own_range(content, grey):
    image = decode(content, "x.tif" if content[:2] == b"II" else "x.pgm", 8)
    assert abs(int(image.pixels[4, 4, 0]) - grey) <= 1 and "named as" not in image.notes
