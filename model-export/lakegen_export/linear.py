"""Linear layers of a model, and how CPUs compute them.

MKL is slow for a few rows, as a decoding step has them: on two threads of an AMD EPYC a GPT-2-small's layers take 83 ms
for 4 rows and 85 for 16, oneDNN's 48 for up to 16 rows; for 512 rows 41 and 34. oneDNN has another kernel for less than
16 rows, which rounds otherwise: they are filled up, so that a row comes out the same to the last bit among any others.

oneDNN puts each weight in its own order before it multiplies, at every call: of the 217 ms that SmolLM2-135M's layers
take for 16 rows (two threads of an Intel Xeon with AVX-512), 151. So graphs do it once, when they are loaded. In
bfloat16 a layer of 768 x 3072 then takes 0.26 ms for 16 rows and not 0.55 (two threads of an AMD EPYC), 5.8 and not 6.4
for 512.
"""

import operator
from collections.abc import Callable

import torch
from transformers.pytorch_utils import Conv1D


def replace(model: torch.nn.Module, by: Callable[[torch.nn.Parameter, torch.nn.Parameter | None], torch.nn.Module]):
    """Puts what `by` makes of weight [out, in] and bias in the place of every linear layer of a model."""
    for name, layer in list(model.named_children()):
        if type(layer) is Conv1D:
            setattr(model, name, by(torch.nn.Parameter(layer.weight.detach().T.contiguous()), layer.bias))
        elif type(layer) is torch.nn.Linear:
            setattr(model, name, by(layer.weight, layer.bias))
        else:
            replace(layer, by)


def layer(weight: torch.nn.Parameter, bias: torch.nn.Parameter | None) -> torch.nn.Linear:
    """A layer around weight [out, in] and bias."""
    made = torch.nn.Linear(0, 0, bias=False, device=weight.device)
    made.weight, made.bias = weight, bias
    made.out_features, made.in_features = weight.shape
    return made


@torch.jit.script
def onednn(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None):
    if not states.is_cpu:
        return torch._C._nn.linear(states, weight, bias)
    fewest = 16
    size = states.shape[-1]
    count = states.numel() // size
    if count >= fewest:
        return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    padded = torch.nn.functional.pad(states.reshape(count, size), [0, 0, 0, fewest - count])
    found = torch.ops.mkldnn._linear_pointwise(padded, weight, bias, "none", [], "")
    return found[:count].clone().reshape(states.shape[:-1] + weight.shape[:1])


@torch.jit.script
def onednn_in_bfloat16(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None):
    # On x86 it has such layers from AVX-512 on.
    if states.dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch._C._nn.linear(states, weight, bias)
    return onednn(states, weight, bias)


@torch.jit.script
def has_avx512():
    """Whether CPUs at hand are x86 with AVX-512, with which oneDNN supports bfloat16."""
    # It does too on some ARM CPUs, where it has ACL's kernels.
    return torch.ops.mkldnn._is_mkldnn_bf16_supported() and not torch.ops.mkldnn._is_mkldnn_acl_supported()


@torch.jit.script
def packed(weight: torch.Tensor):
    """A weight in the order that oneDNN's kernels read, where it is on a CPU that has AVX-512.

    With AVX2 a row would come out otherwise among 65 rows and more, since its kernels cut the sum differently.
    """
    return torch.ops.mkldnn._reorder_linear_weight(weight) if has_avx512() and weight.is_cpu else weight


def use_onednn(model: torch.jit.ScriptModule, weights: set[torch.dtype]) -> None:
    """Has oneDNN compute the linear layers of a frozen graph in float32 and bfloat16, where it runs on a CPU.

    `weights`: the dtypes of the model's. A trace says nothing of the values inside what was scripted before.
    """
    kernels = {"Float": onednn, "BFloat16": onednn_in_bfloat16}
    if weights <= {torch.float32, torch.bfloat16}:
        kernels[None] = onednn if weights == {torch.float32} else onednn_in_bfloat16
    graph = model._c._get_method("forward").graph
    layers = [node for node in graph.findAllNodes("aten::linear") if node.inputsAt(0).type().scalarType() in kernels]
    _pack_when_loaded(model, graph, layers)
    for node in layers:
        kernel = kernels[node.inputsAt(0).type().scalarType()]
        with graph.insert_point_guard(node):
            (output,) = graph.insertGraph(kernel.inlined_graph, list(node.inputs()))
        output.setType(node.output().type())
        node.output().replaceAllUsesWith(output)
        node.destroy()
    graph.lint()


def _pack_when_loaded(model: torch.jit.ScriptModule, graph: torch._C.Graph, layers: list[torch._C.Node]) -> None:
    """Has the modules that hold the layers' weights pack them when they are loaded; files hold them as they were."""
    reads: dict[str, list[torch._C.Node]] = {}
    for node in graph.findAllNodes("prim::GetAttr"):
        if node.s("name") == "weight":
            reads.setdefault(_path(node.inputsAt(0)), []).append(node)
    for path, nodes in reads.items():
        uses = [use for node in nodes for use in node.output().uses()]
        of_layers = [use for use in uses if use.user in layers and use.offset == 1]
        holder = operator.attrgetter(path)(model) if path else model
        names = [name for kind in (torch._C.ParameterDict, torch._C.BufferDict) for name, _ in kind(holder._c).items()]
        # A module that holds more than tensors, another one for instance, is left alone.
        if of_layers and len(names) == len(holder._c._type().containedTypes()):
            _define_state(holder, names, only_packed=len(of_layers) == len(uses))
            for use in of_layers:
                old = use.user.inputsAt(1).node()
                new = graph.create("prim::GetAttr", list(old.inputs())).s_("name", "packed").insertAfter(old)
                new.output().setType(old.output().type())
                use.user.replaceInput(1, new.output())


def _path(module: torch._C.Value) -> str:
    """Of a submodule, from the root."""
    names = []
    while module.node().kind() == "prim::GetAttr":
        names.append(module.node().s("name"))
        module = module.node().inputsAt(0)
    return ".".join(reversed(names))


def _define_state(holder: torch.jit.ScriptModule, names: list[str], only_packed: bool) -> None:
    """`only_packed`: nothing else reads the weight, it isn't kept twice."""
    holder._c._register_attribute("packed", torch._C.TensorType.get(), holder.weight)
    holder.define(f"""
def __getstate__(self):
    return ({", ".join(f"self.{name}" for name in names)},)

def __setstate__(self, state: Tuple[{", ".join("Tensor" for _ in names)}]):
    {", ".join(f"self.{name}" for name in names)}, = state
    self.packed = packed(self.weight)
    {"self.weight = self.packed" if only_packed else ""}
""")
