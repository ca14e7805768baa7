"""Linear layers of a model, and how CPUs compute them.

MKL is slow for a few rows, as a decoding step has them: on two threads of an AMD EPYC a GPT-2-small's layers take 83 ms
for 4 rows and 85 for 16, oneDNN's 48 for up to 16 rows; for 512 rows 41 and 34. oneDNN has another kernel for less than
16 rows, which rounds otherwise: they are filled up, so that a row comes out the same to the last bit among any others.
"""

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
    if states.is_cuda:
        return torch._C._nn.linear(states, weight, bias)
    fewest = 16
    size = states.shape[-1]
    count = states.numel() // size
    if count >= fewest:
        return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    padded = torch.nn.functional.pad(states.reshape(count, size), [0, 0, 0, fewest - count])
    found = torch.ops.mkldnn._linear_pointwise(padded, weight, bias, "none", [], "")
    return found[:count].clone().reshape(states.shape[:-1] + weight.shape[:1])


def use_onednn(graph: torch._C.Graph, weights: set[torch.dtype]) -> None:
    """Has oneDNN compute the linear layers of a traced graph that are of float32, where it runs on a CPU.

    `weights`: the dtypes of the model's. A trace says nothing of the values inside what was scripted before.
    """
    float32 = {"Float", None} if weights == {torch.float32} else {"Float"}
    for node in graph.findAllNodes("aten::linear"):
        if node.inputsAt(0).type().scalarType() in float32:
            with graph.insert_point_guard(node):
                (output,) = graph.insertGraph(onednn.graph, list(node.inputs()))
            output.setType(node.output().type())
            node.output().replaceAllUsesWith(output)
            node.destroy()
    graph.lint()
