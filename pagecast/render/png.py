"""PNG files of pages: small, quick to write, readable by every decoder."""

from __future__ import annotations

import struct

from PIL import Image
from zlib_ng import zlib_ng

SIGNATURE = b"\x89PNG\r\n\x1a\n"
BIT_DEPTH = 8  # of IHDR; its last three fields are 0: deflate, filters, no interlace
COLOUR_TYPES = {"L": 0, "RGB": 2}
NO_FILTER = 0  # pages are flat: differences between pixels deflate worse than the pixels
LEVELS = range(1, 10)
STRIP = 64  # rows of pixels


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib_ng.crc32(data, zlib_ng.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def filtered_rows(image: Image.Image) -> bytes:
    """Return the image's rows of pixels, each behind its filter byte: what PNG deflates."""
    # With a stride one longer than a row, Pillow puts a 0 behind each: the next row's filter byte.
    stride = image.width * len(image.mode) + 1
    return bytes([NO_FILTER]) + image.tobytes("raw", image.mode, stride)[:-1]


def _deflated(image: Image.Image, level: int) -> bytes:
    """Return the image's rows as PNG holds them."""
    if image.mode == "L":
        return zlib_ng.compress(filtered_rows(image), level)
    # Of three bytes a pixel a whole page is more than a processor's cache holds, a strip is not.
    deflater = zlib_ng.compressobj(level)
    tops = range(0, image.height, STRIP)
    boxes = ((0, top, image.width, min(top + STRIP, image.height)) for top in tops)
    strips = [deflater.compress(filtered_rows(image.crop(box))) for box in boxes]
    return b"".join([*strips, deflater.flush()])


def encode_png(image: Image.Image, level: int = 5) -> bytes:
    """Encode an image of mode "L" or "RGB" as a PNG of 8 bits a sample.

    Args:
      level: zlib-ng's effort from 1 (fast) to 9 (small).

    Raises:
      ValueError: another mode, an image without pixels, or no such level.
    """
    if image.mode not in COLOUR_TYPES:
        raise ValueError(f'the image has mode "{image.mode}"; pages have mode "L" or "RGB"')
    if not (image.width and image.height):
        raise ValueError(f"a PNG cannot be {image.width} by {image.height} pixels")
    if level not in LEVELS:
        raise ValueError(f"PNG level {level} is not one of {LEVELS.start} to {LEVELS.stop - 1}")
    kind = COLOUR_TYPES[image.mode]
    header = struct.pack(">IIBBBBB", image.width, image.height, BIT_DEPTH, kind, 0, 0, 0)
    pixels = _deflated(image, level)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
