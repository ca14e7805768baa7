"""Latent diffusion: Stable Diffusion 1.x and 2.x.

    text_encoder: input_ids int64 [B, T] -> condition float32 [B, T, D]: the keys and values of all the UNet's cross
                  attentions side by side, which so are computed once and not in every step
    unet:         latents float32 [B, C, h, w], timestep float32 [B], condition -> prediction float32 [B, C, h, w]
    vae_decoder:  latents float32 [B, C, h, w], divided by `latents.scalingFactor` -> image float32 [B, 3, s h, s w],
                  -1..1 but not clamped (s: `latents.scale`)
    vae_encoder:  image float32 [B, 3, H, W] in -1..1 -> mean, standard deviation of the latents, each float32
                  [B, C, H / s, W / s], not yet multiplied by `latents.scalingFactor`

A text is padded to `tokenizer.maxLength` with `generation.pad`, as diffusers does; the text encoder has no mask.
h and w are multiples of `latents.multiple`: 2 to the number of times that the UNet halves them (8 in Stable Diffusion).
"""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from transformers import CLIPTextModel

from .. import golden
from ..golden import Step
from .base import Family, Graph, fold_quick_gelu
from .decoding import tokens


@dataclass
class Parts:
    """The models of a pipeline."""

    text_encoder: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL


class _TextEncoder(torch.nn.Module):
    def __init__(self, model, projections: list[torch.nn.Module]):
        super().__init__()
        self.model = model
        self.projections = torch.nn.ModuleList(projections)

    def forward(self, input_ids):
        hidden = self.model(input_ids).last_hidden_state
        return torch.cat([projection(hidden) for projection in self.projections], -1).float()


class _Slice(torch.nn.Module):
    """Stands for a projection that the text encoder has done."""

    def __init__(self, start: int, end: int):
        super().__init__()
        self.start, self.end = start, end

    def forward(self, condition):
        return condition[..., self.start : self.end]


def _projections(unet: UNet2DConditionModel) -> list[tuple[Attention, str]]:
    """The layers that make keys and values of the text, in one order for every copy of a UNet."""
    attentions = [m for m in unet.modules() if isinstance(m, Attention) and m.is_cross_attention]
    return [(attention, name) for attention in attentions for name in ("to_k", "to_v")]


def _take_projections(unet: UNet2DConditionModel) -> list[torch.nn.Module]:
    """Takes those layers out; the UNet then wants their outputs side by side in place of the text."""
    taken, end = [], 0
    for attention, name in _projections(unet):
        projection = getattr(attention, name)
        start, end = end, end + projection.out_features
        setattr(attention, name, _Slice(start, end))
        taken.append(projection)
    return taken


class _Unet(torch.nn.Module):
    def __init__(self, model, dtype):
        super().__init__()
        self.model = model
        self.dtype = dtype

    def forward(self, latents, timestep, condition):
        return self.model(
            latents.to(self.dtype), timestep, encoder_hidden_states=condition.to(self.dtype), return_dict=False
        )[0].float()


class _VaeDecoder(torch.nn.Module):
    def __init__(self, model, dtype):
        super().__init__()
        self.model = model
        self.dtype = dtype

    def forward(self, latents):
        return self.model.decode(latents.to(self.dtype), return_dict=False)[0].float()


class _VaeEncoder(torch.nn.Module):
    def __init__(self, model, dtype):
        super().__init__()
        self.model = model
        self.dtype = dtype

    def forward(self, image):
        distribution = self.model.encode(image.to(self.dtype), return_dict=False)[0]
        return distribution.mean.float(), distribution.std.float()


class StableDiffusion(Family):
    task: ClassVar[str] = "text-to-image"
    name: ClassVar[str] = "stable-diffusion"

    @staticmethod
    def load(source: str, **kwargs: Any) -> Parts:
        options = {"torch_dtype": torch.float32, **kwargs}
        return Parts(
            CLIPTextModel.from_pretrained(source, subfolder="text_encoder", dtype=torch.float32, **kwargs).eval(),
            UNet2DConditionModel.from_pretrained(source, subfolder="unet", **options).eval(),
            AutoencoderKL.from_pretrained(source, subfolder="vae", **options).eval(),
        )

    def __init__(self, reference: Parts, dtype: torch.dtype, tokenizer, scheduler: dict):
        super().__init__(reference, dtype)
        unet = reference.unet.config
        if unet.time_cond_proj_dim is not None or unet.addition_embed_type is not None or unet.class_embed_type:
            raise ValueError(
                "unet: takes guidance, sizes or classes as further inputs (expected: latents, timestep and text only)"
            )
        if reference.vae.config.shift_factor or reference.vae.config.latents_mean:
            raise ValueError("vae: shifts its latents (expected: a scaling factor only)")
        self.context = tokenizer.model_max_length
        self.tokenizer = tokenizer
        self.scheduler = scheduler
        self.scale = 2 ** (len(reference.vae.config.block_out_channels) - 1)

    def graphs(self):
        parts = copy.deepcopy(self.reference)
        fold_quick_gelu(parts.text_encoder)
        for model in (parts.text_encoder, parts.unet, parts.vae):
            model.to(self.dtype)
        size = 2 ** len(parts.unet.config.block_out_channels)
        values = {step.graph: step.inputs for step in self.session(2, size, size)}
        modules = {
            "text_encoder": _TextEncoder(parts.text_encoder, _take_projections(parts.unet)),
            "unet": _Unet(parts.unet, self.dtype),
            "vae_decoder": _VaeDecoder(parts.vae, self.dtype),
            "vae_encoder": _VaeEncoder(parts.vae, self.dtype),
        }
        width = sum(getattr(*pair).out_features for pair in _projections(self.reference.unet))
        condition = golden.sine("condition", (2, self.context, width))
        return {
            role: Graph(
                module,
                {value["name"]: golden.tensor(condition if "from" in value else value) for value in values[role]},
            )
            for role, module in modules.items()
        }

    def manifest(self):
        unet, vae = self.reference.unet.config, self.reference.vae.config
        side = self.scale * unet.sample_size
        ids = {"bos": self.tokenizer.bos_token_id, "pad": self.tokenizer.pad_token_id}
        return {
            "image": {"height": side, "width": side, "mean": [0.5] * 3, "std": [0.5] * 3},
            "generation": {
                **{key: value for key, value in ids.items() if value is not None},
                "eos": [self.tokenizer.eos_token_id],
                "maxLength": self.context,
            },
            # JSON has no infinity; DPM-Solver's lambda_min_clipped, the one key that holds it, then clips nothing.
            "scheduler": {key: value for key, value in self.scheduler.items() if value != float("-inf")},
            "latents": {
                "channels": unet.in_channels,
                "scale": self.scale,
                "multiple": 2**self.reference.unet.num_upsamplers,
                "scalingFactor": vae.scaling_factor,
            },
        }

    def session(self, rows: int, height: int, width: int) -> list[Step]:
        """All graphs once, for latents of this size."""
        parts = self.reference
        channels = parts.unet.config.in_channels
        vocabulary = parts.text_encoder.config.vocab_size
        ids = torch.tensor([tokens(vocabulary, self.context, row) for row in range(rows)])
        times = torch.tensor([981.0 - 240.5 * row for row in range(rows)])
        latents = golden.sine("latents", (rows, channels, height, width))
        image = golden.sine("image", (rows, 3, height * self.scale, width * self.scale))
        with torch.no_grad():
            hidden = parts.text_encoder(ids).last_hidden_state
            condition = torch.cat([getattr(*pair)(hidden) for pair in _projections(parts.unet)], -1)
            prediction = parts.unet(golden.tensor(latents), times, encoder_hidden_states=hidden).sample
            decoded = parts.vae.decode(golden.tensor(latents)).sample
            encoded = parts.vae.encode(golden.tensor(image)).latent_dist
        return [
            Step("text_encoder", [golden.data("input_ids", ids)], [condition]),
            Step("unet", [latents, golden.data("timestep", times), golden.output_of("condition", 0, 0)], [prediction]),
            Step("vae_decoder", [latents], [decoded]),
            Step("vae_encoder", [image], [encoded.mean, encoded.std]),
        ]

    def sessions(self):
        size = 2 ** len(self.reference.unet.config.block_out_channels)
        return [self.session(2, size, size), self.session(1, size, 2 * size), self.session(3, 2 * size, size)]
