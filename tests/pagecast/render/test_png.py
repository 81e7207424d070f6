"""PNG encoding: the bytes as the standard has them, and what decoders make of them."""

from __future__ import annotations

import io
import random
import struct
import zlib

import pytest
from PIL import Image

from pagecast.render.oracle import OracleRenderer
from pagecast.render.png import STRIP, encode_png, filtered_rows


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Split a PNG file into (kind, data), checking signature, lengths and check sums."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", png[at + 8 + length : at + 12 + length])
        assert check == zlib.crc32(kind + data)
        found.append((kind, data))
        at += 12 + length
    return found


def noise(width: int, height: int) -> Image.Image:
    pixels = random.Random(width * height).choices((0, 1, 128, 254, 255), k=width * height)
    return Image.frombytes("L", (width, height), bytes(pixels))


def test_the_bytes_of_a_small_image() -> None:
    image = Image.frombytes("L", (3, 2), bytes([1, 2, 3, 253, 254, 255]))
    header, pixels, end = chunks(encode_png(image))
    assert header == (b"IHDR", struct.pack(">II", 3, 2) + bytes([8, 0, 0, 0, 0]))
    assert pixels[0] == b"IDAT"
    assert zlib.decompress(pixels[1]) == bytes([0, 1, 2, 3, 0, 253, 254, 255])
    assert end == (b"IEND", b"")


@pytest.mark.parametrize(
    ("size", "pixels", "rows"),
    [
        ((1, 1), [7], [0, 7]),
        ((1, 3), [7, 8, 9], [0, 7, 0, 8, 0, 9]),
        ((3, 1), [7, 8, 9], [0, 7, 8, 9]),
        ((2, 2), [0, 255, 255, 0], [0, 0, 255, 0, 255, 0]),
    ],
)
def test_filtered_rows(size: tuple[int, int], pixels: list[int], rows: list[int]) -> None:
    assert filtered_rows(Image.frombytes("L", size, bytes(pixels))) == bytes(rows)


@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_keeps_the_pixels(level: int) -> None:
    image = noise(131, 67)
    png = encode_png(image, level)
    with Image.open(io.BytesIO(png)) as decoded:
        assert (decoded.format, decoded.mode, decoded.size) == ("PNG", "L", (131, 67))
        assert decoded.tobytes() == image.tobytes()
        assert decoded.convert("RGB").tobytes() == image.convert("RGB").tobytes()
    assert [kind for kind, _ in chunks(png)] == [b"IHDR", b"IDAT", b"IEND"]


def test_the_level_is_used_and_is_5_by_default() -> None:
    image = OracleRenderer().render("Words, again and again. " * 40, 256).image
    sizes = [len(encode_png(image, level)) for level in (1, 5, 9)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert encode_png(image) == encode_png(image, 5)


@pytest.mark.parametrize("height", [1, 30, STRIP, STRIP + 1, 3 * STRIP - 1])
def test_coloured_pages_are_encoded_as_they_look(height: int) -> None:
    band = noise(40, height)
    image = Image.merge("RGB", [band, band.transpose(0), Image.new("L", band.size)])
    with Image.open(io.BytesIO(encode_png(image))) as decoded:
        assert decoded.mode == "RGB"
        assert decoded.tobytes() == image.tobytes()


def test_a_cropped_image_is_encoded_as_it_looks() -> None:
    whole = noise(40, 30)
    with Image.open(io.BytesIO(encode_png(whole.crop((5, 6, 25, 16))))) as decoded:
        assert decoded.tobytes() == whole.crop((5, 6, 25, 16)).tobytes()


@pytest.mark.parametrize(
    ("image", "level", "message"),
    [
        (Image.new("RGBA", (2, 2)), 5, 'mode "RGBA"; pages have mode "L" or "RGB"'),
        (Image.new("1", (2, 2)), 5, 'mode "1"; pages have'),
        (Image.new("L", (0, 3)), 5, "a PNG cannot be 0 by 3 pixels"),
        (Image.new("L", (3, 0)), 5, "a PNG cannot be 3 by 0 pixels"),
        (Image.new("L", (2, 2)), 0, "PNG level 0 is not one of 1 to 9"),
        (Image.new("L", (2, 2)), 10, "PNG level 10 is not one of 1 to 9"),
    ],
)
def test_what_cannot_be_encoded(image: Image.Image, level: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_png(image, level)
