"""Products with weights in int8, for ONNX Runtime on CPUs.

Weights have a scale a column. Activations have a scale a token, taken as the graph runs: it needs no sample texts to
calibrate, and a row's answer doesn't depend on what else is in its batch, as it does where one scale holds for a whole
tensor (`DynamicQuantizeLinear`). Weights have 7 of the 8 bits: CPUs without VNNI add two products of 8 bits in 16,
which would overflow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

COSINE = 0.995
"""The lowest mean cosine of golden answers to the reference that a pack may have."""

SPARED = (0, 1 / 12, 1 / 6, 1 / 4, 1 / 3)
"""Shares of the products that stay in float32, the least exact ones: the first that reaches the cosine is taken."""

MOST_WEIGHT = 63
MOST_ACTIVATION = 127
ZERO_POINT = 128

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Quantised:
    """A model, of whose `products` with weights so many are `spared`, and its mean cosine."""

    model: onnx.ModelProto
    products: int
    spared: int
    cosine: float

    def __str__(self) -> str:
        kept = f", {self.spared} in float32" if self.spared else ""
        return f"{self.products} products with weights in int8{kept}, mean cosine of the golden texts {self.cosine:.6f}"


def quantise(model: onnx.ModelProto, samples: list[Values], cosine: Callable[[onnx.ModelProto], float]) -> Quantised:
    """The model in int8; ValueError where it doesn't reach the cosine.

    The samples, inputs of the model, show which products lose most; `cosine` judges a whole model.
    """
    ranked = _least_exact_first(model, samples)
    if not ranked:
        raise ValueError("int8: the graph has no products with weights (expected: some)")
    for share in SPARED:
        spared = round(share * len(ranked))
        quantised = _rewrite(model, set(ranked[spared:]))
        found = cosine(quantised)
        if found >= COSINE:
            return Quantised(quantised, len(ranked) - spared, spared, found)
    raise ValueError(
        f"int8: mean cosine {found:.4f} to the reference with {spared} of {len(ranked)} products in float32 "
        f"(expected: at least {COSINE}; take float32 or bfloat16)"
    )


def columns(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights and the float32 scale of each column."""
    scales = np.abs(weights).max(0) / MOST_WEIGHT
    scales[scales == 0] = 1
    return np.round(weights / scales).astype(np.int8), scales.astype(np.float32)


def session(model: onnx.ModelProto | Path) -> onnxruntime.InferenceSession:
    found = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(found, providers=["CPUExecutionProvider"])


def _weights(model: onnx.ModelProto) -> Values:
    """By name, the matrices that may be factors on the right."""
    return {
        value.name: numpy_helper.to_array(value)
        for value in model.graph.initializer
        if value.data_type == TensorProto.FLOAT and len(value.dims) == 2
    }


def _least_exact_first(model: onnx.ModelProto, samples: list[Values]) -> list[str]:
    """The products by their outputs' names, sorted by the error that int8 has in them, relative to their size."""
    weights = _weights(model)
    products = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in weights]
    names = list(dict.fromkeys(node.input[0] for node in products))
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    running = session(watched)
    rows = [running.run(names, values) for values in samples]
    inputs = {name: np.concatenate([_tokens(row[i]) for row in rows]) for i, name in enumerate(names)}
    errors = {node.output[0]: _error(inputs[node.input[0]], weights[node.input[1]]) for node in products}
    return sorted(errors, key=lambda name: -errors[name])


def _tokens(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1])


def _error(inputs: np.ndarray, weights: np.ndarray) -> float:
    scales = np.maximum(np.abs(inputs).max(1, keepdims=True) / MOST_ACTIVATION, 1e-12)
    integers, of_columns = columns(weights)
    exact = inputs @ weights
    found = (np.round(inputs / scales) * scales) @ (integers * of_columns)
    return float(np.linalg.norm(found - exact) / max(np.linalg.norm(exact), 1e-12))


def _rewrite(model: onnx.ModelProto, outputs: set[str]) -> onnx.ModelProto:
    """The model with the products of these outputs in int8."""
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset > 17:
        raise ValueError(f"opset: {opset} (expected: at most 17, where the axes of ReduceMax are an attribute)")
    found = onnx.ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    weights = _weights(model)
    constants = {
        "int8_share": np.float32(1 / MOST_ACTIVATION),
        "int8_least": np.float32(1e-12),
        "int8_one": np.float32(1),
        "int8_zero_point": np.uint8(ZERO_POINT),
    }
    nodes, scaled = [], set()
    for node in graph.node:
        if node.output[0] not in outputs:
            nodes.append(node)
            continue
        (tokens, matrix), (output,) = node.input[:2], node.output
        if tokens not in scaled:
            scaled.add(tokens)
            nodes += _scaled(tokens)
        if f"{matrix}_int8" not in constants:
            constants[f"{matrix}_int8"], constants[f"{matrix}_scale"] = columns(weights[matrix])
        factors = [f"{tokens}_int8", f"{matrix}_int8", "int8_one", f"{matrix}_scale", "int8_zero_point"]
        nodes.append(helper.make_node("MatMulIntegerToFloat", factors, [f"{output}_unscaled"], domain="com.microsoft"))
        nodes.append(helper.make_node("Mul", [f"{output}_unscaled", f"{tokens}_scale"], [output]))
    used = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
    kept = [value for value in graph.initializer if value.name in used]
    made = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept + made)
    found.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return found


def _scaled(tokens: str) -> list[onnx.NodeProto]:
    """Of float32 [..., tokens, values] the scale of each token, and the values in its units around the zero point."""
    return [
        helper.make_node("Abs", [tokens], [f"{tokens}_abs"]),
        helper.make_node("ReduceMax", [f"{tokens}_abs"], [f"{tokens}_max"], axes=[-1], keepdims=1),
        helper.make_node("Mul", [f"{tokens}_max", "int8_share"], [f"{tokens}_share"]),
        helper.make_node("Max", [f"{tokens}_share", "int8_least"], [f"{tokens}_scale"]),
        helper.make_node("Reciprocal", [f"{tokens}_scale"], [f"{tokens}_per_scale"]),
        helper.make_node("Mul", [tokens, f"{tokens}_per_scale"], [f"{tokens}_units"]),
        helper.make_node("QuantizeLinear", [f"{tokens}_units", "int8_one", "int8_zero_point"], [f"{tokens}_int8"]),
    ]
