"""The families of diffusers' pipelines."""

from .cascade import Cascade, DeepFloydIf, Unclip
from .diffusion import (
    ControlNet,
    LatentUpscaler,
    Sana,
    StableDiffusion,
    StableDiffusion3,
    StableDiffusionXl,
    Upscaler,
)

PIPELINES: tuple[type[StableDiffusion] | type[Cascade], ...] = (
    StableDiffusion,
    StableDiffusionXl,
    StableDiffusion3,
    Sana,
    ControlNet,
    Upscaler,
    LatentUpscaler,
    Unclip,
    DeepFloydIf,
)

_PARTS = {
    *("text_encoder", "text_encoder_2", "text_encoder_3", "unet", "transformer", "vae", "vqvae"),
    *("controlnet", "low_res_scheduler", "image_noising_scheduler"),
    *("prior", "decoder", "text_proj", "super_res_first", "super_res_last"),
}


def recognise(index: dict) -> str:
    """The name of the family that serves a pipeline by its `model_index.json`; ValueError where there is none."""
    kinds = {part: kind[1] for part, kind in index.items() if part in _PARTS and kind[1] is not None}
    # Those with a class of their own first: their parts are another family's.
    for family in sorted(PIPELINES, key=lambda family: family.pipeline is None):
        if family.parts == kinds and family.pipeline in (None, index["_class_name"]):
            return family.name
    expected = " or ".join(f"{family.name} with {', '.join(family.parts)}" for family in PIPELINES)
    raise ValueError(f"{index['_class_name']}: {kinds} (expected: {expected})")
