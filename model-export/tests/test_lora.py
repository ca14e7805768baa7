"""LoRA weights merged at export against the same weights as layers beside the model's own."""

import pytest
import torch
from safetensors.torch import save_file

from lakegen_export.families.diffusion import StableDiffusion
from lakegen_export.families.lora import Lora, merge

UNET = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
CONV = "down_blocks.0.resnets.0.conv1"
TEXT = "encoder.layers.1.self_attn.q_proj"


def models(source) -> dict[str, torch.nn.Module]:
    return {key: value for key, value in vars(StableDiffusion.load(str(source))).items() if value is not None}


def weights(layer: torch.nn.Module, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rank)
    shape = layer.weight.shape
    down = torch.randn((rank, *shape[1:]), generator=generator)
    return down, torch.randn((shape[0], rank, *[1] * (len(shape) - 2)), generator=generator)


def beside(layer: torch.nn.Module, down: torch.Tensor, up: torch.Tensor, factor: float) -> None:
    """Adds to the layer's output what a LoRA layer beside it would give."""

    def hook(_layer, inputs, output):
        if down.dim() == 4:
            update = torch.nn.functional.conv2d(inputs[0], down, padding=layer.padding, stride=layer.stride)
            return output + factor * torch.nn.functional.conv2d(update, up)
        return output + factor * (inputs[0] @ down.T @ up.T)

    layer.register_forward_hook(hook)


def outputs(parts: dict[str, torch.nn.Module]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn((1, 4, 8, 8), generator=generator)
    with torch.no_grad():
        hidden = parts["text_encoder"](torch.tensor([[1, 40, 50, 2]])).last_hidden_state
        return [hidden, parts["unet"](latents, 500, hidden).sample]


@pytest.mark.parametrize(
    ("names", "alpha"),
    [(("lora_A", "lora_B"), None), (("lora.down", "lora.up"), None), (("lora_down", "lora_up"), 2.0)],
)
def test_merged_weights_are_layers_beside_the_models_own(source, tmp_path, names, alpha):
    folder = source("stable-diffusion")
    reference, merged = models(folder), models(folder)
    places = [("unet", UNET, 4), ("unet", CONV, 3), ("text_encoder", TEXT, 2)]
    kohya = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}  # names that come with an alpha
    state = {}
    for model, path, rank in places:
        layer = reference[model].get_submodule(path)
        down, up = weights(layer, rank)
        key = f"{model}.{path}." if alpha is None else f"{kohya[model]}{path.replace('.', '_')}."
        state |= {f"{key}{names[0]}.weight": down, f"{key}{names[1]}.weight": up}
        if alpha is not None:
            state[f"{key}alpha"] = torch.tensor(alpha)
        beside(layer, down, up, 0.5 * (1 if alpha is None else alpha / rank))
    save_file(state, tmp_path / "lora.safetensors")
    before = outputs(merged)
    merge(merged, Lora(str(tmp_path / "lora.safetensors"), 0.5))
    for actual, expected, untouched in zip(outputs(merged), outputs(reference), before, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(actual, untouched, atol=1e-3)


def test_weights_for_something_else_are_refused(source, tmp_path):
    save_file({"unet.nowhere.lora_A.weight": torch.ones(2, 3)}, tmp_path / "lora.safetensors")
    with pytest.raises(ValueError, match=r"lora: unet.nowhere \(expected: a pair of weights"):
        merge(models(source("stable-diffusion")), Lora(str(tmp_path / "lora.safetensors")))
    save_file({"transformer.x.lora_A.weight": torch.ones(2, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"lora: transformer.x.lora_A.weight \(expected: weights of "):
        merge(models(source("stable-diffusion")), Lora(str(tmp_path / "other.safetensors")))
