"""What tracing does to a graph besides recording it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lakegen_export import graphs


def operators(graph: torch.jit.ScriptModule) -> list[str]:
    """Those of a graph in their order; a linear layer, which CPUs and GPUs compute by different ones, counts once."""
    found = []
    for node in graph.graph.nodes():
        if node.kind() == "prim::If":
            node = next(next(node.blocks()).nodes())
        if node.kind().startswith("aten::") and node.kind() != "aten::__not__":
            found.append(node.kind().removeprefix("aten::"))
    return found


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(6, 6)
        self.scale = torch.nn.Parameter(torch.ones(6))


class Residual(Block):
    def forward(self, x):
        return torch.nn.functional.gelu(self.layer(x)) / 2 + x


class ReadTwice(Block):
    def forward(self, x):
        hidden = self.layer(x)
        return torch.nn.functional.silu(hidden) * hidden


class OfAnInput(Block):
    def forward(self, x):
        return (x + 1).view(-1, 6) * 2, self.layer(x)


class Broadcast(Block):
    def forward(self, x):
        return self.layer(x[:1]) + x


class OfAConstant(Block):
    def forward(self, x):
        return (self.scale * 2) * self.layer.weight + x.sum()


class Dropped(Block):
    def forward(self, x):
        return torch.nn.functional.dropout(self.layer(x), 0.5, self.training) + x


class OtherType(Block):
    def forward(self, x):
        return self.layer(x) + x.double()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Residual, ["linear", "gelu_", "div_", "add_"]),
        # only the last operator may overwrite: silu's input is read again
        (ReadTwice, ["linear", "silu", "mul_"]),
        (Dropped, ["linear", "add_"]),
        (Broadcast, ["slice", "linear", "add"]),
        (OtherType, ["linear", "to", "add"]),
    ],
)
def test_memory_that_nothing_else_reads_is_written_again(kind, expected):
    torch.manual_seed(1)
    graph = graphs.trace(kind().eval(), (torch.randn(3, 6),))
    assert operators(graph) == expected


@pytest.mark.parametrize("kind", [Residual, ReadTwice, Broadcast, OfAnInput, OfAConstant, Dropped, OtherType])
def test_graphs_answer_as_their_module_again_and_again(kind):
    torch.manual_seed(1)
    module = kind().eval()
    graph = graphs.trace(module, (torch.randn(3, 6),))
    for rows in (3, 5, 1, 3):
        x = torch.randn(rows, 6)
        before = x.clone()
        with torch.no_grad():
            expected, found = module(x), graph(x)
        # Layers round in float32, also where their outcome is added to a double.
        torch.testing.assert_close(found, expected, rtol=1.3e-6, atol=1e-5)
        assert torch.equal(x, before)


@pytest.mark.parametrize(("dtype", "expected"), [(torch.float32, True), (torch.bfloat16, True), (torch.float16, False)])
def test_cpus_compute_linear_layers_by_onednn(dtype, expected):
    graph = graphs.trace(Residual().to(dtype), (torch.randn(3, 6, dtype=dtype),))
    assert bool(graph.graph.findAllNodes("mkldnn::_linear_pointwise")) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("load", [True, False])
@pytest.mark.parametrize("size", [32, 768])
def test_rows_come_out_of_a_layer_the_same_among_any_others(size, load, dtype, tmp_path):
    torch.manual_seed(1)
    graph = graphs.trace(torch.nn.Linear(size, 96, dtype=dtype), (torch.randn(2, 3, size, dtype=dtype),))
    if load:
        graph = loaded(graph, tmp_path)
    rows = torch.randn(130, size, dtype=dtype)
    expected = graph(rows[None])[0]
    for count in (0, 1, 2, 5, 15, 16, 17, 31, 64, 100):
        assert torch.equal(graph(rows[:count].reshape(1, count, size))[0], expected[:count]), count


def loaded(graph: torch.jit.ScriptModule, folder: Path, device: str = "cpu") -> torch.jit.ScriptModule:
    graphs.save(graph, folder / "graph.pt")
    return torch.jit.load(folder / "graph.pt", map_location=device)


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(40, 32)
        self.embedding.register_buffer("scale", torch.ones(1))
        self.layer = torch.nn.Linear(32, 32)
        self.head = torch.nn.Linear(32, 40, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.layer(self.embedding(ids) * self.embedding.scale) + self.layer.bias)


class Holder(torch.nn.Module):
    """Holds a weight and a module."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(32, 32))
        self.layer = torch.nn.Linear(32, 32)

    def forward(self, ids):
        return self.layer(
            torch.nn.functional.linear(torch.nn.functional.one_hot(ids, 32).to(self.weight.dtype), self.weight)
        )


class Single(torch.nn.Module):
    """Holds a weight alone."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(32, 32))

    def forward(self, ids):
        return torch.nn.functional.linear(torch.nn.functional.one_hot(ids, 32).to(self.weight.dtype), self.weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("kind", "packed"),
    [
        (Tied, ["layer.packed", "layer.weight", "embedding.packed"]),
        (Holder, ["layer.packed", "layer.weight"]),
        (Single, ["packed", "weight"]),
    ],
)
def test_loaded_graphs_hold_the_weights_of_layers_in_the_order_of_onednn(kind, packed, dtype, tmp_path):
    torch.manual_seed(1)
    module = kind().eval().to(dtype)
    ids = torch.randint(32, (3, 7))
    graph = loaded(graphs.trace(module, (ids[:2],)), tmp_path)
    avx512 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    held = {name: value for part, of in graph.named_modules() for name, value in tensors(part, of)}
    assert {name for name, value in held.items() if value.layout == torch._mkldnn} == set(packed if avx512 else [])
    with torch.no_grad():
        torch.testing.assert_close(graph(ids), module(ids))
    size = sum(weight.nbytes for weight in module.parameters())
    assert size < (tmp_path / "graph.pt").stat().st_size < size + 20_000, "each weight is there once"


def tensors(path: str, module: torch.jit.ScriptModule) -> list[tuple[str, torch.Tensor]]:
    names = [name for name in ("weight", "packed") if hasattr(module, name)]
    return [(f"{path}.{name}".removeprefix("."), getattr(module, name)) for name in names]


def test_on_other_devices_weights_stay_as_they_are(tmp_path):
    graph = loaded(graphs.trace(Tied(), (torch.randint(40, (2, 7)),)), tmp_path, device="meta")
    assert graph.layer.weight.layout == graph.layer.packed.layout == torch.strided


class Around(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


@pytest.mark.parametrize(("dtype", "expected"), [(torch.float32, True), (torch.bfloat16, True), (torch.float16, False)])
def test_those_of_scripted_models_too(dtype, expected):
    module = Around(torch.jit.script(Residual().to(dtype)))
    graph = graphs.trace(module, (torch.randn(3, 6, dtype=dtype),))
    assert bool(graph.graph.findAllNodes("mkldnn::_linear_pointwise")) == expected
    x = torch.randn(5, 6, dtype=dtype)
    with torch.no_grad():
        assert graph(x).shape == module(x).shape
        if expected:
            assert torch.equal(graph(x)[:1], graph(x[:1]))


class Attention(torch.nn.Module):
    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, query, key, value, keep):
        mask = self.form(keep, query)
        return self.attend(self.attend(query, key, value, mask), key, value, mask)

    def attend(self, query, key, value, mask):
        heads = [states.unflatten(2, (-1, 4)).transpose(1, 2) for states in (query, key, value)]
        found = torch.nn.functional.scaled_dot_product_attention(*heads, attn_mask=mask, scale=0.3, enable_gqa=True)
        return found.transpose(1, 2).flatten(2)


def by_key(keep, query):
    return keep[:, None, None]


def by_query(keep, query):
    return keep[:, None, None].expand(-1, -1, query.shape[1], -1)


def added(keep, query):
    return torch.zeros(keep.shape, dtype=query.dtype).masked_fill(~keep, torch.finfo(query.dtype).min)[:, None, None]


def of_rows(keep, query):
    return keep[:, None, None, :1]


def none(keep, query):
    return None


def attended(rows, queries, keys, dtype):
    keep = torch.arange(keys) < torch.randint(1, keys + 1, (rows, 1))
    return (
        torch.randn(rows, queries, 16, dtype=dtype),
        *(torch.randn(rows, keys, 8, dtype=dtype) for _ in range(2)),
        keep,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", [by_key, by_query, added, of_rows, none])
def test_attention_to_any_number_of_keys_equals_the_modules(form, dtype):
    torch.manual_seed(1)
    module = Attention(form)
    graph = graphs.trace(module, attended(2, 5, 7, dtype))
    # Of 256 keys rows are attended to one by one, of fewer several at once, of more by libtorch's kernel.
    for keys in (1, 2, 15, 16, 17, 31, 32, 33, 100, 256, 257):
        for queries in (1, keys):
            inputs = attended(7, queries, keys, dtype)
            with torch.no_grad():
                # Values are of about 1.
                torch.testing.assert_close(graph(*inputs), module(*inputs), rtol=0, atol=torch.finfo(dtype).eps * 10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", [by_query, added])
def test_a_query_that_sees_nothing_comes_out_as_a_number(form, dtype):
    torch.manual_seed(1)
    graph = graphs.trace(Attention(form), attended(2, 5, 7, dtype))
    for keys in (7, 300):
        *states, keep = attended(3, keys, keys, dtype)
        seen = graph(*states, keep)
        keep[1] = False
        found = graph(*states, keep)
        assert found.isfinite().all()
        torch.testing.assert_close(found[::2], seen[::2], rtol=0, atol=torch.finfo(dtype).eps * 10)


OPERATORS = """
import sys, torch
graph, inputs = torch.jit.load(sys.argv[1]), torch.load(sys.argv[2])
with torch.profiler.profile() as profile:
    graph(*inputs)
print(*(event.key for event in profile.key_averages()))
"""


@pytest.mark.parametrize("limit", ["ALL", "AVX512_CORE"])
def test_attention_is_computed_by_onednn_where_the_cpu_at_hand_multiplies_bfloat16(tmp_path, limit):
    flags = set(Path("/proc/cpuinfo").read_text().split())
    multiplies = limit == "ALL" and bool(flags & {"avx512_bf16", "amx_bf16"})
    graph = graphs.trace(Attention(by_key), attended(2, 5, 7, torch.bfloat16))
    graph.save(tmp_path / "graph.pt")
    torch.save(attended(3, 20, 20, torch.bfloat16), tmp_path / "inputs.pt")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OPERATORS, tmp_path / "graph.pt", tmp_path / "inputs.pt"],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": limit},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert ("aten::baddbmm_" in run.stdout) == multiplies
    assert ("aten::_scaled_dot_product_flash_attention_for_cpu" in run.stdout) != multiplies


@pytest.mark.parametrize(
    ("form", "decoder", "masks"), [(by_key, False, 1), (by_query, False, 1), (none, False, 0), (by_key, True, 0)]
)
def test_encoders_fill_up_the_keys_where_they_have_a_mask(form, decoder, masks):
    graph = graphs.trace(Attention(form), attended(2, 5, 7, torch.float32), decoder)
    assert len(graph.graph.findAllNodes("aten::masked_fill_")) == masks
    assert len(graph.graph.findAllNodes("aten::scaled_dot_product_attention")) == 2
