"""Models of several stages."""

import pytest

from fixtures import tiny
from lakegen_export.export import Request, export


def test_stages_are_listed_in_their_order(exported):
    stages = exported("unclip").spec["tasks"]["text-to-image"]["stages"]
    assert [(stage["name"], stage["kind"]) for stage in stages] == [
        ("prior", "prior"),
        ("decoder", "base"),
        ("super_resolution", "superResolution"),
    ]
    assert stages[0]["vector"] == 8
    assert [stage["latents"]["scale"] for stage in stages[1:]] == [2, 1]
    assert stages[2]["last"] == "super_resolution_last"


def test_graphs_hold_the_models_of_their_stage_alone(exported):
    pack = exported("unclip")
    sizes = {role: (pack.folder / file).stat().st_size for role, file in pack.spec["graphs"].items()}
    # The decoder's stage knows the prior, which its conditions' graph takes the mean of the embeddings from.
    assert sizes["decoder_conditions"] < sizes["prior"]


def test_texts_of_deepfloyd_if_are_lower_case_and_stripped(exported):
    (stage,) = exported("deepfloyd-if").spec["tasks"]["text-to-image"]["stages"]
    assert stage["kind"] == "base"
    golden = {entry["text"]: entry["ids"] for entry in exported("deepfloyd-if").golden["tokenizer"]}
    plain = tiny.unigram()
    assert len(golden) > 2
    for text, ids in golden.items():
        assert ids == plain(text.lower().strip(), truncation=True, max_length=64)["input_ids"]


def test_a_second_pipeline_must_enlarge(source, tmp_path):
    with pytest.raises(ValueError, match=r"super_resolution: .* \(expected: an IFSuperResolutionPipeline\)"):
        export(Request(str(source("deepfloyd-if")), tmp_path / "pack", super_resolution=str(source("deepfloyd-if"))))
    with pytest.raises(ValueError, match=r"super_resolution: x \(expected: none for text-to-image\)"):
        export(Request(str(source("unclip")), tmp_path / "pack", super_resolution="x"))
