"""Writes the sample images of the decoder's tests, and what Pillow makes of them.

    python make_images.py        (needs Pillow 11 or later and NumPy)

expected.json holds, for every good file, its upright size and the RGB values of some pixels as
Pillow decodes them: EXIF orientation applied, transparent parts on white. bad.json holds the error
type that each bad file must cause. All pictures are made here and are in the public domain.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent
HEIGHT, WIDTH = 36, 48
ORIENTATION = 0x0112


def picture(height=HEIGHT, width=WIDTH):
    """A smooth picture without any symmetry, so that a wrong turn shows."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    y, x = y / height, x / width
    bands = [
        255 * x,
        255 * y * (1 - 0.5 * x),
        128 + 100 * np.sin(6 * x + 3 * y),
    ]
    array = np.stack(bands, -1)
    array[(x > 0.6) & (y < 0.3)] = (250, 240, 20)
    return Image.fromarray(array.round().astype(np.uint8))


def alpha(image):
    mask = np.asarray(image.convert("L")).astype(int) * 2 % 256
    out = image.convert("RGBA")
    out.putalpha(Image.fromarray(mask.astype(np.uint8)))
    return out


def save(name, image, **options):
    image.save(HERE / name, **options)


def exif(orientation):
    data = Image.Exif()
    data[ORIENTATION] = orientation
    return data


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, bits, colour, rows):
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def good():
    rgb = picture()
    grey = rgb.convert("L")
    large = picture(240, 320)
    save("rgb-444.jpg", rgb, quality=90, subsampling=0)
    save("rgb-420.jpg", rgb, quality=90, subsampling=2)
    save("progressive.jpg", rgb, quality=90, progressive=True)
    save("grey.jpg", grey, quality=90)
    save("cmyk.jpg", rgb.convert("CMYK"), quality=90)
    save("large.jpg", large, quality=80)
    save("large-turned.jpg", large, quality=80, exif=exif(6))
    save("large-grey.jpg", large.convert("L"), quality=80)
    # The same data with the Adobe marker's transform byte set to 2, which means YCCK.
    cmyk = bytearray((HERE / "cmyk.jpg").read_bytes())
    adobe = cmyk.index(b"Adobe")
    cmyk[adobe + 11] = 2
    (HERE / "ycck.jpg").write_bytes(cmyk)
    jpeg = (HERE / "rgb-444.jpg").read_bytes()
    (HERE / "stray-bytes.jpg").write_bytes(jpeg[:-2] + b"\0\0\0\0" + jpeg[-2:] + b"trailer")
    for orientation in range(1, 9):
        save(f"exif-{orientation}.jpg", rgb, quality=90, subsampling=0, exif=exif(orientation))

    save("rgb.png", rgb)
    save("rgba.png", alpha(rgb))
    save("grey.png", grey)
    save("grey-alpha.png", alpha(rgb).convert("LA"))
    save("palette.png", rgb.quantize(64))
    save("palette-transparent.png", rgb.quantize(64), transparency=5)
    save("bits.png", rgb.convert("1"))
    save("turned.png", rgb, exif=exif(6))
    values = np.asarray(rgb).astype(int) * 257
    save("grey-16.png", Image.fromarray(values[..., 0].astype(np.uint16)))
    rows = [row.astype(">u2").tobytes() for row in values]
    (HERE / "rgb-16.png").write_bytes(png(WIDTH, HEIGHT, 16, 2, rows))

    save("plain.gif", rgb)
    save("transparent.gif", rgb.quantize(64), transparency=5)
    save("animated.gif", rgb, save_all=True, append_images=[rgb.rotate(180)])
    # The only frame covers a part of the screen.
    gif = bytearray((HERE / "transparent.gif").read_bytes())
    frame = gif.index(b"\x2c\0\0\0\0" + struct.pack("<HH", WIDTH, HEIGHT))
    gif[6:10] = struct.pack("<HH", WIDTH + 20, HEIGHT + 10)
    gif[frame + 1 : frame + 5] = struct.pack("<HH", 7, 3)
    (HERE / "part.gif").write_bytes(gif)

    save("rgb.bmp", rgb)
    save("palette.bmp", rgb.quantize(64))
    save("grey.bmp", grey)
    save("bits.bmp", rgb.convert("1"))

    save("lossy.webp", rgb, quality=90)
    save("lossless.webp", rgb, lossless=True)
    save("alpha.webp", alpha(rgb), lossless=True, exact=True)
    save("turned.webp", rgb, lossless=True, exif=exif(8))

    save("rgb.tif", rgb)
    save("lzw.tif", rgb, compression="tiff_lzw")
    save("deflate.tif", rgb, compression="tiff_adobe_deflate")
    save("jpeg.tif", rgb, compression="jpeg", quality=90)
    save("group4.tif", rgb.convert("1"), compression="group4")
    save("palette.tif", rgb.quantize(64))
    save("cmyk.tif", rgb.convert("CMYK"))
    save("rgba.tif", alpha(rgb))
    save("grey-16.tif", Image.fromarray(values[..., 0].astype(np.uint16)))
    save("turned.tif", rgb, exif=exif(5))
    save("not-png.png", rgb, format="JPEG")


def bad():
    rgb = picture()
    bad = {}

    def write(name, data, error):
        (HERE / "bad" / name).write_bytes(data)
        bad[name] = error

    (HERE / "bad").mkdir(exist_ok=True)
    write("empty.jpg", b"", "empty_image")
    forms = {
        ".jpg": ("rgb-420.jpg", 0.6),
        "-progressive.jpg": ("progressive.jpg", 0.6),
        "-large.jpg": ("large.jpg", 0.9),
        ".png": ("rgb.png", 0.6),
        ".gif": ("plain.gif", 0.6),
        ".webp": ("lossy.webp", 0.6),
        ".bmp": ("rgb.bmp", 0.6),
        ".tif": ("rgb.tif", 0.6),
        "-lzw.tif": ("lzw.tif", 0.6),
        "-header.jpg": ("rgb-420.jpg", 0.02),
        "-header.png": ("rgb.png", 0.02),
        "-header.bmp": ("rgb.bmp", 0.004),
    }
    for name, (source, part) in forms.items():
        data = (HERE / source).read_bytes()
        write(f"truncated{name}", data[: int(len(data) * part)], "truncated_image")
    write("text.jpg", b"this is not an image\n", "not_an_image")
    write("page.jpg", b"<!DOCTYPE html><title>404</title>", "not_an_image")
    write("pdf.png", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not_an_image")

    write("huge.png", png(60000, 60000, 8, 2, [b"\0" * 8]), "image_too_large")
    jpeg = bytearray((HERE / "rgb-420.jpg").read_bytes())
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", 65000, 65000)
    write("huge.jpg", bytes(jpeg), "image_too_large")
    gif = bytearray((HERE / "plain.gif").read_bytes())
    gif[6:10] = struct.pack("<HH", 65000, 65000)
    write("huge.gif", bytes(gif), "image_too_large")
    webp = bytearray((HERE / "alpha.webp").read_bytes())
    bits = webp.index(b"VP8L") + 9
    webp[bits : bits + 4] = struct.pack("<I", 16383 | 16383 << 14)
    write("huge.webp", bytes(webp), "image_too_large")
    bmp = bytearray((HERE / "rgb.bmp").read_bytes())
    bmp[18:26] = struct.pack("<II", 60000, 60000)
    write("huge.bmp", bytes(bmp), "image_too_large")
    tiff = bytearray(encoded(rgb, format="TIFF"))
    count = struct.unpack_from("<H", tiff, struct.unpack_from("<I", tiff, 4)[0])[0]
    for entry in range(count):
        at = struct.unpack_from("<I", tiff, 4)[0] + 2 + 12 * entry
        if struct.unpack_from("<H", tiff, at)[0] in (256, 257):
            tiff[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 60000)
    write("huge.tif", bytes(tiff), "image_too_large")

    palette = bytearray((HERE / "palette.png").read_bytes())
    palette[palette.index(b"PLTE") + 20] ^= 0xFF
    write("palette-crc.png", bytes(palette), "corrupt_image")
    rows = [bytes([x % 8 for x in range(16)])] * 16
    write("palette-missing.png", png(16, 16, 8, 3, rows), "corrupt_image")
    write("data-short.png", png(16, 16, 8, 2, [b"\1\2\3" * 16] * 5), "truncated_image")
    jpeg = bytearray((HERE / "large.jpg").read_bytes())
    jpeg[len(jpeg) // 2 : len(jpeg) // 2 + 400] = b"\xff\x00" * 200
    write("hole.jpg", bytes(jpeg), "corrupt_image")
    write("noise.jpg", b"\xff\xd8\xff\xc0" + bytes((i * 37 + 11) % 251 for i in range(500)), "corrupt_image")
    webp = bytearray((HERE / "lossy.webp").read_bytes())
    webp[20:40] = b"\xff" * 20
    write("noise.webp", bytes(webp), "corrupt_image")
    (HERE / "bad.json").write_text(json.dumps(bad, indent=1) + "\n")


def upright_rgb(file):
    """The first picture of a file as Pillow sees it: upright, 8-bit RGB, on white."""
    image = ImageOps.exif_transpose(Image.open(file))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def expect():
    expected = {}
    for path in sorted(HERE.iterdir()):
        if path.suffix in (".json", ".py") or path.is_dir():
            continue
        image = upright_rgb(path)
        pixels = np.asarray(image).reshape(-1, 3)
        step = max(1, len(pixels) // 40)
        expected[path.name] = {
            "height": image.height,
            "width": image.width,
            "step": step,
            "rgb": pixels[::step].flatten().tolist(),
        }
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in expected.items()]
    (HERE / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    good()
    bad()
    expect()
