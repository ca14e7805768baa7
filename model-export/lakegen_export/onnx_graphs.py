"""Graphs for ONNX Runtime."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime
import torch

if TYPE_CHECKING:
    # Families export graphs themselves.
    from .families import Graph


def save(graph: "Graph", path: Path) -> None:
    """Exports with batch (axis 0) and length (axis 1) of every input left open."""
    names = list(graph.example)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module.eval(),
            tuple(graph.example.values()),
            str(path),
            input_names=names,
            output_names=list(graph.outputs),
            dynamic_axes={**{name: {0: "batch", 1: "length"} for name in names}, **graph.outputs},
            opset_version=17,
            dynamo=False,
        )


def load(path: Path) -> Callable[..., list[torch.Tensor]]:
    """A saved graph as a function of named inputs; ONNX has dropped those that the module doesn't use."""
    return run(onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]))


def run(session: onnxruntime.InferenceSession) -> Callable[..., list[torch.Tensor]]:
    """A session as a function of named inputs."""
    names = [value.name for value in session.get_inputs()]

    def call(**inputs: torch.Tensor) -> list[torch.Tensor]:
        return [
            torch.from_numpy(output) for output in session.run(None, {name: inputs[name].numpy() for name in names})
        ]

    return call
