"""Models of no library: TorchScript files and a `config.json` that keep to one of these contracts.

Images are float32 [B, channels, S, S] in -1..1; `channels`, 3 or 1, and S, `image_size`, stand in `config.json`. Files
are what `torch.jit.script(module).save(name)` writes. Of `model_type`

    vae: `latent`, numbers of a latent
        encoder.pt:        image -> mean, standard deviation of the latent, each float32 [B, latent]
        decoder.pt:        latent float32 [B, latent] -> image
    gan: `latent`; `classes` (missing: none); `truncation` true where the generator takes a truncation psi
        generator.pt:      latent float32 [B, latent], then, where it has them, the classes int64 [B], and psi float32
                           [B] -> image
        discriminator.pt:  image, then the classes -> score float32 [B] or [B, 1]; may be missing

    next-frame:
        model.pt:          frames float32 [B, T, channels, S, S] of any T, the oldest first -> the next frame, an image

In the pack images have three channels, equal ones where the model has one, and a VAE's latents are [B, latent, 1, 1].
"""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers.utils import cached_file

from .. import golden
from ..golden import Step
from ..source import read_json
from .base import Family, Graph


@dataclass
class Model:
    """The content of `config.json`, and the files by their names without `.pt`."""

    config: dict
    modules: dict[str, torch.jit.ScriptModule]


def _colours(image: torch.Tensor, channels: int) -> torch.Tensor:
    return image if channels == 3 else image.mean(1, keepdim=True)


class _Images(torch.nn.Module):
    """Gives images of three channels."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        image = self.model(*inputs)
        return image if image.shape[1] == 3 else image.repeat(1, 3, 1, 1)


class _Score(torch.nn.Module):
    def __init__(self, model, channels: int):
        super().__init__()
        self.model = model
        self.channels = channels

    def forward(self, image, *labels):
        return self.model(_colours(image, self.channels), *labels).flatten()


class _Encoder(torch.nn.Module):
    def __init__(self, model, channels: int):
        super().__init__()
        self.model = model
        self.channels = channels

    def forward(self, image):
        mean, deviation = self.model(_colours(image, self.channels))
        return mean[:, :, None, None], deviation[:, :, None, None]


class _Decoder(_Images):
    def forward(self, latents):
        return super().forward(latents.flatten(1))


class Contract(Family):
    texts: ClassVar[bool] = False
    measured: ClassVar[bool] = False
    files: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    keys: ClassVar[dict[str, type]]

    @classmethod
    def load(cls, source: str, **kwargs: Any) -> Model:
        config = read_json(source, "config.json")
        modules = {}
        for name in (*cls.files, *cls.optional):
            path = cached_file(source, f"{name}.pt", _raise_exceptions_for_missing_entries=False)
            if path is not None:
                modules[name] = torch.jit.load(path, map_location="cpu").eval()
            elif name in cls.files:
                raise ValueError(f"{name}.pt: missing (expected: a TorchScript file in {Path(source).name})")
        return Model(config, modules)

    def __init__(self, reference: Model, dtype: torch.dtype):
        super().__init__(reference, dtype)
        if dtype != torch.float32:
            raise ValueError(f"dtype: {dtype} (expected: float32 for {reference.config['model_type']})")
        for key, kind in self.keys.items():
            value = reference.config.get(key)
            if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool) or value < (kind is int):
                raise ValueError(f"config.json: {key} {value} (expected: {kind.__name__})")
        self.channels = reference.config.get("channels", 3)
        if self.channels not in (1, 3):
            raise ValueError(f"config.json: channels {self.channels} (expected: 1 or 3)")
        self.side = reference.config["image_size"]

    def manifest(self):
        return {"image": {"height": self.side, "width": self.side, "mean": [0.5] * 3, "std": [0.5] * 3}}

    @abstractmethod
    def wrap(self) -> dict[str, torch.nn.Module]:
        """The pack's graphs as modules."""

    @abstractmethod
    def inputs(self, rows: int) -> dict[str, list[dict]]:
        """Golden inputs of each graph."""

    def graphs(self):
        inputs = self.inputs(2)
        modules = self.wrap()
        return {role: Graph(modules[role], {v["name"]: golden.tensor(v) for v in inputs[role]}) for role in modules}

    def session(self, rows: int) -> list[Step]:
        steps = []
        modules = self.wrap()
        for role, inputs in self.inputs(rows).items():
            if role in modules:
                with torch.no_grad():
                    outputs = modules[role](*[golden.tensor(value) for value in inputs])
                self.check(role, outputs if isinstance(outputs, tuple) else (outputs,), rows)
                steps.append(Step(role, inputs, list(outputs) if isinstance(outputs, tuple) else [outputs]))
        return steps

    def check(self, role: str, outputs: tuple[torch.Tensor, ...], rows: int) -> None:
        """ValueError for outputs of other shapes than the contract's."""
        expected = self.shapes(rows)[role]
        found = [tuple(output.shape) for output in outputs]
        if found != expected:
            raise ValueError(f"{role}: gives {found} (expected: {expected})")

    @abstractmethod
    def shapes(self, rows: int) -> dict[str, list[tuple[int, ...]]]:
        """Shapes of the outputs of each graph."""

    def sessions(self):
        return [self.session(1), self.session(3)]

    def picture(self, rows: int) -> dict:
        return golden.sine("image", (rows, 3, self.side, self.side))


class Vae(Contract):
    task: ClassVar[str] = "autoencoding"
    files: ClassVar[tuple[str, ...]] = ("encoder", "decoder")
    keys: ClassVar[dict[str, type]] = {"latent": int, "image_size": int}

    def section(self):
        latents = {"channels": self.reference.config["latent"], "scale": self.side, "multiple": 1, "scalingFactor": 1.0}
        return {"latents": latents, "anySize": False}

    def wrap(self):
        modules = self.reference.modules
        return {
            "vae_encoder": _Encoder(modules["encoder"], self.channels),
            "vae_decoder": _Decoder(modules["decoder"]),
        }

    def inputs(self, rows):
        latents = golden.sine("latents", (rows, self.reference.config["latent"], 1, 1))
        return {"vae_encoder": [self.picture(rows)], "vae_decoder": [latents]}

    def shapes(self, rows):
        latent = (rows, self.reference.config["latent"], 1, 1)
        return {"vae_encoder": [latent, latent], "vae_decoder": [(rows, 3, self.side, self.side)]}


class Gan(Contract):
    task: ClassVar[str] = "unconditional-image-generation"
    files: ClassVar[tuple[str, ...]] = ("generator",)
    optional: ClassVar[tuple[str, ...]] = ("discriminator",)
    keys: ClassVar[dict[str, type]] = {"latent": int, "image_size": int}

    @property
    def classes(self) -> int:
        return int(self.reference.config.get("classes") or 1)

    def section(self):
        truncation = bool(self.reference.config.get("truncation", False))
        return {"latent": self.reference.config["latent"], "classes": self.classes, "truncation": truncation}

    def wrap(self):
        modules = self.reference.modules
        wrapped = {"generator": _Images(modules["generator"])}
        if "discriminator" in modules:
            wrapped["discriminator"] = _Score(modules["discriminator"], self.channels)
        return wrapped

    def inputs(self, rows):
        latent = [golden.sine("latent", (rows, self.reference.config["latent"]))]
        labels = []
        if self.classes > 1:
            labels = [golden.data("label", torch.tensor([(row + 1) % self.classes for row in range(rows)]))]
        psi = []
        if self.section()["truncation"]:
            psi = [golden.data("psi", torch.tensor([0.5 + 0.25 * row for row in range(rows)]))]
        return {"generator": [*latent, *labels, *psi], "discriminator": [self.picture(rows), *labels]}

    def shapes(self, rows):
        return {"generator": [(rows, 3, self.side, self.side)], "discriminator": [(rows,)]}


class _Frames(_Images):
    def __init__(self, model, channels: int):
        super().__init__(model)
        self.channels = channels

    def forward(self, frames):
        return super().forward(frames if self.channels == 3 else frames.mean(2, keepdim=True))


class NextFrame(Contract):
    task: ClassVar[str] = "next-frame-prediction"
    files: ClassVar[tuple[str, ...]] = ("model",)
    keys: ClassVar[dict[str, type]] = {"image_size": int}

    def wrap(self):
        return {"model": _Frames(self.reference.modules["model"], self.channels)}

    def inputs(self, rows):
        return {"model": [golden.sine("frames", (rows, 1 + rows, 3, self.side, self.side))]}

    def shapes(self, rows):
        return {"model": [(rows, 3, self.side, self.side)]}

    def sessions(self):
        frames = golden.tensor(self.inputs(3)["model"][0])
        model = self.wrap()["model"]
        with torch.no_grad():
            if torch.equal(model(frames), model(torch.cat([frames[:, :-1], -frames[:, -1:]], 1))):
                raise ValueError(
                    "model.pt: the last of 4 frames changes nothing (expected: a loop over all frames; script it, a "
                    "trace has the number of frames that it was made with)"
                )
        return super().sessions()


CONTRACTS: dict[str, type[Contract]] = {"vae": Vae, "gan": Gan, "next-frame": NextFrame}
"""By `model_type`."""
