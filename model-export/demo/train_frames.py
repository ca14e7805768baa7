"""Trains a small ConvLSTM (arXiv 1506.04214) to foretell the next frame of moving sprites, and measures it.

A clip shows two garments of Fashion-MNIST, of 14 x 14 pixels, that move through a frame of 32 x 32 at constant speed
and bounce off its edges; where both are, the brighter pixel is seen. The model sees five frames. Garments of the
measured clips are held out. Minutes, not steps, are given, and the learning rate follows the clock. `grid.png` shows,
of four clips: what was seen, what followed, and what was foretold, each foretold frame seen for the next. The last
weights count: nothing is chosen on the held-out part.
"""

import argparse
import math
import time
from pathlib import Path

import fashion
import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

SEEN, FOLLOWING = 5, 5
SPRITE = 14


class Cell(torch.nn.Module):
    """A ConvLSTM cell without peepholes."""

    def __init__(self, entering: int, width: int):
        super().__init__()
        self.width = width
        self.gates = torch.nn.Conv2d(entering + width, 4 * width, 3, 1, 1)

    def forward(self, entering: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor):
        gates = self.gates(torch.cat([entering, hidden], 1))
        enter, forget, leave, value = gates.chunk(4, 1)
        cell = torch.sigmoid(forget + 1) * cell + torch.sigmoid(enter) * torch.tanh(value)
        return torch.sigmoid(leave) * torch.tanh(cell), cell


class Predictor(torch.nn.Module):
    """Two cells, on quarters of the frame as channels, over the frames."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.width = width
        self.first = Cell(4, width)
        self.second = Cell(width, width)
        self.pixels = torch.nn.Conv2d(2 * width, 4, 3, 1, 1)

    def forward(self, frames):
        small = torch.nn.functional.pixel_unshuffle(frames.flatten(0, 1), 2)
        small = small.view(frames.shape[0], frames.shape[1], 4, small.shape[2], small.shape[3])
        hidden = torch.zeros_like(small[:, 0, :1]).repeat(1, self.width, 1, 1)
        cell, second_hidden, second_cell = hidden, hidden, hidden
        for i in range(frames.shape[1]):
            hidden, cell = self.first(small[:, i], hidden, cell)
            second_hidden, second_cell = self.second(hidden, second_hidden, second_cell)
        return torch.tanh(torch.nn.functional.pixel_shuffle(self.pixels(torch.cat([hidden, second_hidden], 1)), 2))


def clips(garments: torch.Tensor, count: int, frames: int, generator: torch.Generator) -> torch.Tensor:
    """Random clips float32 [count, frames, 1, 32, 32] in -1..1 of garments [N, 1, 32, 32]."""
    room = fashion.SIZE - SPRITE
    chosen = torch.randint(len(garments), (count, 2), generator=generator)
    sprites = F.avg_pool2d(garments[chosen.flatten()][:, :, 2:-2, 2:-2], 2).view(count, 2, SPRITE, SPRITE).numpy()
    place = torch.rand((count, 2, 2), generator=generator) * room
    angle = torch.rand((count, 2), generator=generator) * 2 * math.pi
    speed = 1 + 1.5 * torch.rand((count, 2), generator=generator)
    step = torch.stack([angle.sin(), angle.cos()], 2) * speed[:, :, None]
    found = np.full((count, frames, 1, fashion.SIZE, fashion.SIZE), -1.0, np.float32)
    for time_ in range(frames):
        # A triangular wave: to the edge and back.
        folded = room - ((place + step * time_) % (2 * room) - room).abs()
        corners = folded.round().long().tolist()
        for row in range(count):
            for sprite, (top, left) in zip(sprites[row], corners[row], strict=True):
                window = found[row, time_, 0, top : top + SPRITE, left : left + SPRITE]
                np.maximum(window, sprite, out=window)
    return torch.from_numpy(found)


def fit(model: Predictor, garments: torch.Tensor, options: argparse.Namespace) -> int:
    """Trains in place; gives the number of clips seen."""
    generator = torch.Generator().manual_seed(options.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    start, seen, error = time.monotonic(), 0, 0.0
    while (passed := (time.monotonic() - start) / 60 / options.minutes) < 1:
        batch = clips(garments, options.batch, SEEN + 1, generator)
        loss = F.mse_loss(model(batch[:, :-1]), batch[:, -1])
        optimiser.param_groups[0]["lr"] = options.learning_rate * 0.5 * (1 + math.cos(math.pi * passed))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        seen += len(batch)
        error += 0.01 * (loss.item() - error) if seen > len(batch) else loss.item()
        if seen // len(batch) % 100 == 0:
            print(f"{passed:.0%} {seen:,} clips, mean squared error {error:.4f}", flush=True)
    return seen


@torch.no_grad()
def foretell(model: Predictor, frames: torch.Tensor, count: int) -> torch.Tensor:
    """The next frames; each takes the place of the oldest."""
    found = []
    for _ in range(count):
        found.append(model(frames))
        frames = torch.cat([frames[:, 1:], found[-1][:, None]], 1)
    return torch.stack(found, 1)


def measure(model: Predictor, held: torch.Tensor) -> dict:
    """PSNR of each foretold frame, and of the last frame that was seen in its place."""
    found = clips(held, 1000, SEEN + FOLLOWING, torch.Generator().manual_seed(2))
    foretold = foretell(model, found[:, :SEEN], FOLLOWING)
    last = found[:, SEEN - 1]

    def psnr(frame: torch.Tensor, i: int) -> float:
        return round(fashion.psnr(frame, found[:, SEEN + i]).mean().item(), 2)

    return {
        "psnr": [psnr(foretold[:, i], i) for i in range(FOLLOWING)],
        "psnr_of_the_last_seen": [psnr(last, i) for i in range(FOLLOWING)],
    }


def examples(held: torch.Tensor, count: int) -> torch.Tensor:
    return clips(held, count, SEEN + FOLLOWING, torch.Generator().manual_seed(3))


def picture(model: Predictor, held: torch.Tensor) -> Image.Image:
    """Two rows a clip: all its frames; those that were seen, and those that were foretold."""
    rows = []
    for clip in examples(held, 4):
        foretold = foretell(model, clip[None, :SEEN], FOLLOWING)[0]
        rows += [clip, torch.cat([clip[:SEEN], foretold])]
    return fashion.grid(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the model, metrics.json and grid.png")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "lakegen-demo", help="downloaded packages"
    )
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    train, held = fashion.load(options.cache)
    model = Predictor()
    seen = fit(model, train.images, options)
    metrics = {"clips_seen": seen, **measure(model, held.images)}
    config = {"model_type": "next-frame", "image_size": fashion.SIZE, "channels": 1}
    fashion.save(options.out, config, {"model": model}, metrics)
    picture(model, held.images).save(options.out / "grid.png")


if __name__ == "__main__":
    main()
