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

A *common prefix*: where all layers attend to all tokens before, in float32, a pack says `cache.commonPrefix`, and its
`decoder` has three more inputs, so that rows which begin alike needn't each hold and read a copy of the beginning:

    common_keys    [L, H, N, D]      keys of N tokens, as the decoder writes them into `cache`; on CPUs alone may N be
    common_values  [L, H, D, N]      above 0
    offset         int64 [B]         N for rows that follow the prefix, 0 for the others; the position of slot 0

A row that follows the prefix holds the tokens behind it alone, from slot 0 on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.modeling_utils import PreTrainedModel

from . import linear

ATTENTION = "lakegen_slots"
EXPERTS = "lakegen_experts"


class SlotCache(Cache):
    """A transformers cache over one caller-owned buffer [L, 2, B, H, P, D].

    A layer with fewer heads than others, or whose keys and values differ in size, uses the first ones of its part.
    """

    is_compileable = False

    def __init__(self, buffer: torch.Tensor, slots: torch.Tensor):
        self.buffer = buffer
        self.slots = slots
        self.layers = []

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        stored = tuple(
            self._store(part, states)
            for part, states in zip(self.buffer[layer_idx], (key_states, value_states), strict=True)
        )
        if CommonPrefix.current is not None:
            CommonPrefix.current.stored = (layer_idx, *stored)
        return stored

    def _store(self, part: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        heads, size = int(states.shape[1]), int(states.shape[3])
        if (heads, size) != (int(part.shape[1]), int(part.shape[3])):
            part = part[:, :heads, :, :size]
        return part.scatter_(2, self.slots[:, None, :, None].expand_as(states), states.type_as(part))

    def get_seq_length(self, layer_idx=0):
        return 0

    def get_mask_sizes(self, query_length, layer_idx):
        return self.buffer.shape[4], 0

    def get_query_offset(self, layer_idx=0):
        """The slots themselves, which the functions that make masks here read."""
        return self.slots


@dataclass
class CommonPrefix:
    """The inputs of that name while a model runs, and which of its layers have attended to them."""

    keys: torch.Tensor
    values: torch.Tensor
    offset: torch.Tensor
    layers: set[int] = field(default_factory=set)
    stored: tuple[int, torch.Tensor, torch.Tensor] | None = None
    """The layer that the cache was last asked for, and what it gave."""

    current: ClassVar["CommonPrefix | None"] = None

    @contextmanager
    def used(self) -> Iterator[None]:
        """Within it, attention goes over the prefix too."""
        CommonPrefix.current = self
        try:
            yield
        finally:
            CommonPrefix.current = None

    def of(self, key: torch.Tensor, value: torch.Tensor) -> list[torch.Tensor] | None:
        """Keys, values and offset for a layer that attends to these; None where they aren't as the cache has them."""
        if self.stored is None:
            return None
        layer, *states = self.stored
        sizes = {tuple(int(size) for size in states.shape[-3::2]) for states in (key, value, self.keys)}
        if len(sizes) > 1 or states[0] is not key or states[1] is not value:
            return None
        self.layers.add(layer)
        return [self.keys[layer], self.values[layer], self.offset]


class Recorder(Cache):
    """An empty cache that shows the keys and values of one call: `layers[i].keys` and `.values`, [B, H, T, D]."""

    is_compileable = False

    def __init__(self):
        self.recorded: dict[int, SimpleNamespace] = {}

    @property
    def layers(self) -> list[SimpleNamespace]:
        return [self.recorded[number] for number in sorted(self.recorded)]

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        self.recorded[layer_idx] = SimpleNamespace(keys=key_states, values=value_states, is_sliding=False)
        return key_states, value_states

    def get_seq_length(self, layer_idx=0):
        return 0

    def get_mask_sizes(self, query_length, layer_idx):
        return query_length, 0


def use(model: PreTrainedModel) -> None:
    """Makes the copy of a model that is to be traced fit for the slot cache, in place."""
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            config = module.config
            if module._can_set_attn_implementation():
                config._attn_implementation_internal = ATTENTION
            if module._can_set_experts_implementation():
                config._experts_implementation_internal = EXPERTS


def slot_mask(slots: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
    """bool [B, 1, T, P]: true where a query may look."""
    return torch.arange(cache.shape[4], device=cache.device) <= slots[:, None, :, None]


def positions(slots: torch.Tensor, prefix: int, context: int) -> torch.Tensor:
    """int64 [B, T]: padding may lie beyond the model's context, where no position embedding exists."""
    return (slots - prefix).clamp(max=context - 1)


def pick(hidden: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """[B, T, hidden], int64 [B] -> [B, hidden]."""
    return hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[-1])).squeeze(1)


class Head:
    """Has a model's output layer see one token of each row, so that whatever scales its logits still applies.

    `last`, int64 [B], is which; None: all.
    """

    def __init__(self, model: PreTrainedModel):
        layer = model.get_output_embeddings()
        if layer is None:
            raise ValueError(f"{type(model).__name__}: names no output layer (expected: get_output_embeddings)")
        self.last: torch.Tensor | None = None
        layer.register_forward_pre_hook(self._pick)

    def _pick(self, _layer, inputs):
        return inputs if self.last is None else (pick(inputs[0], self.last)[:, None], *inputs[1:])


def _mask(ready, dtype_of_mask):
    """`ready`, a function of transformers that makes masks, taught what a query with slots may see.

    The model's own rule (causal, window, chunks ...) is asked with slots in place of positions.
    """

    def mask(
        batch_size, q_length, kv_length, q_offset=0, kv_offset=0, mask_function=None, attention_mask=None, **kwargs
    ):
        if not isinstance(q_offset, torch.Tensor) or q_offset.dim() != 2:
            if torch.jit.is_tracing():
                kwargs["use_vmap"] = False  # it can't be traced, and rules by index don't need it
            return ready(batch_size, q_length, kv_length, q_offset, kv_offset, mask_function, attention_mask, **kwargs)
        slots = q_offset  # these say what is padding: a later slot than any that a query may see
        rows = torch.arange(slots.shape[0], device=slots.device)[:, None, None, None]
        columns = torch.arange(kv_length, device=slots.device)[None, None, None]
        seen = mask_function(rows, torch.zeros_like(rows[:1]), slots[:, None, :, None], columns)
        return dtype_of_mask(seen, kwargs.get("dtype", torch.float32))

    return mask


def _additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    lowest = torch.finfo(dtype).min
    return torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, lowest)


def _boolean(seen: torch.Tensor, _dtype: torch.dtype) -> torch.Tensor:
    return seen


def _every_mask(*args, **kwargs):
    """Of tokens without slots, such as those of an encoder: never left out, as the next batch may need it."""
    kwargs |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    return sdpa_mask(*args, **kwargs)


def _slot_attention(
    module, query, key, value, attention_mask, scaling=None, softcap=None, s_aux=None, position_bias=None, **kwargs
):
    """Attention in the cache's dtype: a bfloat16 model keeps its keys and values in float32."""
    query_type = query.dtype
    query, value = query.type_as(key), value.type_as(key)
    if position_bias is not None:
        position_bias = position_bias.type_as(key)
    groups = getattr(module, "num_key_value_groups", 1)
    plain = softcap is None and s_aux is None and position_bias is None
    common = CommonPrefix.current.of(key, value) if plain and CommonPrefix.current is not None else None
    if common is not None or (plain and groups > 1):
        return _grouped_attention(query, key, value, attention_mask, scaling, groups, common).to(query_type), None
    if softcap is None and s_aux is None:
        kwargs.pop("is_causal", None)
        output, _ = sdpa_attention_forward(
            module,
            query,
            key,
            value,
            attention_mask,
            scaling=scaling,
            is_causal=False,
            position_bias=position_bias,
            **kwargs,
        )
        return output.to(query_type), None
    scores = query @ repeat_kv(key, groups).transpose(2, 3) * (scaling or query.shape[-1] ** -0.5)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if position_bias is not None:
        scores = scores + position_bias
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    if s_aux is not None:  # a sink: a score without value
        sink = s_aux.type_as(scores).reshape(1, -1, 1, 1).expand(scores.shape[0], -1, scores.shape[2], 1)
        scores = torch.cat([scores, sink], -1)
    seen = scores.softmax(-1)
    if s_aux is not None:
        seen = seen[..., :-1]
    return (seen @ repeat_kv(value, groups)).transpose(1, 2).to(query_type), None


def _grouped_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
    groups: int,
    common: list[torch.Tensor] | None,
) -> torch.Tensor:
    """Query heads that share keys and values go as further queries of one head: [B, T, H, D].

    The whole cache would be copied for each of them at every step otherwise.
    """
    query = query.unflatten(1, (-1, groups)).flatten(2, 3)
    mask = None if mask is None else mask.repeat(1, 1, groups, 1)
    if common is None:
        output = torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=scaling)
    else:
        output = _attend(query, key, value, mask, *common, scaling or query.shape[-1] ** -0.5)
    return output.unflatten(2, (groups, -1)).flatten(1, 2).transpose(1, 2)


@torch.jit.script
def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    common_keys: torch.Tensor,
    common_values: torch.Tensor,
    offset: torch.Tensor,
    scale: float,
):
    """Attention over a common prefix and a row's own slots: [B, H, T, D] of bool mask [B, 1, T, P].

    The prefix is read once for all rows. Softmax over both is the mean of the two outcomes, weighted by the sums of
    their exponentials. A row's part of the prefix must not depend on the rows beside it: by oneDNN, see `linear`.
    """
    # A trace freezes what `size` gives, not what `numel` does.
    if common_keys.numel() == 0:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=scale)
    unseen = torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, float("-inf"))
    own, own_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, False, attn_mask=unseen, scale=scale
    )
    heads = query.size(1)
    folded = query.transpose(0, 1).reshape(heads, -1, query.size(3)) * scale
    outputs, sums = [], []
    for head in range(heads):
        scores = linear.onednn(folded[head], common_keys[head], None)
        largest = scores.amax(1, keepdim=True)
        scores.sub_(largest).exp_()
        total = scores.sum(1, keepdim=True)
        output = linear.onednn(scores, common_values[head], None)
        outputs.append(output.div_(total).reshape_as(own[:, head]))
        sums.append(total.log_().add_(largest).reshape_as(own_sum[:, head]))
    ahead = torch.stack(outputs, 1)
    ahead_sum = torch.stack(sums, 1).masked_fill(offset[:, None, None] == 0, float("-inf"))
    # A sigmoid, which itself would round by a number's place in memory.
    weight = (own_sum - ahead_sum).exp_().add_(1).reciprocal_()
    return torch.lerp(own, ahead, weight[..., None])


def _experts(layer, hidden, top_k_index, top_k_weights):
    """Every expert in turn on the tokens that chose it, however many: shapes that a trace keeps open."""
    output = torch.zeros_like(hidden)
    for number in range(layer.num_experts):
        token, choice = torch.where(top_k_index == number)
        gates = layer.gate_up_proj if layer.has_gate else layer.up_proj
        names = ("gate_up_proj_bias" if layer.has_gate else "up_proj_bias", "down_proj_bias")
        biases = [getattr(layer, name)[number] if layer.has_bias else None for name in names]
        inner = _linear(layer, hidden[token], gates[number], biases[0])
        inner = layer._apply_gate(inner) if layer.has_gate else layer.act_fn(inner)
        inner = _linear(layer, inner, layer.down_proj[number], biases[1])
        output = output.index_add(0, token, (inner * top_k_weights[token, choice, None]).type_as(output))
    return output


def _linear(layer: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return torch.nn.functional.linear(hidden, weight.T if layer.is_transposed else weight, bias)


AttentionInterface.register(ATTENTION, _slot_attention)
ALL_EXPERTS_FUNCTIONS.register(EXPERTS, _experts)
AttentionMaskInterface.register(ATTENTION, _mask(_every_mask, _boolean))
# Models with attention of their own compare these names; without slots the masks are as transformers makes them.
AttentionMaskInterface.register("sdpa", _mask(sdpa_mask, _boolean))
AttentionMaskInterface.register("eager", _mask(eager_mask, _additive))
