"""Tracing, and graphs that run on whatever device their inputs are on."""

import os
import warnings
import zipfile
from pathlib import Path

import torch

from . import linear, sdpa

ERRORS = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError)
"""What a model raises that can't be traced."""

IN_PLACE = {f"aten::{name}" for name in ("add", "mul", "div", "gelu", "silu")}

LAYERS = {f"aten::{name}" for name in ("linear", "_convolution", "matmul", "group_norm", "layer_norm")}

FRESH = LAYERS | IN_PLACE | {f"{name}_" for name in IN_PLACE}
"""Operators whose output is memory that nothing else reads."""


def trace(module: torch.nn.Module, example: tuple[torch.Tensor, ...], decoder: bool = False) -> torch.jit.ScriptModule:
    """Traces `module` into one flat graph and takes the CPU that tracing baked in out of it.

    With `decoder`, nothing is done that would let a row come out otherwise, in its last bits, among other rows.

    Torch's own check of the trace is off: slot caches are written in place, so a second run differs.
    The exporter compares the saved graph with the reference on other shapes instead.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        # Weights that want gradients would make every layer's output one that can't be written into.
        frozen = module.eval().requires_grad_(False)
        traced = torch.jit.trace(frozen, example, check_trace=False, strict=False)
    # Devices go before freezing, which would fold what is computed from them into constants of the CPU.
    graph = traced._c._get_method("forward").graph
    torch._C._jit_pass_inline(graph)
    _follow_input_device(graph)
    _remove_dropout(graph)
    _reuse_memory(graph)
    if not decoder:
        sdpa.fill_up_keys(graph)
    flat = torch.jit._recursive.wrap_cpp_module(torch._C._freeze_module(traced._c, preserveParameters=True))
    linear.use_onednn(flat, {weight.dtype for weight in module.parameters()})
    return flat


def save(graph: torch.jit.ScriptModule, path: Path) -> None:
    """Saves without the debug records, which hold the paths of the exporting machine."""
    whole = path.with_suffix(".whole")
    graph.save(str(whole))
    reader = torch._C.PyTorchFileReader(str(whole))
    writer = torch._C.PyTorchFileWriter(str(path))
    # By it operators are told from those of years ago: whole numbers were divided without rest, and `full` made floats.
    with zipfile.ZipFile(whole) as archive:
        (version,) = [archive.read(name) for name in archive.namelist() if name.endswith("version")]
    writer.set_min_version(int(version))
    own = ("version", "byteorder", ".data/serialization_id")
    for name in reader.get_all_records():
        if not name.endswith(".debug_pkl") and name not in own:
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    os.remove(whole)


def baked_devices(path: Path) -> list[str]:
    """The device constants of a saved graph; empty when the graph is free."""
    found = []
    for module in torch.jit.load(str(path), map_location="cpu").modules():
        if module._c._has_method("forward"):
            graph = module._c._get_method("forward").graph
            found += [str(node).strip() for node in graph.findAllNodes("prim::Constant") if _is_device(node)]
    return found


def _follow_input_device(graph: torch._C.Graph) -> None:
    constants = [node for node in graph.findAllNodes("prim::Constant") if _is_device(node)]
    if not constants:
        return
    tensor = next(value for value in graph.inputs() if isinstance(value.type(), torch._C.TensorType))
    device = graph.create("prim::device", [tensor])
    device.output().setType(torch._C.DeviceObjType.get())
    graph.prependNode(device)
    for node in constants:
        node.output().replaceAllUsesWith(device.output())
        node.destroy()
    graph.lint()


def _remove_dropout(graph: torch._C.Graph) -> None:
    """Outside training it hands its input on, and hides that nothing else reads it."""
    for node in graph.findAllNodes("aten::dropout"):
        node.output().replaceAllUsesWith(node.inputsAt(0))
        node.destroy()


def _reuse_memory(graph: torch._C.Graph) -> None:
    """Has element-wise operators write into their first operand where nothing else reads it.

    Fresh memory costs a CPU more than the arithmetic. A value that is broadcast has another shape than the outcome.
    """
    for node in list(graph.nodes()):
        if node.kind() not in IN_PLACE:
            continue
        first, output = node.inputsAt(0), node.output()
        if first.node().kind() in FRESH and len(first.uses()) == 1 and _same_form(first.type(), output.type()):
            in_place = graph.create(f"{node.kind()}_", list(node.inputs()), 1)
            in_place.insertBefore(node)
            in_place.output().setType(output.type())
            output.replaceAllUsesWith(in_place.output())
            node.destroy()
    graph.lint()


def _same_form(one: torch._C.Type, other: torch._C.Type) -> bool:
    return (
        isinstance(one, torch._C.TensorType)
        and isinstance(other, torch._C.TensorType)
        and one.sizes() is not None
        and one.sizes() == other.sizes()
        and one.scalarType() == other.scalarType()
    )


def _is_device(node: torch._C.Node) -> bool:
    return isinstance(node.output().type(), torch._C.DeviceObjType)
