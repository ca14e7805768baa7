"""Trains a small GIT captioner on emoji art and measures it on names that it never saw.

Data: npm `emoji-datasource-google`, 64x64 Noto art with alpha (Apache-2.0) and its names (MIT). A picture with alpha
is composited on white, in the measurement here as in the caption job. Training also shows other backgrounds, shifts,
scales, rotations, colour jitter and JPEG noise.

Held out, by a fixed hash of the caption: one skin tone (or pair of tones) in eight of each person, and one in twelve
of the names "man ..." and "woman ..." that come as a pair, with all their tones. Every word of a held-out caption is
in the training captions; the whole caption is not, and no held-out picture equals a training picture.

The last checkpoint counts: no choice is made on the held-out part. One thread and a fixed seed make a run repeatable
on one kind of machine.
"""

import argparse
import io
import json
import math
import re
import time
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from packages import bucket, fetch
from PIL import Image
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import CLIPImageProcessor, GitConfig, GitForCausalLM
from wordpiece import CLS, PAD, SEP, pretrained, wordpiece

SIZE = 64
TONES = {
    "1F3FB": "light",
    "1F3FC": "medium light",
    "1F3FD": "medium",
    "1F3FE": "medium dark",
    "1F3FF": "dark",
}
MAX_TOKENS = 32


@dataclass(frozen=True)
class Sample:
    """One picture: its file name, its caption, and the part it belongs to (train, tone or person)."""

    file: str
    caption: str
    part: str


def words(name: str) -> str:
    """The caption form of a Unicode name: lower-case ASCII words, no punctuation."""
    name = name.replace("#", " hash ").replace("*", " asterisk ").replace("&", " and ")
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall("[a-z0-9]+", ascii_name.replace("'", "")))


def tone_words(code: str) -> str:
    """The words of a skin tone code such as 1F3FB or 1F3FB-1F3FE (two persons)."""
    tones = [TONES[part] for part in code.split("-")]
    return " and ".join(dict.fromkeys(tones)) + " skin tone" + ("s" if len(set(tones)) > 1 else "")


def counterpart(name: str) -> str | None:
    """The same name with man and woman exchanged, or None where the name does not start with either."""
    gender, _, rest = name.partition(" ")
    other = {"man": "woman", "woman": "man"}.get(gender)
    return f"{other} {rest}" if other and rest else None


def split(emoji: list[dict]) -> list[Sample]:
    """The samples of an emoji.json, each with its part; the same for any order of the entries."""
    names = {words(entry["name"]) for entry in emoji}
    samples = []
    for entry in emoji:
        name = words(entry["name"])
        other = counterpart(name)
        pair_name = min(name, other) if other in names else None
        # One hash for a pair of names, so that man and woman of one activity are never both held out.
        chosen = bucket(f"person {pair_name}", 12) if pair_name else None
        held = chosen is not None and chosen < 2 and (chosen == 0) == name.startswith("man ")
        if entry["has_img_google"]:
            samples.append(Sample(entry["image"], name, "person" if held else "train"))
        for code, variant in entry.get("skin_variations", {}).items():
            if variant["has_img_google"]:
                caption = f"{name} with {tone_words(code)}"
                tone = "tone" if bucket(f"tone {caption}", 8) == 0 else "train"
                samples.append(Sample(variant["image"], caption, "person" if held else tone))
    return sorted(samples, key=lambda sample: sample.file)


def load(package: Path) -> tuple[list[Sample], np.ndarray]:
    """The samples of the package and their pictures, uint8 [N, 64, 64, 4] (RGBA).

    A held-out picture that equals a training picture is left out, and so is a held-out caption with an untrained word.
    """
    samples = split(json.loads((package / "emoji.json").read_text()))
    folder = package / "img" / "google" / "64"
    samples = [sample for sample in samples if (folder / sample.file).is_file()]
    pictures = np.stack([np.asarray(Image.open(folder / sample.file).convert("RGBA")) for sample in samples])
    trained = {pictures[i].tobytes() for i, sample in enumerate(samples) if sample.part == "train"}
    known = {word for sample in samples if sample.part == "train" for word in sample.caption.split()}
    keep = [
        i
        for i, sample in enumerate(samples)
        if sample.part == "train" or (pictures[i].tobytes() not in trained and known.issuperset(sample.caption.split()))
    ]
    return [samples[i] for i in keep], pictures[keep]


def make_tokenizer(captions: list[str]) -> Tokenizer:
    """A BERT-style WordPiece tokenizer, as GIT has it, of the captions' words; other words fall apart into letters.

    The vocabulary is listed here because the library's trainer numbers equal counts differently from run to run.
    """
    found = sorted({word for caption in captions for word in caption.split()})
    letters = sorted({letter for word in found for letter in word})
    return wordpiece([*letters, *(f"##{letter}" for letter in letters), *found])


def build(vocabulary: int) -> GitForCausalLM:
    """The untrained model."""
    return GitForCausalLM(
        GitConfig(
            vision_config={
                "hidden_size": 160,
                "intermediate_size": 640,
                "num_hidden_layers": 4,
                "num_attention_heads": 5,
                "image_size": SIZE,
                "patch_size": 16,
            },
            vocab_size=vocabulary,
            hidden_size=160,
            num_hidden_layers=2,
            num_attention_heads=5,
            intermediate_size=640,
            max_position_embeddings=MAX_TOKENS,
            tie_word_embeddings=True,
            bos_token_id=CLS,
            eos_token_id=SEP,
            pad_token_id=PAD,
        )
    )


def on_white(rgba: torch.Tensor) -> torch.Tensor:
    """uint8 RGBA [N, H, W, 4] composited on white: float RGB [N, 3, H, W] in 0..255, rounded."""
    values = rgba.permute(0, 3, 1, 2).float()
    alpha = values[:, 3:] / 255
    return (values[:, :3] * alpha + 255 * (1 - alpha)).round()


def backgrounds(count: int, generator: torch.Generator) -> torch.Tensor:
    """Random backgrounds, float RGB [count, 3, 64, 64] in 0..255: half white, the rest plain, gradient or blotched."""

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator) * 255

    kind = torch.rand((count, 1, 1, 1), generator=generator)
    grid = uniform(count, 3, 2, 2)
    gradient = F.interpolate(grid, size=(SIZE, SIZE), mode="bilinear", align_corners=True)
    blotches = F.interpolate(uniform(count, 3, 8, 8), size=(SIZE, SIZE), mode="bilinear", align_corners=True)
    background = torch.where(kind < 0.7, grid[:, :, :1, :1].expand(-1, -1, SIZE, SIZE), gradient)
    background = torch.where(kind > 0.85, blotches, background)
    return torch.where(kind < 0.5, torch.full((), 255.0), background)


def jpeg(picture: torch.Tensor, quality: int) -> torch.Tensor:
    """A float RGB picture [3, H, W] after a round trip through JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy().astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1).float()


def augment(rgba: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random views of uint8 RGBA pictures [N, 64, 64, 4]: float RGB [N, 3, 64, 64] in 0..255.

    No mirroring: left and right are part of many names. The colour jitter stays below the distance of two skin tones.
    """
    count = len(rgba)

    def spread(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand((count, *shape), generator=generator)

    angle = spread(-0.15, 0.15)
    zoom = torch.exp(spread(-0.1, 0.25))
    theta = torch.stack(
        [
            torch.stack([zoom * angle.cos(), -zoom * angle.sin(), spread(-0.12, 0.12)], 1),
            torch.stack([zoom * angle.sin(), zoom * angle.cos(), spread(-0.12, 0.12)], 1),
        ],
        1,
    )
    values = rgba.permute(0, 3, 1, 2).float()
    # Interpolation needs premultiplied alpha: the colour of a transparent pixel means nothing.
    values = torch.cat([values[:, :3] * values[:, 3:] / 255, values[:, 3:]], 1)
    grid = F.affine_grid(theta, list(values.shape), align_corners=False)
    values = F.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    art = values[:, :3] * spread(0.93, 1.07, 1, 1, 1) * spread(0.97, 1.03, 3, 1, 1)
    picture = art + backgrounds(count, generator) * (1 - values[:, 3:] / 255)
    picture = picture.clamp(0, 255).round()
    compressed = torch.rand(count, generator=generator) < 0.25
    qualities = torch.randint(40, 96, (count,), generator=generator)
    for i in compressed.nonzero().flatten().tolist():
        picture[i] = jpeg(picture[i], int(qualities[i]))
    return picture


def normalise(picture: torch.Tensor, processor: CLIPImageProcessor) -> torch.Tensor:
    """Pixels 0..255 to the model's input, as the image processor does it."""
    mean = torch.tensor(processor.image_mean).view(3, 1, 1)
    std = torch.tensor(processor.image_std).view(3, 1, 1)
    return (picture / 255 - mean) / std


def loss_of(model: GitForCausalLM, pixels: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the captions, end token included; ids [N, T] start with [CLS] and end with PAD."""
    inputs, targets = ids[:, :-1], ids[:, 1:]
    # Right padding behind a causal mask touches no real token, so no attention mask is needed.
    hidden = model.git(input_ids=inputs, pixel_values=pixels, use_cache=False).last_hidden_state
    logits = model.output(hidden[:, -inputs.shape[1] :]).float()
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD)


@torch.no_grad()
def captions_of(model: GitForCausalLM, tokenizer: Tokenizer, pixels: torch.Tensor) -> list[str]:
    """Greedy captions of ready model inputs [N, 3, 64, 64]."""
    model.eval()
    found = []
    for chunk in pixels.split(100):
        ids = model.generate(pixel_values=chunk, max_new_tokens=MAX_TOKENS - 2, do_sample=False)
        found += tokenizer.decode_batch(ids.tolist())
    return found


def token_f1(expected: str, found: str) -> float:
    """Word F1 of two captions as bags of words (the SQuAD measure)."""
    left, right = Counter(expected.split()), Counter(found.split())
    common = (left & right).total()
    return 2 * common / (left.total() + right.total()) if left or right else 1.0


def score(expected: list[str], found: list[str]) -> dict[str, float]:
    """Exact match and mean token F1."""
    pairs = list(zip(expected, found, strict=True))
    return {
        "count": len(pairs),
        "exact_match": round(sum(a == b for a, b in pairs) / len(pairs), 4),
        "token_f1": round(sum(token_f1(a, b) for a, b in pairs) / len(pairs), 4),
    }


def measure(
    model: GitForCausalLM,
    tokenizer: Tokenizer,
    samples: list[Sample],
    rgba: torch.Tensor,
    processor: CLIPImageProcessor,
) -> dict:
    """Scores and ten fixed examples of each held-out part and of one in eleven of the training pictures, on white."""
    measured: dict = {}
    for part, every in (("tone", 1), ("person", 1), ("train", 11)):
        rows = [i for i, sample in enumerate(samples) if sample.part == part][::every]
        expected = [samples[i].caption for i in rows]
        found = captions_of(model, tokenizer, normalise(on_white(rgba[rows]), processor))
        examples = sorted(zip(expected, found, strict=True), key=lambda pair: bucket(f"example {pair[0]}", 2**32))
        measured[part] = {**score(expected, found), "examples": [{"expected": a, "found": b} for a, b in examples[:10]]}
    return measured


def factor(step: int, steps: int) -> float:
    """The learning rate's factor: a linear warm-up, then a cosine down to 2 percent."""
    warmup = min(300, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


@dataclass(frozen=True)
class Data:
    """Pictures uint8 [N, 64, 64, 4], captions int64 [N, T] padded with PAD, and the rows of the training part."""

    rgba: torch.Tensor
    ids: torch.Tensor
    train: torch.Tensor


def fit(model: GitForCausalLM, data: Data, processor: CLIPImageProcessor, options: argparse.Namespace) -> None:
    """Trains the model in place and saves it now and then."""
    generator = torch.Generator().manual_seed(options.seed)
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and ".layer" in name and "embed" not in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    optimisers = [
        torch.optim.Muon(matrices, lr=options.learning_rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda step: factor(step, options.steps)) for o in optimisers]
    order = torch.empty(0, dtype=torch.long)
    start = time.time()
    recent: list[float] = []
    model.train()
    for step in range(1, options.steps + 1):
        if len(order) < options.batch:
            order = torch.cat([order, data.train[torch.randperm(len(data.train), generator=generator)]])
        rows, order = order[: options.batch], order[options.batch :]
        ids = data.ids[rows]
        ids = ids[:, : int((ids != PAD).sum(1).max())]
        pixels = normalise(augment(data.rgba[rows], generator), processor)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not options.float32):
            loss = loss_of(model, pixels, ids)
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for stepper in (*optimisers, *schedules):
            stepper.step()
        recent.append(loss.item())
        if step % 100 == 0:
            print(f"step {step} loss {sum(recent) / 100:.3f} seconds {time.time() - start:.0f}", flush=True)
            recent = []
        if step % 1000 == 0:
            model.save_pretrained(options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the Hugging Face model and metrics.json")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "lakegen-demo", help="downloaded packages"
    )
    parser.add_argument("--steps", type=int, default=3000, help="training steps")
    parser.add_argument("--batch", type=int, default=64, help="pictures a step")
    parser.add_argument(
        "--float32", action="store_true", help="train in float32 where the CPU has no bfloat16 products"
    )
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    samples, pictures = load(fetch("emoji-datasource-google", options.cache))
    rgba = torch.from_numpy(pictures)
    tokenizer = make_tokenizer([sample.caption for sample in samples if sample.part == "train"])
    encoded = [tokenizer.encode(sample.caption).ids for sample in samples]
    width = max(map(len, encoded))
    ids = torch.tensor([row + [PAD] * (width - len(row)) for row in encoded])
    train = torch.tensor([i for i, sample in enumerate(samples) if sample.part == "train"])
    model = build(tokenizer.get_vocab_size())
    processor = CLIPImageProcessor(
        size={"height": SIZE, "width": SIZE}, crop_size={"height": SIZE, "width": SIZE}, do_center_crop=False
    )
    options.out.mkdir(parents=True, exist_ok=True)
    processor.save_pretrained(options.out)
    pretrained(tokenizer, MAX_TOKENS).save_pretrained(options.out)
    print(
        f"{Counter(sample.part for sample in samples)} pictures,",
        f"{sum(p.numel() for p in model.parameters())} parameters",
    )

    fit(model, Data(rgba, ids, train), processor, options)
    model.save_pretrained(options.out)
    metrics = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": options.steps,
        **measure(model, tokenizer, samples, rgba, processor),
    }
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
