"""Trains a small class-conditional GAN on Fashion-MNIST and measures what it paints.

The generator is of DCGAN's kind with its class beside the latent; the discriminator has spectral norm and the class as
a projection (arXiv 1802.05957, 1802.05637); the losses are hinges. Minutes, not steps, are given, and the learning rate
follows the clock. A running average of the generator's weights is what is saved.

Two measures, by a small classifier that is trained on the same 60,000 pictures: how often it finds in a generated
picture the class that was asked for, beside how often it is right of the 10,000 held-out pictures; and the Frechet
distance (FID's formula, arXiv 1706.08500) of 10,000 generated pictures from those held out, in the classifier's
features, beside that of 10,000 training pictures. `grid.png` shows a row a class. The last weights count: nothing is
chosen on the held-out part.
"""

import argparse
import copy
import time
from itertools import pairwise
from pathlib import Path

import fashion
import torch
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

LATENT = 32
WIDTH = 40


class Generator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.classes = torch.nn.Embedding(len(fashion.CLASSES), 16)
        self.start = torch.nn.Sequential(torch.nn.Linear(LATENT + 16, WIDTH * 16), torch.nn.Unflatten(1, (WIDTH, 4, 4)))
        self.layers = torch.nn.Sequential(
            torch.nn.BatchNorm2d(WIDTH),
            torch.nn.ReLU(),
            torch.nn.Upsample(scale_factor=2.0),
            torch.nn.Conv2d(WIDTH, 32, 3, 1, 1, bias=False),
            torch.nn.BatchNorm2d(32),
            torch.nn.ReLU(),
            torch.nn.Upsample(scale_factor=2.0),
            torch.nn.Conv2d(32, 24, 3, 1, 1, bias=False),
            torch.nn.BatchNorm2d(24),
            torch.nn.ReLU(),
            torch.nn.Upsample(scale_factor=2.0),
            torch.nn.Conv2d(24, 12, 3, 1, 1, bias=False),
            torch.nn.BatchNorm2d(12),
            torch.nn.ReLU(),
            torch.nn.Conv2d(12, 1, 3, 1, 1),
        )

    def forward(self, latent, label):
        start = self.start(torch.cat([latent, self.classes(label)], 1))
        return torch.tanh(self.layers(start))


class Discriminator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        widths = (1, 20, 32, 48)
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(before, after, 4, 2, 1) for before, after in pairwise(widths))
        self.score = torch.nn.Linear(48 * 16, 1)
        self.classes = torch.nn.Embedding(len(fashion.CLASSES), 48)

    def forward(self, image, label):
        hidden = image
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), 0.1)
        score = self.score(hidden.flatten(1)).flatten()
        return score + (self.classes(label) * hidden.sum([2, 3])).sum(1)


class Classifier(torch.nn.Module):
    """The measure's: features [N, 64] and logits."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(1, 32, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(32, 64, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.Conv2d(64, 64, 3, 2, 1),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(64 * 16, 64),
            torch.nn.ReLU(),
        )
        self.logits = torch.nn.Linear(64, len(fashion.CLASSES))


def fit_classifier(train: fashion.Part, epochs: int) -> Classifier:
    model = Classifier()
    steps = epochs * len(train.images) // 128
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    for _ in range(steps):
        batch = torch.randint(len(train.images), (128,))
        loss = F.cross_entropy(model.logits(model.features(train.images[batch])), train.classes[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def fit(train: fashion.Part, options: argparse.Namespace) -> tuple[Generator, Discriminator, int]:
    """The averaged generator, the discriminator without its norms, and the number of real pictures seen."""
    generator, discriminator = Generator(), Discriminator()
    for layer in [*discriminator.layers, discriminator.score, discriminator.classes]:
        parametrizations.spectral_norm(layer)
    average = copy.deepcopy(generator)
    painter = torch.optim.Adam(generator.parameters(), lr=options.learning_rate, betas=(0.0, 0.99))
    critic = torch.optim.Adam(discriminator.parameters(), lr=2 * options.learning_rate, betas=(0.0, 0.99))
    start, seen = time.monotonic(), 0
    while (passed := (time.monotonic() - start) / 60 / options.minutes) < 1:
        rate = min(1.0, 3 * (1 - passed))
        painter.param_groups[0]["lr"] = options.learning_rate * rate
        critic.param_groups[0]["lr"] = 2 * options.learning_rate * rate
        batch = torch.randint(len(train.images), (options.batch,))
        real, labels = train.images[batch], train.classes[batch]
        fake = generator(torch.randn(options.batch, LATENT), labels)
        loss = F.relu(1 - discriminator(real, labels)).mean() + F.relu(1 + discriminator(fake.detach(), labels)).mean()
        critic.zero_grad()
        loss.backward()
        critic.step()
        painted = -discriminator(fake, labels).mean()
        painter.zero_grad()
        painted.backward()
        painter.step()
        with torch.no_grad():
            for kept, now in zip(average.state_dict().values(), generator.state_dict().values(), strict=True):
                kept.copy_(now if kept.dtype == torch.int64 else 0.998 * kept + 0.002 * now)
        seen += len(batch)
        if seen // len(batch) % 200 == 0:
            print(f"{passed:.0%} {seen:,} pictures, losses {loss.item():.2f}, {painted.item():.2f}", flush=True)
    for layer in [*discriminator.layers, discriminator.score, discriminator.classes]:
        parametrize.remove_parametrizations(layer, "weight")
    return average.eval(), discriminator.eval(), seen


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """The Frechet distance of two sets of features, as if each were normally distributed."""
    means = [features.mean(0) for features in (one, other)]
    covariances = [torch.cov(features.double().T) for features in (one, other)]
    roots = torch.linalg.eigvals(covariances[0] @ covariances[1]).real.clamp(min=0).sqrt().sum()
    traces = sum(torch.trace(covariance) for covariance in covariances)
    return ((means[0] - means[1]).square().sum() + traces - 2 * roots).item()


@torch.no_grad()
def measure(generator: Generator, classifier: Classifier, train: fashion.Part, held: fashion.Part) -> dict:
    latents = torch.randn((len(held.images), LATENT), generator=torch.Generator().manual_seed(1))
    painted = torch.cat([generator(*pair) for pair in zip(latents.split(500), held.classes.split(500), strict=True)])
    features = {
        "generated": classifier.features(painted),
        "held_out": classifier.features(held.images),
        "training": classifier.features(train.images[:10000]),
    }

    def accuracy(name: str) -> float:
        return round((classifier.logits(features[name]).argmax(1) == held.classes).float().mean().item(), 4)

    return {
        "class_found": {"generated": accuracy("generated"), "held_out": accuracy("held_out")},
        "distance_from_held_out": {
            name: round(distance(features[name], features["held_out"]), 2) for name in ("generated", "training")
        },
    }


@torch.no_grad()
def picture(generator: Generator):
    latents = torch.randn((len(fashion.CLASSES), 12, LATENT), generator=torch.Generator().manual_seed(2))
    return fashion.grid([generator(row, torch.full((12,), label)) for label, row in enumerate(latents)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the model, metrics.json and grid.png")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "lakegen-demo", help="downloaded packages"
    )
    parser.add_argument("--minutes", type=float, default=7)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--epochs", type=int, default=6, help="of the measure's classifier")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    train, held = fashion.load(options.cache)
    generator, discriminator, seen = fit(train, options)
    classifier = fit_classifier(train, options.epochs)
    metrics = {"pictures_seen": seen, **measure(generator, classifier, train, held)}
    config = {
        **{"model_type": "gan", "latent": LATENT, "image_size": fashion.SIZE, "channels": 1},
        "classes": len(fashion.CLASSES),
    }
    fashion.save(options.out, config, {"generator": generator, "discriminator": discriminator}, metrics)
    picture(generator).save(options.out / "grid.png")


if __name__ == "__main__":
    main()
