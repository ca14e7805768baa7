"""Command line: python -m lakegen_export."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers.utils import logging

from . import half_weights
from .export import Request, export
from .families import tasks
from .families.encoder import Pooling
from .families.lora import Lora

PROGRAM = os.environ.get("LAKEGEN_PROGRAM", "python -m lakegen_export")
"""What the user called: the launcher says so."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.int8}


def parse(arguments: Sequence[str]) -> Request:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Turns a Hugging Face or diffusers model into a Lakegen model pack and proves it equal.",
        epilog="any architecture of transformers that passes the comparison with the untouched model; "
        "docs/architectures.md lists those that were tried",
    )
    parser.add_argument("--model", required=True, help="a model's folder, hub id or GGUF file")
    parser.add_argument("--out", required=True, type=Path, help="folder of the pack; must not exist")
    parser.add_argument(
        "--task",
        choices=tasks(),
        help="needed only where an architecture serves several and the checkpoint doesn't tell which it was made for",
    )
    parser.add_argument(
        "--dtype",
        choices=[*sorted(DTYPES), half_weights.NAME, "auto"],
        default="float32",
        help=f"dtype of the weights; {half_weights.NAME}: of a text generator for CPUs, arithmetic in float32; int8: "
        "of an encoder, for ONNX Runtime on CPUs, if the mean cosine of the golden texts is at least 0.995; auto: the "
        "fastest on this CPU of float32, bfloat16 and int8, measured in seconds",
    )
    parser.add_argument(
        "--engine",
        choices=["PyTorch", "OnnxRuntime"],
        help="PyTorch when left out; OnnxRuntime for int8, and with --dtype auto whichever is faster",
    )
    parser.add_argument("--licence", help="of the weights; read from the model card when left out")
    parser.add_argument(
        "--pooling", choices=Pooling.MODES, help="of an encoder; read from a sentence-transformers model when left out"
    )
    parser.add_argument("--normalize", action="store_true", help="with --pooling: scale vectors to length 1")
    parser.add_argument("--lora", help="of a diffusion model: LoRA weights to merge, a file, folder or hub id")
    parser.add_argument("--lora-scale", type=float, help="with --lora: how much of them is added; 1 when left out")
    parser.add_argument(
        "--super-resolution",
        metavar="MODEL",
        help="of DeepFloyd IF: the folder or hub id of its second pipeline, which enlarges the first one's images",
    )
    parser.add_argument(
        "--attention-layer",
        type=int,
        metavar="N",
        help="of an encoder of texts or images: add the graph for embed's --attention, with the weights of this layer, "
        "counted from 0",
    )
    parser.add_argument(
        "--heat-map-layer",
        type=int,
        metavar="N",
        help="of a model that matches pictures and texts: add the graph for match's --heat-map, with the "
        "cross-attention of this layer, counted from 0",
    )
    options = parser.parse_args(arguments)
    if options.normalize and not options.pooling:
        parser.error("--normalize: needs --pooling (expected: both, or neither to read them from the model)")
    if options.lora_scale is not None and not options.lora:
        parser.error("--lora-scale: needs --lora (expected: both, or neither)")
    return Request(
        model=options.model,
        out=options.out,
        task=options.task,
        dtype=torch.float32 if options.dtype == half_weights.NAME else DTYPES.get(options.dtype),
        weights=torch.float16 if options.dtype == half_weights.NAME else None,
        engine=options.engine,
        licence=options.licence,
        pooling=Pooling(options.pooling, options.normalize) if options.pooling else None,
        lora=Lora(options.lora, 1.0 if options.lora_scale is None else options.lora_scale) if options.lora else None,
        super_resolution=options.super_resolution,
        attention_layer=options.attention_layer,
        heat_map_layer=options.heat_map_layer,
    )


def main(arguments: Sequence[str]) -> int:
    """0: the pack is written; 1: the model can't be exported; argparse exits with 2 on invalid arguments."""
    request = parse(arguments)
    if Path(request.model).exists() or not sys.stderr.isatty():
        # Loading from disk takes no time worth a bar; a download from the hub does.
        logging.disable_progress_bar()
    start = time.monotonic()
    try:
        export(request, lambda line: print(line, flush=True))
    except (ValueError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    print(
        f"done in {time.monotonic() - start:.0f} s; ./lakegen pack check {request.out} proves the pack on this machine"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
