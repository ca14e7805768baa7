"""Writes small image files as odd as the ones that people keep, and what Pillow makes of them.

    python make_odd.py        (Pillow 13 and NumPy: the environment of model-export)

They go to odd/. odd.json holds, for every file, the upright size and the RGB values of every third
pixel as in expected.json, or the error with which Pillow refuses the file.
"""

import base64
import io
import json
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from make_images import alpha, encoded, exif, picture, png, png_chunk, upright_rgb
from PIL import Image

HERE = Path(__file__).parent / "odd"
HEIGHT, WIDTH = 10, 16
STEP = 3
SOI, EOI, DHT, SOS, APP1, APP14 = 0xD8, 0xD9, 0xC4, 0xDA, 0xE1, 0xEE
RGB = picture(HEIGHT, WIDTH)
GREY = RGB.convert("L")
VALUES = np.asarray(RGB).astype(int)
LEVELS = VALUES[..., 0]


# JPEG


def segment(marker, data, length=None):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2 if length is None else length) + data


class Jpeg:
    """A JPEG file in pieces: segments (marker, bytes), of which SOS takes its coded data along."""

    def __init__(self, data):
        self.pieces = []
        at = 2
        while data[at + 1] != EOI:
            end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
            if data[at + 1] == SOS:
                while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                    end += 1
            self.pieces.append((data[at + 1], data[at:end]))
            at = end

    def where(self, marker):
        return [i for i, piece in enumerate(self.pieces) if piece[0] == marker]

    def bytes(self, before=None, start=b"", end=b"", eoi=b"\xff\xd9", drop=()):
        """With stray bytes before some pieces, given by number."""
        out = b"\xff\xd8" + start
        for i, (marker, piece) in enumerate(self.pieces):
            if marker not in drop:
                out += (before or {}).get(i, b"") + piece
        return out + end + eoi


def jpeg_files():
    options = {"format": "JPEG", "quality": 90, "subsampling": 0}
    plain = Jpeg(encoded(RGB, **options))
    small = Jpeg(encoded(RGB, optimize=True, **options))
    progressive = Jpeg(encoded(RGB, progressive=True, **options))
    restarts = encoded(RGB, restart_marker_blocks=1, **options)
    scan = small.where(SOS)[0]
    tables = small.where(DHT)[0]
    last = progressive.where(SOS)[-1]

    yield "junk-before-start.jpg", b"\0\0\r\n" + small.bytes()
    yield "junk-after-start.jpg", small.bytes(start=b"junk")
    yield "junk-before-tables.jpg", small.bytes({tables: b"\0\1\2"})
    yield "junk-zeros.jpg", small.bytes({tables: bytes(40), scan: bytes(3)})
    yield "junk-before-scan.jpg", small.bytes({scan: b"abc"})
    yield "junk-fill.jpg", small.bytes({tables: b"\xff" * 9, scan: b"\xff"}, end=b"\xff\xff")
    yield "junk-stuffed.jpg", small.bytes({tables: b"\xff\0\xff\0", scan: b"\xff\0"})
    yield "junk-between-scans.jpg", progressive.bytes({last: b"\1\2\3"})
    yield "junk-before-end.jpg", small.bytes(end=b"\0\0")
    yield "junk-after-end.jpg", small.bytes() + b"\xff\xd8junk" * 3
    yield "junk-lone-restart.jpg", small.bytes({tables: b"\xff\xd3"})
    yield "junk-start-twice.jpg", small.bytes({tables: b"\xff\xd8"})
    yield "marker-tem.jpg", small.bytes({tables: b"\xff\x01"})
    yield "marker-reserved.jpg", small.bytes({tables: segment(0x02, b"ab")})
    yield "no-end.jpg", small.bytes(eoi=b"")
    yield "no-end-progressive.jpg", progressive.bytes(eoi=b"")
    yield "no-end-zeros.jpg", small.bytes(eoi=bytes(30))
    yield "no-application-segment.jpg", small.bytes(drop=(0xE0,))
    yield "no-huffman-tables.jpg", plain.bytes(drop=(DHT,))
    yield "two-images.jpg", small.bytes() + small.bytes()

    turned = exif(6).tobytes()
    ifd = turned.index(b"II*\0") if b"II*\0" in turned else turned.index(b"MM\0*")
    for name, data in {
        "exif-empty": b"Exif\0\0",
        "exif-no-zeros": b"Exif",
        "exif-noise": b"Exif\0\0" + bytes((i * 37 + 11) % 251 for i in range(60)),
        "exif-cut": turned[: ifd + 12],
        "exif-far": turned[: ifd + 4] + b"\xff\xff\xff\x7f",
        "exif-one-zero": b"Exif\0" + turned[ifd:],
        "exif-wrong-order": turned.replace(b"II*\0", b"IX*\0").replace(b"MM\0*", b"MX\0*"),
        "exif-count": turned[: ifd + 8] + b"\xff\xff" + turned[ifd + 10 :],
    }.items():
        yield f"{name}.jpg", small.bytes(start=segment(APP1, data))
    yield "exif-orientation-0.jpg", small.bytes(start=segment(APP1, exif(0).tobytes()))
    yield "exif-orientation-9.jpg", small.bytes(start=segment(APP1, exif(9).tobytes()))
    for name, kind, value in (
        ("long", 4, struct.pack("<I", 6)),
        ("byte", 1, b"\6\0\0\0"),
        ("text", 2, b"6\0\0\0"),
        ("signed", 8, struct.pack("<hh", 6, 0)),
    ):
        data = b"Exif\0\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHI", 0x112, kind, 1) + value + bytes(4)
        yield f"exif-orientation-{name}.jpg", small.bytes(start=segment(APP1, data))
    data = b"Exif\0\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHI", 0x112, 3, 2) + struct.pack("<HH", 6, 1)
    yield "exif-orientation-two.jpg", small.bytes(start=segment(APP1, data + bytes(4)))
    xmp = segment(APP1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>")
    yield "exif-after-xmp.jpg", small.bytes(start=xmp + segment(APP1, turned))
    yield "exif-twice.jpg", small.bytes(start=segment(APP1, b"Exif\0\0") + segment(APP1, turned))
    yield "exif-of-two-kinds.jpg", small.bytes(start=segment(APP1, turned) + segment(APP1, exif(3).tobytes()))
    yield "exif-late.jpg", small.bytes({scan: segment(APP1, turned)})
    yield "exif-in-junk.jpg", small.bytes({0: b"\0\0\0", 1: segment(APP1, turned)})
    yield "segment-length-0.jpg", small.bytes(start=segment(APP1, b"", 0))
    yield "segment-length-1.jpg", small.bytes(start=segment(APP1, b"", 1))
    yield "segment-too-short.jpg", small.bytes(start=segment(APP1, turned, 10))
    yield "segment-too-long.jpg", small.bytes(start=segment(APP1, turned, len(turned) + 5))
    yield "segment-past-end.jpg", small.bytes(start=segment(APP1, turned, 60000))
    yield "comment-length-0.jpg", small.bytes(start=segment(0xFE, b"", 0))
    yield "jfif-short.jpg", small.bytes(start=segment(0xE0, b"JFIF"), drop=(0xE0,))
    yield "jfif-version.jpg", small.bytes(start=segment(0xE0, b"JFIF\0\x09\x09\0\0\1\0\1\0\0"), drop=(0xE0,))
    yield "jfif-thumbnail.jpg", small.bytes(start=segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\x50\x50"), drop=(0xE0,))
    yield "icc-noise.jpg", small.bytes(start=segment(0xE2, b"ICC_PROFILE\0\1\1" + b"noise" * 9))
    yield "icc-missing-part.jpg", small.bytes(start=segment(0xE2, b"ICC_PROFILE\0\2\3" + b"x" * 20))
    yield "photoshop-noise.jpg", small.bytes(start=segment(0xED, b"Photoshop 3.0\08BIM\4\4\0\0\xff\xff"))
    yield "mpf-noise.jpg", small.bytes(start=segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff"))

    for name, data in {
        "adobe-short": b"Adobe",
        "adobe-cut": b"Adobe\0\x64\0\0",
        "adobe-no-transform": b"Adobe\0\x64\0\0\0\0",
        "adobe-transform-0": b"Adobe\0\x64\0\0\0\0\0",
        "adobe-transform-2": b"Adobe\0\x64\0\0\0\0\2",
        "adobe-transform-9": b"Adobe\0\x64\0\0\0\0\x09",
        "adobe-long": b"Adobe\0\x64\0\0\0\0\1and more",
        "adobe-other": b"Adobo\0\x64\0\0\0\0\0",
    }.items():
        yield f"{name}.jpg", small.bytes(start=segment(APP14, data), drop=(0xE0,))
        if name in ("adobe-transform-0", "adobe-transform-9"):
            yield f"jfif-{name}.jpg", small.bytes({1: segment(APP14, data)})
    cmyk = Jpeg(encoded(RGB.convert("CMYK"), format="JPEG", quality=90, optimize=True))
    yield "cmyk-no-adobe.jpg", cmyk.bytes(drop=(APP14,))
    yield "cmyk-adobe-cut.jpg", cmyk.bytes(start=segment(APP14, b"Adobe\0\x64\0\0"), drop=(APP14,))
    yield "cmyk-adobe-transform-1.jpg", cmyk.bytes(start=segment(APP14, b"Adobe\0\x64\0\0\0\0\1"), drop=(APP14,))

    yield "restarts.jpg", restarts
    at = restarts.index(b"\xff\xd0")
    yield "restart-wrong-number.jpg", restarts[:at] + b"\xff\xd5" + restarts[at + 2 :]
    yield "restart-missing.jpg", restarts[:at] + restarts[at + 2 :]
    whole = small.bytes()
    frame = whole.index(b"\xff\xc0")
    yield "frame-extended.jpg", whole[: frame + 1] + b"\xc1" + whole[frame + 2 :]
    yield "frame-12-bits.jpg", whole[: frame + 4] + b"\x0c" + whole[frame + 5 :]
    yield "frame-height-0.jpg", whole[: frame + 5] + b"\0\0" + whole[frame + 7 :]
    yield "frame-lossless.jpg", whole[: frame + 1] + b"\xc3" + whole[frame + 2 :]
    yield "frame-arithmetic.jpg", whole[: frame + 1] + b"\xc9" + whole[frame + 2 :]
    ids = bytearray(whole)
    start = whole.index(b"\xff\xda")
    for i, letter in enumerate(b"RGB"):
        ids[frame + 10 + 3 * i] = ids[start + 5 + 2 * i] = letter
    yield "frame-named-rgb.jpg", Jpeg(bytes(ids)).bytes(drop=(0xE0,))
    spectral = bytearray(whole)
    spectral[start + 11 : start + 14] = b"\0\0\0"
    yield "scan-parameters.jpg", bytes(spectral)
    for name, factors in {"440": (0x12, 0x11), "411": (0x41, 0x11), "chroma-larger": (0x11, 0x21)}.items():
        odd = Jpeg(encoded(Image.new("RGB", (WIDTH, HEIGHT), (200, 90, 40)), optimize=True, **options))
        data = bytearray(odd.bytes())
        at = data.index(b"\xff\xc0")
        data[at + 11], data[at + 14], data[at + 17] = factors[0], factors[1], factors[1]
        yield f"sampling-{name}.jpg", bytes(data)
    damaged = bytearray(plain.bytes())
    at = damaged.index(b"\xff\xda") + 14
    damaged[at + 60 : at + 66] = b"\x7e\x7e\x7e\x7e\x7e\x7e"
    yield "data-damaged.jpg", bytes(damaged)
    yield "data-short.jpg", plain.bytes()[:-60] + b"\xff\xd9"


# BMP


def bmp(header, pixels, palette=b"", offset=None, size=None, gap=b""):
    body = header + palette + gap
    start = 14 + len(body) if offset is None else offset
    length = 14 + len(body) + len(pixels) if size is None else size
    return b"BM" + struct.pack("<IHHI", length & 0xFFFFFFFF, 0, 0, start) + body + pixels


def info(bits, compression=0, colours=0, height=HEIGHT, planes=1, size=40, width=WIDTH, data=0):
    return struct.pack("<IiiHHIIiiII", size, width, height, planes, bits, compression, data, 0, 0, colours, 0)


def rows(values, bits):
    """Bottom row first, padded to four bytes."""
    out = b""
    for row in values[::-1]:
        if bits >= 8:
            line = row.astype({8: "<u1", 16: "<u2", 32: "<u4"}[bits]).tobytes()
        else:
            line = np.packbits(((row[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)).tobytes()
        out += line + bytes(-len(line) % 4)
    return out


def bmp_files():
    bgr = b"".join(row[:, ::-1].astype(np.uint8).tobytes() for row in VALUES[::-1])
    index = np.asarray(RGB.quantize(16)).astype(int)
    colours = np.array(RGB.quantize(16).getpalette()[:48]).reshape(-1, 3)
    quads = b"".join(bytes([c[2], c[1], c[0], 0]) for c in colours.tolist())
    triples = b"".join(bytes([c[2], c[1], c[0]]) for c in colours.tolist())
    packed = (VALUES[..., 0] << 16) | (VALUES[..., 1] << 8) | VALUES[..., 2]
    r5, g5, b5 = (VALUES[..., i] >> 3 for i in range(3))
    x555 = (r5 << 10) | (g5 << 5) | b5
    x565 = (r5 << 11) | ((VALUES[..., 1] >> 2) << 5) | b5

    def masks(*values):
        return struct.pack(f"<{len(values)}I", *values)

    core = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24)
    yield "os2-rgb.bmp", bmp(core, bgr)
    yield (
        "os2-palette-8.bmp",
        bmp(struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 8), rows(index, 8), triples + bytes(3 * 240)),
    )
    yield "os2-palette-short.bmp", bmp(struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 8), rows(index, 8), triples)
    yield "os2-palette-4.bmp", bmp(struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 4), rows(index, 4), triples)
    yield "os2-version-2.bmp", bmp(info(24, size=64) + bytes(24), bgr)
    yield "os2-version-2-short.bmp", bmp(info(24, size=16)[:16], bgr)
    yield "palette-16.bmp", bmp(info(8, colours=16), rows(index, 8), quads)
    yield "palette-4-bits.bmp", bmp(info(4, colours=16), rows(index, 4), quads)
    yield "palette-2-bits.bmp", bmp(info(2, colours=4), rows(index % 4, 2), quads[:16])
    yield "palette-1-bit.bmp", bmp(info(1, colours=2), rows(index % 2, 1), quads[:8])
    yield "palette-1-bit-black.bmp", bmp(info(1, colours=2), rows(index % 2, 1), b"\xff\xff\xff\0\0\0\0\0")
    yield "palette-one-colour.bmp", bmp(info(1, colours=1), rows(index * 0, 1), quads[:4])
    yield "palette-count-0.bmp", bmp(info(8), rows(index, 8), quads + bytes(4 * 240))
    yield "palette-count-0-short.bmp", bmp(info(8), rows(index, 8), quads)
    yield "palette-count-large.bmp", bmp(info(8, colours=300), rows(index, 8), quads + bytes(4 * 284))
    yield "palette-count-huge.bmp", bmp(info(8, colours=70000), rows(index, 8), quads + bytes(4 * 240))
    yield "palette-count-4-bits.bmp", bmp(info(4, colours=256), rows(index, 4), quads + bytes(4 * 240))
    yield "palette-exceeded.bmp", bmp(info(8, colours=9), rows(index, 8), quads[:36])
    yield "palette-of-rgb.bmp", bmp(info(24, colours=16), bgr, quads)
    yield "palette-of-triples.bmp", bmp(info(8, colours=16), rows(index, 8), triples)
    grey = b"".join(bytes([i, i, i, 0]) for i in range(256))
    yield "palette-grey.bmp", bmp(info(8, colours=256), rows(LEVELS, 8), grey)
    yield (
        "palette-reserved-255.bmp",
        bmp(info(8, colours=16), rows(index, 8), b"".join(quads[i : i + 3] + b"\xff" for i in range(0, 64, 4))),
    )
    yield "offset-0.bmp", bmp(info(24), bgr, offset=0)
    yield "offset-small.bmp", bmp(info(8, colours=16), rows(index, 8), quads, offset=54)
    yield "offset-gap.bmp", bmp(info(8, colours=16), rows(index, 8), quads, gap=b"gap" * 9)
    yield "offset-gap-rgb.bmp", bmp(info(24), bgr, gap=bytes(10))
    yield "offset-past-end.bmp", bmp(info(24), bgr, offset=100000)
    yield "size-0.bmp", bmp(info(24), bgr, size=0)
    yield "size-small.bmp", bmp(info(24), bgr, size=30)
    yield "size-huge.bmp", bmp(info(24), bgr, size=0x7FFFFFFF)
    yield "trailer.bmp", bmp(info(24), bgr) + b"trailer"
    yield "planes-0.bmp", bmp(info(24, planes=0), bgr)
    yield "planes-3.bmp", bmp(info(24, planes=3), bgr)
    yield "top-down.bmp", bmp(info(24, height=-HEIGHT), bgr)
    yield "width-negative.bmp", bmp(info(24, width=-WIDTH), bgr)
    yield (
        "cut-last-padding.bmp",
        bmp(
            info(24, width=WIDTH - 1),
            b"".join(row[:-1, ::-1].astype(np.uint8).tobytes() + b"\0\0\0" for row in VALUES[::-1])[:-3],
        ),
    )
    yield "cut-last-byte.bmp", bmp(info(24), bgr[:-1])
    yield "rgb-555.bmp", bmp(info(16), rows(x555, 16))
    yield "fields-565.bmp", bmp(info(16, 3) + masks(0xF800, 0x7E0, 0x1F), rows(x565, 16))
    yield "fields-555.bmp", bmp(info(16, 3) + masks(0x7C00, 0x3E0, 0x1F), rows(x555, 16))
    yield "fields-444.bmp", bmp(info(16, 3) + masks(0xF00, 0xF0, 0xF), rows(x555 & 0xFFF, 16))
    yield "rgb-32.bmp", bmp(info(32), rows(packed, 32))
    yield "rgb-32-opaque.bmp", bmp(info(32), rows(packed | 0xFF000000, 32))
    yield "rgb-32-alpha.bmp", bmp(info(32), rows(packed | (LEVELS << 24), 32))
    yield "fields-rgb-32.bmp", bmp(info(32, 3) + masks(0xFF0000, 0xFF00, 0xFF), rows(packed, 32))
    yield "fields-bgr-32.bmp", bmp(info(32, 3) + masks(0xFF, 0xFF00, 0xFF0000), rows(packed, 32))
    yield "fields-shifted-32.bmp", bmp(info(32, 3) + masks(0xFF000000, 0xFF0000, 0xFF00), rows(packed << 8, 32))
    yield "fields-10-bits.bmp", bmp(info(32, 3) + masks(0x3FF00000, 0xFFC00, 0x3FF), rows(packed, 32))
    yield "fields-zero.bmp", bmp(info(32, 3) + masks(0, 0, 0), rows(packed, 32))
    four = masks(0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for name, size in (("52", 52), ("56", 56), ("version-4", 108), ("version-5", 124)):
        rest = (four + bytes(124))[: size - 40]
        yield f"alpha-header-{name}.bmp", bmp(info(32, 3, size=size) + rest, rows(packed | (LEVELS << 24), 32))
    yield "alpha-mask-unused.bmp", bmp(info(32, 3, size=108) + four + bytes(52), rows(packed, 32))
    yield "version-4-rgb.bmp", bmp(info(24, size=108) + bytes(68), bgr)
    yield "version-5-no-fields.bmp", bmp(info(32, size=124) + four + bytes(68), rows(packed | (LEVELS << 24), 32))
    run = b"".join(b"".join(bytes([1, v]) for v in row.tolist()) + b"\0\0" for row in index[::-1])
    yield "rle-8.bmp", bmp(info(8, 1, 16, data=len(run) + 2), run + b"\0\1", quads)
    yield "rle-8-no-end.bmp", bmp(info(8, 1, 16, data=len(run)), run, quads)
    absolute = b"".join(b"\0\x10" + bytes(row.tolist()) + b"\0\0" for row in index[::-1])
    yield "rle-8-absolute.bmp", bmp(info(8, 1, 16), absolute + b"\0\1", quads)
    yield "rle-8-delta.bmp", bmp(info(8, 1, 16), b"\4\5\0\2\3\2\4\6\0\0\5\7\0\1", quads)
    yield "rle-8-short.bmp", bmp(info(8, 1, 16), run[:100] + b"\0\1", quads)
    nibbles = b"".join(
        b"".join(bytes([2, a << 4 | b]) for a, b in zip(row[::2], row[1::2], strict=True)) + b"\0\0"
        for row in index[::-1].tolist()
    )
    yield "rle-4.bmp", bmp(info(4, 2, 16), nibbles + b"\0\1", quads)
    yield "embedded-png.bmp", bmp(info(0, 5), encoded(RGB, format="PNG"))
    yield "embedded-jpeg.bmp", bmp(info(0, 4), encoded(RGB, format="JPEG"))
    yield "bits-64.bmp", bmp(info(64), bytes(WIDTH * HEIGHT * 8))


# TIFF


def tiff(tags, blocks, order="<", big=False, magic=None, counts=True):
    """A TIFF of strips or tiles; tags are (number, type, values), block tags are added."""
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 16: 8}
    offset_type, word = (16, "Q") if big else (4, "I")
    head = 16 if big else 8
    tile = any(tag[0] == 322 for tag in tags)
    starts = [head + sum(map(len, blocks[:i])) for i in range(len(blocks))]
    tags = [*tags, (324 if tile else 273, offset_type, starts)]
    if counts:
        tags.append((325 if tile else 279, offset_type, [len(b) for b in blocks]))
    tags.sort()
    data = b"".join(blocks)
    data += bytes(len(data) % 2)
    directory = head + len(data)
    entry = 20 if big else 12
    extra_at = directory + (8 if big else 2) + entry * len(tags) + (8 if big else 4)
    body, extra = struct.pack(order + ("Q" if big else "H"), len(tags)), b""
    for number, kind, values in tags:
        form = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 16: "Q"}[kind]
        value = struct.pack(f"{order}{len(values)}{form}", *values)
        count = len(values) // 2 if kind == 5 else len(values)
        body += struct.pack(order + "HH" + word, number, kind, count)
        room = struct.calcsize(word) if not big else 8
        if len(value) > room:
            body += struct.pack(order + word, extra_at + len(extra))
            extra += value
        else:
            body += value + bytes(room - len(value))
        assert sizes[kind] * len(values) <= len(value) + 8 * count
    body += bytes(8 if big else 4)
    name = b"II" if order == "<" else b"MM"
    if big:
        start = name + struct.pack(order + "HHHQ", 43, 8, 0, directory)
    else:
        start = name + (magic or struct.pack(order + "H", 42)) + struct.pack(order + "I", directory)
    return start + data + body + extra


def tags(bits, photometric, compression=1, samples=None, width=WIDTH, height=HEIGHT, **more):
    out = [
        (256, 3, [width]),
        (257, 3, [height]),
        (258, 3, bits),
        (259, 3, [compression]),
        (262, 3, [photometric]),
        (277, 3, [len(bits) if samples is None else samples]),
    ]
    if "rows" in more:
        out.append((278, 3, [more["rows"]]))
    if "tile" in more:
        out += [(322, 3, [more["tile"]]), (323, 3, [more["tile"]])]
    for key, number in {"planar": 284, "predictor": 317, "fill": 266, "orientation": 274}.items():
        if key in more:
            out.append((number, 3, [more[key]]))
    for key, number in {"formats": 339, "extra": 338, "map": 320, "subsampling": 530}.items():
        if key in more:
            out.append((number, 3, more[key]))
    return out


def tiff_files():
    rgb = VALUES.astype(np.uint8).tobytes()
    grey = LEVELS.astype(np.uint8).tobytes()
    three = tags([8, 8, 8], 2)
    for order, name in (("<", "little"), (">", "big")):
        yield f"bigtiff-{name}.tif", tiff(three, [rgb], order, big=True)
    yield "bigtiff-strips.tif", tiff(tags([8, 8, 8], 2, rows=4), [rgb[:192], rgb[192:384], rgb[384:]], big=True)
    yield "bigtiff-deflate.tif", tiff(tags([8, 8, 8], 2, 8), [zlib.compress(rgb)], big=True)
    yield "bigtiff-grey.tif", tiff(tags([8], 1), [grey], big=True)
    yield "bigtiff-turned.tif", tiff(tags([8, 8, 8], 2, orientation=6), [rgb], big=True)
    yield (
        "bigtiff-palette.tif",
        tiff(tags([8], 3, map=[(i * 37 % 256) * 257 for i in range(768)]), [grey], ">", big=True),
    )
    yield "bigtiff-truncated.tif", tiff(three, [rgb], big=True)[:300]
    yield "bigtiff-offset-size.tif", tiff(three, [rgb], big=True).replace(b"\x2b\0\x08\0", b"\x2b\0\x04\0", 1)
    yield "bigtiff-pillow.tif", encoded(RGB, format="TIFF", big_tiff=True)
    yield "magic-swapped-little.tif", tiff(three, [rgb], magic=b"\0\x2a")
    yield "magic-swapped-big.tif", tiff(three, [rgb], ">", magic=b"\x2a\0")

    for order, end in (("<", "little"), (">", "big")):
        for name, dtype, form in (("unsigned", "u4", 1), ("signed", "i4", 2), ("float", "f4", 3)):
            data = LEVELS.astype(order + dtype).tobytes()
            yield f"bits-32-{name}-{end}.tif", tiff(tags([32], 1, formats=[form]), [data], order)
    yield "bits-32-plain.tif", tiff(tags([32], 1), [LEVELS.astype("<u4").tobytes()])
    yield "bits-32-wide.tif", tiff(tags([32], 1), [(LEVELS * 16843009).astype("<u4").tobytes()])
    yield "bits-32-16-bits.tif", tiff(tags([32], 1), [(LEVELS * 257).astype("<u4").tobytes()])
    yield "bits-32-negative.tif", tiff(tags([32], 1, formats=[2]), [(LEVELS - 100).astype("<i4").tobytes()])
    yield "bits-32-deflate.tif", tiff(tags([32], 1, 8, formats=[1]), [zlib.compress(LEVELS.astype("<u4").tobytes())])
    unit = (LEVELS / 255).astype("<f4")
    bright = np.maximum(LEVELS, 10).astype("<f4")
    yield "float-bright.tif", tiff(tags([32], 1, formats=[3]), [bright.tobytes()])
    yield "float-unit.tif", tiff(tags([32], 1, formats=[3]), [unit.tobytes()])
    yield "float-fractions.tif", tiff(tags([32], 1, formats=[3]), [(LEVELS * 0.99).astype("<f4").tobytes()])
    yield (
        "float-not-a-number.tif",
        tiff(tags([32], 1, formats=[3]), [np.where(LEVELS > 99, np.nan, LEVELS).astype("<f4").tobytes()]),
    )
    yield "float-64.tif", tiff(tags([64], 1, formats=[3]), [LEVELS.astype("<f8").tobytes()])
    yield "float-16.tif", tiff(tags([16], 1, formats=[3]), [LEVELS.astype("<f2").tobytes()])
    yield "float-rgb.tif", tiff(tags([32] * 3, 2, formats=[3] * 3), [VALUES.astype("<f4").tobytes()])
    yield "float-white-is-zero.tif", tiff(tags([32], 0, formats=[3]), [LEVELS.astype("<f4").tobytes()])
    yield "bits-32-rgb.tif", tiff(tags([32] * 3, 2), [(VALUES * 16843009).astype("<u4").tobytes()])
    yield "bits-16-rgb.tif", tiff(tags([16] * 3, 2), [(VALUES * 257).astype("<u2").tobytes()])
    yield "bits-16-rgb-big.tif", tiff(tags([16] * 3, 2), [(VALUES * 257).astype(">u2").tobytes()], ">")
    yield "bits-16-grey-big.tif", tiff(tags([16], 1), [(LEVELS * 257).astype(">u2").tobytes()], ">")
    yield "bits-16-signed.tif", tiff(tags([16], 1, formats=[2]), [(LEVELS * 100).astype("<i2").tobytes()])
    yield "bits-16-white-is-zero.tif", tiff(tags([16], 0), [(LEVELS * 257).astype("<u2").tobytes()])
    levels = LEVELS.astype(int)
    twelve = b"".join(
        bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255])
        for row in (levels * 16).tolist()
        for a, b in zip(row[::2], row[1::2], strict=True)
    )
    yield "bits-12.tif", tiff(tags([12], 1), [twelve])
    for bits in (1, 2, 4):
        packed = b"".join(
            np.packbits(((row[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)).tobytes()
            for row in levels >> (8 - bits)
        )
        yield f"bits-{bits}.tif", tiff(tags([bits], 1), [packed])
        yield f"bits-{bits}-white-is-zero.tif", tiff(tags([bits], 0), [packed])
        yield (
            f"bits-{bits}-palette.tif",
            tiff(tags([bits], 3, map=[i * 6151 % 65536 for i in range(3 << bits)]), [packed]),
        )
    yield "palette-8-bit-values.tif", tiff(tags([8], 3, map=[i * 37 % 256 for i in range(768)]), [grey])
    yield "signed-8.tif", tiff(tags([8], 1, formats=[2]), [grey])
    yield "white-is-zero.tif", tiff(tags([8], 0), [grey])
    planes = [VALUES[..., i].astype(np.uint8).tobytes() for i in range(3)]
    yield "planes.tif", tiff(tags([8, 8, 8], 2, planar=2), planes)
    yield (
        "planes-strips.tif",
        tiff(tags([8, 8, 8], 2, planar=2, rows=5), [p[i : i + 80] for p in planes for i in (0, 80)]),
    )
    tile = np.zeros((16, 16, 3), np.uint8)
    tile[:HEIGHT] = VALUES
    yield "tile.tif", tiff(tags([8, 8, 8], 2, tile=16), [tile.tobytes()])
    yield "no-counts.tif", tiff(three, [rgb], counts=False)
    yield "no-photometric.tif", tiff([t for t in three if t[0] != 262], [rgb])
    yield "no-compression.tif", tiff([t for t in three if t[0] != 259], [rgb])
    yield "bits-of-one-sample.tif", tiff(tags([8], 2, samples=3), [rgb])
    yield "samples-missing.tif", tiff([t for t in three if t[0] != 277], [rgb])
    wrong = tiff(three, [rgb])
    counts = wrong.rindex(struct.pack("<HHI", 279, 4, 1)) + 8
    yield "count-0.tif", wrong[:counts] + bytes(4) + wrong[counts + 4 :]
    yield "count-large.tif", wrong[:counts] + struct.pack("<I", 99999) + wrong[counts + 4 :]
    yield "count-small.tif", wrong[:counts] + struct.pack("<I", 400) + wrong[counts + 4 :]
    yield "offset-past-end.tif", tiff(three, [rgb])[:8] + wrong[488:]
    yield "unknown-tags.tif", tiff([*three, (65000, 2, list(b"private\0")), (65001, 3, [7])], [rgb])
    yield "tag-type-unknown.tif", wrong.replace(struct.pack("<HH", 277, 3), struct.pack("<HH", 277, 99))
    yield "orientation-9.tif", tiff(tags([8, 8, 8], 2, orientation=9), [rgb])
    yield (
        "extra-unspecified.tif",
        tiff(tags([8] * 4, 2, extra=[0]), [np.dstack([VALUES, LEVELS]).astype(np.uint8).tobytes()]),
    )
    yield "extra-missing.tif", tiff(tags([8] * 4, 2), [np.dstack([VALUES, LEVELS]).astype(np.uint8).tobytes()])
    yield (
        "alpha-associated.tif",
        tiff(
            tags([8] * 4, 2, extra=[1]),
            [np.dstack([VALUES * LEVELS[..., None] // 255, LEVELS]).astype(np.uint8).tobytes()],
        ),
    )
    yield "grey-alpha.tif", tiff(tags([8] * 2, 1, extra=[2]), [np.dstack([LEVELS, LEVELS]).astype(np.uint8).tobytes()])
    yield (
        "five-samples.tif",
        tiff(tags([8] * 5, 2, extra=[0, 0]), [np.dstack([VALUES, LEVELS, LEVELS]).astype(np.uint8).tobytes()]),
    )
    yield (
        "lab.tif",
        encoded(Image.fromarray(VALUES.astype(np.uint8)).convert("RGB"), format="TIFF").replace(
            struct.pack("<HHIH", 262, 3, 1, 2), struct.pack("<HHIH", 262, 3, 1, 8)
        ),
    )
    yield "ycbcr.tif", tiff(tags([8, 8, 8], 6, subsampling=[1, 1]), [np.asarray(RGB.convert("YCbCr")).tobytes()])
    for name in ("packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "lzma", "zstd", "jpeg"):
        yield f"pillow-{name.replace('_', '-')}.tif", encoded(RGB, format="TIFF", compression=name)
    for name in ("group3", "group4", "tiff_ccitt"):
        yield f"pillow-{name.replace('_', '-')}.tif", encoded(RGB.convert("1"), format="TIFF", compression=name)
    difference = VALUES.copy()
    difference[:, 1:] -= VALUES[:, :-1]
    data = (difference & 255).astype(np.uint8).tobytes()
    yield "predictor.tif", tiff(tags([8, 8, 8], 2, 8, predictor=2), [zlib.compress(data)])
    bits = np.packbits(((levels >> 7) & 1).astype(np.uint8), axis=1)
    yield "fill-order.tif", tiff(tags([1], 1, fill=2), [np.packbits(np.unpackbits(bits), bitorder="little").tobytes()])
    yield "truncated-directory.tif", wrong[:-20]
    yield "loop.tif", wrong[:-4] + wrong[4:8]
    yield "compression-unknown.tif", tiff(tags([8, 8, 8], 2, 12345), [rgb])
    two = RGB.rotate(180)
    yield "two-pages.tif", encoded(RGB, format="TIFF", save_all=True, append_images=[two])


# WebP, PNG, GIF


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def riff(*chunks, size=None):
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def still(image, **options):
    """The chunks of a still picture after its extended header, if it has one."""
    data = encoded(image, format="WEBP", **options)
    at = 12 + (18 if data[12:16] == b"VP8X" else 0)
    return data[at:]


def three_bytes(value):
    return struct.pack("<I", value)[:3]


def animation(frames, width=WIDTH, height=HEIGHT, flags=0x12, background=b"\0\0\0\0", rest=b"", head=b""):
    out = [chunk(b"VP8X", bytes([flags, 0, 0, 0]) + three_bytes(width - 1) + three_bytes(height - 1)), head]
    out.append(chunk(b"ANIM", background + b"\0\0"))
    for x, y, frame, data, bits in frames:
        place = three_bytes(x // 2) + three_bytes(y // 2) + three_bytes(frame.width - 1)
        out.append(chunk(b"ANMF", place + three_bytes(frame.height - 1) + three_bytes(100) + bytes([bits]) + data))
    return riff(*out, rest)


def webp_files():
    clear = alpha(RGB)
    turned = RGB.rotate(180)
    lossy, lossless, both = still(RGB, quality=90), still(RGB, lossless=True), still(clear, quality=90)
    clear_lossless = still(clear, lossless=True)
    second = (0, 0, turned, still(turned, lossless=True), 0)
    yield "animated-pillow.webp", encoded(RGB, format="WEBP", save_all=True, append_images=[turned], duration=100)
    yield "animated-lossy.webp", animation([(0, 0, RGB, lossy, 0), second])
    yield "animated-lossless.webp", animation([(0, 0, RGB, lossless, 2), second])
    yield "animated-alpha.webp", animation([(0, 0, clear, both, 0), second])
    yield "animated-alpha-lossless.webp", animation([(0, 0, clear, clear_lossless, 1), second])
    yield "animated-alpha-no-blend.webp", animation([(0, 0, clear, clear_lossless, 2), second])
    yield "animated-part.webp", animation([(6, 4, RGB, lossless, 0), second], 30, 20)
    yield "animated-part-lossy.webp", animation([(4, 2, RGB, lossy, 3)], 24, 14)
    yield "animated-background.webp", animation([(6, 4, RGB, lossless, 0)], 30, 20, background=b"\x10\x80\xf0\xff")
    yield "animated-opaque-flag.webp", animation([(0, 0, RGB, lossless, 0), second], flags=2)
    yield "animated-opaque-part.webp", animation([(6, 4, RGB, lossless, 0)], 30, 20, flags=2)
    yield (
        "animated-exif.webp",
        animation([(0, 0, RGB, lossless, 0), second], flags=0x1A, rest=chunk(b"EXIF", exif(6).tobytes())),
    )
    yield (
        "animated-unknown-chunk.webp",
        animation([(0, 0, RGB, chunk(b"JUNK", b"abc") + lossless, 0), second], rest=chunk(b"JUNK", b"junk")),
    )
    yield "animated-one-frame.webp", animation([(0, 0, RGB, lossless, 0)])
    yield "animated-no-frame.webp", animation([])
    yield "animated-outside.webp", animation([(8, 8, RGB, lossless, 0)])
    yield (
        "animated-second-damaged.webp",
        animation([(0, 0, RGB, lossless, 0), (0, 0, RGB, chunk(b"VP8L", b"noise" * 8), 0)]),
    )
    yield "animated-first-damaged.webp", animation([(0, 0, RGB, chunk(b"VP8L", b"noise" * 8), 0), second])
    yield "animated-truncated.webp", animation([(0, 0, RGB, lossless, 0), second])[:-20]
    yield (
        "animated-flag-only.webp",
        riff(chunk(b"VP8X", b"\2\0\0\0" + three_bytes(WIDTH - 1) + three_bytes(HEIGHT - 1)), lossless),
    )
    yield "riff-size-0.webp", riff(lossless, size=0)
    yield "riff-size-small.webp", riff(lossless, size=20)
    yield "riff-size-large.webp", riff(lossless, size=5000)
    yield "riff-size-all.webp", riff(lossless, size=len(lossless) + 12)
    yield "riff-size-odd.webp", riff(lossless, size=len(lossless) + 3)
    yield "trailer.webp", riff(lossless) + b"trailer"
    yield "junk-chunk-first.webp", riff(chunk(b"JUNK", b"abcd"), lossless)
    yield "junk-chunk-last.webp", riff(lossless, chunk(b"JUNK", b"abcd"))
    yield (
        "exif-noise.webp",
        riff(
            chunk(b"VP8X", b"\x08\0\0\0" + three_bytes(WIDTH - 1) + three_bytes(HEIGHT - 1)),
            lossless,
            chunk(b"EXIF", b"noise"),
        ),
    )
    yield (
        "exif-header.webp",
        riff(
            chunk(b"VP8X", b"\x08\0\0\0" + three_bytes(WIDTH - 1) + three_bytes(HEIGHT - 1)),
            lossless,
            chunk(b"EXIF", exif(6).tobytes()),
        ),
    )
    yield "size-differs.webp", riff(chunk(b"VP8X", b"\0\0\0\0" + three_bytes(40) + three_bytes(40)), lossless)


def png_files():
    data = encoded(RGB, format="PNG")
    image = data.index(b"IDAT") - 4
    head, body = data[:image], data[image:]
    yield "no-end.png", data[:-12]
    yield "end-cut.png", data[:-4]
    yield "trailer.png", data + b"trailer"
    text = bytearray(png_chunk(b"tEXt", b"Title\0odd"))
    text[-1] ^= 1
    yield "text-crc.png", head + bytes(text) + body
    broken = bytearray(data)
    broken[-14] ^= 1
    yield "data-crc.png", bytes(broken)
    yield "text-noise.png", head + png_chunk(b"zTXt", b"noise") + png_chunk(b"iTXt", b"noise") + body
    yield "profile-noise.png", head + png_chunk(b"iCCP", b"noise") + body
    yield "gamma-0.png", head + png_chunk(b"gAMA", bytes(4)) + body
    yield "chroma-short.png", head + png_chunk(b"cHRM", b"\0\1") + body
    yield "exif-noise.png", head + png_chunk(b"eXIf", b"noise") + body
    yield "time-noise.png", head + png_chunk(b"tIME", b"\xff" * 7) + body
    yield "unknown-chunk.png", head + png_chunk(b"prVt", b"abc") + body
    yield "density-0.png", head + png_chunk(b"pHYs", bytes(9)) + body
    yield (
        "two-data-chunks.png",
        head + png_chunk(b"IDAT", body[8:20]) + png_chunk(b"IDAT", body[20 : len(body) - 16]) + body[-12:],
    )
    for bits in (1, 2, 4):
        lines = [
            np.packbits(((row[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)).tobytes()
            for row in LEVELS >> (8 - bits)
        ]
        yield f"grey-{bits}-bits.png", png(WIDTH, HEIGHT, bits, 0, lines)
    clear = png(WIDTH, HEIGHT, 8, 0, [row.astype(np.uint8).tobytes() for row in LEVELS])
    at = clear.index(b"IDAT") - 4
    yield "grey-transparent.png", clear[:at] + png_chunk(b"tRNS", struct.pack(">H", LEVELS[3, 3])) + clear[at:]
    yield "rgb-transparent.png", head + png_chunk(b"tRNS", struct.pack(">3H", *VALUES[3, 3])) + body
    yield "animated.png", encoded(RGB, format="PNG", save_all=True, append_images=[RGB.rotate(180)])


def gif_files():
    data = encoded(RGB.quantize(16), format="GIF")
    yield "version-87.gif", data[:4] + b"7" + data[5:]
    yield "version-other.gif", b"GIF88a" + data[6:]
    yield "no-trailer.gif", data[:-1]
    yield "trailer-junk.gif", data + b"junk"
    yield "comment.gif", data[: data.index(b"\x2c\0\0")] + b"\x21\xfe\4junk\0" + data[data.index(b"\x2c\0\0") :]
    yield "interlaced.gif", encoded(RGB.quantize(16), format="GIF", interlace=1)
    yield "background.gif", data[:11] + b"\xff" + data[12:]
    yield "screen-small.gif", data[:6] + struct.pack("<HH", 4, 4) + data[10:]
    yield "screen-0.gif", data[:6] + bytes(4) + data[10:]
    frame = data.index(b"\x2c\0\0")
    yield "junk-before-frame.gif", data[:frame] + b"\0\0" + data[frame:]
    cut = data.rindex(b"\0\x3b")
    yield "data-short.gif", data[: cut - 20] + b"\0\x3b"


def seen(data):
    """What Pillow decodes, or its refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = upright_rgb(io.BytesIO(data))
    except Exception as e:
        return {"error": f"{type(e).__name__}: {e}".split(" <_io")[0]}
    pixels = np.asarray(image).reshape(-1, 3)
    return {
        "height": image.height,
        "width": image.width,
        "rgb": base64.b64encode(pixels[::STEP].tobytes()).decode(),
    }


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for path in HERE.iterdir():
        path.unlink()
    outcomes = {}
    for files in (jpeg_files, bmp_files, tiff_files, webp_files, png_files, gif_files):
        for name, data in files():
            assert name not in outcomes, name
            (HERE / name).write_bytes(data)
            outcomes[name] = seen(data)
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in outcomes.items()]
    (HERE.parent / "odd.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
