"""Rewritten layers and models answer as those of diffusers do."""

import copy

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.activations import GEGLU
from diffusers.models.upsampling import Upsample2D
from torch.nn import functional

from lakegen_export.families import rewrites


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(1)
    with torch.no_grad():
        yield


def rewritten(rewrite, layer: torch.nn.Module) -> torch.nn.Sequential:
    model = torch.nn.Sequential(layer)
    rewrite(model)
    return model


@pytest.mark.parametrize("block", [3, 40, 7 * 11 * 5, 2**20], ids=["a key by row", "queries", "heads", "whole"])
@pytest.mark.parametrize("keys", [7, 11])
def test_attention_by_blocks(block, keys):
    query, key, value = torch.randn(2, 3, 11, 4), torch.randn(2, 3, keys, 4), torch.randn(2, 3, keys, 4)
    expected = functional.scaled_dot_product_attention(query, key, value)
    assert torch.allclose(rewrites.attention(query, key, value, block), expected, atol=1e-6)


def test_attention_by_blocks_is_traced_for_all_shapes():
    def run(query, key):
        return rewrites.attention(query, key, key, 50)

    traced = torch.jit.trace(run, (torch.randn(1, 2, 5, 4), torch.randn(1, 2, 5, 4)))
    query, key = torch.randn(3, 2, 17, 4), torch.randn(3, 2, 9, 4)
    assert torch.allclose(traced(query, key), functional.scaled_dot_product_attention(query, key, key), atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_upsampling_is_folded_into_its_convolution(bias):
    layer, image = Upsample2D(3, use_conv=True, out_channels=5, bias=bias), torch.randn(2, 3, 4, 7)
    folded = rewritten(rewrites.fold_upsampling, layer)
    assert isinstance(folded[0], torch.nn.ConvTranspose2d)
    assert torch.allclose(folded(image), layer(image), atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"use_conv_transpose": True}, {"use_conv": True, "kernel_size": 5, "padding": 2}]
)
def test_other_upsampling_stays(options):
    layer = Upsample2D(4, **options)
    assert rewritten(rewrites.fold_upsampling, layer)[0] is layer


@pytest.mark.parametrize("bias", [True, False])
def test_geglu_is_split(bias):
    layer, hidden = GEGLU(6, 10, bias=bias), torch.randn(2, 5, 6)
    split = rewritten(rewrites.split_geglu, layer)
    assert split[0] is not layer
    assert torch.allclose(split(hidden), layer(hidden), atol=1e-6)


@pytest.mark.parametrize(
    ("blocks", "shared"),
    [
        # conv_in, the first ResNet layer and the first self-attention
        (("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), 3),
        # conv_in, two ResNet layers and the downsampling, and as above in the next block
        (("DownBlock2D", "CrossAttnDownBlock2D"), 6),
        (("DownBlock2D", "DownBlock2D"), 6),
    ],
)
@pytest.mark.parametrize("copies", [1, 2])
def test_layers_before_the_text_see_copies_once(blocks, shared, copies):
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        cross_attention_dim=12,
        attention_head_dim=2,
        down_block_types=blocks,
        up_block_types=tuple(block.replace("Down", "Up") for block in reversed(blocks)),
    ).eval()
    faster = copy.deepcopy(unet)
    layers = rewrites.share_copies(faster)
    assert len(layers) == shared
    seen = [0] * shared
    for number, layer in enumerate(layers):
        layer.copies = copies
        layer.layer.register_forward_pre_hook(lambda _, inputs, n=number: seen.__setitem__(n, len(inputs[0])))
    latents = torch.randn(3, 4, 8, 8).repeat(copies, 1, 1, 1)
    times = torch.tensor([900.0, 500.0, 1.0]).repeat(copies)
    text = torch.randn(3 * copies, 5, 12)
    expected = unet(latents, times, encoder_hidden_states=text).sample
    assert torch.allclose(faster(latents, times, encoder_hidden_states=text).sample, expected, atol=1e-5)
    assert seen == [3] * shared
