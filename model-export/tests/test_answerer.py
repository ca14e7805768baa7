"""Models that find answers: logits of padded windows equal the model's, and what can't equal it is refused."""

import json
import shutil

import pytest
import torch
import transformers as hf
from conftest import ANSWERERS

from lakegen_export.export import Request, export

ROWS = [[1, 30, 31, 2, 33, 34, 35, 2], [1, 50, 2, 51, 2], [1, 60, 2, *range(70, 110), 2]]
FIRST = [4, 3, 3]


@pytest.mark.parametrize("engine", ["PyTorch", "OnnxRuntime"])
@pytest.mark.parametrize("name", ANSWERERS)
def test_logits_of_padded_rows_equal_the_model(exported, name, engine):
    pack = exported(name, engine=engine)
    model = hf.AutoModelForQuestionAnswering.from_pretrained(pack.source, dtype=torch.float32).eval()
    types = [[0] * first + [1] * (len(row) - first) for row, first in zip(ROWS, FIRST, strict=True)]
    for length in (44, 60):
        padded = [torch.tensor([one + [0] * (length - len(one)) for one in values]) for values in (ROWS, types)]
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in ROWS])
        with torch.no_grad():
            inputs = {"input_ids": padded[0], "attention_mask": mask, "token_type_ids": padded[1]}
            found = pack.graphs["model"](**inputs)[0]
        assert list(found.shape) == [3, 2, length]
        for row, one, logits in zip(ROWS, types, found, strict=True):
            options = {"token_type_ids": torch.tensor([one])} if name == "bert-answers" else {}
            with torch.no_grad():
                expected = model(torch.tensor([row]), **options)
            for place, values in enumerate((expected.start_logits, expected.end_logits)):
                torch.testing.assert_close(logits[place, : len(row)], values[0], rtol=0, atol=1e-5)


def test_the_section_names_the_class_token(exported):
    assert exported("bert-answers").spec["tasks"] == {"question-answering": {"cls": 1}}
    assert exported("distilbert-answers").spec["tasks"] == {"question-answering": {}}


def test_a_model_without_the_head_is_refused(source, tmp_path):
    message = (
        r"weights: qa_outputs.bias, qa_outputs.weight missing .* \(expected: a model trained to answer questions\)"
    )
    with pytest.raises(ValueError, match=message):
        export(Request(str(source("bert")), tmp_path / "pack", task="question-answering"))


@pytest.mark.parametrize("side", ["padding_side", "truncation_side"])
def test_tokenizers_that_java_can_not_equal_are_refused(source, tmp_path, side):
    folder = tmp_path / "model"
    shutil.copytree(source("bert-answers"), folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), side: "left"}), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{side}: left \(expected: right\)"):
        export(Request(str(folder), tmp_path / "pack"))
