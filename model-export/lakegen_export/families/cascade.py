"""Diffusion models of several stages: unCLIP (DALL-E 2's kind) and DeepFloyd IF (Imagen's kind).

    text_encoder: input_ids int64 [B, T] -> conditions of the texts, each float32 [B, ...]
    STAGE:        sample float32 [B, ...], timestep float32 [B], the stage's conditions -> prediction float32
                  [k B, ...]; of a learned variance, what says where in its range it lies follows as many channels more
    STAGE_conditions: of every stage but the first; what the stage before has made, float32 [B, ...], the conditions of
                  k B texts -> the stage's conditions, each float32 [k B, ...] or [B, ...]

`stages` of the pack name STAGE in the order in which they run. k = 2 for guidance: B negative texts, then B texts. The
first stage's conditions are those of the texts. A sample is `vector` numbers, an image's embedding, or an image in
-1..1 of `latents.channels` channels, smaller than the one that is asked for by `latents.scale`. `last` is the STAGE of
the last step, where that is another one.

With `lowResolution` among a stage's `conditions`, the last of them is an image float32 [B, 3, h, w], to which the
caller adds noise of `lowResolutionScheduler`, and float32 [B], the training timestep of the noise, follows.
"""

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from diffusers import PriorTransformer, UNet2DConditionModel, UNet2DModel
from diffusers.pipelines.deprecated.unclip import UnCLIPTextProjModel
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, T5EncoderModel

from .. import golden
from ..golden import Step
from ..source import read_json
from .base import Family, Graph, fold_quick_gelu, lower
from .decoding import tokens

Tensors = Sequence[torch.Tensor]

Denoiser = Callable[[torch.Tensor, torch.Tensor, Tensors], torch.Tensor]
"""Samples, times and conditions, all of as many rows, to the prediction."""


class Stage(torch.nn.Module):
    """One diffusion process: its models, called as the untouched pipeline calls them."""

    kind: ClassVar[str]

    name: ClassVar[str]
    """Of its graph."""

    texts: ClassVar[int] = 1
    """Its conditions that have a row for each text; the others, which follow, have one for each sample."""

    noisy: ClassVar[bool] = False
    """Whether its last condition is a picture that is seen with noise."""

    defaults: ClassVar[dict[str, float]] = {}
    """What the pipeline of diffusers does if nobody says how much."""

    multiple: int = 1
    """Sides of its samples are multiples of this."""

    def __init__(self, scheduler: dict):
        super().__init__()
        self.scheduler = scheduler

    @property
    def channels(self) -> int:
        raise NotImplementedError

    @property
    def side(self) -> int:
        """Of the samples that it was trained with; 0 for vectors."""
        raise NotImplementedError

    def conditions(self, before: torch.Tensor, texts: Tensors) -> Tensors:
        """What its denoiser is given, of what the stage before has made and the conditions of the texts."""
        raise NotImplementedError

    def denoisers(self) -> dict[str, Denoiser]:
        """By graph; a second one is that of the last step."""
        raise NotImplementedError

    def section(self, largest: int) -> dict:
        """Its entry in `pack.json`, in a pack for images of this side."""
        latents = {
            "channels": self.channels,
            "scale": largest // max(1, self.side),
            "multiple": self.multiple,
            "scalingFactor": 1,
        }
        names = list(self.denoisers())
        return {
            "name": self.name,
            **({"last": names[1]} if len(names) > 1 else {}),
            "kind": self.kind,
            "scheduler": self.scheduler,
            **({"latents": latents} if self.side else {"vector": self.channels}),
            **({"conditions": ["lowResolution"]} if self.noisy else {}),
            **self.defaults,
        }


class _Conditions(torch.nn.Module):
    def __init__(self, stage: Stage, dtype: torch.dtype):
        super().__init__()
        self.stage, self.dtype = stage, dtype

    def forward(self, before, *texts):
        made = self.stage.conditions(before.to(self.dtype), [text.to(self.dtype) for text in texts])
        return tuple(one.float() for one in made)


class _Denoiser(torch.nn.Module):
    """Repeats the samples for every text."""

    def __init__(self, stage: Stage, call: Denoiser, dtype: torch.dtype):
        super().__init__()
        self.stage, self.call, self.dtype = stage, call, dtype

    def forward(self, sample, timestep, *conditions):
        copies = conditions[0].shape[0] // sample.shape[0]
        conditions = [one if one.dim() == 1 else one.to(self.dtype) for one in conditions]
        rows = repeated([sample.to(self.dtype), timestep, *conditions[self.stage.texts :]], copies)
        return self.call(rows[0], rows[1], [*conditions[: self.stage.texts], *rows[2:]]).float()


def repeated(rows: Tensors, copies: int) -> list[torch.Tensor]:
    return [one.repeat(copies, *[1] * (one.dim() - 1)) for one in rows]


class Cascade(Family):
    """Stages that run one after the other."""

    task: ClassVar[str] = "text-to-image"
    name: ClassVar[str]
    measured: ClassVar[bool] = False
    tokenizer_folder: ClassVar[str] = "tokenizer"

    pipeline: ClassVar[str | None] = None
    parts: ClassVar[dict[str, str]]
    """The models of such a pipeline, as `model_index.json` names them."""

    def __init__(self, text: torch.nn.Module, stages: list[Stage], dtype: torch.dtype, tokenizer, context: int):
        super().__init__(torch.nn.ModuleList([text, *stages]).eval(), dtype)
        self.stages = stages
        self.tokenizer = tokenizer
        self.context = context
        sides = [stage.side for stage in stages if stage.side]
        if any(large % small for small, large in itertools.pairwise(sides)):
            raise ValueError(f"sample_size: {sides} (expected: each a multiple of the one before)")

    @staticmethod
    def load(source: str, **kwargs: Any) -> Any:
        raise NotImplementedError  # `build` loads

    def graphs(self):
        text, *stages = copy.deepcopy(self.reference).to(self.dtype)
        for model in (text, *stages):
            fold_quick_gelu(model)
        modules: dict[str, torch.nn.Module] = {"text_encoder": text}
        for number, stage in enumerate(stages):
            if number:
                modules[f"{stage.name}_conditions"] = _Conditions(stage, self.dtype)
            for role, call in stage.denoisers().items():
                modules[role] = _Denoiser(stage, call, self.dtype)
        steps = self.session(2, 1, 1, 2)
        examples = {
            step.graph: {
                v["name"]: steps[v["from"][0]].outputs[v["from"][1]] if "from" in v else golden.tensor(v)
                for v in step.inputs
            }
            for step in steps
        }
        return {role: Graph(module, examples[role]) for role, module in modules.items()}

    def manifest(self):
        side = self.stages[-1].side
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
        return {"stages": [stage.section(self.stages[-1].side) for stage in self.stages]}

    def session(self, rows: int, height: int, width: int, copies: int) -> list[Step]:
        """All graphs once, for images whose sides are so many times the smallest, with so many texts to each."""
        text = self.reference[0]
        ids = torch.tensor([tokens(text.vocabulary, self.context, row) for row in range(rows * copies)])
        times = torch.tensor([981.0 - 240.5 * row for row in range(rows)])
        sides = [stage.side for stage in self.stages if stage.side]
        least = max(stage.multiple * sides[0] // stage.side for stage in self.stages if stage.side)
        with torch.no_grad():
            texts = text(ids)
            steps = [Step("text_encoder", [golden.data("input_ids", ids)], list(texts))]
            given = [golden.output_of(f"text_{i}", 0, i) for i in range(len(texts))]
            sample = None
            for stage in self.stages:
                before, factor = sample, stage.side // sides[0]
                shape = [stage.channels, *[least * factor * side for side in (height, width) if stage.side]]
                sample = golden.sine("sample", [rows, *shape])
                conditions, inputs = list(texts), given
                if before is not None:
                    conditions = list(stage.conditions(golden.tensor(before), texts))
                    steps.append(Step(f"{stage.name}_conditions", [before, *given], conditions))
                    made = len(steps) - 1
                    inputs = [golden.output_of(f"condition_{i}", made, i) for i in range(len(conditions))]
                if stage.noisy:
                    levels = torch.tensor([20.0 + 100 * row for row in range(rows)])
                    inputs = [*inputs, golden.data("noise_level", levels)]
                    conditions = [*conditions, levels]
                own, others = conditions[: stage.texts], conditions[stage.texts :]
                repeats = repeated([golden.tensor(sample), times, *others], copies if own else 1)
                for role, call in stage.denoisers().items():
                    prediction = call(repeats[0], repeats[1], [*own, *repeats[2:]])
                    steps.append(Step(role, [sample, golden.data("timestep", times), *inputs], [prediction]))
        return steps

    def sessions(self):
        return [self.session(2, 1, 1, 2), self.session(1, 1, 2, 1), self.session(3, 2, 1, 2)]


def _loaded(kind: Any, source: str, part: str, **kwargs: Any) -> torch.nn.Module:
    dtype = {"dtype" if part == "text_encoder" else "torch_dtype": torch.float32}
    return kind.from_pretrained(source, subfolder=part, **dtype, **kwargs).eval()


def _scheduler(source: str, part: str) -> dict:
    return read_json(source, f"{part}/scheduler_config.json")


class _ClipText(torch.nn.Module):
    """The embedding of a text, its hidden states, and 1 for what is text, the end's token included."""

    def __init__(self, model: CLIPTextModelWithProjection, end: int):
        super().__init__()
        self.model, self.end = model, end
        self.vocabulary = model.config.vocab_size

    def forward(self, input_ids):
        found = self.model(input_ids)
        ends = (input_ids == self.end).long()
        text = (ends.cumsum(1) - ends) == 0
        return found.text_embeds.float(), found.last_hidden_state.float(), text.float()


class Prior(Stage):
    """From a text's embedding to an image's."""

    kind: ClassVar[str] = "prior"
    name: ClassVar[str] = "prior"
    texts: ClassVar[int] = 3
    defaults: ClassVar[dict[str, float]] = {"steps": 25, "guidanceScale": 4.0}

    def __init__(self, scheduler: dict, model: PriorTransformer):
        super().__init__(scheduler)
        self.model = model

    @property
    def channels(self):
        return self.model.config.embedding_dim

    @property
    def side(self):
        return 0

    def denoisers(self):
        return {self.name: self._denoise}

    def _denoise(self, sample, times, conditions):
        prompt, hidden, mask = conditions
        return self.model(
            sample,
            timestep=times,
            proj_embedding=prompt,
            encoder_hidden_states=hidden,
            attention_mask=mask,
            return_dict=False,
        )[0]


class Decoder(Stage):
    """From an image's embedding and the text to a small image."""

    kind: ClassVar[str] = "base"
    name: ClassVar[str] = "decoder"
    texts: ClassVar[int] = 3
    defaults: ClassVar[dict[str, float]] = {"steps": 25, "guidanceScale": 8.0}

    def __init__(
        self, scheduler: dict, model: UNet2DConditionModel, project: UnCLIPTextProjModel, prior: PriorTransformer
    ):
        super().__init__(scheduler)
        self.model, self.project, self.prior = model, project, prior
        self.multiple = 2**model.num_upsamplers

    @property
    def channels(self):
        return self.model.config.in_channels

    @property
    def side(self):
        return self.model.config.sample_size

    def conditions(self, before, texts):
        prompt, hidden, mask = texts
        image = self.prior.post_process_latents(before)
        guided = not torch.jit.is_tracing() and len(prompt) > len(image)
        if torch.jit.is_tracing():
            # One graph with and without guidance, where the pipeline has an `if`.
            nobody = self.project.learned_classifier_free_guidance_embeddings[None]
            image = torch.cat([nobody.expand(prompt.shape[0] - image.shape[0], -1), image])
        states, added = self.project(
            image_embeddings=image,
            prompt_embeds=prompt,
            text_encoder_hidden_states=hidden,
            do_classifier_free_guidance=guided,
        )
        return states, added, functional.pad(mask, (self.project.clip_extra_context_tokens, 0), value=1.0)

    def denoisers(self):
        return {self.name: self._denoise}

    def _denoise(self, sample, times, conditions):
        states, added, mask = conditions
        return self.model(
            sample, times, encoder_hidden_states=states, class_labels=added, attention_mask=mask, return_dict=False
        )[0]


class UnclipSuperResolution(Stage):
    """From a small image to a large one, without the text."""

    kind: ClassVar[str] = "superResolution"
    name: ClassVar[str] = "super_resolution"
    texts: ClassVar[int] = 0
    defaults: ClassVar[dict[str, float]] = {"steps": 7}

    def __init__(self, scheduler: dict, first: UNet2DModel, last: UNet2DModel, small: int):
        super().__init__(scheduler)
        self.first, self.last = first, last
        self.factor = self.side // small
        self.multiple = 2 ** (len(first.config.block_out_channels) - 1)

    @property
    def channels(self):
        return self.first.config.in_channels // 2

    @property
    def side(self):
        return self.first.config.sample_size

    def conditions(self, before, texts):
        size = [before.shape[2] * self.factor, before.shape[3] * self.factor]
        # The one picture that is handed on in its range.
        small = before.clamp(-1, 1)
        return (functional.interpolate(small, size=size, mode="bicubic", align_corners=False, antialias=True),)

    def denoisers(self):
        def calls(model: UNet2DModel) -> Denoiser:
            return lambda sample, times, conditions: model(
                torch.cat([sample, conditions[0]], 1), times, return_dict=False
            )[0]

        return {self.name: calls(self.first), f"{self.name}_last": calls(self.last)}


class Unclip(Cascade):
    name: ClassVar[str] = "unclip"
    parts: ClassVar[dict[str, str]] = {
        "prior": "PriorTransformer",
        "decoder": "UNet2DConditionModel",
        "text_encoder": "CLIPTextModelWithProjection",
        "text_proj": "UnCLIPTextProjModel",
        "super_res_first": "UNet2DModel",
        "super_res_last": "UNet2DModel",
    }

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        text = _loaded(CLIPTextModelWithProjection, source, "text_encoder", **kwargs)
        prior = _loaded(PriorTransformer, source, "prior", **kwargs)
        decoder = _loaded(UNet2DConditionModel, source, "decoder", **kwargs)
        project = _loaded(UnCLIPTextProjModel, source, "text_proj", **kwargs)
        first, last = (_loaded(UNet2DModel, source, f"super_res_{part}", **kwargs) for part in ("first", "last"))
        stages = [
            Prior(_scheduler(source, "prior_scheduler"), prior),
            Decoder(_scheduler(source, "decoder_scheduler"), decoder, project, prior),
            UnclipSuperResolution(_scheduler(source, "super_res_scheduler"), first, last, decoder.config.sample_size),
        ]
        text = _ClipText(text, tokenizer.eos_token_id)
        return cls(text, stages, request.dtype, tokenizer, tokenizer.model_max_length)


class _T5Text(torch.nn.Module):
    def __init__(self, model: T5EncoderModel, pad: int):
        super().__init__()
        self.model, self.pad = model, pad
        self.vocabulary = model.config.vocab_size

    def forward(self, input_ids):
        return (self.model(input_ids, attention_mask=(input_ids != self.pad).long()).last_hidden_state.float(),)


class PixelUnet(Stage):
    """From a text to an image."""

    kind: ClassVar[str] = "base"
    name: ClassVar[str] = "base"
    defaults: ClassVar[dict[str, float]] = {"steps": 100, "guidanceScale": 7.0}

    def __init__(self, scheduler: dict, model: UNet2DConditionModel):
        super().__init__(scheduler)
        self.model = model
        self.multiple = 2**model.num_upsamplers

    @property
    def channels(self):
        return self.model.config.in_channels

    @property
    def side(self):
        return self.model.config.sample_size

    def denoisers(self):
        return {self.name: self._denoise}

    def _denoise(self, sample, times, conditions):
        return self.model(sample, times, encoder_hidden_states=conditions[0], return_dict=False)[0]


class PixelSuperResolution(PixelUnet):
    """From a text and a small image to a large one."""

    kind: ClassVar[str] = "superResolution"
    name: ClassVar[str] = "super_resolution"
    noisy: ClassVar[bool] = True
    defaults: ClassVar[dict[str, float]] = {"steps": 50, "guidanceScale": 4.0, "noiseLevel": 250}

    def __init__(self, scheduler: dict, model: UNet2DConditionModel, noising: dict, small: int):
        super().__init__(scheduler, model)
        self.noising = noising
        self.factor = self.side // small

    @property
    def channels(self):
        return self.model.config.in_channels // 2

    def section(self, largest):
        return {**super().section(largest), "lowResolutionScheduler": self.noising}

    def conditions(self, before, texts):
        size = [before.shape[2] * self.factor, before.shape[3] * self.factor]
        return texts[0], functional.interpolate(before, size=size, mode="bilinear", align_corners=True)

    def _denoise(self, sample, times, conditions):
        hidden, picture, level = conditions
        return self.model(
            torch.cat([sample, picture], 1),
            times,
            encoder_hidden_states=hidden,
            class_labels=level,
            return_dict=False,
        )[0]


class DeepFloydIf(Cascade):
    """DeepFloyd IF's first pipeline, and its second one where the request names it."""

    name: ClassVar[str] = "deepfloyd-if"
    parts: ClassVar[dict[str, str]] = {"text_encoder": "T5EncoderModel", "unet": "UNet2DConditionModel"}
    options: ClassVar[tuple[str, ...]] = ("super_resolution",)

    TOKENS: ClassVar[int] = 77
    """That it was trained with; T5 itself takes more."""

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        lower(tokenizer)
        unet = _loaded(UNet2DConditionModel, source, "unet", **kwargs)
        stages = [PixelUnet(_scheduler(source, "scheduler"), unet)]
        larger = request.super_resolution
        if larger is not None:
            noising = _scheduler(larger, "image_noising_scheduler")
            if noising is None:
                raise ValueError(f"super_resolution: {larger} (expected: an IFSuperResolutionPipeline)")
            second = _loaded(UNet2DConditionModel, larger, "unet")
            small = unet.config.sample_size
            stages.append(PixelSuperResolution(_scheduler(larger, "scheduler"), second, noising, small))
        text = _loaded(T5EncoderModel, source, "text_encoder", **kwargs)
        return cls(_T5Text(text, tokenizer.pad_token_id), stages, request.dtype, tokenizer, cls.TOKENS)
