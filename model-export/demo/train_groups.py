"""Trains a small ResNet that tells the group of an emoji, and measures it on emoji that it never saw.

Data: npm `emoji-datasource-google`, 64x64 Noto art with alpha (Apache-2.0) and the groups of its emoji.json (MIT):
"Smileys & Emotion", "Food & Drink" and so on; the five skin tone swatches of "Component" are left out. A picture with
alpha is composited on white, in the measurement here as in the classify job. Training also shows other backgrounds,
shifts, scales, rotations, colour jitter, mixtures of two pictures and mirror images, but none of symbols and flags,
whose letters have a direction.

An emoji counts once, however many pictures it has: five of six pictures of "People & Body" differ in the skin tone
only. A pass of the training takes one of an emoji's pictures by chance, and in the scores they share a weight of one.

Held out, by a fixed hash, are whole emoji: one in six for the test, one in twelve for the choice of settings. Emoji
that differ in skin tone, gender or the direction in which a person faces lie in one part, and a held-out picture that
equals a training picture (a territory with its country's flag) is left out. The last weights count: nothing is chosen
on the test part.

Baselines: the most frequent group, and the group of the nearest training picture (squared distance of the pixels). One
thread and a fixed seed make a run repeatable on one kind of machine.
"""

import argparse
import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from packages import bucket, fetch
from PIL import Image
from torch.nn import functional as F
from train_captioner import SIZE, backgrounds, on_white
from train_definitions import factor
from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

GROUPS = [
    "Activities",
    "Animals & Nature",
    "Flags",
    "Food & Drink",
    "Objects",
    "People & Body",
    "Smileys & Emotion",
    "Symbols",
    "Travel & Places",
]
UPRIGHT = [GROUPS.index("Flags"), GROUPS.index("Symbols")]
PERSON = re.compile("^1F46[89](?=-)|^1F9D1(?=-)|(?<=-)1F46[89](?=-|$)|(?<=-)1F9D1(?=-|$)")
SIGNS = re.compile("-200D-(2640|2642|27A1)(-FE0F)?|-FE0F")


@dataclass(frozen=True)
class Sample:
    """One picture: its file name, the emoji that it shows (its code without skin tone), the emoji's group and part."""

    file: str
    emoji: str
    group: str
    part: str


def kin(code: str) -> str:
    """What emoji that differ in gender or direction have in common: the code with persons for men and women."""
    return PERSON.sub("1F9D1", SIGNS.sub("", code))


def part(code: str) -> str:
    """The part that an emoji belongs to: test, validation or train."""
    return {0: "test", 1: "test", 2: "validation"}.get(bucket(f"emoji {kin(code)}", 12), "train")


def split(emoji: list[dict]) -> list[Sample]:
    """The samples of an emoji.json, each with its part; the same for any order of the entries."""
    samples = []
    for entry in emoji:
        if entry["category"] in GROUPS:
            code = entry["unified"]
            for picture in [entry, *entry.get("skin_variations", {}).values()]:
                if picture["has_img_google"]:
                    samples.append(Sample(picture["image"], code, entry["category"], part(code)))
    return sorted(samples, key=lambda sample: sample.file)


def load(package: Path) -> tuple[list[Sample], torch.Tensor]:
    """The samples of the package and their pictures, uint8 [N, 64, 64, 4] (RGBA), no picture in two parts."""
    folder = package / "img" / "google" / "64"
    samples = [s for s in split(json.loads((package / "emoji.json").read_text())) if (folder / s.file).is_file()]
    pictures = np.stack([np.asarray(Image.open(folder / sample.file).convert("RGBA")) for sample in samples])
    keep = apart(samples, [picture.tobytes() for picture in pictures])
    return [samples[i] for i in keep], torch.from_numpy(pictures[keep])


def apart(samples: list[Sample], pictures: list[bytes]) -> list[int]:
    """The samples without those whose picture is also in an earlier part of train, validation and test."""
    found: dict[bytes, str] = {}
    for name in ("train", "validation", "test"):
        for sample, picture in zip(samples, pictures, strict=True):
            if sample.part == name:
                found.setdefault(picture, name)
    return [i for i, sample in enumerate(samples) if found[pictures[i]] == sample.part]


def weights(samples: list[Sample]) -> torch.Tensor:
    """The weight of each picture, float64: one, shared by the pictures of an emoji."""
    counts = Counter(sample.emoji for sample in samples)
    return torch.tensor([1 / counts[sample.emoji] for sample in samples], dtype=torch.float64)


def scores(samples: list[Sample], found: list[int]) -> dict:
    """Accuracy, the mean of the groups' F1 scores, and each of them; an emoji counts once."""
    pairs = torch.zeros(len(GROUPS), len(GROUPS), dtype=torch.float64)
    expected = torch.tensor([GROUPS.index(sample.group) for sample in samples])
    pairs.index_put_((expected, torch.tensor(found)), weights(samples), accumulate=True)
    f1 = {
        GROUPS[i]: round(float(2 * pairs[i, i] / (pairs[i].sum() + pairs[:, i].sum())), 4)
        for i in expected.unique().tolist()
    }
    return {
        "accuracy": round(float(pairs.trace() / pairs.sum()), 4),
        "macro_f1": round(sum(f1.values()) / len(f1), 4),
        "f1": f1,
    }


def nearest(train: torch.Tensor, others: torch.Tensor) -> list[int]:
    """The number of the training picture nearest to each of the others, uint8 RGBA on white."""
    left, right = (on_white(pictures).flatten(1) / 255 for pictures in (others, train))
    return torch.cdist(left, right).argmin(1).tolist()


def build() -> ResNetForImageClassification:
    """The untrained model."""
    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=24,
            hidden_sizes=[24, 48, 96],
            depths=[1, 1, 1],
            layer_type="basic",
            id2label=dict(enumerate(GROUPS)),
            label2id={group: i for i, group in enumerate(GROUPS)},
        )
    )


def augment(rgba: torch.Tensor, mirror: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random views of uint8 RGBA pictures [N, 64, 64, 4]: float RGB [N, 3, 64, 64] in 0..255.

    Every other picture whose `mirror` is true is mirrored.
    """
    count = len(rgba)

    def spread(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand((count, *shape), generator=generator)

    angle = spread(-0.3, 0.3)
    zoom = torch.exp(spread(-0.25, 0.3))
    stretch = torch.exp(spread(-0.1, 0.1))
    side = torch.where(mirror & (spread(0, 1) < 0.5), -1.0, 1.0)
    theta = torch.stack(
        [
            torch.stack([side * stretch * zoom * angle.cos(), -zoom * angle.sin(), spread(-0.15, 0.15)], 1),
            torch.stack([side * zoom * angle.sin(), zoom * angle.cos() / stretch, spread(-0.15, 0.15)], 1),
        ],
        1,
    )
    values = rgba.permute(0, 3, 1, 2).float()
    # Interpolation needs premultiplied alpha: the colour of a transparent pixel means nothing.
    values = torch.cat([values[:, :3] * values[:, 3:] / 255, values[:, 3:]], 1)
    grid = F.affine_grid(theta, list(values.shape), align_corners=False)
    values = F.grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    art = values[:, :3] * spread(0.8, 1.2, 1, 1, 1) * spread(0.85, 1.15, 3, 1, 1)
    picture = art + backgrounds(count, generator) * (1 - values[:, 3:] / 255)
    return picture.clamp(0, 255)


def save(model: ResNetForImageClassification, folder: Path) -> None:
    """Writes the model and its image processor, which changes nothing but the scale of the values at this size."""
    folder.mkdir(parents=True, exist_ok=True)
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    model.to(memory_format=torch.contiguous_format).save_pretrained(folder)


def normalise(picture: torch.Tensor) -> torch.Tensor:
    """Pixels 0..255 to the model's input, as the image processor does it."""
    return picture / 127.5 - 1


@torch.no_grad()
def classify(model: ResNetForImageClassification, rgba: torch.Tensor) -> list[int]:
    """The most probable group of each picture on white, in float32."""
    model.eval()
    found = torch.cat([model(pixel_values=normalise(on_white(chunk))).logits.argmax(1) for chunk in rgba.split(250)])
    model.train()
    return found.tolist()


@dataclass(frozen=True)
class Data:
    """Samples of one part and their pictures, uint8 [N, 64, 64, 4]."""

    samples: list[Sample]
    rgba: torch.Tensor


def select(samples: list[Sample], rgba: torch.Tensor, name: str) -> Data:
    """The data of one part."""
    rows = [i for i, sample in enumerate(samples) if sample.part == name]
    return Data([samples[i] for i in rows], rgba[rows])


def fit(model: ResNetForImageClassification, train: Data, validation: Data, options: argparse.Namespace) -> None:
    """Trains the model in place and reports the validation part's scores now and then."""
    generator = torch.Generator().manual_seed(options.seed)
    emoji: dict[str, list[int]] = {}
    for i, sample in enumerate(train.samples):
        emoji.setdefault(sample.emoji, []).append(i)
    pictures = list(emoji.values())
    counts = torch.tensor([len(rows) for rows in pictures])
    groups = torch.tensor([GROUPS.index(sample.group) for sample in train.samples])
    mirror = ~torch.isin(groups, torch.tensor(UPRIGHT))
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=options.learning_rate,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: factor(step, options.steps))
    order = torch.empty(0, dtype=torch.long)
    start = time.time()
    total = 0.0
    model.train()
    for step in range(1, options.steps + 1):
        if len(order) < options.batch:
            order = torch.cat([order, torch.randperm(len(pictures), generator=generator)])
        taken, order = order[: options.batch], order[options.batch :]
        pick = (torch.rand(len(taken), generator=generator) * counts[taken]).long()
        rows = torch.tensor([pictures[i][k] for i, k in zip(taken.tolist(), pick.tolist(), strict=True)])
        pixels = normalise(augment(train.rgba[rows], mirror[rows], generator))
        targets = F.one_hot(groups[rows], len(GROUPS)).float()
        # Mixup (Zhang et al. 2018) of the batch with itself in another order, shares from Beta(1, 1).
        share = torch.rand((len(rows), 1), generator=generator)
        share = torch.where(torch.rand((len(rows), 1), generator=generator) < options.mix, share, 1.0)
        other = torch.randperm(len(rows), generator=generator)
        pixels = share[:, :, None, None] * pixels + (1 - share)[:, :, None, None] * pixels[other]
        targets = share * targets + (1 - share) * targets[other]
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not options.float32):
            logits = model(pixel_values=pixels).logits.float()
        loss = F.cross_entropy(logits, targets, label_smoothing=0.05)
        model.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % 500 == 0 or step == options.steps:
            measured = scores(validation.samples, classify(model, validation.rgba))
            print(
                f"step {step} loss {total / (step % 500 or 500):.3f}, validation accuracy {measured['accuracy']},",
                f"macro F1 {measured['macro_f1']}, seconds {time.time() - start:.0f}",
                flush=True,
            )
            total = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the Hugging Face model and metrics.json")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "lakegen-demo", help="downloaded packages"
    )
    parser.add_argument("--steps", type=int, default=6000, help="training steps")
    parser.add_argument("--batch", type=int, default=64, help="pictures a step")
    parser.add_argument("--mix", type=float, default=0.5, help="share of the pictures mixed with another")
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument(
        "--float32", action="store_true", help="train in float32 where the CPU has no bfloat16 products"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    samples, rgba = load(fetch("emoji-datasource-google", options.cache))
    parts = {name: select(samples, rgba, name) for name in ("train", "validation", "test")}
    model = build().to(memory_format=torch.channels_last)
    train, test = parts["train"], parts["test"]
    emoji = {name: {sample.emoji: sample.group for sample in data.samples} for name, data in parts.items()}
    frequent = GROUPS.index(Counter(emoji["train"].values()).most_common(1)[0][0])
    neighbours = [GROUPS.index(train.samples[i].group) for i in nearest(train.rgba, test.rgba)]
    metrics = {
        "pictures": {name: len(data.samples) for name, data in parts.items()},
        "emoji": {name: len(found) for name, found in emoji.items()},
        "groups": dict(Counter(emoji["test"].values()).most_common()),
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": options.steps,
        "most_frequent": scores(test.samples, [frequent] * len(test.samples)),
        "nearest": scores(test.samples, neighbours),
    }
    print(json.dumps(metrics, indent=1), flush=True)
    fit(model, train, parts["validation"], options)
    save(model, options.out)
    found = classify(model, test.rgba)
    metrics["model"] = scores(test.samples, found)
    confusions: Counter = Counter()
    for sample, i, weight in zip(test.samples, found, weights(test.samples).tolist(), strict=True):
        confusions[sample.group, GROUPS[i]] += weight
    metrics["confusions"] = [[*pair, round(n, 2)] for pair, n in confusions.most_common() if pair[0] != pair[1]][:10]
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
