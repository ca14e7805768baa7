"""Captioners with cross attention: BLIP, and any vision encoder with a decoder of texts (VisionEncoderDecoder)."""

import inspect
from types import MethodType
from typing import ClassVar

import torch
from transformers import BlipForConditionalGeneration, VisionEncoderDecoderModel

from .. import slots as slot
from . import traits
from .cross import CrossCache, VisionCross


def _ones(hidden: torch.Tensor) -> torch.Tensor:
    return torch.ones(hidden.shape[:2], dtype=torch.int64, device=hidden.device)


def _blip_attention(
    self, hidden_states, attention_mask=None, encoder_hidden_states=None, encoder_attention_mask=None, **kwargs
):
    """BLIP's text layers know eager attention only, which can't mix a float32 cache with a bfloat16 model."""
    past = kwargs["past_key_values"]

    def split(layer, hidden):
        return layer(hidden).view(*hidden.shape[:-1], -1, self.attention_head_size).transpose(1, 2)

    if encoder_hidden_states is None:
        key, value = split(self.key, hidden_states), split(self.value, hidden_states)
        key, value = past.self_attention_cache.update(key, value, self.layer_idx)
    elif past.is_updated.get(self.layer_idx):
        ready = past.cross_attention_cache.layers[self.layer_idx]
        key, value = ready.keys, ready.values
    else:
        key, value = split(self.key, encoder_hidden_states), split(self.value, encoder_hidden_states)
        past.cross_attention_cache.update(key, value, self.layer_idx)
    query = split(self.query, hidden_states).type_as(key)
    attended = torch.nn.functional.scaled_dot_product_attention(query, key, value, attention_mask)
    return attended.type_as(hidden_states).transpose(1, 2).flatten(2), None


class Blip(VisionCross):
    task: ClassVar[str] = "image-to-text"
    images: ClassVar[bool] = True
    heads: ClassVar[tuple[str, ...]] = ("ForConditionalGeneration",)

    @staticmethod
    def load(source, **kwargs):
        return BlipForConditionalGeneration.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        self.context = reference.config.text_config.max_position_embeddings

    def image_size(self):
        return self.reference.config.vision_config.image_size

    @property
    def vocabulary(self):
        return self.reference.config.text_config.vocab_size

    def use_slot_attention(self, model):
        for layer in model.text_decoder.bert.encoder.layer:
            for attention in (layer.attention.self, layer.crossattention.self):
                attention.forward = MethodType(_blip_attention, attention)

    def decoder(self, model):
        return model.text_decoder

    def head(self, model):
        return model.text_decoder

    def encode(self, model, pixels):
        hidden = model.vision_model(pixel_values=pixels.to(self.dtype)).last_hidden_state
        return hidden, _ones(hidden)

    def decode(self, model, input_ids, positions, hidden, mask, cache):
        own = cache.self_attention_cache
        return model.text_decoder(
            input_ids=input_ids,
            position_ids=positions,
            # BLIP makes no masks but of whole texts.
            attention_mask=slot.slot_mask(own.slots, own.buffer) if isinstance(cache, CrossCache) else None,
            encoder_hidden_states=hidden,
            encoder_attention_mask=mask[:, None, None, :] > 0,
            past_key_values=cache,
            use_cache=True,
            is_decoder=True,
        ).logits

    def generation_config(self):
        """BLIP's own `generate` takes its start and end tokens from the text configuration."""
        config = self.reference.config.text_config
        generation = self.reference.text_decoder.generation_config
        generation.bos_token_id = config.bos_token_id
        generation.eos_token_id = config.sep_token_id
        generation.pad_token_id = config.pad_token_id
        return generation

    def decoder_ids(self, ids):
        return {"input_ids": torch.tensor([ids])}

    def batch_start(self, rows):
        return {"input_ids": torch.zeros(rows, 1, dtype=torch.int64)}


class VisionEncoderDecoder(VisionCross):
    task: ClassVar[str] = "image-to-text"
    images: ClassVar[bool] = True

    @staticmethod
    def load(source, **kwargs):
        return VisionEncoderDecoderModel.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        self.context = traits.context(reference.config.decoder) - self.first_position

    @property
    def first_position(self) -> int:
        return traits.first_position(self.reference.decoder)

    def image_size(self):
        size = self.reference.config.encoder.image_size
        return size if isinstance(size, int) else size[0]

    @property
    def vocabulary(self):
        return self.reference.config.decoder.vocab_size

    def decoder(self, model):
        return model.decoder

    def head(self, model):
        return model.decoder

    def encode(self, model, pixels):
        hidden = model.encoder(pixel_values=pixels.to(self.dtype)).last_hidden_state
        if hasattr(model, "enc_to_dec_proj"):
            hidden = model.enc_to_dec_proj(hidden)
        return hidden, _ones(hidden)

    def decode(self, model, input_ids, positions, hidden, mask, cache):
        options = {}
        if "position_ids" in inspect.signature(model.decoder.forward).parameters:
            options["position_ids"] = positions + self.first_position
        return model.decoder(
            input_ids=input_ids,
            encoder_hidden_states=hidden,
            encoder_attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            **options,
        ).logits
