"""Autoencoders of latent diffusion alone.

vae_decoder:  latents float32 [B, C, h, w], divided by `latents.scalingFactor` -> image float32 [B, 3, s h, s w],
              -1..1 but not clamped (s: `latents.scale`)
vae_encoder:  image float32 [B, 3, H, W] in -1..1 -> mean, standard deviation of the latents, each float32
              [B, C, H / s, W / s], not yet multiplied by `latents.scalingFactor`
"""

import copy
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderDC, AutoencoderKL

from .. import golden
from ..golden import Step
from . import rewrites
from .base import Family, Graph


class VaeDecoder(torch.nn.Module):
    def __init__(self, model, dtype):
        super().__init__()
        self.model = model
        self.dtype = dtype

    def forward(self, latents):
        return self.model.decode(latents.to(self.dtype), return_dict=False)[0].float()


class VaeEncoder(torch.nn.Module):
    def __init__(self, model, dtype):
        super().__init__()
        self.model = model
        self.dtype = dtype

    def forward(self, image):
        mean, deviation = encoded(self.model, image.to(self.dtype))
        return mean.float(), deviation.float()


def encoded(vae: AutoencoderKL | AutoencoderDC, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the latents; AutoencoderDC has the mean only."""
    found = vae.encode(image, return_dict=False)[0]
    return (found, torch.zeros_like(found)) if isinstance(found, torch.Tensor) else (found.mean, found.std)


def scale_of(vae: AutoencoderKL | AutoencoderDC) -> int:
    """How many pixels of a side are one of the latents'."""
    config = vae.config
    blocks = config.encoder_block_out_channels if isinstance(vae, AutoencoderDC) else config.block_out_channels
    return 2 ** (len(blocks) - 1)


def latents_section(vae: AutoencoderKL | AutoencoderDC, multiple: int) -> dict:
    """What Java needs to know of an autoencoder's latents."""
    section = {
        "channels": vae.config.latent_channels,
        "scale": scale_of(vae),
        "multiple": multiple,
        "scalingFactor": vae.config.scaling_factor,
    }
    shift = vae.config.get("shift_factor")
    return section | ({"shift": shift} if shift else {})


class AutoencoderKl(Family):
    task: ClassVar[str] = "autoencoding"
    name: ClassVar[str] = "autoencoder-kl"
    class_name: ClassVar[str] = "AutoencoderKL"
    texts: ClassVar[bool] = False
    measured: ClassVar[bool] = False

    @staticmethod
    def load(source: str, **kwargs: Any) -> AutoencoderKL:
        return AutoencoderKL.from_pretrained(source, torch_dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference: AutoencoderKL, dtype: torch.dtype):
        super().__init__(reference, dtype)
        if reference.config.latents_mean:
            raise ValueError("latents_mean: given (expected: a scaling factor and shift only)")
        self.scale = scale_of(reference)

    def graphs(self):
        model = copy.deepcopy(self.reference).to(self.dtype)
        rewrites.fold_upsampling(model.decoder)
        modules = {"vae_decoder": VaeDecoder(model, self.dtype), "vae_encoder": VaeEncoder(model, self.dtype)}
        return {
            step.graph: Graph(modules[step.graph], {v["name"]: golden.tensor(v) for v in step.inputs})
            for step in self.session(2, 4, 6)
        }

    def manifest(self):
        side = self.reference.config.sample_size
        return {"image": {"height": side, "width": side, "mean": [0.5] * 3, "std": [0.5] * 3}}

    def section(self):
        return {"latents": latents_section(self.reference, 1), "anySize": True}

    def session(self, rows: int, height: int, width: int) -> list[Step]:
        """Both graphs once, for latents of this size."""
        latents = golden.sine("latents", (rows, self.reference.config.latent_channels, height, width))
        image = golden.sine("image", (rows, 3, height * self.scale, width * self.scale))
        with torch.no_grad():
            decoded = self.reference.decode(golden.tensor(latents)).sample
            latent = encoded(self.reference, golden.tensor(image))
        return [Step("vae_decoder", [latents], [decoded]), Step("vae_encoder", [image], list(latent))]

    def sessions(self):
        return [self.session(1, 4, 4), self.session(3, 6, 3)]
