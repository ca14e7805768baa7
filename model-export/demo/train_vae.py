"""Trains a small variational autoencoder (arXiv 1312.6114) on Fashion-MNIST and measures it on held-out pictures.

The loss is the mean squared error of a picture's 1,024 values over twice a variance that follows the error itself
(sigma-VAE, arXiv 2006.13202), plus the divergence of its latent from the prior. Minutes, not steps, are given, and the
learning rate follows the clock. `grid.png` shows held-out pictures, their reconstructions, the way between pairs of
them, and samples of the prior. The last weights count: nothing is chosen on the held-out part.
"""

import argparse
import math
import time
from pathlib import Path

import fashion
import torch
from torch.nn import functional as F

LATENT = 16
WIDTHS = (16, 24, 40)


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        first, second, third = WIDTHS
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, first, 3, 2, 1),
            torch.nn.SiLU(),
            torch.nn.Conv2d(first, second, 3, 2, 1),
            torch.nn.SiLU(),
            torch.nn.Conv2d(second, third, 3, 2, 1),
            torch.nn.SiLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(third * 16, 2 * LATENT),
        )

    def forward(self, image):
        mean, log_variance = self.layers(image).chunk(2, 1)
        return mean, (0.5 * log_variance).exp()


class Decoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        first, second, third = WIDTHS
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(LATENT, third * 16),
            torch.nn.SiLU(),
            torch.nn.Unflatten(1, (third, 4, 4)),
            torch.nn.Conv2d(third, second, 3, 1, 1),
            torch.nn.SiLU(),
            torch.nn.Upsample(scale_factor=2.0),
            torch.nn.Conv2d(second, second, 3, 1, 1),
            torch.nn.SiLU(),
            torch.nn.Upsample(scale_factor=2.0),
            torch.nn.Conv2d(second, first, 3, 1, 1),
            torch.nn.SiLU(),
            torch.nn.Upsample(scale_factor=2.0),
            torch.nn.Conv2d(first, 1, 3, 1, 1),
        )

    def forward(self, latent):
        return torch.tanh(self.layers(latent))


def divergence(mean: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Of each latent's distribution from the prior, in nats."""
    return 0.5 * (mean.square() + deviation.square() - 1 - 2 * deviation.log()).sum(1)


def fit(encoder: Encoder, decoder: Decoder, images: torch.Tensor, options: argparse.Namespace) -> int:
    """Trains both in place; gives the number of pictures seen."""
    generator = torch.Generator().manual_seed(options.seed)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=options.learning_rate)
    start, seen, error = time.monotonic(), 0, 1.0
    while (passed := (time.monotonic() - start) / 60 / options.minutes) < 1:
        batch = images[torch.randint(len(images), (options.batch,), generator=generator)]
        mean, deviation = encoder(batch)
        latent = mean + deviation * torch.randn(mean.shape, generator=generator)
        squares = F.mse_loss(decoder(latent), batch)
        error += 0.02 * (squares.item() - error)
        # Half the squares over the variance, and the divergence, of one value on average.
        loss = squares / (2 * error) + divergence(mean, deviation).mean() / fashion.SIZE**2
        optimiser.param_groups[0]["lr"] = options.learning_rate * 0.5 * (1 + math.cos(math.pi * passed))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen += len(batch)
        if seen // len(batch) % 500 == 0:
            print(f"{passed:.0%} {seen:,} pictures, mean squared error {error:.4f}", flush=True)
    return seen


@torch.no_grad()
def measure(encoder: Encoder, decoder: Decoder, train: torch.Tensor, held: torch.Tensor) -> dict:
    mean, deviation = encoder(held)
    average = train.mean(0, keepdim=True)
    return {
        "psnr": round(fashion.psnr(decoder(mean), held).mean().item(), 2),
        "psnr_of_training_pictures": round(
            fashion.psnr(decoder(encoder(train[:10000])[0]), train[:10000]).mean().item(), 2
        ),
        "psnr_of_the_mean_picture": round(fashion.psnr(average, held).mean().item(), 2),
        "divergence_nats": round(divergence(mean, deviation).mean().item(), 2),
    }


@torch.no_grad()
def picture(encoder: Encoder, decoder: Decoder, held: fashion.Part):
    """Four rows: held-out pictures, one a class; what became of them; from the first to the last; samples."""
    numbers = [int((held.classes == label).nonzero()[0]) for label in range(len(fashion.CLASSES))]
    real = held.images[numbers]
    mean, _ = encoder(real)
    way = torch.linspace(0, 1, len(real))[:, None]
    prior = torch.randn((len(real), LATENT), generator=torch.Generator().manual_seed(1))
    between = decoder(mean[:1] * (1 - way) + mean[-1:] * way)
    return fashion.grid([real, decoder(mean), between, decoder(prior)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the model, metrics.json and grid.png")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "lakegen-demo", help="downloaded packages"
    )
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    train, held = fashion.load(options.cache)
    encoder, decoder = Encoder(), Decoder()
    seen = fit(encoder, decoder, train.images, options)
    metrics = {"pictures_seen": seen, **measure(encoder, decoder, train.images, held.images)}
    config = {"model_type": "vae", "latent": LATENT, "image_size": fashion.SIZE, "channels": 1}
    fashion.save(options.out, config, {"encoder": encoder, "decoder": decoder}, metrics)
    picture(encoder, decoder, held).save(options.out / "grid.png")


if __name__ == "__main__":
    main()
