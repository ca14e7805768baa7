"""Write pack.json and golden.json of the all-MiniLM-L6-v2 packs.

Run after ./mvnw package has unpacked the model files:

    python model-export/minilm_golden.py

The expected values are those of onnxruntime and tokenizers over the very files of the pack,
one text at a time and without padding.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

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

# Dynamic int8 quantisation scales by the whole batch and rounds differently from CPU to CPU: up to 0.022 was seen
# between single rows and a batch, and 0.010 with other kernels.
PACKS = {
    "all-MiniLM-L6-v2": ("all-minilm-l6-v2", 1e-4),
    "all-MiniLM-L6-v2-int8": ("all-minilm-l6-v2-q", 5e-2),
}


def load_tokenizer(file: Path) -> Tokenizer:
    """The pack's tokenizer, cutting at MAX_LENGTH and padding nothing."""
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH)
    return tokenizer


def embed(session: onnxruntime.InferenceSession, tokenizer: Tokenizer, text: str) -> np.ndarray:
    """Mean over the tokens of the last hidden state, scaled to length 1: float32 [384]."""
    ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    mean = session.run(None, inputs)[0][0].mean(axis=0)
    return mean / np.linalg.norm(mean)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    for name, (stem, tolerance) in PACKS.items():
        files = ROOT / "jobs/target/packs" / name
        folder = ROOT / "sample-data/models" / name
        folder.mkdir(parents=True, exist_ok=True)
        model, tokenizer_file = files / f"{stem}.onnx", files / f"{stem}-tokenizer.json"
        tokenizer = load_tokenizer(tokenizer_file)
        session = onnxruntime.InferenceSession(model)
        write_json(
            folder / "golden.json",
            {
                "tolerance": tolerance,
                "tokenizer": [{"text": text, "ids": tokenizer.encode(text).ids} for text in TOKENIZER_TEXTS],
                "embeddings": [
                    {"text": text, "values": [round(float(v), 7) for v in embed(session, tokenizer, text)]}
                    for text in EMBEDDING_TEXTS
                ],
            },
        )
        write_json(
            folder / "pack.json",
            {
                "format": 2,
                "tasks": {"feature-extraction": {"pooling": "mean", "normalize": True, "dimension": 384}},
                "family": "bert",
                "engine": "OnnxRuntime",
                "dtype": "float32",
                "graphs": {"model": model.name},
                "sha256": {file.name: sha256(file) for file in (model, tokenizer_file, folder / "golden.json")},
                "tokenizer": {"file": tokenizer_file.name, "maxLength": MAX_LENGTH},
                "source": {
                    "id": "Xenova/all-MiniLM-L6-v2",
                    "revision": f"dev.langchain4j:langchain4j-embeddings-{stem}:1.0.0-beta3",
                    "licence": "Apache-2.0",
                },
            },
        )
        print(f"{name}: wrote {folder}")


if __name__ == "__main__":
    main()
