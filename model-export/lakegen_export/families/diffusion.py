"""Latent diffusion: Stable Diffusion 1.x and 2.x.

    text_encoder: input_ids int64 [B, T] -> condition float32 [B, T, D]: the keys and values of all the UNet's cross
                  attentions side by side, which so are computed once and not in every step
    unet:         latents float32 [B, C, h, w], timestep float32 [B], condition of k B texts -> prediction float32
                  [k B, C, h, w]: every text's view of the latents, k = 2 for guidance, B texts after B texts
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
from transformers import CLIPTextModel

from .. import golden
from ..golden import Step
from ..source import read_json
from . import rewrites
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


class _Unet(torch.nn.Module):
    def __init__(self, model, dtype):
        super().__init__()
        self.model = model
        self.dtype = dtype
        if dtype == torch.bfloat16:
            model.set_attn_processor(rewrites.BlockAttention())
        self.shared = rewrites.share_copies(model)

    def forward(self, latents, timestep, condition):
        copies = condition.shape[0] // latents.shape[0]
        for layer in self.shared:
            layer.copies = copies
        return self.model(
            latents.to(self.dtype).repeat(copies, 1, 1, 1),
            timestep.repeat(copies),
            encoder_hidden_states=condition.to(self.dtype),
            return_dict=False,
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
    tokenizer_folder: ClassVar[str] = "tokenizer"

    @staticmethod
    def recognise(index: dict) -> None:
        """ValueError unless `model_index.json` names the parts of such a pipeline."""
        kinds = {part: index.get(part, [None, None])[1] for part in ("text_encoder", "unet", "vae")}
        expected = {"text_encoder": "CLIPTextModel", "unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}
        if kinds != expected or "text_encoder_2" in index:
            raise ValueError(f"{index['_class_name']}: {kinds} (expected: Stable Diffusion 1.x or 2.x, {expected})")

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        scheduler = read_json(source, "scheduler/scheduler_config.json")
        parts = cls.load(source, **kwargs)
        # Without float16 arithmetic, a CPU takes minutes over float16 convolutions of a small model.
        if request.dtype == torch.float16 and torch.cuda.is_available():
            torch.backends.cudnn.allow_tf32 = False  # the reference is in float32
            for model in (parts.text_encoder, parts.unet, parts.vae):
                model.to("cuda")
        return cls(parts, request.dtype, tokenizer, scheduler)

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
        config = reference.unet.config
        if config.time_cond_proj_dim is not None or config.addition_embed_type is not None or config.class_embed_type:
            raise ValueError(
                "unet: takes guidance, sizes or classes as further inputs (expected: latents, timestep and text only)"
            )
        if reference.vae.config.shift_factor or reference.vae.config.latents_mean:
            raise ValueError("vae: shifts its latents (expected: a scaling factor only)")
        self.device = reference.unet.device
        self.context = tokenizer.model_max_length
        self.tokenizer = tokenizer
        self.scheduler = scheduler
        self.scale = 2 ** (len(reference.vae.config.block_out_channels) - 1)

    def graphs(self):
        parts = copy.deepcopy(self.reference)
        fold_quick_gelu(parts.text_encoder)
        rewrites.split_geglu(parts.unet)
        rewrites.fold_upsampling(parts.unet)
        rewrites.fold_upsampling(parts.vae.decoder)
        for model in (parts.text_encoder, parts.unet, parts.vae):
            model.to(self.dtype)
        size = 2 ** len(parts.unet.config.block_out_channels)
        steps = self.session(2, size, size, 2)
        condition = steps[0].outputs[0]
        modules = {
            "text_encoder": _TextEncoder(parts.text_encoder, rewrites.take_projections(parts.unet)),
            "unet": _Unet(parts.unet, self.dtype),
            "vae_decoder": _VaeDecoder(parts.vae, self.dtype),
            "vae_encoder": _VaeEncoder(parts.vae, self.dtype),
        }
        examples = {
            step.graph: {v["name"]: condition if "from" in v else golden.tensor(v) for v in step.inputs}
            for step in steps
        }
        return {role: Graph(module, examples[role]) for role, module in modules.items()}

    def manifest(self):
        side = self.scale * self.reference.unet.config.sample_size
        ids = {"bos": self.tokenizer.bos_token_id, "pad": self.tokenizer.pad_token_id}
        return {
            "image": {"height": side, "width": side, "mean": [0.5] * 3, "std": [0.5] * 3},
            "generation": {
                **{key: value for key, value in ids.items() if value is not None},
                "eos": [self.tokenizer.eos_token_id],
                "maxLength": self.context,
            },
        }

    def section(self):
        return {
            # JSON has no infinity; DPM-Solver's lambda_min_clipped, the one key that holds it, then clips nothing.
            "scheduler": {key: value for key, value in self.scheduler.items() if value != float("-inf")},
            "latents": {
                "channels": self.reference.unet.config.in_channels,
                "scale": self.scale,
                "multiple": 2**self.reference.unet.num_upsamplers,
                "scalingFactor": self.reference.vae.config.scaling_factor,
            },
        }

    def session(self, rows: int, height: int, width: int, copies: int) -> list[Step]:
        """All graphs once, for latents of this size, with so many texts to each."""
        parts = self.reference
        channels = parts.unet.config.in_channels
        vocabulary = parts.text_encoder.config.vocab_size
        ids = torch.tensor([tokens(vocabulary, self.context, row) for row in range(rows * copies)])
        times = torch.tensor([981.0 - 240.5 * row for row in range(rows)])
        latents = golden.sine("latents", (rows, channels, height, width))
        image = golden.sine("image", (rows, 3, height * self.scale, width * self.scale))
        with torch.no_grad():
            hidden = parts.text_encoder(ids).last_hidden_state
            condition = torch.cat([getattr(*pair)(hidden) for pair in rewrites.projections(parts.unet)], -1)
            repeated = golden.tensor(latents).repeat(copies, 1, 1, 1)
            prediction = parts.unet(repeated, times.repeat(copies), encoder_hidden_states=hidden).sample
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
        return [
            self.session(2, size, size, 2),
            self.session(1, size, 2 * size, 1),
            self.session(3, 2 * size, size, 2),
        ]
