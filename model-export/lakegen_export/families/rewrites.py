"""Rewrites of the models of diffusers, in place, after which they give the same numbers sooner."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.activations import GEGLU
from diffusers.models.attention_processor import Attention
from diffusers.models.upsampling import Upsample2D
from torch.nn import functional

BLOCK = 2**20
"""Scores of an attention that are made at once on a CPU: 2 MB in bfloat16, which its caches hold."""


class _Slice(torch.nn.Module):
    """Stands for a projection that the text encoder has done."""

    def __init__(self, start: int, end: int):
        super().__init__()
        self.start, self.end = start, end

    def forward(self, condition):
        return condition[..., self.start : self.end]


def projections(unet: UNet2DConditionModel) -> list[tuple[Attention, str]]:
    """The layers that make keys and values of the text, in one order for every copy of a UNet."""
    attentions = [m for m in unet.modules() if isinstance(m, Attention) and m.is_cross_attention]
    return [(attention, name) for attention in attentions for name in ("to_k", "to_v")]


def take_projections(unet: UNet2DConditionModel) -> list[torch.nn.Module]:
    """Takes those layers out; the UNet then wants their outputs side by side in place of the text."""
    taken, end = [], 0
    for attention, name in projections(unet):
        projection = getattr(attention, name)
        start, end = end, end + projection.out_features
        setattr(attention, name, _Slice(start, end))
        taken.append(projection)
    return taken


class Once(torch.nn.Module):
    """A layer whose rows are `copies` times the same: it sees them once, and its outputs are repeated."""

    def __init__(self, layer: torch.nn.Module):
        super().__init__()
        self.layer = layer
        self.copies = 1

    def forward(self, hidden, *others, **options):
        rows = hidden.shape[0] // self.copies
        output = self.layer(hidden[:rows], *[other[:rows] for other in others], **options)
        return output.repeat(self.copies, *[1] * (output.dim() - 1))


def share_copies(unet: UNet2DConditionModel) -> list[Once]:
    """Has the layers before the first look at the text done once for latents that differ in their text alone."""
    unet.conv_in = Once(unet.conv_in)
    for block in unet.down_blocks:
        looks = getattr(block, "has_cross_attention", False)
        for i in range(1 if looks else len(block.resnets)):
            block.resnets[i] = Once(block.resnets[i])
        if looks:
            first = block.attentions[0].transformer_blocks[0]
            if not first.attn1.is_cross_attention:
                first.attn1 = Once(first.attn1)
            break
        for i in range(len(block.downsamplers or [])):
            block.downsamplers[i] = Once(block.downsamplers[i])
    return [layer for layer in unet.modules() if isinstance(layer, Once)]


def split_geglu(model: torch.nn.Module) -> None:
    """Gives GEGLU a linear layer for each half: halves of one array lie scattered, which CPUs are slow to read."""
    _replace(model, GEGLU, _SplitGeglu)


class _SplitGeglu(torch.nn.Module):
    def __init__(self, layer: GEGLU):
        super().__init__()
        weights = layer.proj.weight.chunk(2)
        biases = (None, None) if layer.proj.bias is None else layer.proj.bias.chunk(2)
        self.value, self.gate = (_with(torch.nn.Linear, w.T.shape, w, b) for w, b in zip(weights, biases, strict=True))

    def forward(self, hidden):
        return self.value(hidden) * functional.gelu(self.gate(hidden))


def fold_upsampling(model: torch.nn.Module) -> None:
    """Doubles the size and convolves in one go, with 16 products where there were 36.

    A 3 x 3 convolution of an image whose pixels are doubled sees each pixel in several taps, whose weights add up.
    """
    _replace(model, Upsample2D, _fold_upsampling)


def _fold_upsampling(layer: Upsample2D) -> torch.nn.Module:
    plain = layer.use_conv and not layer.use_conv_transpose and layer.norm is None and layer.interpolate
    if not plain or layer.conv.kernel_size != (3, 3) or layer.conv.padding != (1, 1):
        return layer
    weight = layer.conv.weight
    for axis in (2, 3):
        before, at, after = weight.unbind(axis)
        weight = torch.stack([after, at + after, before + at, before], axis)
    channels = weight.shape[1], weight.shape[0]
    options = {"kernel_size": 4, "stride": 2, "padding": 1}
    return _with(torch.nn.ConvTranspose2d, channels, weight.transpose(0, 1), layer.conv.bias, **options)


def _replace(model: torch.nn.Module, kind: type, by: Callable[[Any], torch.nn.Module]) -> None:
    for module in list(model.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, kind):
                setattr(module, name, by(layer))


def _with(kind: type, sizes, weight: torch.Tensor, bias: torch.Tensor | None, **options: Any) -> torch.nn.Module:
    layer = torch.nn.utils.skip_init(kind, *sizes, bias=bias is not None, **options)
    layer.weight = torch.nn.Parameter(weight.detach().contiguous())
    if bias is not None:
        layer.bias = torch.nn.Parameter(bias.detach().contiguous())
    return layer


@torch.jit.script_if_tracing
def attention(query, key, value, block: int):
    """Attention [B, H, T, D] without mask; on CPUs by blocks of the transposed scores, key by query.

    PyTorch's own is no faster there in bfloat16 than in float32. Transposed, both products have long rows, and the
    output lies as the next layer's product can read it.
    """
    if query.is_cuda:
        return functional.scaled_dot_product_attention(query, key, value)
    rows, heads, queries, width = query.shape
    keys = key.shape[2]
    query = (query * width**-0.5).transpose(2, 3)
    value = value.transpose(2, 3)
    output = torch.empty([heads, width, rows, queries], dtype=query.dtype, device=query.device)
    columns = min(queries, max(1, block // keys))
    depth = max(1, block // (keys * columns))
    for row in range(rows):
        for i in range(0, heads, depth):
            for j in range(0, queries, columns):
                scores = torch.bmm(key[row, i : i + depth], query[row, i : i + depth, :, j : j + columns])
                part = torch.bmm(value[row, i : i + depth], scores.softmax(1))
                output[i : i + depth, :, row, j : j + columns] = part
    return output.permute(2, 0, 3, 1)


class BlockAttention:
    """An attention processor for bfloat16."""

    def __call__(self, layer: Attention, hidden, encoder_hidden_states=None, **_options):
        text = hidden if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            projected.unflatten(-1, (layer.heads, -1)).transpose(1, 2)
            for projected in (layer.to_q(hidden), layer.to_k(text), layer.to_v(text))
        )
        seen = attention(query, key, value, BLOCK).transpose(1, 2).flatten(2)
        return layer.to_out[0](seen.flatten(0, 1)).view_as(seen)
