"""Golden values: inputs of graphs in a form that JSON can hold, and the reference implementation's outputs for them.

A *session* is a list of steps that run in order, so that a later step can take an output, or the cache, of an earlier
one. The first session of a family becomes `golden.json`; all of them are run against the saved pack before it counts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

SAMPLES = 64

Graphs = dict[str, Callable[..., list[torch.Tensor]]]


@dataclass
class Step:
    """One call of a graph: input values in `golden.json` form, reference outputs (None: not compared).

    `shows` names what of the graph it checks.
    """

    graph: str
    inputs: list[dict]
    outputs: list[torch.Tensor | None] = field(default_factory=list)
    shows: str = ""


def data(name: str, tensor: torch.Tensor) -> dict:
    return {**_head(name, tensor.dtype, tensor.shape), "data": tensor.flatten().tolist()}


def zeros(name: str, dtype: torch.dtype, shape) -> dict:
    return {**_head(name, dtype, shape), "fill": 0.0}


def sine(name: str, shape) -> dict:
    return {**_head(name, torch.float32, shape), "pattern": "sin"}


def byte_pattern(name: str, shape) -> dict:
    return {**_head(name, torch.uint8, shape), "pattern": "bytes"}


def output_of(name: str, step: int, output: int) -> dict:
    return {"name": name, "from": [step, output]}


def cache_of(step: int) -> dict:
    return {"name": "cache", "from": [step, "cache"]}


def tensor(value: dict) -> torch.Tensor:
    """The tensor that a value without "from" describes."""
    dtype, shape = getattr(torch, value["dtype"]), value["shape"]
    if "fill" in value:
        return torch.full(shape, value["fill"], dtype=dtype)
    if "data" in value:
        return torch.tensor(value["data"], dtype=dtype).reshape(shape)
    index = np.arange(math.prod(shape))
    flat = np.sin(0.1 * index) if value["pattern"] == "sin" else (index * 31 + 7) % 256
    return torch.from_numpy(flat).to(torch.get_default_device(), dtype).reshape(shape)


def replay(graphs: Graphs, steps: list[Step]) -> list[list[torch.Tensor]]:
    """Runs a session on loaded graphs and gives every step's outputs."""
    outputs: list[list[torch.Tensor]] = []
    caches: dict[int, torch.Tensor] = {}
    for number, step in enumerate(steps):
        arguments = {}
        for value in step.inputs:
            if "from" not in value:
                arguments[value["name"]] = tensor(value)
            elif value["from"][1] == "cache":
                arguments[value["name"]] = caches[value["from"][0]]
            else:
                arguments[value["name"]] = outputs[value["from"][0]][value["from"][1]]
        if "cache" in arguments:
            caches[number] = arguments["cache"]
        with torch.no_grad():
            outputs.append(graphs[step.graph](**arguments))
    return outputs


@dataclass
class Difference:
    """How far graphs are from the reference over some sessions."""

    largest: float = 0.0
    scale: float = 0.0
    cosine: float = 1.0
    largest_of: dict[str, float] = field(default_factory=dict)
    """By what the steps show."""

    def add(self, actual: torch.Tensor, expected: torch.Tensor, shows: str = "") -> None:
        before, self.largest = self.largest, 0.0
        self._add(actual, expected)
        self.largest_of[shows] = max(self.largest_of.get(shows, 0.0), self.largest)
        self.largest = max(self.largest, before)

    def beyond(self, allowed: float) -> list[str]:
        """What differs by more."""
        return [shows for shows, largest in self.largest_of.items() if shows and not largest <= allowed]

    def _add(self, actual: torch.Tensor, expected: torch.Tensor) -> None:
        if actual.shape != expected.shape:
            raise ValueError(f"shape: {list(actual.shape)} (expected: {list(expected.shape)})")
        actual, expected = actual.double().flatten(), expected.double().flatten()
        if not torch.isfinite(actual).all():
            self.largest = math.inf
            return
        self.largest = max(self.largest, (actual - expected).abs().max().item())
        self.scale = max(self.scale, expected.abs().max().item())
        if actual.any() or expected.any():  # zeros have no direction
            cosine = torch.nn.functional.cosine_similarity(actual, expected, dim=0).item()
            self.cosine = min(self.cosine, cosine)


def compare(graphs: Graphs, sessions: list[list[Step]]) -> dict[str, Difference]:
    """Runs the sessions and gives the difference from the reference by graph."""
    differences: dict[str, Difference] = {}
    for steps in sessions:
        for step, outputs in zip(steps, replay(graphs, steps), strict=True):
            difference = differences.setdefault(step.graph, Difference())
            for actual, expected in zip(outputs, step.outputs, strict=True):
                if expected is not None:
                    difference.add(actual, expected, step.shows)
    return differences


def to_json(steps: list[Step]) -> list[dict]:
    return [
        {"graph": step.graph, "inputs": step.inputs, "outputs": [_sample(output) for output in step.outputs]}
        for step in steps
    ]


def _sample(output: torch.Tensor | None) -> dict | None:
    if output is None:
        return None
    flat = output.flatten()
    index = np.unique(np.linspace(0, len(flat) - 1, min(SAMPLES, len(flat))).astype(int)).tolist()
    head = {"dtype": str(output.dtype).removeprefix("torch."), "shape": list(output.shape)}
    return {**head, "index": index, "data": flat[index].tolist()}


def _head(name: str, dtype: torch.dtype, shape) -> dict:
    return {"name": name, "dtype": str(dtype).removeprefix("torch."), "shape": list(shape)}
