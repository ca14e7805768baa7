"""Linear layers of a model, and how CPUs compute them.

MKL is slow for a few rows, as a decoding step has them: on two threads of an AMD EPYC a GPT-2-small's layers take 83 ms
for 4 rows and 85 for 16, oneDNN's 36 and 48; for 512 rows 41 and 34. Of two rows and more, each comes out the same to
the last bit.
"""

from collections.abc import Callable

import torch
from transformers.pytorch_utils import Conv1D

PLAIN = "aten::linear"


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


def use_onednn(graph: torch._C.Graph) -> None:
    """Has oneDNN compute the linear layers of a traced graph where they are of float32 and its inputs are on a CPU."""
    nodes = [node for node in graph.findAllNodes(PLAIN) if node.inputsAt(0).type().scalarType() == "Float"]
    if not nodes:
        return
    tensor = next(value for value in graph.inputs() if isinstance(value.type(), torch._C.TensorType))
    on_gpu = graph.create("prim::is_cuda", [tensor])
    on_gpu.output().setType(torch._C.BoolType.get())
    scalars = graph.create("prim::ListConstruct", [])
    scalars.output().setType(torch._C.ListType(torch._C.OptionalType(torch._C.NumberType.get())))
    for node in (scalars, on_gpu):
        graph.prependNode(node)
    graph.setInsertPoint(scalars)
    no_activation = [graph.insertConstant("none"), scalars.output(), graph.insertConstant("")]
    for node in nodes:
        inputs = list(node.inputs())
        choice = graph.create("prim::If", [on_gpu.output()])
        choice.insertBefore(node)
        for kind, more in ((PLAIN, []), ("mkldnn::_linear_pointwise", no_activation)):
            block = choice.addBlock()
            made = block.addNode(kind, [*inputs, *more])
            made.output().setType(node.output().type())
            block.registerOutput(made.output())
        choice.output().setType(node.output().type())
        node.output().replaceAllUsesWith(choice.output())
        node.destroy()
    graph.lint()
