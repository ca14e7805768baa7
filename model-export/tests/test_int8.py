"""int8 encoders: near the reference, the same beside any other rows, refused where they answer too badly."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from lakegen_export import __main__ as command
from lakegen_export import int8, measure


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta"])
def test_an_int8_pack_is_near_the_reference_and_smaller(exported, name):
    pack, plain = exported(name, dtype=torch.int8), exported(name, engine="OnnxRuntime")
    assert (pack.spec["engine"], pack.spec["dtype"]) == ("OnnxRuntime", "int8")
    products = [n.op_type for n in onnx.load(pack.folder / "model.onnx").graph.node if "MatMulInteger" in n.op_type]
    assert products
    for golden, expected in zip(pack.golden["embeddings"], plain.golden["embeddings"], strict=True):
        assert golden == expected  # of transformers, in float32
    found, reference = vectors(pack), vectors(plain)
    assert (found * reference).sum(1).mean() >= 0.995
    assert 0 < np.abs(found - reference).max() <= pack.golden["tolerance"]
    assert pack.golden["tolerance"] < 0.1
    assert pack.golden["graphs"] == []


def vectors(pack) -> np.ndarray:
    """Normalised means of the golden texts' hidden states."""
    found = []
    for entry in pack.golden["tokenizer"]:
        ids = torch.tensor([entry["ids"]])
        (hidden,) = pack.graphs["model"](input_ids=ids, attention_mask=torch.ones_like(ids))
        mode = pack.spec["tasks"]["feature-extraction"]["pooling"]
        vector = {"mean": lambda h: h.mean(0), "cls": lambda h: h[0], "max": lambda h: h.max(0).values}[mode](hidden[0])
        found.append(torch.nn.functional.normalize(vector, dim=0).numpy())
    return np.stack(found)


def test_a_row_has_the_same_answer_beside_any_other(exported):
    graph = exported("bert", dtype=torch.int8).graphs["model"]
    texts = [[1, 30, 31, 32, 2], [1, 50, 2], [1, *range(60, 72), 2]]
    ids = torch.tensor([row + [0] * (20 - len(row)) for row in texts])
    mask = torch.tensor([[1] * len(row) + [0] * (20 - len(row)) for row in texts])
    (together,) = graph(input_ids=ids, attention_mask=mask)
    for row, text in zip(together, texts, strict=True):
        (alone,) = graph(input_ids=torch.tensor([text]), attention_mask=torch.ones(1, len(text), dtype=int))
        torch.testing.assert_close(row[: len(text)], alone[0], rtol=0, atol=1e-5)


def test_no_pack_is_written_below_the_cosine(source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(int8, "COSINE", 1.01)
    arguments = ["--model", str(source("bert")), "--out", str(tmp_path / "pack"), "--dtype", "int8"]
    assert command.main(arguments) == 1
    error = capsys.readouterr().err
    assert "int8: mean cosine " in error
    assert "products in float32 (expected: at least 1.01; take float32 or bfloat16)" in error
    assert not (tmp_path / "pack").exists()


def test_the_least_exact_products_stay_in_float32_until_the_cosine_is_reached():
    """A column of one large and many small weights loses the small ones."""
    random = np.random.default_rng(1)
    good = random.normal(size=(16, 16)).astype(np.float32)
    bad = good.copy()
    bad[0] = 100
    matrices = [bad if number == 7 else good for number in range(12)]
    nodes = [helper.make_node("MatMul", ["x", f"w{number}"], [f"y{number}"]) for number in range(12)]
    values = [helper.make_tensor_value_info(f"y{number}", TensorProto.FLOAT, ["n", 16]) for number in range(12)]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "products",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
            values,
            [numpy_helper.from_array(matrix, f"w{number}") for number, matrix in enumerate(matrices)],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    inputs = random.normal(size=(5, 16)).astype(np.float32)
    inputs[:, 0] = 0.0
    expected = [inputs @ matrix for matrix in matrices]

    def cosine(found: onnx.ModelProto) -> float:
        outputs = int8.session(found).run(None, {"x": inputs})
        return min(
            float((one * two).sum() / np.linalg.norm(one) / np.linalg.norm(two))
            for one, two in zip(outputs, expected, strict=True)
        )

    assert cosine(int8._rewrite(model, {f"y{number}" for number in range(12)})) < int8.COSINE
    quantised = int8.quantise(model, [{"x": inputs}], cosine)
    assert (quantised.products, quantised.spared) == (11, 1)
    assert [node.output[0] for node in quantised.model.graph.node if node.op_type == "MatMul"] == ["y7"]
    assert quantised.cosine >= int8.COSINE


def test_products_of_eight_bits_stay_within_sixteen():
    """Without VNNI a CPU adds two of them: 255 times the largest weight, twice."""
    integers, scales = int8.columns(np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32))
    assert np.abs(integers).max() == 63
    assert 2 * 255 * 64 < 2**15
    assert int8.columns(np.zeros((2, 2), np.float32))[1].tolist() == [1, 1]
    assert scales.dtype == np.float32


@pytest.mark.parametrize(
    ("speeds", "chosen"),
    [
        ([100, 110, 90, 250], "int8, OnnxRuntime"),
        ([100, 110, 240, 250], "bfloat16, PyTorch"),
        ([100, 105, 110, 115], "float32, OnnxRuntime"),
    ],
)
def test_auto_measures_int8_too(source, tmp_path, capsys, monkeypatch, speeds, chosen):
    rates = iter(speeds)
    monkeypatch.setattr(measure, "rows_per_second", lambda *_: next(rates))
    assert command.main(["--model", str(source("bert")), "--out", str(tmp_path / "pack"), "--dtype", "auto"]) == 0
    said = capsys.readouterr().out
    assert f"float32, OnnxRuntime: {speeds[1]} rows/s of the model graph, lowest cosine 1.000000" in said
    assert f"int8, OnnxRuntime: {speeds[3]} rows/s of the model graph, mean cosine 0.99" in said
    assert f"dtype: {chosen}" in said
