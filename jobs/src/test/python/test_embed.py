"""The embed job against onnxruntime and tokenizers: one row at a time, nothing padded."""

import json

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from conftest import LINES, PACK
from tokenizers import Tokenizer

SPEC = json.loads((PACK / "pack.json").read_text())
MAX_LENGTH = SPEC["tokenizer"]["maxLength"]
ROWS = [json.loads(line) for line in LINES]


@pytest.fixture(scope="module")
def tokens() -> list[list[int]]:
    """All tokens of every text, the special ones included."""
    tokenizer = Tokenizer.from_file(str(PACK / SPEC["tokenizer"]["file"]))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return [tokenizer.encode(row["text"]).ids for row in ROWS]


def reference(session: onnxruntime.InferenceSession, ids: list[int]) -> np.ndarray:
    # A cut text still ends with its special token.
    ids = np.array([ids if len(ids) <= MAX_LENGTH else [*ids[: MAX_LENGTH - 1], ids[-1]]])
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    mean = session.run(None, inputs)[0][0].mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_keeps_every_row_in_input_order(local_run: pa.Table) -> None:
    assert local_run.select(["id", "text"]).to_pylist() == ROWS


def test_counts_tokens(local_run: pa.Table, tokens: list[list[int]]) -> None:
    assert local_run["truncated"].to_pylist() == [len(ids) > MAX_LENGTH for ids in tokens]
    assert local_run["token_count"].to_pylist() == [min(len(ids), MAX_LENGTH) for ids in tokens]


def test_equals_the_reference(local_run: pa.Table, tokens: list[list[int]]) -> None:
    session = onnxruntime.InferenceSession(PACK / SPEC["graphs"]["model"])
    actual = np.array(local_run["embedding"].to_pylist())
    cosine = np.array([row @ reference(session, ids) for row, ids in zip(actual, tokens, strict=True)])
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, atol=1e-5)
    assert cosine.min() >= 0.9999
