"""Classifiers against transformers' text-classification pipeline, and what can't equal it."""

import json
import shutil
from pathlib import Path

import onnxruntime
import pytest
import torch
import transformers as hf
from conftest import CLASSIFIERS, Pack
from tokenizers import Tokenizer

from fixtures import tiny
from lakegen_export.export import Request, export
from lakegen_export.families.classifier import Classifier
from lakegen_export.families.encoder import Pooling

FIXTURES = Path(__file__).parents[2] / "inference/src/test/resources/fixtures"
COMMITTED = sorted(FIXTURES.glob("*-classification*/pack"))

FUNCTIONS = {"softmax": lambda logits: logits.softmax(-1), "sigmoid": torch.sigmoid, "none": lambda logits: logits}


def logits(pack: Pack, rows: list[list[int]], types: list[list[int]], length: int, pad: int = 0) -> torch.Tensor:
    """The graph's logits of rows that are padded to a length."""

    def padded(values: list[list[int]], fill: int) -> torch.Tensor:
        return torch.tensor([row + [fill] * (length - len(row)) for row in values])

    mask = padded([[1] * len(row) for row in rows], 0)
    with torch.no_grad():
        found = pack.graphs["model"](input_ids=padded(rows, pad), attention_mask=mask, token_type_ids=padded(types, 0))
    return found[0]


@pytest.mark.parametrize("engine", ["PyTorch", "OnnxRuntime"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_any_padding_and_other_shapes_than_traced_equal_the_model(exported, name, engine):
    pack = exported(name, engine=engine)
    model = hf.AutoModelForSequenceClassification.from_pretrained(pack.source, dtype=torch.float32).eval()
    rows = [[1, 30, 31, 2, 33, 2], [1, 50, 2], [1, *range(60, 90), 2, 8, 2]]
    types = [[0, 0, 0, 0, 1, 1], [0] * 3, [0] * 32 + [1] * 2]
    options = [{"token_type_ids": torch.tensor([one])} if name.startswith("bert") else {} for one in types]
    with torch.no_grad():
        expected = torch.cat(
            [model(torch.tensor([row]), **option).logits for row, option in zip(rows, options, strict=True)]
        )
    for length, pad in ((34, 0), (50, 0), (34, 9)):
        torch.testing.assert_close(logits(pack, rows, types, length, pad), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(logits(pack, rows[1:2], types[1:2], 3), expected[1:2], rtol=0, atol=1e-5)


@pytest.mark.parametrize("engine", ["PyTorch", "OnnxRuntime"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_token_types_count_where_transformers_gives_them(exported, name, engine):
    pack = exported(name, engine=engine)
    row = [1, 30, 2, 40, 41, 2]
    single, pair = (logits(pack, [row], [types], 6) for types in ([0] * 6, [0, 0, 0, 1, 1, 1]))
    assert torch.equal(single, pair) == (name != "bert-classification")
    if engine == "OnnxRuntime":
        inputs = [value.name for value in onnxruntime.InferenceSession(pack.folder / "model.onnx").get_inputs()]
        assert ("token_type_ids" in inputs) == (name == "bert-classification")


def test_the_section_has_the_labels_by_id_and_the_function(exported):
    assert {name: exported(name).spec["tasks"] for name in CLASSIFIERS} == {
        name: {"text-classification": {"labels": labels, "function": function}}
        for name, labels, function in (
            ("bert-classification", ["negative", "neutral", "positive"], "softmax"),
            ("distilbert-classification", ["billing", "delivery", "refund", "praise"], "sigmoid"),
            ("roberta-classification", ["similarity"], "none"),
            ("xlm-roberta-classification", ["no", "yes"], "softmax"),
        )
    }


@pytest.mark.parametrize("labels", [1, 2, 3])
@pytest.mark.parametrize(
    "problem_type", [None, "regression", "multi_label_classification", "single_label_classification", "other"]
)
def test_the_function_is_the_one_of_the_pipeline(labels, problem_type):
    model, tokenizer = tiny.bert_classification(1), tiny.byte_level_bpe(320, enclose=True)
    model.config.num_labels, model.config.problem_type = labels, problem_type
    values = torch.tensor([[1.5, -0.5, 0.25]])[:, :labels]
    pipeline = hf.TextClassificationPipeline(model=model, tokenizer=tokenizer)
    expected = pipeline.postprocess({"logits": values}, top_k=None, _legacy=False)

    section = Classifier(model, torch.float32, tokenizer).section()
    scores = FUNCTIONS[section["function"]](values)[0].tolist()
    found = sorted(zip(section["labels"], scores, strict=True), key=lambda one: one[1], reverse=True)
    assert [label for label, _ in found] == [one["label"] for one in expected]
    assert [score for _, score in found] == pytest.approx([one["score"] for one in expected], abs=1e-6)


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.parent.name)
def test_committed_packs_give_the_scores_of_the_pipeline(folder):
    pack = Pack(folder, folder, [])
    section = pack.spec["tasks"]["text-classification"]
    tokenizer = Tokenizer.from_file(str(folder / pack.spec["tokenizer"]["file"]))
    tokenizer.enable_truncation(pack.spec["tokenizer"]["maxLength"])
    rows = json.loads((folder.parent / "expected.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["text"], row["pair"]) for row in rows] == list(tiny.PAIRS)
    for row in rows:
        tokens = tokenizer.encode(row["text"], row["pair"])
        assert len(tokens.ids) == row["tokens"]
        scores = FUNCTIONS[section["function"]](logits(pack, [tokens.ids], [tokens.type_ids], 64))[0].tolist()
        expected = {one["label"]: one["score"] for one in row["scores"]}
        assert dict(zip(section["labels"], scores, strict=True)) == pytest.approx(expected, abs=1e-5)
        assert list(expected.values()) == sorted(expected.values(), reverse=True)


def test_a_classifier_may_be_exported_for_embeddings_too(source, tmp_path, exported):
    assert list(exported("bert-classification").spec["tasks"]) == ["text-classification"]
    folder = tmp_path / "model"
    shutil.copytree(source("bert-classification"), folder)
    shutil.copy(source("bert") / "modules.json", folder)
    shutil.copytree(source("bert") / "1_Pooling", folder / "1_Pooling")
    export(Request(str(folder), tmp_path / "pack", task="feature-extraction"), lambda line: None)
    spec = json.loads((tmp_path / "pack" / "pack.json").read_text(encoding="utf-8"))
    assert list(spec["tasks"]) == ["feature-extraction"]


def test_a_bare_model_has_no_classifier(source, tmp_path):
    message = r"weights: classifier.bias, classifier.weight missing .* \(expected: a model trained to classify texts\)"
    with pytest.raises(ValueError, match=message):
        export(Request(str(source("bert")), tmp_path / "pack", task="text-classification"))


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        (
            "config.json",
            {"id2label": {"0": "no", "1": "yes"}},
            r"weights: classifier.bias, classifier.weight .* of another shape",
        ),
        (
            "config.json",
            {"id2label": {"0": "a", "1": "b", "3": "c"}},
            r"id2label: .*3: 'c'.* \(expected: a name for each",
        ),
        ("config.json", {"id2label": {"0": "a", "1": "b", "2": 7}}, r"id2label: .*2: 7.* \(expected: a name for each"),
        ("tokenizer_config.json", {"truncation_side": "left"}, r"truncation_side: left \(expected: right\)"),
    ],
)
def test_what_java_can_not_equal_is_refused(source, tmp_path, file, changes, message):
    folder = tmp_path / "model"
    shutil.copytree(source("bert-classification"), folder)
    config = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps({**config, **changes}), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        export(Request(str(folder), tmp_path / "pack"))
    assert not (tmp_path / "pack").exists()


def test_a_classifier_takes_no_pooling(source, tmp_path):
    with pytest.raises(ValueError, match=r"pooling: mean \(expected: none for text-classification\)"):
        export(Request(str(source("bert-classification")), tmp_path / "pack", pooling=Pooling("mean", False)))
