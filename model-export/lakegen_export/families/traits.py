"""What architectures have of their own, told from a configuration or a model rather than from its name."""

import inspect
from collections.abc import Iterator
from types import MethodType
from typing import Any

import torch

LONGEST_WINDOW = 4096
"""Windows beyond it are left out of the comparison, which would take minutes; they are masked as shorter ones are."""


def context(config: Any) -> int:
    """The longest sequence in tokens that a decoder serves."""
    config = config.get_text_config(decoder=True)
    names = (
        "max_decoder_position_embeddings",
        "max_position_embeddings",
        "n_positions",
        "max_seq_len",
        "max_target_positions",
        "seq_length",
    )
    found = next((value for name in names if isinstance(value := getattr(config, name, None), int)), None)
    if found is None:
        # Relative positions and ALiBi have no end: T5 was trained with 512 tokens, BLOOM with 2,048.
        return 512 if hasattr(config, "relative_attention_num_buckets") else 2048
    # Their frequencies change with the length of the whole sequence, which a trace freezes, and a cache too: up to
    # the first length they are what they are.
    ropes = [rope for rope in _ropes(config) if rope.get("rope_type") in ("dynamic", "longrope")]
    return min([found, *(rope.get("original_max_position_embeddings") or found for rope in ropes)])


def _ropes(config: Any) -> Iterator[dict]:
    rope = getattr(config, "rope_parameters", None) or {}
    if "rope_type" in rope:
        yield rope
    yield from (one for one in rope.values() if isinstance(one, dict) and "rope_type" in one)


def first_position(model: torch.nn.Module) -> int:
    """Positions that no token has: RoBERTa's kind counts from its padding token on."""
    config = model.config.get_text_config()
    counts = any("position_ids_from_input_ids" in name for m in model.modules() for name in dir(type(m)))
    counts = counts or "create_position_ids_from_input_ids" in dir(inspect.getmodule(type(model)))
    return (config.pad_token_id or 0) + 1 if counts else 0


def without_cache(model: torch.nn.Module) -> dict:
    """Options for a model that reads a text once."""
    return {"use_cache": False} if getattr(model.config.get_text_config(), "use_cache", None) is not None else {}


def windows(config: Any, context: int) -> list[int]:
    """Lengths of texts that reach past the windows of a model's attention, at most `context`."""
    found = {value + 3 for value in _windows(config) if 12 <= value <= LONGEST_WINDOW}
    return sorted(length for length in found if length < context)


def has_windows(config: Any, context: int) -> bool:
    """Whether a token may not see all tokens before it."""
    kinds = getattr(config.get_text_config(), "layer_types", None) or ()
    return any(value < context for value in _windows(config)) or any(kind != "full_attention" for kind in kinds)


def _windows(config: Any) -> list[int]:
    config = config.get_text_config()
    names = (
        "sliding_window",
        "attention_chunk_size",
        "window_size",
        "local_attention",
        "attention_window",
        "local_radius",
    )
    values = [getattr(config, name, None) for name in names]
    values = [max(value) if isinstance(value, list | tuple) and value else value for value in values]
    return [value for value in values if isinstance(value, int)]


def use_whole_attention(reference: Any) -> None:
    """Has a reference compute all of its attention: transformers' faster kind leaves Gemma 2's soft cap out."""
    config = getattr(reference, "config", None)
    if hasattr(config, "get_text_config") and getattr(config.get_text_config(), "attn_logit_softcapping", None):
        reference.set_attn_implementation("eager")


def prepare(model: torch.nn.Module) -> None:
    """Takes out of a copy what would hold for one shape only."""
    seen: set[int] = set()
    for module in model.modules():
        for name, buffer in list(module._buffers.items()):
            if id(buffer) in seen:  # a trace can't hold one in two places
                module._buffers[name] = buffer.clone()
            elif buffer is not None:
                seen.add(id(buffer))
        if hasattr(module, "multi_modal_projector"):
            _keep_pictures_together(module)
        if hasattr(module, "build_mpt_alibi_tensor"):
            # MPT cuts its bias out of one for its whole context, which may end within the last 32 slots.
            _lengthen_mpt(module)
        if type(module).__name__ == "BloomGelu":
            # It is a function with a gradient of its own, which no graph can hold.
            module.forward = inspect.getmodule(type(module)).bloom_gelu_forward
        if type(module).__name__ == "GPTNeoSelfAttention":
            module._attn = MethodType(_gpt_neo_attention, module)


def _keep_pictures_together(module: Any) -> None:
    """LLaVA's kind makes a list of pictures, whose length a trace would freeze."""
    plain, made = module.get_image_features, {}
    module.multi_modal_projector.register_forward_hook(lambda _module, _inputs, output: made.update(features=output))

    def get_image_features(*args, **kwargs):
        output = plain(*args, **kwargs)
        if isinstance(output.pooler_output, list):
            output.pooler_output = (made["features"].flatten(0, 1),)
        return output

    module.get_image_features = get_image_features


def _lengthen_mpt(module: Any) -> None:
    build = module.build_mpt_alibi_tensor
    module.build_mpt_alibi_tensor = lambda heads, length, *args, **kwargs: build(heads, length + 64, *args, **kwargs)


def _gpt_neo_attention(self, query, key, value, attention_mask=None):
    """GPT-Neo cuts its windows out of a table by position in the cache; slots tell where a row stands."""
    scores = query.float() @ key.float().transpose(-1, -2) + attention_mask
    if self.attention_type == "local":
        reach = (attention_mask == 0).cumsum(-1)
        own = reach[..., -1:]
        scores = scores.masked_fill(reach <= own - self.config.window_size, torch.finfo(scores.dtype).min)
    return scores.softmax(-1).type_as(value) @ value, None


def _table(embedding: Any) -> torch.Tensor | None:
    """The table of an embedding of positions; None where it has none."""
    return getattr(embedding, "weight", getattr(embedding, "weights", None))


class Positions:
    """Gives the decoder of an encoder-decoder its positions, which it else derives from the length of its cache."""

    def __init__(self, decoder: torch.nn.Module):
        self.value: torch.Tensor | None = None
        self.columns = 0
        for module in decoder.modules():
            if type(module).__name__.endswith("PositionalEmbedding") and _table(module) is not None:
                module.forward = self._embedding(module)
            elif getattr(module, "has_relative_attention_bias", False) and hasattr(module, "compute_bias"):
                module.compute_bias = self._bias(module)

    def set(self, positions: torch.Tensor, slots: torch.Tensor | int) -> None:
        """int64 [B, T], and how many slots there are."""
        self.value = positions
        self.columns = slots

    def _embedding(self, module: Any):
        # fairseq's sinusoids count from their padding on; the other tables say where they begin.
        table = _table(module)
        sinusoids = not hasattr(module, "weight")
        offset = (module.padding_idx or 0) + 1 if sinusoids else getattr(module, "offset", 0)
        return lambda *_args, **_kwargs: torch.nn.functional.embedding(self.value + offset, table)

    def _bias(self, module: Any):
        bucket = module._relative_position_bucket
        names = inspect.signature(bucket).parameters
        options = {
            "bidirectional": False,
            "num_buckets": module.relative_attention_num_buckets,
            "max_distance": module.relative_attention_max_distance,
        }
        options = {name: value for name, value in options.items() if name in names}

        def compute_bias(*_args, **_kwargs):
            columns = torch.arange(self.columns, device=self.value.device)
            buckets = bucket(columns - self.value[:, :, None], **options)
            return module.relative_attention_bias(buckets).permute(0, 3, 1, 2)

        return compute_bias
