"""The Python side of `./lakegen bench embed`.

    python embed_peers.py make FOLDER PACK      the pack's weights as a Hugging Face model, and as a bfloat16 pack
    python embed_peers.py time FOLDER PACK CORPUS THREADS

`make` also quantises the ONNX file in the two ways of onnxruntime.quantization, for OpenVINO: activations scaled as
they come, or once, by sample texts. `time` reads a precision a line and answers with a line of JSON: the rows per
second of sentence-transformers and of OpenVINO on a part of the texts, sorted by length as both recommend, without
loading, compiling or a first round that warms up.
"""

import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "model-export"))

import numpy as np
import onnx
import openvino
import torch
from lakegen_export.export import Request, export
from lakegen_export.families.encoder import Pooling as Pooled
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
from transformers.utils import logging

ROOT = Path(__file__).resolve().parents[1]
MAX_LENGTH = 256
BATCHES = (32, 64)  # rows of sentence-transformers, whose default is 32
BUDGETS = (512, 2048)  # tokens of OpenVINO
PART = 3  # of so many texts one is taken
LEAST_COSINE = 0.98  # of vectors to float32's, that count as the same work
SAMPLES = 200  # texts by which activations are scaled


def only(folder: Path, pattern: str) -> Path:
    (file,) = folder.glob(pattern)
    return file


def bert(file: Path) -> BertModel:
    """The model of an ONNX file exported from BertModel: matrices lost their names, so they go by their bias."""
    graph = onnx.load(file).graph
    weights = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    state = {name: value for name, value in weights.items() if not name.startswith("onnx::")}
    for node in graph.node:
        bias = next((name for name in node.input if name.endswith(".bias") and "LayerNorm" not in name), None)
        product = next((made_by[name] for name in node.input if name in made_by), None)
        if node.op_type == "Add" and bias and product is not None and product.op_type == "MatMul":
            state[bias.removesuffix("bias") + "weight"] = weights[product.input[1]].T
    layers = sum(name.endswith("attention.self.query.bias") for name in state)
    words, size = state["embeddings.word_embeddings.weight"].shape
    config = BertConfig(
        vocab_size=words,
        hidden_size=size,
        num_hidden_layers=layers,
        num_attention_heads=size // 32,
        intermediate_size=state["encoder.layer.0.intermediate.dense.bias"].shape[0],
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    missing = model.load_state_dict(tensors, strict=False).missing_keys
    if missing:
        raise ValueError(f"{file}: {missing} are missing (expected: all weights of a BertModel)")
    return model


def tokenizer_of(pack: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(only(pack, "*-tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH)
    return tokenizer


class Samples(CalibrationDataReader):
    """Texts of the demo, one at a time."""

    def __init__(self, tokenizer: Tokenizer):
        lines = (ROOT / "sample-data/text/texts.jsonl").read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line).get("text") for line in lines]
        texts = [text for text in texts if isinstance(text, str) and text.strip()][:SAMPLES]
        self.rows = iter([encoding.ids for encoding in tokenizer.encode_batch(texts)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        row = next(self.rows, None)
        if row is None:
            return None
        ids = np.array([row])
        return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def make(folder: Path, pack: Path) -> None:
    building = folder.with_suffix(".partial")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    bert(only(pack, "*.onnx")).save_pretrained(building / "model")
    tokenizer = tokenizer_of(pack)
    quantize_dynamic(only(pack, "*.onnx"), building / "int8-dynamic.onnx", per_channel=True)
    quantize_static(only(pack, "*.onnx"), building / "int8-static.onnx", Samples(tokenizer), per_channel=True)
    tokenizer.no_truncation()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    ).save_pretrained(building / "model")
    options = {"dtype": torch.bfloat16, "licence": "Apache-2.0", "pooling": Pooled("mean", True)}
    export(Request(str(building / "model"), building / "pack-bfloat16", task="feature-extraction", **options))
    building.rename(folder)


def rate(run, texts: list[str]) -> tuple[float, np.ndarray]:
    run(texts[: len(texts) // 10])
    start = time.perf_counter()
    vectors = run(texts)
    return len(texts) / (time.perf_counter() - start), vectors


class OpenVino:
    """As many requests at once as threads, each with batches of about so many tokens, the longest texts first."""

    def __init__(self, file: Path, tokenizer: Tokenizer, precision: str, threads: int, budget: int):
        hints = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
        }
        self.model = openvino.Core().compile_model(str(file), "CPU", hints)
        self.names = [i.get_any_name() for i in self.model.inputs]
        self.tokenizer = tokenizer
        self.threads = threads
        self.budget = budget

    def __call__(self, texts: list[str]) -> np.ndarray:
        encoded = [e.ids for e in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda i: -len(encoded[i]))
        vectors = np.empty((len(texts), 384), np.float32)
        queue = openvino.AsyncInferQueue(self.model, self.threads)

        def done(request, job) -> None:
            rows, mask = job
            hidden = request.get_output_tensor(0).data
            mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
            vectors[rows] = mean / np.linalg.norm(mean, axis=1, keepdims=True)

        queue.set_callback(done)
        first = 0
        while first < len(order):
            length = len(encoded[order[first]])
            rows = order[first : first + max(1, self.budget // length)]
            first += len(rows)
            ids = np.zeros((len(rows), length), np.int64)
            mask = np.zeros_like(ids)
            for r, i in enumerate(rows):
                ids[r, : len(encoded[i])] = encoded[i]
                mask[r, : len(encoded[i])] = 1
            values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            queue.start_async({name: values[name] for name in self.names}, (rows, mask.astype(np.float32)))
        queue.wait_all()
        return vectors


def measure(folder: Path, pack: Path, corpus: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    texts = [json.loads(line)["text"] for line in corpus.read_text(encoding="utf-8").splitlines()][::PART]
    transformer = Transformer(str(folder / "model"), max_seq_length=MAX_LENGTH)
    model = SentenceTransformer(modules=[transformer, Pooling(384, "mean"), Normalize()], device="cpu")
    tokenizer = tokenizer_of(pack)
    file, int8 = only(pack, "*.onnx"), sorted(folder.glob("int8-*.onnx"))
    reference: list[np.ndarray] = []
    known: dict[str, dict[str, Callable]] = {}
    # Closing a model of OpenVINO holds Python's lock while it waits for threads that may want it: they stay to the end.
    opened: list[OpenVino] = []

    def transformers(dtype: str, batch: int) -> Callable:
        def run(some: list[str]) -> np.ndarray:
            model.to(getattr(torch, dtype))
            return model.encode(some, batch_size=batch, show_progress_bar=False)

        return run

    def best(name: str, runs: list[Callable]) -> Callable | None:
        """The fastest of those that answer as the first run of all does."""
        speeds = {}
        for run in runs:
            speed, found = rate(run, texts)
            if not reference:
                reference.append(np.asarray(found, np.float32))
            cosine = float((np.asarray(found, np.float32) * reference[0]).sum(1).mean())
            if cosine >= LEAST_COSINE:
                speeds[run] = speed
            else:
                print(f"{name}: mean cosine {cosine} (expected: at least {LEAST_COSINE}): left out", file=sys.stderr)
        return max(speeds, key=speeds.get, default=None)

    def contenders(dtype: str) -> dict[str, Callable]:
        files, precision = {"float32": ([file], "f32"), "bfloat16": ([file], "bf16"), "int8": (int8, "f32")}[dtype]
        kinds = itertools.product(files, BUDGETS)
        opened.extend(OpenVino(file, tokenizer, precision, threads, budget) for file, budget in kinds)
        runs = {"openvino": opened[-len(files) * len(BUDGETS) :]}
        if dtype != "int8":
            runs = {"sentence_transformers": [transformers(dtype, batch) for batch in BATCHES]} | runs
        found = {name: best(f"{name}_{dtype}", some) for name, some in runs.items()}
        return {name: run for name, run in found.items() if run}

    for line in sys.stdin:
        dtype = line.strip()
        if dtype not in known:
            known[dtype] = contenders(dtype)
        print(json.dumps({name: rate(run, texts)[0] for name, run in known[dtype].items()}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    match sys.argv[1:]:
        case ["make", folder, pack]:
            make(Path(folder), Path(pack))
        case ["time", folder, pack, corpus, threads]:
            measure(Path(folder), Path(pack), Path(corpus), int(threads))
        case _:
            sys.exit("usage: embed_peers.py make FOLDER PACK | time FOLDER PACK CORPUS THREADS")
