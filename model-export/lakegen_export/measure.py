"""How fast a family's graphs are on the CPU at hand, in each dtype."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from . import graphs, pack
from .families import Family, Graph

DTYPES = (torch.float32, torch.bfloat16)
COSINE = 0.995
"""The lowest that a faster dtype may have to the float32 reference."""

ROWS, LENGTH = 8, 16
"""By how much the inputs of the tracing example are repeated: 16 rows, of 64 tokens in encoders."""

SECONDS = 2.0


def fastest(family: Family, engine: str, report: Callable[[str], None]) -> torch.dtype:
    """The fastest dtype whose graphs equal the reference and keep the cosine; says speed and cosine of each.

    The family is left in this dtype.
    """
    speeds: dict[torch.dtype, float] = {}
    for dtype in DTYPES if engine == "PyTorch" else DTYPES[:1]:
        family.dtype = dtype
        name = str(dtype).removeprefix("torch.")
        with tempfile.TemporaryDirectory() as folder:
            try:
                proof = pack.fidelity(family, engine, Path(folder), lambda _line: None)
            except ValueError as error:
                report(f"{name}: not equal to the reference: {error}")
                continue
        role, graph = list(family.graphs().items())[-1]
        speed = rows_per_second(graph)
        cosine = min(difference.cosine for difference in proof.differences.values())
        report(f"{name}: {speed:,.0f} rows/s of the {role} graph, lowest cosine {cosine:.6f}")
        if dtype == torch.float32 or cosine >= COSINE:
            speeds[dtype] = speed
    if not speeds:
        raise ValueError("dtype: auto (expected: a model that equals its reference in float32 or bfloat16)")
    family.dtype = max(speeds, key=lambda dtype: speeds[dtype])
    report(f"dtype: {str(family.dtype).removeprefix('torch.')}")
    return family.dtype


def rows_per_second(graph: Graph) -> float:
    """Of a graph on many rows of its tracing example."""
    traced = graphs.trace(graph.module, tuple(graph.example.values()))
    decodes = any(value.dim() == 6 for value in graph.example.values())
    inputs = [_many(value, decodes) for value in graph.example.values()]
    rows = inputs[0].shape[0]
    with torch.no_grad():
        for _ in range(3):  # the first calls at a shape plan its kernels
            traced(*inputs)
        calls, start = 0, time.monotonic()
        while calls == 0 or time.monotonic() - start < SECONDS:
            traced(*inputs)
            calls += 1
        return rows * calls / (time.monotonic() - start)


def _many(value: torch.Tensor, decodes: bool) -> torch.Tensor:
    if value.dim() == 6:  # keys and values, [L, 2, B, H, P, D]
        return value.repeat(1, 1, ROWS, 1, 1, 1)
    longer = LENGTH if value.dim() == 2 and not decodes else 1
    return value.repeat(ROWS, longer, *[1] * (value.dim() - 2)) if value.dim() > 1 else value.repeat(ROWS)
