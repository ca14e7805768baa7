"""Scaled dot-product attention, and how CPUs compute it.

libtorch's kernel computes one by one what a vector of 16 leaves over: on two threads of an Intel Xeon with AVX-512 a
layer of 12 heads takes 1.0 ms for 16 texts of 32 tokens, and 2.0 ms for 20 of 24. So keys are filled up with ones that
nothing sees: 1.2 ms.

In bfloat16 its products are MKL's, which computes in float32 on processors other than Intel's. oneDNN's products and a
softmax take 0.9 ms where the kernel takes 1.4 (a thread of an AMD EPYC, 8 texts of 64 tokens, 12 heads of 32), with
heads of 64 1.4 and 2.2; of MiniLM as a whole 6 %. From 257 keys on the kernel is the faster one, and everywhere on
CPUs without instructions for bfloat16.
"""

import torch

from . import linear


@torch.jit.script
def _multiplies_bfloat16(states: torch.Tensor):
    """Whether states are in bfloat16 on an x86 CPU that has instructions for it.

    Such instructions take numbers below the normal ones for zero (Intel's manual, VDPBF16PS); oneDNN's arithmetic on
    CPUs without them doesn't.
    """
    if not states.is_cpu or states.dtype != torch.bfloat16 or not linear.has_avx512():
        return False
    # Made of the input, or the answer for the exporting machine would be frozen into the graph.
    subnormal = states.new_full([16, 32], 1e-39)
    found = torch.ops.mkldnn._linear_pointwise(subnormal, torch.ones_like(subnormal), None, "none", [], "")
    return not bool(found.any())


@torch.jit.script
def _fill_up_mask(mask: torch.Tensor, key: torch.Tensor, in_bfloat16: bool):
    """What the scores of keys [..., K, D] are added to: of bool, or of numbers already, [..., K]."""
    if not mask.is_cpu or mask.size(-1) != key.size(-2):
        return mask
    step = 16
    unseen = float("-inf")
    if in_bfloat16:
        step = 32
        # The lowest number: from minus infinity alone a softmax makes NaN, which spreads to all in the next layer.
        unseen = -3.3895313892515355e38
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=key.dtype).masked_fill_(~mask, unseen)
    elif in_bfloat16:
        mask = mask.to(torch.bfloat16).clamp(min=unseen)
    return torch.nn.functional.pad(mask, [0, -mask.size(-1) % step], value=unseen)


@torch.jit.script
def _for_every_head(states: torch.Tensor, heads: int, keys: int):
    """Keys or values [B, G, K, D] in one piece, [B, heads, keys, D]: those of a group for its heads, zeros behind."""
    rows, groups, given, size = states.shape
    found = states.new_empty([rows, groups, heads // groups, keys, size])
    found[:, :, :, :given].copy_(states[:, :, None])
    found[:, :, :, given:].zero_()
    return found.view([rows, heads, keys, size])


@torch.jit.script
def _attend_in_bfloat16(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float | None
):
    """Some rows at once, as many as their scores fit into a core's cache.

    oneDNN compiles a kernel for each shape. By powers of two there are few shapes.
    """
    cached = 262144
    rows, heads, queries, size = query.shape
    keys, width = mask.size(-1), value.size(3)
    query = query.contiguous()
    key = _for_every_head(key, heads, keys)
    value = _for_every_head(value, heads, keys)
    mask = mask.expand([rows, heads, queries, keys])
    found = query.new_empty([rows, heads, queries, width])
    most = cached // (heads * queries * keys)
    first = 0
    while first < rows:
        count = 1
        while 2 * count <= min(most, rows - first):
            count *= 2
        last = first + count
        scores = mask[first:last].clone(memory_format=torch.contiguous_format).view([-1, queries, keys])
        scores.baddbmm_(
            query[first:last].view([-1, queries, size]),
            key[first:last].view([-1, keys, size]).transpose(1, 2),
            alpha=size**-0.5 if scale is None else scale,
        )
        torch.bmm(
            scores.softmax(-1),
            value[first:last].view([-1, keys, width]),
            out=found[first:last].view([-1, queries, width]),
        )
        first = last
    return found


@torch.jit.script
def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scale: float | None,
    groups: bool,
    in_bfloat16: bool,
):
    missing = mask.size(-1) - key.size(-2)
    # A mask that all keys share was not filled up.
    if in_bfloat16 and missing >= 0 and mask.size(-1) <= 256:
        return _attend_in_bfloat16(query, key, value, mask, scale)
    if missing > 0:
        # Before the transposition that models end with, rows are in one piece.
        key = torch.nn.functional.pad(key.transpose(1, 2), [0, 0, 0, 0, 0, missing]).transpose(1, 2)
        value = torch.nn.functional.pad(value.transpose(1, 2), [0, 0, 0, 0, 0, missing]).transpose(1, 2)
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=scale, enable_gqa=groups)


def fill_up_keys(graph: torch._C.Graph) -> None:
    """Has attention see a multiple of 16 keys on CPUs, or of 32 in bfloat16, where it has a mask.

    Rows then differ in their last bits.
    """
    filled: dict[torch._C.Value, tuple[torch._C.Value, torch._C.Value]] = {}
    for node in [node for node in graph.nodes() if node.kind() == "aten::scaled_dot_product_attention"]:
        query, key, value, mask, _, _, scale, groups = node.inputs()
        if not isinstance(mask.type(), torch._C.TensorType):
            continue
        with graph.insert_point_guard(node):
            if mask not in filled:
                (in_bfloat16,) = graph.insertGraph(_multiplies_bfloat16.inlined_graph, [key])
                (whole,) = graph.insertGraph(_fill_up_mask.inlined_graph, [mask, key, in_bfloat16])
                filled[mask] = whole, in_bfloat16
            whole, in_bfloat16 = filled[mask]
            inputs = [query, key, value, whole, scale, groups, in_bfloat16]
            (output,) = graph.insertGraph(_attend.inlined_graph, inputs)
        output.setType(node.output().type())
        node.output().replaceAllUsesWith(output)
        node.destroy()
    graph.lint()
