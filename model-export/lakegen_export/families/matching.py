"""Image-text matching: BLIP's retrieval models, whose text encoder looks at the picture.

    encoder:  pixels float32 [B, 3, h, w] -> hidden float32 [B, 1 + patches, D], feature float32 [B, E] of length 1
    match:    input_ids int64 [B, T], attention_mask int64 [B, T] (0: right padding), hidden, feature
              -> itm float32 [B, 2] (logits of "no match" and "match"), itc float32 [B] (cosine)
    heat_map: the inputs of `match` -> itm, itc, maps float32 [B, T, patches], largest float32 [B]

The heat maps are Grad-CAM as LAVIS makes it of BLIP (`compute_gradcam`): the cross-attention of one layer times its
positive gradient of the match's logit, mean of the heads, without the column of the picture's class token. They are 0
at padding. `maps` are relative to the row's largest value, which `largest` gives, so that rounding can be judged
whatever their size. The backward pass is part of the graph; it stays in float32 whatever the dtype of the pack.
"""

import copy
from types import MethodType
from typing import ClassVar

import torch
from torch.nn import functional
from transformers import BlipForImageTextRetrieval

from .. import golden
from ..golden import Step
from . import gradients
from .base import Family, Graph, load_trained
from .decoding import tokens

MATCH = 1
"""Row of the head for "match"."""


def _vision_attention(self, hidden_states, **kwargs):
    """BLIP's vision layers know eager attention only, which writes all scores to memory."""
    query, key, value = self.qkv(hidden_states).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
    seen = functional.scaled_dot_product_attention(query, key, value)
    return self.projection(gradients.join_heads(seen)), None


def _unit(hidden: torch.Tensor) -> torch.Tensor:
    return functional.normalize(hidden.float(), dim=-1)


class _Encoder(torch.nn.Module):
    def __init__(self, model, dtype: torch.dtype):
        super().__init__()
        self.vision, self.project, self.dtype = model.vision_model, model.vision_proj, dtype

    def forward(self, pixels):
        hidden = self.vision(pixel_values=pixels.to(self.dtype)).last_hidden_state
        return hidden.float(), _unit(self.project(hidden[:, 0]))


class _Match(torch.nn.Module):
    """Two passes of the text encoder: by itself for `itc`, with the picture for `itm`."""

    def __init__(self, model, dtype: torch.dtype):
        super().__init__()
        self.text, self.project, self.head, self.dtype = model.text_encoder, model.text_proj, model.itm_head, dtype

    def start(self, input_ids, attention_mask):
        """Embeddings, and the mask in the form that is added to scores."""
        hidden = self.text.embeddings(input_ids=input_ids)
        mask = (1 - attention_mask[:, None, None, :].to(hidden.dtype)) * torch.finfo(hidden.dtype).min
        return hidden, mask

    def cosine(self, embedded, mask, feature):
        hidden = self.text.encoder(embedded, attention_mask=mask).last_hidden_state
        return (_unit(self.project(hidden[:, 0])) * feature).sum(-1)

    def forward(self, input_ids, attention_mask, hidden, feature):
        embedded, mask = self.start(input_ids, attention_mask)
        seen = self.text.encoder(embedded, attention_mask=mask, encoder_hidden_states=hidden.to(self.dtype))
        itm = self.head(seen.last_hidden_state[:, 0]).float()
        return itm, self.cosine(embedded, mask, feature)


class _HeatMap(_Match):
    def __init__(self, model, layer: int):
        super().__init__(model, torch.float32)
        layers = model.text_encoder.encoder.layer
        self.before, self.layer, self.after = layers[:layer], layers[layer], layers[layer + 1 :]

    def forward(self, input_ids, attention_mask, hidden, feature):
        embedded, mask = self.start(input_ids, attention_mask)
        text = embedded
        for layer in self.before:
            text = layer(text, hidden, attention_mask=mask)
        text, _ = self.layer.attention(text, attention_mask=mask)
        _, _, value, probabilities = gradients.weigh(self.layer.crossattention, text, hidden, None)
        itm, gradient = self._gradient(text, mask, hidden, value, probabilities)
        # The class token of the picture, which stands for no place in it, comes first.
        maps = (probabilities * functional.relu(gradient))[..., 1:].mean(1) * attention_mask[:, :, None]
        largest = maps.amax((1, 2))
        relative = maps / largest.clamp(min=torch.finfo(maps.dtype).tiny)[:, None, None]
        return itm, self.cosine(embedded, mask, feature), relative, largest

    def _gradient(self, text, mask, hidden, value, probabilities):
        """The head's logits, and the gradient of the match's by the probabilities."""
        attended = gradients.join_heads(probabilities @ value)
        text, back_attended = gradients.output(self.layer.crossattention.output, attended, text)
        text, back = gradients.feed_forward(self.layer, text)
        backs = [back]
        for layer in self.after:
            text, back_self = gradients.attention(layer.attention, text, mask=mask)
            text, back_cross = gradients.attention(layer.crossattention, text, source=hidden)
            text, back_forward = gradients.feed_forward(layer, text)
            backs += [back_self, back_cross, back_forward]
        first = self.head.weight[MATCH] + torch.zeros_like(text[:, :1])
        gradient = torch.cat([first, torch.zeros_like(text[:, 1:])], 1)
        for back in reversed(backs):
            gradient = back(gradient)
        by_attended, _ = back_attended(gradient)
        heads = self.layer.crossattention.self.num_attention_heads
        return self.head(text[:, 0]), gradients.split_heads(by_attended, heads) @ value.transpose(-1, -2)


class Matcher(Family):
    task: ClassVar[str] = "image-text-matching"
    images: ClassVar[bool] = True
    heads: ClassVar[tuple[str, ...]] = ("ForImageTextRetrieval",)
    options: ClassVar[tuple[str, ...]] = ("heat_map_layer",)

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        return cls(cls.load(source, **kwargs), request.dtype, request.heat_map_layer)

    @staticmethod
    def load(source, **kwargs):
        return load_trained(BlipForImageTextRetrieval, "match pictures and texts", source, **kwargs)

    def __init__(self, reference, dtype, heat_map_layer: int | None = None):
        super().__init__(reference, dtype)
        text = reference.config.text_config
        self.context = text.max_position_embeddings
        self.layer = heat_map_layer
        if heat_map_layer is not None and not 0 <= heat_map_layer < text.num_hidden_layers:
            raise ValueError(f"heat_map_layer: {heat_map_layer} (expected: 0 to {text.num_hidden_layers - 1})")
        if heat_map_layer is not None and text.hidden_act != gradients.ACTIVATION:
            raise ValueError(
                f"hidden_act: {text.hidden_act} (expected: {gradients.ACTIVATION}, or no heat maps: leave out "
                "--heat-map-layer)"
            )

    def graphs(self):
        model = copy.deepcopy(self.reference).to(self.dtype)
        for layer in model.vision_model.encoder.layers:
            layer.self_attn.forward = MethodType(_vision_attention, layer.self_attn)
        pixels, ids, mask = self._example(2, [5, 3])
        with torch.no_grad():
            hidden, feature = _Encoder(model, self.dtype)(pixels)
        text = {"input_ids": ids, "attention_mask": mask, "hidden": hidden, "feature": feature}
        found = {
            "encoder": Graph(_Encoder(model, self.dtype), {"pixels": pixels}),
            "match": Graph(_Match(model, self.dtype), text),
        }
        if self.layer is not None:
            found["heat_map"] = Graph(_HeatMap(copy.deepcopy(self.reference), self.layer), text)
        return found

    def section(self):
        vision = self.reference.config.vision_config
        side = vision.image_size // vision.patch_size
        section = {"imageTokens": side * side + 1}
        if self.layer is not None:
            section["heatMap"] = {"layer": self.layer, "height": side, "width": side}
        return section

    def _values(self, rows: int, lengths: list[int]) -> list[dict]:
        """Golden values: pixels, token ids and mask."""
        config, size = self.reference.config.text_config, self.reference.config.vision_config.image_size
        pad, longest = config.pad_token_id or 0, max(lengths)
        ids = [[pad + 1 + token for token in tokens(config.vocab_size - pad - 1, n, i)] for i, n in enumerate(lengths)]
        padded = torch.tensor([row + [pad] * (longest - len(row)) for row in ids])
        mask = torch.tensor([[1] * length + [0] * (longest - length) for length in lengths])
        return [
            golden.sine("pixels", (rows, 3, size, size)),
            golden.data("input_ids", padded),
            golden.data("attention_mask", mask),
        ]

    def _example(self, rows: int, lengths: list[int]) -> list[torch.Tensor]:
        return [golden.tensor(value) for value in self._values(rows, lengths)]

    def sessions(self):
        found = []
        for lengths in ([7, 2, 5], [1], [12, 12, 3, 9]):
            values = self._values(len(lengths), lengths)
            pixels, ids, mask = map(golden.tensor, values)
            itm, itc = self.scores(pixels, ids, mask)
            with torch.no_grad():
                hidden = self.reference.vision_model(pixel_values=pixels).last_hidden_state
                feature = functional.normalize(self.reference.vision_proj(hidden[:, 0]), dim=-1)
            text = [*values[1:], golden.output_of("hidden", 0, 0), golden.output_of("feature", 0, 1)]
            steps = [Step("encoder", values[:1], [hidden, feature]), Step("match", text, [itm, itc])]
            if self.layer is not None:
                maps = heat_maps(self.reference, self.layer, pixels, ids, mask)
                largest = maps.amax((1, 2))
                relative = maps / largest[:, None, None]
                steps.append(Step("heat_map", text, [itm, itc, relative, largest]))
            found.append(steps)
        return found

    def scores(self, pixels, ids, mask) -> tuple[torch.Tensor, torch.Tensor]:
        """What the reference gives: logits [B, 2] and cosines [B]."""
        options = {"input_ids": ids, "pixel_values": pixels, "attention_mask": mask}
        with torch.no_grad():
            itm = self.reference(**options).itm_score
            itc = self.reference(**options, use_itm_head=False).itm_score
        return itm, itc.diagonal()


def heat_maps(reference, layer: int, pixels, ids, mask) -> torch.Tensor:
    """[B, T, patches] by autograd through the reference."""
    attention = reference.text_encoder.encoder.layer[layer].crossattention.self
    seen = []
    hook = attention.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs[1]))
    try:
        with torch.enable_grad():
            # A gradient must start somewhere; the weights may be frozen.
            pixels = pixels.clone().requires_grad_()
            itm = reference(input_ids=ids, pixel_values=pixels, attention_mask=mask).itm_score
            (gradient,) = torch.autograd.grad(itm[:, MATCH].sum(), seen)
    finally:
        hook.remove()
    maps = (seen[0].detach() * functional.relu(gradient))[..., 1:].mean(1)
    return maps * mask[:, :, None]
