"""Captioners with cross attention: BLIP, and a ViT encoder with a GPT-2 decoder."""

from types import MethodType
from typing import ClassVar

import torch
from transformers import BlipForConditionalGeneration, VisionEncoderDecoderModel

from .. import slots as slot
from .cross import VisionCross


def _ones(hidden: torch.Tensor) -> torch.Tensor:
    return torch.ones(hidden.shape[:2], dtype=torch.int64, device=hidden.device)


def _blip_attention(
    self, hidden_states, attention_mask=None, encoder_hidden_states=None, encoder_attention_mask=None, **kwargs
):
    """BLIP's text layers know eager attention only, which can't mix a float32 cache with a bfloat16 model."""
    past = kwargs["past_key_values"]
    shape = (*hidden_states.shape[:-1], -1, self.attention_head_size)
    query = self.query(hidden_states).view(shape).transpose(1, 2)
    if encoder_hidden_states is not None:
        ready = past.cross_attention_cache.layers[self.layer_idx]
        key, value = ready.keys, ready.values
    else:
        key, value = (layer(hidden_states).view(shape).transpose(1, 2) for layer in (self.key, self.value))
        key, value = past.self_attention_cache.update(key, value, self.layer_idx)
    attended = torch.nn.functional.scaled_dot_product_attention(query.type_as(key), key, value, attention_mask)
    return attended.type_as(query).transpose(1, 2).flatten(2), None


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

    def decoder_size(self):
        config = self.reference.config.text_config
        return config.num_hidden_layers, config.num_attention_heads, config.hidden_size

    @property
    def vocabulary(self):
        return self.reference.config.text_config.vocab_size

    def use_slot_attention(self, model):
        for layer in model.text_decoder.bert.encoder.layer:
            for attention in (layer.attention.self, layer.crossattention.self):
                attention.forward = MethodType(_blip_attention, attention)

    def encode(self, model, pixels):
        hidden = model.vision_model(pixel_values=pixels.to(self.dtype)).last_hidden_state
        return hidden, _ones(hidden)

    def project(self, model, hidden):
        attentions = [layer.crossattention.self for layer in model.text_decoder.bert.encoder.layer]
        return [(attention.key(hidden), attention.value(hidden)) for attention in attentions]

    def decode(self, model, input_ids, positions, **kwargs):
        bert = model.text_decoder.bert
        return bert(input_ids=input_ids, position_ids=positions, is_decoder=True, **kwargs).last_hidden_state

    def head(self, model, hidden):
        return model.text_decoder.cls(hidden)

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


class VitGpt2(VisionCross):
    task: ClassVar[str] = "image-to-text"
    images: ClassVar[bool] = True

    @staticmethod
    def load(source, **kwargs):
        return VisionEncoderDecoderModel.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        kinds = reference.config.encoder.model_type, reference.config.decoder.model_type
        if kinds != ("vit", "gpt2"):
            raise ValueError(f"encoder and decoder: {' and '.join(kinds)} (expected: vit and gpt2)")
        self.context = reference.config.decoder.max_position_embeddings

    def image_size(self):
        return self.reference.config.encoder.image_size

    def decoder_size(self):
        config = self.reference.config.decoder
        return config.num_hidden_layers, config.num_attention_heads, config.hidden_size

    def use_slot_attention(self, model):
        model.decoder.set_attn_implementation(slot.ATTENTION)

    def encode(self, model, pixels):
        hidden = model.encoder(pixel_values=pixels.to(self.dtype)).last_hidden_state
        if hasattr(model, "enc_to_dec_proj"):
            hidden = model.enc_to_dec_proj(hidden)
        return hidden, _ones(hidden)

    def project(self, model, hidden):
        blocks = model.decoder.transformer.h
        return [block.crossattention.c_attn(hidden).chunk(2, dim=2) for block in blocks]

    def decode(self, model, input_ids, positions, **kwargs):
        decoder = model.decoder.transformer
        return decoder(input_ids=input_ids, position_ids=positions, use_cache=True, **kwargs).last_hidden_state

    def head(self, model, hidden):
        return model.decoder.lm_head(hidden)
