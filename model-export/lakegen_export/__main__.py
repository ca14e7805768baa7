"""Command line: python -m lakegen_export."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers.utils import logging

from .export import Request, export
from .families import FAMILIES, supported
from .families.encoder import Pooling
from .families.lora import Lora

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def parse(arguments: Sequence[str]) -> Request:
    parser = argparse.ArgumentParser(
        prog="python -m lakegen_export",
        description="Turns a Hugging Face or diffusers model into a Lakegen model pack and proves it equal.",
        epilog=f"supported architectures: {', '.join(supported())}",
    )
    parser.add_argument("--model", required=True, help="a model's folder, hub id or GGUF file")
    parser.add_argument("--out", required=True, type=Path, help="folder of the pack; must not exist")
    parser.add_argument(
        "--task",
        choices=sorted({task for task, _ in FAMILIES}),
        help="needed only where an architecture serves several and the checkpoint doesn't tell which it was made for",
    )
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="float32", help="dtype of the weights")
    parser.add_argument("--engine", choices=["PyTorch", "OnnxRuntime"], default="PyTorch")
    parser.add_argument("--licence", help="of the weights; read from the model card when left out")
    parser.add_argument(
        "--pooling", choices=Pooling.MODES, help="of an encoder; read from a sentence-transformers model when left out"
    )
    parser.add_argument("--normalize", action="store_true", help="with --pooling: scale vectors to length 1")
    parser.add_argument("--lora", help="of a diffusion model: LoRA weights to merge, a file, folder or hub id")
    parser.add_argument("--lora-scale", type=float, help="with --lora: how much of them is added; 1 when left out")
    options = parser.parse_args(arguments)
    if options.normalize and not options.pooling:
        parser.error("--normalize: needs --pooling (expected: both, or neither to read them from the model)")
    if options.lora_scale is not None and not options.lora:
        parser.error("--lora-scale: needs --lora (expected: both, or neither)")
    return Request(
        model=options.model,
        out=options.out,
        task=options.task,
        dtype=DTYPES[options.dtype],
        engine=options.engine,
        licence=options.licence,
        pooling=Pooling(options.pooling, options.normalize) if options.pooling else None,
        lora=Lora(options.lora, 1.0 if options.lora_scale is None else options.lora_scale) if options.lora else None,
    )


def main(arguments: Sequence[str]) -> int:
    """0: the pack is written; 1: the model can't be exported; argparse exits with 2 on invalid arguments."""
    logging.disable_progress_bar()
    try:
        export(parse(arguments))
    except (ValueError, OSError) as error:
        print(f"lakegen_export: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
