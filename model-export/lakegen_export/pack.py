"""Writes a model pack (format 2) and refuses one that differs from the reference implementation."""

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from . import golden, graphs, image, onnx_graphs
from .families import Family, Graph
from .golden import Difference
from .source import Tokenizer

FORMAT = 2

# Largest difference from the float32 reference, relative to the largest reference value (at least 1).
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}

# By how much more than here an int8 answer may differ from the reference elsewhere, where kernels round otherwise.
INT8_MARGIN = 2


def write(
    family: Family,
    manifest: dict,
    tokenizer: Tokenizer | None,
    processor,
    out: Path,
    report: Callable[[str], None] = print,
) -> dict[str, Difference]:
    """Traces, saves, loads and compares every graph, then writes `golden.json` and, last, `pack.json`.

    `manifest` holds the keys of `pack.json` but those for graphs, checksums and format; `tokenizer` and `processor`, an
    image processor, may be None. Raises ValueError, and leaves no folder, when a graph differs from the reference
    beyond the tolerance of the dtype. Gives the differences by graph.
    """
    out.mkdir(parents=True)
    try:
        with contextlib.nullcontext() if family.device.type == "cpu" else family.device:
            proof = fidelity(family, manifest["engine"], out, report)
            texts = [] if tokenizer is None else tokenizer.golden()
            if family.precision != torch.float32 and texts:
                said = family.agreement(proof.graphs, [text["ids"] for text in texts])
                if said is not None:
                    report(said)
        files, steps, differences = proof.files, proof.steps, proof.differences
        if processor is not None:
            files["preprocess"] = "preprocess.pt"
            preprocess = _save(torch.jit.script(image.Preprocess(processor)), out / files["preprocess"], ["image"])
            report(image.check(preprocess, processor))
            pictures = image.golden_steps(processor)
            of_pictures = golden.compare({"preprocess": preprocess}, [pictures])
            check(of_pictures, torch.float32, report)
            differences |= of_pictures
            steps = steps + pictures
        document = {"tolerance": proof.tolerance, "graphs": golden.to_json(steps)}
        if tokenizer is not None:
            tokenizer.write(out)
            document["tokenizer"] = texts
            document |= family.golden(document["tokenizer"])
        _write_json(out / "golden.json", document, indent=None)
        sums = {path.relative_to(out).as_posix(): _sha256(path) for path in sorted(out.rglob("*")) if path.is_file()}
        _write_json(out / "pack.json", {"format": FORMAT, **manifest, "graphs": files, "sha256": sums}, indent=1)
        return differences
    except BaseException:
        shutil.rmtree(out)
        raise


@dataclass(frozen=True)
class Proof:
    """Graphs that equal their reference: files by role, the steps for `golden.json`, their tolerance.

    `cosine` to the reference is the lowest of all outputs; in int8, the mean of the golden texts.
    """

    files: dict[str, str]
    graphs: golden.Graphs
    steps: list[golden.Step]
    tolerance: float
    differences: dict[str, Difference]
    cosine: float


def fidelity(family: Family, engine: str, out: Path, report: Callable[[str], None]) -> Proof:
    """Writes the graphs and compares what was written with the reference.

    ValueError, in a sentence, is why a model can't be served: it can't be traced, or its graphs differ from it.
    """
    files, loaded = {}, {}
    roles = family.graphs()
    for number, (role, graph) in enumerate(roles.items(), start=1):
        report(f"{role}: exporting graph {number} of {len(roles)}")
        start = time.monotonic()
        try:
            files[role], loaded[role] = _export(role, graph, engine, out)
        except graphs.ERRORS as error:
            raise _unfit(family, f"can't be traced for the {role} graph", error) from error
        report(f"{role}: {megabytes((out / files[role]).stat().st_size)}, {time.monotonic() - start:.1f} s")
    report("comparing the graphs with the reference")
    sessions = family.sessions()
    try:
        differences = golden.compare(loaded, sessions)
    except (RuntimeError, TypeError) as error:
        raise _unfit(family, "its graphs hold for the shapes they were traced with alone", error) from error
    tolerance = check(differences, family.precision, report)
    if family.dtype == torch.int8:
        return _quantise(family, files, loaded, out, report)
    cosine = min(difference.cosine for difference in differences.values())
    return Proof(files, loaded, sessions[0], tolerance, differences, cosine)


def _quantise(
    family: Family, files: dict[str, str], loaded: golden.Graphs, out: Path, report: Callable[[str], None]
) -> Proof:
    quantised, difference = family.quantise(out / files["model"])
    report(f"model: {quantised}")
    # Hidden states of single tokens differ by much more than what is made of them: the golden texts are what holds.
    tolerance = float(f"{INT8_MARGIN * difference.largest:.2g}")
    return Proof(files, loaded, [], tolerance, {"model": difference}, quantised.cosine)


def _unfit(family: Family, why: str, error: Exception) -> ValueError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # TorchScript's own message stands at the end of its account of the graph.
    message = lines[-1] if lines[-1].startswith("RuntimeError") else lines[0]
    name = getattr(family, "name", type(family.reference).__name__)
    return ValueError(f"{name}: {why}: {message[:200]}")


def _export(role: str, graph: Graph, engine: str, out: Path) -> tuple[str, Callable[..., list[torch.Tensor]]]:
    if engine == "OnnxRuntime":
        onnx_graphs.save(graph, out / f"{role}.onnx")
        return f"{role}.onnx", onnx_graphs.load(out / f"{role}.onnx")
    return f"{role}.pt", _save(trace(graph), out / f"{role}.pt", graph.example)


def trace(graph: Graph) -> torch.jit.ScriptModule:
    """The graph as a pack has it; decoders are told by their cache."""
    return graphs.trace(graph.module, tuple(graph.example.values()), decoder="cache" in graph.example)


def _save(module: torch.jit.ScriptModule, path: Path, names: Iterable[str]) -> Callable[..., list[torch.Tensor]]:
    graphs.save(module, path)
    baked = graphs.baked_devices(path)
    if baked:
        raise ValueError(f"{path.name}: the graph is bound to a device: {baked}")
    return load(path, list(names))


def load(path: Path, names: list[str]) -> Callable[..., list[torch.Tensor]]:
    """A saved graph as a function of named inputs that gives the list of outputs."""
    graph = torch.jit.load(str(path), map_location=torch.get_default_device())

    def call(**inputs: torch.Tensor) -> list[torch.Tensor]:
        # As in the engine: the optimiser would compile for every shape anew, large graphs for minutes.
        with torch.jit.optimized_execution(False):
            outputs = graph(*[inputs[name] for name in names])
        return list(outputs) if isinstance(outputs, tuple) else [outputs]

    return call


def check(differences: dict[str, Difference], dtype: torch.dtype, report: Callable[[str], None]) -> float:
    """Reports the differences and gives the absolute tolerance for `golden.json`; ValueError beyond it."""
    beyond = []
    for role, difference in differences.items():
        allowed = TOLERANCE[dtype] * max(1.0, difference.scale)
        report(
            f"{role}: largest difference {difference.largest:.2e} of values up to {difference.scale:.3g}, "
            f"lowest cosine {difference.cosine:.6f}"
        )
        if not difference.largest <= allowed:
            failing = ", ".join(difference.beyond(allowed))
            shows = f" for {failing}" if failing else ""
            beyond.append(f"{role}: differs by {difference.largest:.2e}{shows} (expected: at most {allowed:.2e})")
    if beyond:
        raise ValueError(f"the graphs differ from the reference, no pack was written: {'; '.join(beyond)}")
    scale = max([1.0, *(difference.scale for difference in differences.values())])
    return float(f"{TOLERANCE[dtype] * scale:.2g}")


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _write_json(path: Path, document: dict, indent: int | None) -> None:
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
