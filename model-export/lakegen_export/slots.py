"""The slot cache: keys and values live in one buffer that the caller owns.

Shapes, used in every `decoder` graph:

    input_ids  int64 [B, T]
    slots      int64 [B, T]          where in its row of the cache each token's key and value go
    last       int64 [B]             the index in 0..T-1 of the token of each row whose logits are wanted
    cache      [L, 2, B, H, P, D]    layers, (key, value), rows, key/value heads, slots, size of a head;
                                     float32 for float32 and bfloat16 packs, float16 for float16 packs
    -> logits  float32 [B, V]

The graph writes the T keys and values of every row into `cache` in place, then lets each query see the slots from 0
up to its own. The position of a token is its slot minus `cache.prefix`.

What the caller may do:

* pass any B, T and P >= 1 from call to call, and a view of the first P slots of a larger buffer;
* pad a row on the right with any token, on condition that its slots are distinct, below P, and later than the row's
  last real token; the next real tokens overwrite them before anything can see them;
* hand a row to another sequence at any time, by starting again at slot `prefix` (or at 0 with a new `encoder` call):
  what the former sequence left in later slots is not seen before it is overwritten;
* reorder or copy rows of the cache along B between calls (beam search).

What the caller must do: slots of one row are distinct and in 0..P-1; the real tokens of a row come in order and
without gaps; the buffer holds finite numbers from the start (zeros), since a masked NaN is still a NaN; a real token's
position stays below the model's context (`generation.maxLength`). Positions of padding beyond the context are clamped.
"""

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache
from transformers.integrations.sdpa_attention import sdpa_attention_forward

ATTENTION = "lakegen_slots"


class SlotCache(Cache):
    """A transformers cache over one caller-owned buffer [L, 2, B, H, P, D]."""

    is_compileable = False

    def __init__(self, buffer: torch.Tensor, slots: torch.Tensor):
        self.buffer = buffer
        self.slots = slots
        self.layers = []

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        index = self.slots[:, None, :, None].expand_as(key_states)
        layer = self.buffer[layer_idx]
        layer[0].scatter_(2, index, key_states.type_as(self.buffer))
        layer[1].scatter_(2, index, value_states.type_as(self.buffer))
        return layer[0], layer[1]

    def get_seq_length(self, layer_idx=0):
        return 0

    def get_mask_sizes(self, query_length, layer_idx):
        return self.buffer.shape[4], 0

    def get_query_offset(self, layer_idx=0):
        return 0


def slot_mask(slots: torch.Tensor, cache: torch.Tensor, window: int | None = None) -> torch.Tensor:
    """bool [B, 1, T, P]: true where a query may look; `window` is a sliding window in tokens."""
    own = slots[:, None, :, None]
    columns = torch.arange(cache.shape[4], device=cache.device)
    mask = columns <= own
    return mask if window is None else mask & (columns > own - window)


def positions(slots: torch.Tensor, prefix: int, context: int) -> torch.Tensor:
    """int64 [B, T]: padding may lie beyond the model's context, where no position embedding exists."""
    return (slots - prefix).clamp(max=context - 1)


def pick(hidden: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """[B, T, hidden], int64 [B] -> [B, hidden]."""
    return hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[-1])).squeeze(1)


def _slot_attention(module, query, key, value, attention_mask, **kwargs):
    """Attention in the cache's dtype: a bfloat16 model keeps its keys and values in float32."""
    kwargs.pop("is_causal", None)
    if kwargs.get("position_bias") is not None:
        kwargs["position_bias"] = kwargs["position_bias"].type_as(key)
    output, weights = sdpa_attention_forward(
        module, query.type_as(key), key, value.type_as(key), attention_mask, is_causal=False, **kwargs
    )
    return output.type_as(query), weights


AttentionInterface.register(ATTENTION, _slot_attention)
