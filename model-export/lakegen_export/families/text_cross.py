"""Text to text: whatever encoder-decoder `AutoModelForSeq2SeqLM` loads."""

from typing import ClassVar

import torch
from transformers import AutoModelForSeq2SeqLM, EncoderDecoderModel
from transformers.modeling_outputs import BaseModelOutput

from . import traits
from .cross import TextCross


class Seq2Seq(TextCross):
    task: ClassVar[str] = "text2text-generation"
    heads: ClassVar[tuple[str, ...]] = ("ForConditionalGeneration", "MTModel", "EncoderDecoderModel")

    @staticmethod
    def load(source, **kwargs):
        return AutoModelForSeq2SeqLM.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference, dtype):
        if not reference.config.is_encoder_decoder:
            raise ValueError("is_encoder_decoder: false (expected: a model whose decoder attends to an encoder)")
        super().__init__(reference, dtype)
        self.context = traits.context(reference.config)

    def decoder(self, model):
        return model.get_decoder()

    def encode(self, model, input_ids, attention_mask):
        ids = input_ids.masked_fill(attention_mask == 0, self.pad)
        return model.get_encoder()(input_ids=ids, attention_mask=attention_mask).last_hidden_state, attention_mask

    def decode(self, model, input_ids, positions, hidden, mask, cache):
        options = {}
        if isinstance(model, EncoderDecoderModel):
            options["decoder_position_ids"] = positions + traits.first_position(model.decoder)
        return model(
            encoder_outputs=BaseModelOutput(hidden),
            attention_mask=mask,
            decoder_input_ids=input_ids,
            past_key_values=cache,
            use_cache=True,
            **options,
        ).logits
