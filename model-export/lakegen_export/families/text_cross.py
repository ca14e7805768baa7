"""Text to text: T5 and BART. Both derive decoder positions from the length of their own cache; here they come from
the slots, so that a row of a running batch can start anew."""

from typing import ClassVar

import torch
from transformers import AutoModelForSeq2SeqLM

from .. import slots as slot
from .cross import TextCross


class T5(TextCross):
    task: ClassVar[str] = "text2text-generation"

    @staticmethod
    def load(source, **kwargs):
        return AutoModelForSeq2SeqLM.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        # T5's relative positions have no end; checkpoints name the length they were trained with.
        self.context = getattr(reference.config, "n_positions", 512)

    def decoder_size(self):
        config = self.reference.config
        return config.num_decoder_layers, config.num_heads, config.num_heads * config.d_kv

    def use_slot_attention(self, model):
        model.decoder.set_attn_implementation(slot.ATTENTION)

    def encode(self, model, input_ids, attention_mask):
        hidden = model.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return hidden, attention_mask

    def project(self, model, hidden):
        attentions = [block.layer[1].EncDecAttention for block in model.decoder.block]
        return [(attention.k(hidden), attention.v(hidden)) for attention in attentions]

    def decode(self, model, input_ids, positions, **kwargs):
        attention = model.decoder.block[0].layer[0].SelfAttention
        columns = torch.arange(kwargs["attention_mask"].shape[3], device=input_ids.device)

        def bias_of_slots(*_args, **_kwargs):
            buckets = attention._relative_position_bucket(
                columns - positions[:, :, None],
                bidirectional=False,
                num_buckets=attention.relative_attention_num_buckets,
                max_distance=attention.relative_attention_max_distance,
            )
            return attention.relative_attention_bias(buckets).permute(0, 3, 1, 2)

        attention.compute_bias = bias_of_slots
        return model.decoder(input_ids=input_ids, use_cache=True, **kwargs).last_hidden_state

    def head(self, model, hidden):
        if model.config.scale_decoder_outputs:
            hidden = hidden * model.model_dim**-0.5
        return model.lm_head(hidden)


class Bart(TextCross):
    task: ClassVar[str] = "text2text-generation"

    @staticmethod
    def load(source, **kwargs):
        return AutoModelForSeq2SeqLM.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        self.context = reference.config.max_position_embeddings

    def decoder_size(self):
        config = self.reference.config
        return config.decoder_layers, config.decoder_attention_heads, config.d_model

    def use_slot_attention(self, model):
        model.set_attn_implementation(slot.ATTENTION)

    def encode(self, model, input_ids, attention_mask):
        # Encoder and decoder share one configuration, so the encoder too has slot attention, which takes ready masks.
        ready = attention_mask[:, None, None, :] > 0
        hidden = model.model.encoder(input_ids=input_ids, attention_mask=ready).last_hidden_state
        return hidden, attention_mask

    def project(self, model, hidden):
        attentions = [layer.encoder_attn for layer in model.model.decoder.layers]
        return [(attention.k_proj(hidden), attention.v_proj(hidden)) for attention in attentions]

    def decode(self, model, input_ids, positions, **kwargs):
        embedding = model.model.decoder.embed_positions
        embedded = torch.nn.functional.embedding(positions + embedding.offset, embedding.weight)
        embedding.forward = lambda *_args, **_kwargs: embedded
        return model.model.decoder(input_ids=input_ids, use_cache=True, **kwargs).last_hidden_state

    def head(self, model, hidden):
        return model.lm_head(hidden) + model.final_logits_bias
