"""Latent diffusion: Stable Diffusion 1.x, 2.x, XL and 3, also for inpainting, with a ControlNet, and to enlarge; Sana.

    text_encoder: input_ids int64 [B, T] -> conditions, each float32 [B, ...]. Of Stable Diffusion 1.x and 2.x it is one
                  [B, T, D]: the keys and values of all the UNet's cross attentions side by side, which so are computed
                  once and not in every step; of XL and 3 the hidden states of both encoders side by side, and the
                  pooled text; of Sana the hidden states, and 1 for what is text
    unet:         latents float32 [B, C, h, w], timestep float32 [B], the conditions of k B texts, and what `conditions`
                  of the pack name, of B rows -> prediction float32 [k B, C, h, w]: every text's view of the latents,
                  k = 2 for guidance, B texts after B texts
    vae_decoder:  latents float32 [B, C, h, w], divided by `latents.scalingFactor` -> image float32 [B, 3, s h, s w],
                  -1..1 but not clamped (s: `latents.scale`)
    vae_encoder:  image float32 [B, 3, H, W] in -1..1 -> mean, standard deviation of the latents, each float32
                  [B, C, H / s, W / s], not yet multiplied by `latents.scalingFactor`

`conditions` of the pack, in their order:

    inpaint:      float32 [B, 1 + C, h, w]: the mask, 1 where there is to be something new, and the latents of the
                  picture whose masked parts are grey
    control:      float32 [B, 3, s h, s w], a picture in 0..1 that the image follows; float32 [B], how closely
    lowResolution: float32 [B, 3, h, w], the picture to enlarge in -1..1 with noise of `lowResolutionScheduler`; float32
                  [B], the training timestep of the noise
    lowResolutionLatents: float32 [B, C, h / 2, w / 2], the latents of the picture to enlarge

A text is padded to `tokenizer.maxLength` with `generation.pad`, as diffusers does; the text encoder has no mask, but
for Sana's, which leaves the padding out.
h and w are multiples of `latents.multiple`: 2 to the number of times that the UNet halves them (8 in Stable Diffusion).
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    ControlNetModel,
    EulerDiscreteScheduler,
    SanaTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)
from transformers import AutoTokenizer, CLIPTextModel, CLIPTextModelWithProjection, Gemma2Model

from .. import golden
from ..golden import Step
from ..source import read_json
from . import lora, rewrites
from .autoencoder import VaeDecoder, VaeEncoder, encoded, latents_section, scale_of
from .base import Family, Graph, fold_quick_gelu, lower
from .decoding import tokens


@dataclass
class Parts:
    """The models of a pipeline."""

    text_encoder: CLIPTextModel | Gemma2Model
    unet: UNet2DConditionModel | SD3Transformer2DModel | SanaTransformer2DModel
    vae: AutoencoderKL | AutoencoderDC
    text_encoder_2: CLIPTextModelWithProjection | None = None
    controlnet: ControlNetModel | None = None

    def denoisers(self) -> list[torch.nn.Module]:
        """The models that see noisy latents."""
        return [model for model in (self.unet, self.controlnet) if model is not None]

    def models(self) -> list[torch.nn.Module]:
        return [model for model in vars(self).values() if model is not None]


Tensors = Sequence[torch.Tensor]

Unet = Callable[[torch.Tensor, torch.Tensor, Tensors, Tensors], torch.Tensor]
"""Latents, times, conditions of the texts and others, all of as many rows, to the prediction."""


class _TextEncoder(torch.nn.Module):
    def __init__(self, model, projections: list[torch.nn.Module]):
        super().__init__()
        self.model = model
        self.projections = torch.nn.ModuleList(projections)

    def forward(self, input_ids):
        hidden = self.model(input_ids).last_hidden_state
        return torch.cat([projection(hidden) for projection in self.projections], -1).float()


class _Unet(torch.nn.Module):
    """Repeats its latents for every text; `call` is the model, `shared` are the layers that know of the copies."""

    def __init__(self, models: list[torch.nn.Module], shared: list[rewrites.Once], call: Unet, texts: int, dtype):
        super().__init__()
        self.models = torch.nn.ModuleList(models)
        self.shared = shared
        self.call = call
        self.texts = texts
        self.dtype = dtype

    def forward(self, latents, timestep, *conditions):
        copies = conditions[0].shape[0] // latents.shape[0]
        for layer in self.shared:
            layer.copies = copies
        texts = [text.to(self.dtype) for text in conditions[: self.texts]]
        rows = [latents, *conditions[self.texts :]]
        rows = [one if one.dim() == 1 else one.to(self.dtype) for one in rows]
        latents, *others = (one.repeat(copies, *[1] * (one.dim() - 1)) for one in rows)
        return self.call(latents, timestep.repeat(copies), texts, others).float()


class StableDiffusion(Family):
    task: ClassVar[str] = "text-to-image"
    name: ClassVar[str] = "stable-diffusion"
    measured: ClassVar[bool] = False
    defaults: ClassVar[dict[str, float]] = {}
    """Where the pipeline of diffusers makes other steps than 50, or guides by another scale than 7.5."""

    tokenizer_folder: ClassVar[str] = "tokenizer"
    options: ClassVar[tuple[str, ...]] = ("lora",)

    pipeline: ClassVar[str | None] = None
    """The pipeline's class in diffusers, where its parts are those of another family's."""

    parts: ClassVar[dict[str, str]] = {
        "text_encoder": "CLIPTextModel",
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
    }
    """The models of such a pipeline, as `model_index.json` names them."""

    classes: ClassVar[dict[str, type]] = {}
    """Classes of its parts where they are not those of Stable Diffusion."""

    embeddings: ClassVar[tuple[str | None, str | None]] = (None, None)
    """The UNet's kinds of further embeddings: of its `addition_embed_type` and `class_embed_type`."""

    labels: ClassVar[bool] = False
    """Whether the UNet takes one of a number of classes."""

    upcasts: ClassVar[bool] = False
    """Whether an autoencoder that asks for it stays in float32 where the rest is float16."""

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        scheduler = read_json(source, "scheduler/scheduler_config.json")
        parts = cls.load(source, **kwargs)
        if request.lora is not None:
            lora.merge({name: model for name, model in vars(parts).items() if model is not None}, request.lora)
        # Without float16 arithmetic, a CPU takes minutes over float16 convolutions of a small model. The other kinds
        # have not been tried on a GPU.
        if cls is StableDiffusion and request.dtype == torch.float16 and torch.cuda.is_available():
            torch.backends.cudnn.allow_tf32 = False  # the reference is in float32
            for model in (parts.text_encoder, parts.unet, parts.vae):
                model.to("cuda")
        return cls(parts, request.dtype, tokenizer, scheduler)

    @classmethod
    def load(cls, source: str, **kwargs: Any) -> Parts:
        classes = {
            "text_encoder": CLIPTextModel,
            "text_encoder_2": CLIPTextModelWithProjection,
            "unet": UNet2DConditionModel,
            "vae": AutoencoderKL,
            "controlnet": ControlNetModel,
            "transformer": SD3Transformer2DModel,
        }
        classes |= cls.classes
        loaded = {}
        for part in classes.keys() & cls.parts.keys():
            dtype = {"dtype" if part.startswith("text_encoder") else "torch_dtype": torch.float32}
            loaded[part] = classes[part].from_pretrained(source, subfolder=part, **dtype, **kwargs).eval()
        loaded.setdefault("unet", loaded.pop("transformer", None))
        return Parts(**loaded)

    def __init__(self, reference: Parts, dtype: torch.dtype, tokenizer, scheduler: dict):
        super().__init__(reference, dtype)
        self.check_denoiser()
        if reference.vae.config.get("latents_mean"):
            raise ValueError("vae: has latents_mean (expected: a scaling factor and shift only)")
        self.device = reference.unet.device
        self.context = tokenizer.model_max_length
        self.tokenizer = tokenizer
        self.scheduler = scheduler
        self.scale = scale_of(reference.vae)
        self.channels = reference.vae.config.latent_channels
        self.conditions = self.find_conditions()

    def check_denoiser(self) -> None:
        """ValueError where it takes what it would not be given."""
        config = self.reference.unet.config
        found = config.addition_embed_type, config.class_embed_type
        labels = config.num_class_embeds is not None
        if config.time_cond_proj_dim is not None or found != self.embeddings or labels != self.labels:
            raise ValueError(
                f"unet: takes guidance, sizes or classes as further inputs {found} (expected: those of {self.name}, "
                f"{self.embeddings})"
            )

    @property
    def multiple(self) -> int:
        """Sides of latents are multiples of this."""
        return 2**self.reference.unet.num_upsamplers

    @property
    def small(self) -> int:
        """Side of the golden latents."""
        return 2 ** len(self.reference.unet.config.block_out_channels)

    def find_conditions(self) -> list[str]:
        """What the UNet takes besides latents, time and text."""
        taken = self.reference.unet.config.in_channels
        if taken == self.channels:
            return []
        if taken == 2 * self.channels + 1:
            return ["inpaint"]
        raise ValueError(
            f"unet: in_channels {taken} (expected: the latents' {self.channels}, or {2 * self.channels + 1} to inpaint)"
        )

    def encode(self, parts: Parts, ids: torch.Tensor) -> Tensors:
        """The texts as the UNet wants them."""
        return [parts.text_encoder(ids).last_hidden_state]

    def denoise(self, parts: Parts, latents: torch.Tensor, times: torch.Tensor, texts: Tensors, others: Tensors):
        """The UNet's prediction; all arguments have as many rows."""
        return parts.unet(torch.cat([latents, *others], 1), times, encoder_hidden_states=texts[0], return_dict=False)[0]

    def text_graph(self, parts: Parts) -> torch.nn.Module:
        return _TextEncoder(parts.text_encoder, rewrites.take_projections(torch.nn.ModuleList(parts.denoisers())))

    def share(self, unet: UNet2DConditionModel) -> list[rewrites.Once]:
        return rewrites.share_copies(unet)

    def conditions_of(self, texts: Tensors) -> Tensors:
        """What the graph `text_encoder` makes of `encode`."""
        attentions = rewrites.projections(torch.nn.ModuleList(self.reference.denoisers()))
        return [torch.cat([getattr(*pair)(texts[0]) for pair in attentions], -1)]

    def graphs(self):
        parts = copy.deepcopy(self.reference)
        wide = self.wide(parts) if self.dtype == torch.float16 else []
        for model in parts.models():
            fold_quick_gelu(model)
            if model not in wide:
                model.to(self.dtype)
        for model in parts.denoisers():
            rewrites.split_geglu(model)
            rewrites.fold_upsampling(model)
            if self.dtype == torch.bfloat16 and isinstance(model, (UNet2DConditionModel, ControlNetModel)):
                model.set_attn_processor(rewrites.BlockAttention())
        rewrites.fold_upsampling(parts.vae.decoder)
        steps = self.session(2, self.small, self.small, 2)
        text_graph = self.text_graph(parts)

        def call(latents, times, texts, others):
            return self.denoise(parts, latents, times, texts, others)

        modules = {
            "text_encoder": text_graph,
            "unet": _Unet(parts.denoisers(), self.share(parts.unet), call, len(steps[0].outputs), self.dtype),
            "vae_decoder": VaeDecoder(parts.vae, parts.vae.dtype),
            "vae_encoder": VaeEncoder(parts.vae, parts.vae.dtype),
        }
        examples = {
            step.graph: {
                v["name"]: steps[0].outputs[v["from"][1]] if "from" in v else golden.tensor(v) for v in step.inputs
            }
            for step in steps
        }
        return {role: Graph(module, examples[role]) for role, module in modules.items()}

    def wide(self, parts: Parts) -> list[torch.nn.Module]:
        """Parts whose values float16 can't hold: they stay in float32."""
        return [parts.vae] if self.upcasts and parts.vae.config.force_upcast else []

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
            "latents": latents_section(self.reference.vae, self.multiple),
            **({"conditions": self.conditions} if self.conditions else {}),
            **self.defaults,
        }

    def condition(self, name: str, rows: int, height: int, width: int) -> list[dict]:
        """The inputs of a condition, for latents of this size."""
        return [golden.sine(name, (rows, 1 + self.channels, height, width))]

    def ids(self, texts: int) -> torch.Tensor:
        """Made up texts."""
        vocabulary = self.reference.text_encoder.config.vocab_size
        return torch.tensor([tokens(vocabulary, self.context, text) for text in range(texts)])

    def session(self, rows: int, height: int, width: int, copies: int) -> list[Step]:
        """All graphs once, for latents of this size, with so many texts to each."""
        parts = self.reference
        ids = self.ids(rows * copies)
        times = torch.tensor([981.0 - 240.5 * row for row in range(rows)])
        latents = golden.sine("latents", (rows, self.channels, height, width))
        image = golden.sine("image", (rows, 3, height * self.scale, width * self.scale))
        others = [value for name in self.conditions for value in self.condition(name, rows, height, width)]
        with torch.no_grad():
            texts = self.encode(parts, ids)
            conditions = self.conditions_of(texts)
            repeated = [golden.tensor(value) for value in (latents, golden.data("timestep", times), *others)]
            repeated = [value.repeat(copies, *[1] * (value.dim() - 1)) for value in repeated]
            prediction = self.denoise(parts, repeated[0], repeated[1], texts, repeated[2:])
            decoded = parts.vae.decode(golden.tensor(latents)).sample
            latent = encoded(parts.vae, golden.tensor(image))
        outputs = [golden.output_of(f"condition_{i}" if i else "condition", 0, i) for i in range(len(conditions))]
        return [
            Step("text_encoder", [golden.data("input_ids", ids)], list(conditions)),
            Step("unet", [latents, golden.data("timestep", times), *outputs, *others], [prediction]),
            Step("vae_decoder", [latents], [decoded]),
            Step("vae_encoder", [image], list(latent)),
        ]

    def sessions(self):
        size = self.small
        return [
            self.session(2, size, size, 2),
            self.session(1, size, 2 * size, 1),
            self.session(3, 2 * size, size, 2),
        ]


class _WholeTexts(StableDiffusion):
    """Its denoiser is given what `encode` makes of the texts: no projection of it is computed ahead."""

    def text_graph(self, parts: Parts) -> torch.nn.Module:
        encoders = [parts.text_encoder, parts.text_encoder_2]
        return _Call(*filter(None, encoders), call=lambda ids: tuple(self.encode(parts, ids)))

    def conditions_of(self, texts: Tensors) -> Tensors:
        return texts


class StableDiffusionXl(_WholeTexts):
    """Two text encoders, whose tokenizers must agree but for padding, and sizes.

    Every picture is asked for as if it had been of its own size, and not cropped, in training.
    """

    name: ClassVar[str] = "stable-diffusion-xl"
    defaults: ClassVar[dict[str, float]] = {"guidanceScale": 5.0}
    parts: ClassVar[dict[str, str]] = {**StableDiffusion.parts, "text_encoder_2": "CLIPTextModelWithProjection"}
    embeddings: ClassVar[tuple[str | None, str | None]] = ("text_time", None)
    upcasts: ClassVar[bool] = True

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        second = AutoTokenizer.from_pretrained(source, subfolder="tokenizer_2", **kwargs)
        if second.get_vocab() != tokenizer.get_vocab() or second.model_max_length != tokenizer.model_max_length:
            raise ValueError("tokenizer_2: another vocabulary or length (expected: as tokenizer, but for padding)")
        family = super().build(request, source, tokenizer, **kwargs)
        family.second_pad = second.pad_token_id
        family.zeros = bool(read_json(source, "model_index.json").get("force_zeros_for_empty_prompt", True))
        return family

    def second_ids(self, ids: torch.Tensor) -> torch.Tensor:
        """The ids as the second tokenizer pads them."""
        ends = ids == self.tokenizer.eos_token_id
        after = (ends.cumsum(1) - ends.long()) > 0
        return torch.where(after, self.second_pad, ids)

    def encode(self, parts: Parts, ids: torch.Tensor) -> Tensors:
        first = parts.text_encoder(ids, output_hidden_states=True)
        second = parts.text_encoder_2(self.second_ids(ids), output_hidden_states=True)
        hidden = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1)
        pooled = second.text_embeds
        if self.zeros:  # of a text that is empty, and so of a negative prompt that nobody gave
            ends = ids[:, :2] == self.tokenizer.eos_token_id
            filled = (ends.sum(1, keepdim=True) == 0).to(pooled.dtype)
            hidden, pooled = hidden * filled[:, :, None], pooled * filled
        return [hidden, pooled]

    def denoise(self, parts: Parts, latents: torch.Tensor, times: torch.Tensor, texts: Tensors, others: Tensors):
        ones = torch.ones_like(times)
        height, width = (ones * latents.shape[axis] * self.scale for axis in (2, 3))
        sizes = torch.stack([height, width, ones * 0, ones * 0, height, width], 1)
        return parts.unet(
            torch.cat([latents, *others], 1),
            times,
            encoder_hidden_states=texts[0],
            added_cond_kwargs={"text_embeds": texts[1], "time_ids": sizes},
            return_dict=False,
        )[0]

    def share(self, unet: UNet2DConditionModel) -> list[rewrites.Once]:
        """The embedding of the time depends on the text."""
        unet.conv_in = rewrites.Once(unet.conv_in)
        return [unet.conv_in]


class Transformer(_WholeTexts):
    """Its denoiser is a transformer over patches of the latents, without further inputs."""

    options: ClassVar[tuple[str, ...]] = ()

    def check_denoiser(self):
        pass

    @property
    def multiple(self):
        return self.reference.unet.config.patch_size

    @property
    def small(self):
        return 4 * self.multiple

    def find_conditions(self):
        return []

    def share(self, unet: torch.nn.Module) -> list[rewrites.Once]:
        return []


class StableDiffusion3(Transformer, StableDiffusionXl):
    """A transformer trained by rectified flow; with its two CLIP text encoders, the T5 left out as diffusers allows."""

    name: ClassVar[str] = "stable-diffusion-3"
    defaults: ClassVar[dict[str, float]] = {"steps": 28, "guidanceScale": 7.0}
    parts: ClassVar[dict[str, str]] = {
        "text_encoder": "CLIPTextModelWithProjection",
        "text_encoder_2": "CLIPTextModelWithProjection",
        "transformer": "SD3Transformer2DModel",
        "vae": "AutoencoderKL",
    }
    classes: ClassVar[dict[str, type]] = {"text_encoder": CLIPTextModelWithProjection}
    upcasts: ClassVar[bool] = False

    T5_TOKENS: ClassVar[int] = 256
    """Tokens of zeros in the place of T5's."""

    def encode(self, parts: Parts, ids: torch.Tensor) -> Tensors:
        first = parts.text_encoder(ids, output_hidden_states=True)
        second = parts.text_encoder_2(self.second_ids(ids), output_hidden_states=True)
        hidden = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1)
        width = parts.unet.config.joint_attention_dim
        hidden = torch.nn.functional.pad(hidden, (0, width - hidden.shape[-1], 0, self.T5_TOKENS))
        return [hidden, torch.cat([first.text_embeds, second.text_embeds], -1)]

    def denoise(self, parts: Parts, latents: torch.Tensor, times: torch.Tensor, texts: Tensors, others: Tensors):
        return parts.unet(
            hidden_states=latents,
            timestep=times,
            encoder_hidden_states=texts[0],
            pooled_projections=texts[1],
            return_dict=False,
        )[0]

    def section(self):
        section = super().section()
        section["latents"]["maxSide"] = self.reference.unet.config.pos_embed_max_size * self.multiple * self.scale
        return section


class Sana(Transformer):
    """A transformer trained by flow matching, of linear attention over the latents of a deep autoencoder.

    A text is read as it is: `complex_human_instruction`, which the pipeline puts before prompts but not before negative
    ones, is left out.
    """

    name: ClassVar[str] = "sana"
    defaults: ClassVar[dict[str, float]] = {"steps": 20, "guidanceScale": 4.5}
    parts: ClassVar[dict[str, str]] = {
        "text_encoder": "Gemma2Model",
        "transformer": "SanaTransformer2DModel",
        "vae": "AutoencoderDC",
    }
    classes: ClassVar[dict[str, type]] = {
        "text_encoder": Gemma2Model,
        "transformer": SanaTransformer2DModel,
        "vae": AutoencoderDC,
    }

    TOKENS: ClassVar[int] = 300
    """That it was trained with; Gemma 2 itself takes more."""

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        lower(tokenizer)
        family = super().build(request, source, tokenizer, **kwargs)
        family.context = cls.TOKENS
        return family

    def check_denoiser(self):
        if self.reference.unet.config.guidance_embeds:
            raise ValueError("transformer: guidance_embeds True (expected: false; Sana Sprint isn't served)")

    @property
    def small(self):
        """Large enough for the autoencoder's linear attention, which its quadratic one for small pictures equals."""
        least = math.isqrt(self.reference.vae.config.attention_head_dim) + 1
        return self.multiple * max(4, math.ceil(least / self.multiple))

    def encode(self, parts: Parts, ids: torch.Tensor) -> Tensors:
        mask = (ids != self.tokenizer.pad_token_id).long()
        found = parts.text_encoder(ids, attention_mask=mask, use_cache=False)
        return [found.last_hidden_state, mask.float()]

    def denoise(self, parts: Parts, latents: torch.Tensor, times: torch.Tensor, texts: Tensors, others: Tensors):
        found = parts.unet(
            hidden_states=latents,
            timestep=times * parts.unet.config.timestep_scale,
            encoder_hidden_states=texts[0],
            encoder_attention_mask=texts[1],
            return_dict=False,
        )[0]
        return found[:, : self.channels]  # what follows, of some, is a learned variance that the pipeline drops

    def wide(self, parts: Parts):
        return [parts.text_encoder, parts.vae]

    def ids(self, texts: int):
        """Likewise, all but the first with padding, since the graph has a mask of it."""
        ids = super().ids(texts)
        for text in range(1, texts):
            ids[text, self.context // (text + 1) :] = self.tokenizer.pad_token_id
        return ids


class ControlNet(StableDiffusion):
    name: ClassVar[str] = "stable-diffusion-controlnet"
    parts: ClassVar[dict[str, str]] = {**StableDiffusion.parts, "controlnet": "ControlNetModel"}

    def find_conditions(self):
        return [*super().find_conditions(), "control"]

    def denoise(self, parts: Parts, latents: torch.Tensor, times: torch.Tensor, texts: Tensors, others: Tensors):
        *others, control, scale = others
        text = {"encoder_hidden_states": texts[0], "return_dict": False}
        down, middle = parts.controlnet(latents, times, controlnet_cond=control, conditioning_scale=1.0, **text)
        scale = scale[:, None, None, None].to(middle.dtype)
        return parts.unet(
            torch.cat([latents, *others], 1),
            times,
            down_block_additional_residuals=[residual * scale for residual in down],
            mid_block_additional_residual=middle * scale,
            **text,
        )[0]

    def condition(self, name: str, rows: int, height: int, width: int):
        if name != "control":
            return super().condition(name, rows, height, width)
        picture = golden.sine("control", (rows, 3, height * self.scale, width * self.scale))
        return [picture, golden.data("control_scale", torch.tensor([1.0 - 0.25 * row for row in range(rows)]))]


class Upscaler(StableDiffusion):
    """Makes pictures larger by the factor of its autoencoder; the small one is seen with some noise."""

    name: ClassVar[str] = "stable-diffusion-upscale"
    defaults: ClassVar[dict[str, float]] = {"steps": 75, "guidanceScale": 9.0}
    parts: ClassVar[dict[str, str]] = {**StableDiffusion.parts, "low_res_scheduler": "DDPMScheduler"}
    labels: ClassVar[bool] = True

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        family = super().build(request, source, tokenizer, **kwargs)
        family.low_resolution = read_json(source, "low_res_scheduler/scheduler_config.json")
        return family

    def find_conditions(self):
        taken = self.reference.unet.config.in_channels
        if taken != self.channels + 3:
            raise ValueError(f"unet: in_channels {taken} (expected: {self.channels + 3}, latents and a picture)")
        return ["lowResolution"]

    def denoise(self, parts: Parts, latents: torch.Tensor, times: torch.Tensor, texts: Tensors, others: Tensors):
        picture, level = others
        return parts.unet(
            torch.cat([latents, picture], 1),
            times,
            encoder_hidden_states=texts[0],
            class_labels=level.long(),
            return_dict=False,
        )[0]

    def section(self):
        return {**super().section(), "lowResolutionScheduler": self.low_resolution}

    def condition(self, name: str, rows: int, height: int, width: int):
        levels = torch.tensor([20.0 + 100 * row for row in range(rows)])
        return [golden.sine("low_resolution", (rows, 3, height, width)), golden.data("noise_level", levels)]


class LatentUpscaler(_WholeTexts):
    """Makes pictures twice as large by way of their latents.

    The UNet is preconditioned (Karras et al. 2022, table 1) and predicts the picture; the graph makes noise of that,
    from latents whose variance is kept, as other models of Stable Diffusion do.
    """

    name: ClassVar[str] = "stable-diffusion-latent-upscale"
    pipeline: ClassVar[str | None] = "StableDiffusionLatentUpscalePipeline"
    defaults: ClassVar[dict[str, float]] = {"steps": 75, "guidanceScale": 9.0}
    options: ClassVar[tuple[str, ...]] = ()

    NOISE_LEVEL: ClassVar[int] = 128
    """Width of the embedding of the small picture's noise level, which is 0: half ones, half zeros."""

    def check_denoiser(self):
        unet, text = self.reference.unet.config, self.reference.text_encoder.config
        expected = self.NOISE_LEVEL + text.hidden_size
        if unet.time_cond_proj_dim != expected:
            raise ValueError(
                f"unet: time_cond_proj_dim {unet.time_cond_proj_dim} (expected: {expected}, noise level and text)"
            )

    def __init__(self, reference: Parts, dtype: torch.dtype, tokenizer, scheduler: dict):
        super().__init__(reference, dtype, tokenizer, scheduler)
        found = scheduler.get("_class_name"), scheduler.get("prediction_type")
        if found not in {("EulerDiscreteScheduler", kind) for kind in ("sample", "original_sample")}:
            raise ValueError(f"scheduler: {found} (expected: EulerDiscreteScheduler, which predicts the sample)")
        kept = EulerDiscreteScheduler.from_config(scheduler).alphas_cumprod.double()
        self.sigmas = ((1 - kept) / kept).sqrt()

    def find_conditions(self):
        taken, made = self.reference.unet.config.in_channels, self.reference.unet.config.out_channels
        if (taken, made) != (2 * self.channels, self.channels + 1):
            raise ValueError(
                f"unet: {taken} channels to {made} (expected: {2 * self.channels}, latents of two pictures, to "
                f"{self.channels + 1}, latents and a variance)"
            )
        return ["lowResolutionLatents"]

    def encode(self, parts: Parts, ids: torch.Tensor) -> Tensors:
        found = parts.text_encoder(ids)
        return [found.last_hidden_state, found.pooler_output]

    def denoise(self, parts: Parts, latents: torch.Tensor, times: torch.Tensor, texts: Tensors, others: Tensors):
        hidden, pooled = texts
        level = torch.ones_like(pooled[:, :1]).expand(-1, self.NOISE_LEVEL // 2)
        small = torch.nn.functional.interpolate(others[0], scale_factor=2.0, mode="nearest")
        before = times.long()
        sigmas = torch.stack([self.sigmas, self.sigmas.roll(-1)]).float().to(latents.device)
        low, high = sigmas[:, before]
        sigma = low + (high - low) * (times - before)
        found = parts.unet(
            torch.cat([latents, small], 1),
            (torch.log(sigma) * 0.25).to(latents.dtype),
            encoder_hidden_states=hidden,
            timestep_cond=torch.cat([level, torch.zeros_like(level), pooled], 1),
            return_dict=False,
        )[0][:, : self.channels]
        sigma = sigma[:, None, None, None]
        scale = (sigma**2 + 1).sqrt()
        # sample = latents / scale + sigma / scale * found, and noise = (scale * latents - sample) / sigma
        return (sigma * latents - found) / scale

    def share(self, unet: UNet2DConditionModel) -> list[rewrites.Once]:
        return []

    def section(self):
        section = super().section()
        return {**section, "scheduler": {**section["scheduler"], "prediction_type": "epsilon"}}

    def condition(self, name: str, rows: int, height: int, width: int):
        return [golden.sine("low_resolution", (rows, self.channels, height // 2, width // 2))]


class _Call(torch.nn.Module):
    """A function as a module that holds its models; float32 outputs."""

    def __init__(self, *models: torch.nn.Module, call: Callable[[torch.Tensor], Tensors]):
        super().__init__()
        self.models = torch.nn.ModuleList(models)
        self.call = call

    def forward(self, values):
        return tuple(value.float() for value in self.call(values))
