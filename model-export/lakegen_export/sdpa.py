"""Scaled dot-product attention, and how CPUs compute it.

libtorch's kernel computes one by one what a vector of 16 leaves over: on two threads of an Intel Xeon with AVX-512 a
layer of 12 heads takes 1.0 ms for 16 texts of 32 tokens, and 2.0 ms for 20 of 24. So keys are filled up with ones that
nothing sees: 1.2 ms.
"""

import torch


@torch.jit.script
def _fill_up_mask(mask: torch.Tensor, key: torch.Tensor):
    """What the scores of keys [..., K, D] are added to: of bool, or of the keys' dtype already, [..., K]."""
    if not mask.is_cpu or mask.size(-1) != key.size(-2):
        return mask
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=key.dtype).masked_fill_(~mask, float("-inf"))
    return torch.nn.functional.pad(mask, [0, -mask.size(-1) % 16], value=float("-inf"))


@torch.jit.script
def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float | None, groups: bool
):
    missing = mask.size(-1) - key.size(-2)
    if missing > 0:
        # Before the transposition that models end with, rows are in one piece.
        key = torch.nn.functional.pad(key.transpose(1, 2), [0, 0, 0, 0, 0, missing]).transpose(1, 2)
        value = torch.nn.functional.pad(value.transpose(1, 2), [0, 0, 0, 0, 0, missing]).transpose(1, 2)
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=scale, enable_gqa=groups)


def fill_up_keys(graph: torch._C.Graph) -> None:
    """Has attention see a multiple of 16 keys on CPUs, where it has a mask. Rows then differ in their last bits."""
    filled = {}
    for node in [node for node in graph.nodes() if node.kind() == "aten::scaled_dot_product_attention"]:
        query, key, value, mask, _, _, scale, groups = node.inputs()
        if not isinstance(mask.type(), torch._C.TensorType):
            continue
        with graph.insert_point_guard(node):
            if mask not in filled:
                (filled[mask],) = graph.insertGraph(_fill_up_mask.graph, [mask, key])
            (output,) = graph.insertGraph(_attend.graph, [query, key, value, filled[mask], scale, groups])
        output.setType(node.output().type())
        node.output().replaceAllUsesWith(output)
        node.destroy()
    graph.lint()
