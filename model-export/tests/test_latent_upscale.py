"""Models that enlarge by way of latents."""

import pytest
import torch
from diffusers import StableDiffusionLatentUpscalePipeline

from fixtures import tiny
from lakegen_export.export import Request, export


def test_a_pipeline_with_the_parts_of_stable_diffusion_is_told_by_its_class(exported):
    pack = exported("stable-diffusion-latent-upscale")
    assert pack.spec["family"] == "stable-diffusion-latent-upscale"
    section = pack.spec["tasks"]["text-to-image"]
    assert section["conditions"] == ["lowResolutionLatents"]
    assert section["scheduler"]["prediction_type"] == "epsilon"


def test_between_timesteps_the_noise_is_that_of_the_scheduler(exported):
    """The graph computes sigmas of its own."""
    pack = exported("stable-diffusion-latent-upscale")
    pipeline = StableDiffusionLatentUpscalePipeline.from_pretrained(pack.source)
    scheduler = pipeline.scheduler
    scheduler.set_timesteps(7)
    assert any(time % 1 for time in scheduler.timesteps)
    generator = torch.Generator().manual_seed(1)
    hidden, pooled, small, latents = (
        torch.randn(size, generator=generator) for size in ((1, 77, 8), (1, 8), (1, 4, 2, 4), (1, 4, 4, 8))
    )
    level = torch.cat([torch.ones(1, 64), torch.zeros(1, 64)], 1)
    for time, sigma in zip(scheduler.timesteps, scheduler.sigmas[:-1], strict=True):
        scaled = latents / (sigma**2 + 1).sqrt()
        with torch.no_grad():
            predicted = pipeline.unet(
                torch.cat([scaled, torch.nn.functional.interpolate(small, scale_factor=2.0)], 1),
                sigma.log() * 0.25,
                encoder_hidden_states=hidden,
                timestep_cond=torch.cat([level, pooled], 1),
            ).sample[:, :4]
        sample = latents / (sigma**2 + 1) + sigma / (sigma**2 + 1).sqrt() * predicted
        (noise,) = pack.graphs["unet"](
            latents=scaled, timestep=time[None].float(), condition=hidden, condition_1=pooled, low_resolution=small
        )
        torch.testing.assert_close(noise, (latents - sample) / sigma, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scheduler": {"prediction_type": "epsilon"}}, r"scheduler: \('EulerDiscreteScheduler', 'epsilon'\) "),
        ({"unet": {"time_cond_proj_dim": 130}}, r"unet: time_cond_proj_dim 130 \(expected: 136, noise level and text"),
        ({"unet": {"out_channels": 4}}, r"unet: 8 channels to 4 \(expected: 8, latents of two pictures, to 5"),
    ],
)
def test_what_is_no_such_model_is_refused(tmp_path, change, message):
    pipeline = tiny.latent_upscaler(1, tiny.byte_level_bpe(320, enclose=True))
    for part, values in change.items():
        model = getattr(pipeline, part)
        setattr(pipeline, part, type(model).from_config(model.config, **values))
    folder = tiny.save(pipeline, tmp_path / "model")
    with pytest.raises(ValueError, match=message):
        export(Request(str(folder), tmp_path / "pack"), lambda _: None)
