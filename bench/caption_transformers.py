"""The other side of `./lakegen bench caption`: Pillow, the image processor and `generate` of transformers.

    python bench/caption_transformers.py prepare FOLDER --photos N --dtype float32
    python bench/caption_transformers.py caption FOLDER --dtype float32 --from I --to J
    python bench/caption_transformers.py decode FOLDER

`prepare` makes a GIT model of the size of microsoft/git-base with random weights, exports it, and makes photographs of
0.3 to 12 megapixels from the four of sample-data; all of it is the same in every run. The others print one JSON line.
"""

import argparse
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import transformers as hf
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

ROOT = Path(__file__).resolve().parents[1]
BATCH, NEW_TOKENS = 16, 20
THREADS = torch.get_num_threads()
LARGE = 12.0
LARGE_PHOTOS = 24


def make_model(folder: Path) -> None:
    torch.manual_seed(0)
    # GitConfig's defaults are git-base's sizes.
    config = hf.GitConfig(bos_token_id=101, eos_token_id=102, pad_token_id=0)
    hf.GitForCausalLM(config).eval().save_pretrained(folder)
    words = ["[PAD]", *(f"w{i}" for i in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{i}" for i in range(len(words), config.vocab_size)]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece()
    hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    hf.CLIPImageProcessorPil(
        size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224}, resample=Image.Resampling.BICUBIC
    ).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nRandom weights.\n", encoding="utf-8")


def photo(number: int, megapixels: float) -> bytes:
    """A crop of a photograph, scaled up, with light and noise of its own, as a JPEG."""
    random = np.random.default_rng(number)
    names = sorted((ROOT / "sample-data/images/photos").glob("*.jpg"))
    image = Image.open(names[number % len(names)]).convert("RGB")
    aspect = random.choice([4 / 3, 3 / 2, 1.0, 3 / 4])
    height = round((megapixels * 1e6 / aspect) ** 0.5)
    width = round(height * aspect)
    part = random.uniform(0.6, 1.0)
    crop_height = min(image.height, image.width / aspect) * part
    crop_width = crop_height * aspect
    left = random.uniform(0, image.width - crop_width)
    top = random.uniform(0, image.height - crop_height)
    box = (left, top, left + crop_width, top + crop_height)
    image = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    pixels = np.asarray(image).astype(np.int16)
    pixels = pixels + random.integers(-30, 31) + random.integers(-8, 9, (height, width, 1), dtype=np.int16)
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=int(random.integers(85, 96)))
    return out.getvalue()


def prepare(folder: Path, count: int, dtype: str) -> None:
    model = folder / "git-base"
    if not (model / "README.md").exists():
        make_model(model)
    pack = folder / f"pack-{dtype}"
    if not pack.exists():
        command = [sys.executable, "-m", "lakegen_export", "--model", str(model), "--out", str(pack), "--dtype", dtype]
        subprocess.run(command, cwd=ROOT / "model-export", check=True)
    save_photos(folder / f"photos-{count}", sizes(count))
    save_photos(folder / "large", [LARGE] * LARGE_PHOTOS)


def sizes(count: int) -> np.ndarray:
    """Megapixels of photographs, from 0.3 to 12."""
    return np.exp(np.random.default_rng(1).uniform(np.log(0.3), np.log(LARGE), count))


def save_photos(target: Path, megapixels: Iterable[float]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(megapixels):
        path = target / f"{number:04d}.jpg"
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.write_bytes(photo(number, size))
            partial.rename(path)


def processor(folder: Path):
    return hf.AutoImageProcessor.from_pretrained(folder / "git-base")


def caption(folder: Path, photos: str, dtype: str, start: int, end: int) -> dict:
    model = hf.AutoModelForCausalLM.from_pretrained(folder / "git-base", dtype=getattr(torch, dtype)).eval()
    images, tokenizer = processor(folder), hf.AutoTokenizer.from_pretrained(folder / "git-base")
    paths = sorted((folder / photos).glob("*.jpg"))

    def captions(batch: list[Path]) -> list[str]:
        pictures = [Image.open(path).convert("RGB") for path in batch]
        pixels = images(images=pictures, return_tensors="pt")["pixel_values"].to(model.dtype)
        ids = model.generate(pixel_values=pixels, max_new_tokens=NEW_TOKENS, do_sample=False)
        return tokenizer.batch_decode(ids, skip_special_tokens=True)

    captions(paths[:BATCH])
    texts: dict[str, str] = {}
    clock, processor_time = time.perf_counter(), time.process_time()
    for at in range(start, min(end, len(paths)), BATCH):
        batch = paths[at : min(at + BATCH, end)]
        texts |= {path.name: text for path, text in zip(batch, captions(batch), strict=True)}
    return {
        "rows": len(texts),
        "seconds": time.perf_counter() - clock,
        "cpuSeconds": time.process_time() - processor_time,
        "captions": texts,
    }


def decode(folder: Path) -> dict:
    """Seconds of one thread for decoding 12-megapixel JPEGs and resizing them as the model wants them."""
    torch.set_num_threads(1)
    images = processor(folder)
    files = [path.read_bytes() for path in sorted((folder / "large").glob("*.jpg"))]
    seconds = []
    for file in files[:2] + files:
        start = time.process_time()
        images(images=Image.open(io.BytesIO(file)).convert("RGB"), return_tensors="pt")
        seconds.append(time.process_time() - start)
    return {"seconds": float(np.mean(seconds[2:]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=["prepare", "caption", "decode"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=0)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--from", dest="start", type=int, default=0)
    parser.add_argument("--to", dest="end", type=int, default=0)
    options = parser.parse_args()
    if options.step == "prepare":
        prepare(options.folder.resolve(), options.photos, options.dtype)
        return
    with torch.inference_mode():
        result = (
            decode(options.folder)
            if options.step == "decode"
            else caption(options.folder, f"photos-{options.photos}", options.dtype, options.start, options.end)
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
