"""PNG files of gray pages: small, quick to write, readable by every decoder."""

from __future__ import annotations

import struct

from PIL import Image
from zlib_ng import zlib_ng

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BIT_DEPTH, GRAYSCALE = 8, 0  # of IHDR; its last three fields are 0: deflate, filters, no interlace
NO_FILTER = 0  # pages are flat: differences between pixels deflate worse than the pixels
LEVELS = range(1, 10)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib_ng.crc32(data, zlib_ng.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def filtered_rows(image: Image.Image) -> bytes:
    """Return the image's rows of pixels, each behind its filter byte: what PNG deflates."""
    # With a stride one longer than a row, Pillow puts a 0 behind each: the next row's filter byte.
    return bytes([NO_FILTER]) + image.tobytes("raw", "L", image.width + 1)[:-1]


def encode_png(image: Image.Image, level: int = 5) -> bytes:
    """Encode a grayscale image (mode "L") as an 8-bit grayscale PNG.

    Args:
      level: zlib-ng's effort from 1 (fast) to 9 (small).

    Raises:
      ValueError: another mode, an image without pixels, or no such level.
    """
    if image.mode != "L":
        raise ValueError(f'the image has mode "{image.mode}"; only pages, mode "L", are encoded')
    if not (image.width and image.height):
        raise ValueError(f"a PNG cannot be {image.width} by {image.height} pixels")
    if level not in LEVELS:
        raise ValueError(f"PNG level {level} is not one of {LEVELS.start} to {LEVELS.stop - 1}")
    header = struct.pack(">IIBBBBB", image.width, image.height, BIT_DEPTH, GRAYSCALE, 0, 0, 0)
    pixels = zlib_ng.compress(filtered_rows(image), level)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
