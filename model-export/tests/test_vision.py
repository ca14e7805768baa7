"""Models that see: packs equal the pipelines of transformers, and what can't be served is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers as hf
from conftest import DUAL, IMAGE_CLASSIFIERS
from PIL import Image

from fixtures import seeing, tiny
from lakegen_export import image
from lakegen_export.export import Request, export

FUNCTIONS = {"softmax": lambda logits: logits.softmax(-1), "sigmoid": torch.sigmoid}


def pixels(source) -> torch.Tensor:
    processor = hf.AutoImageProcessor.from_pretrained(source, backend="pil")
    return torch.from_numpy(np.stack([image.reference(processor, one) for one in seeing.pictures()]))


@pytest.mark.parametrize("name", IMAGE_CLASSIFIERS)
def test_classifiers_give_the_scores_of_the_pipeline(exported, name):
    pack = exported(name)
    processor = hf.AutoImageProcessor.from_pretrained(pack.source, backend="pil")
    model = hf.AutoModelForImageClassification.from_pretrained(pack.source)
    classify = hf.pipeline("image-classification", model=model, image_processor=processor)
    section = pack.spec["tasks"]["image-classification"]
    with torch.no_grad():
        scores = FUNCTIONS[section["function"]](pack.graphs["model"](pixels=pixels(pack.source))[0])
    for picture, row in zip(seeing.pictures(), scores.tolist(), strict=True):
        expected = {one["label"]: one["score"] for one in classify(Image.fromarray(picture), top_k=100)}
        assert dict(zip(section["labels"], row, strict=True)) == pytest.approx(expected, abs=1e-5)
    assert section["function"] == ("sigmoid" if name == "deit-classes" else "softmax")


@pytest.mark.parametrize("name", DUAL)
def test_pictures_and_texts_are_compared_as_the_pipeline_does(exported, name):
    pack = exported(name)
    processor = hf.AutoImageProcessor.from_pretrained(pack.source, backend="pil")
    tokenizer = hf.AutoTokenizer.from_pretrained(pack.source)
    model = hf.AutoModel.from_pretrained(pack.source)
    section = pack.spec["tasks"]["zero-shot-image-classification"]
    texts = [tokenizer(seeing.TEMPLATE.format(label))["input_ids"] for label in tiny.LABELS]
    length = max(map(len, texts)) + 3
    ids = torch.tensor([text + [9] * (length - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (length - len(text)) for text in texts])
    with torch.no_grad():
        of_texts = pack.graphs["text"](input_ids=ids, attention_mask=mask)[0]
        of_images = pack.graphs["image"](pixels=pixels(pack.source))[0]
    assert of_texts.shape[1] == of_images.shape[1] == section["dimension"]
    scores = FUNCTIONS[section["function"]](section["scale"] * of_images @ of_texts.T + section["bias"])
    classify = hf.pipeline(
        "zero-shot-image-classification", model=model, tokenizer=tokenizer, image_processor=processor
    )
    for picture, row in zip(seeing.pictures(), scores.tolist(), strict=True):
        found = classify(Image.fromarray(picture), candidate_labels=list(tiny.LABELS))
        expected = {one["label"]: one["score"] for one in found}
        assert dict(zip(tiny.LABELS, row, strict=True)) == pytest.approx(expected, abs=1e-5)


def test_an_encoder_gives_the_vector_of_the_pipeline(exported):
    pack = exported("dinov2")
    processor = hf.AutoImageProcessor.from_pretrained(pack.source, backend="pil")
    model = hf.AutoModel.from_pretrained(pack.source)
    extract = hf.pipeline("image-feature-extraction", model=model, image_processor=processor)
    with torch.no_grad():
        found = pack.graphs["model"](pixels=pixels(pack.source))[0]
    for picture, vector in zip(seeing.pictures(), found, strict=True):
        expected = torch.tensor(extract(Image.fromarray(picture), pool=True))[0]
        torch.testing.assert_close(vector, expected, rtol=0, atol=1e-5)
    assert pack.spec["tasks"] == {"image-feature-extraction": {"dimension": 32}}
    assert "tokenizer" not in pack.spec


def test_a_classifier_needs_its_head_and_its_labels(source, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(source("vit-classes"), folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    labels = {"0": "a", "1": "b", "2": "c"}
    (folder / "config.json").write_text(json.dumps({**config, "id2label": labels}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"weights: classifier.bias, classifier.weight missing or of another shape"):
        export(Request(str(folder), tmp_path / "pack"))


def test_a_picture_of_another_size_than_the_models_is_refused(source, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(source("vit-classes"), folder)
    hf.ViTImageProcessorPil(size={"height": 40, "width": 40}).save_pretrained(folder)
    with pytest.raises(ValueError, match="40"):
        export(Request(str(folder), tmp_path / "pack"))
    assert not (tmp_path / "pack").exists()
