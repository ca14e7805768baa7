"""How fast a family's graphs are on the CPU at hand, in each dtype and engine."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from . import onnx_graphs, pack
from .families import Family, Graph

if TYPE_CHECKING:
    from .export import Request

KINDS = (
    ("PyTorch", torch.float32),
    ("OnnxRuntime", torch.float32),
    ("PyTorch", torch.bfloat16),
    ("OnnxRuntime", torch.int8),
)
"""The most exact ones first."""

GAIN = 1.1
"""How many times as fast a less exact dtype must be."""

COSINE = 0.995
"""The lowest that bfloat16 may have to the float32 reference; int8 has a bar of its own."""

ROWS, LENGTH = 8, 16
"""By how much the inputs of the tracing example are repeated: 16 rows, of 64 tokens in encoders."""

SECONDS = 2.0


def fastest(family: Family, request: "Request", report: Callable[[str], None]) -> tuple[str, torch.dtype]:
    """Engine and dtype of the fastest graphs that equal the reference and keep the cosine; says what each has.

    A less exact dtype must be faster by `GAIN`. The family is left in the chosen one.
    """
    speeds: dict[tuple[str, torch.dtype], float] = {}
    for engine, dtype in _kinds(family, request):
        family.dtype = dtype
        name = f"{str(dtype).removeprefix('torch.')}, {engine}"
        with tempfile.TemporaryDirectory() as folder:
            try:
                proof = pack.fidelity(family, engine, Path(folder), lambda _line: None)
            except ValueError as error:
                report(f"{name}: not equal to the reference: {error}")
                continue
            role, graph = list(family.graphs().items())[-1]
            speed = rows_per_second(graph, _runner(graph, engine, Path(folder) / proof.files[role]))
        which = "mean" if dtype == torch.int8 else "lowest"
        report(f"{name}: {speed:,.0f} rows/s of the {role} graph, {which} cosine {proof.cosine:.6f}")
        if dtype != torch.bfloat16 or proof.cosine >= COSINE:
            speeds[engine, dtype] = speed
    if not speeds:
        raise ValueError("dtype: auto (expected: a model that equals its reference in float32 or bfloat16)")
    best, *others = speeds
    for kind in others:
        if speeds[kind] > speeds[best] * (1 if kind[1] == best[1] else GAIN):
            best = kind
    engine, family.dtype = best
    report(f"dtype: {str(family.dtype).removeprefix('torch.')}, {engine}")
    return engine, family.dtype


def _kinds(family: Family, request: "Request") -> list[tuple[str, torch.dtype]]:
    quantises = family.int8 and request.attention_layer is None
    return [
        (engine, dtype)
        for engine, dtype in KINDS
        if engine in family.engines and request.engine in (None, engine) and (quantises or dtype != torch.int8)
    ]


def _runner(graph: Graph, engine: str, file: Path) -> Callable[..., Any]:
    if engine == "PyTorch":
        return pack.trace(graph)
    run, names = onnx_graphs.load(file), list(graph.example)
    return lambda *inputs: run(**dict(zip(names, inputs, strict=True)))


def rows_per_second(graph: Graph, run: Callable[..., Any]) -> float:
    """Of a graph on many rows of its tracing example."""
    decodes = any(value.dim() == 6 for value in graph.example.values())
    inputs = [_many(value, decodes) for value in graph.example.values()]
    rows = inputs[0].shape[0]
    with torch.no_grad():
        for _ in range(3):  # the first calls at a shape plan its kernels
            run(*inputs)
        calls, start = 0, time.monotonic()
        while calls == 0 or time.monotonic() - start < SECONDS:
            run(*inputs)
            calls += 1
        return rows * calls / (time.monotonic() - start)


def _many(value: torch.Tensor, decodes: bool) -> torch.Tensor:
    if value.dim() == 6:  # keys and values, [L, 2, B, H, P, D]
        return value.repeat(1, 1, ROWS, 1, 1, 1)
    longer = LENGTH if value.dim() == 2 and not decodes else 1
    return value.repeat(ROWS, longer, *[1] * (value.dim() - 2)) if value.dim() > 1 else value.repeat(ROWS)
