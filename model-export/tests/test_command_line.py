"""Invalid arguments, and models that can't be served, end with a message that says what to change."""

import json
import re
import shutil

import pytest
import torch
import transformers as hf

from fixtures import architectures, tiny
from lakegen_export import __main__ as command
from lakegen_export import families, measure
from lakegen_export.export import Request, export
from lakegen_export.families import causal
from lakegen_export.families.answerer import Answerer
from lakegen_export.families.classifier import Classifier
from lakegen_export.families.encoder import Encoder, Pooling
from lakegen_export.families.git import Git
from lakegen_export.families.image_prefix import ImagePrefix
from lakegen_export.families.text_cross import Seq2Seq
from lakegen_export.families.vision_cross import VisionEncoderDecoder


def run(capsys, *arguments) -> tuple[int, str]:
    status = command.main([str(argument) for argument in arguments])
    return status, capsys.readouterr().err


def test_exports_and_prints_the_difference(source, tmp_path, capsys):
    assert command.main(["--model", str(source("gpt2")), "--out", str(tmp_path / "pack")]) == 0
    out = capsys.readouterr().out
    assert "decoder: exporting graph 1 of 1" in out
    assert re.search(r"decoder: [\d.]+ MB, [\d.]+ s", out)
    assert "decoder: largest difference" in out
    assert re.search(r"decoder.pt +[\d.]+ MB", out)
    assert re.search(r"fidelity: largest difference .* lowest cosine (1.000000|0.99999\d)", out)
    assert (tmp_path / "pack" / "pack.json").is_file()


def test_auto_measures_each_dtype_and_writes_the_fastest(source, tmp_path, capsys, monkeypatch):
    speeds = iter([100.0, 250.0])
    monkeypatch.setattr(measure, "rows_per_second", lambda *_: next(speeds))
    assert command.main(["--model", str(source("llama")), "--out", str(tmp_path / "pack"), "--dtype", "auto"]) == 0
    said = capsys.readouterr().out
    assert "float32, PyTorch: 100 rows/s of the decoder graph, lowest cosine 1.000000" in said
    assert "bfloat16, PyTorch: 250 rows/s of the decoder graph, lowest cosine 0.99" in said
    assert json.loads((tmp_path / "pack" / "pack.json").read_text(encoding="utf-8"))["dtype"] == "bfloat16"


@pytest.mark.parametrize("name", ["bert", "t5", "git"])
def test_speed_is_measured_on_many_rows(source, name, monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.01)
    family = {"bert": Encoder, "t5": Seq2Seq, "git": Git}[name]
    options = [Pooling("mean", True)] if name == "bert" else []
    for graph in family(family.load(str(source(name))), torch.float32, *options).graphs().values():
        assert measure.rows_per_second(graph, graph.module) > 0


def test_help_says_where_the_architectures_are(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["--help"])
    assert end.value.code == 0
    assert "docs/architectures.md lists those that were tried" in " ".join(capsys.readouterr().out.split())


def test_unknown_architecture(tmp_path, capsys):
    hf.UperNetConfig().save_pretrained(tmp_path / "model")
    status, error = run(capsys, "--model", tmp_path / "model", "--out", tmp_path / "pack")
    assert status == 1
    assert (
        "model_type: upernet (expected: one that transformers loads for autoencoding or feature-extraction or "
        "image-classification or image-feature-extraction or image-text-matching" in error
    )
    assert not (tmp_path / "pack").exists()


def test_an_encoder_of_pictures_alone_is_refused(tmp_path, capsys):
    tiny.save(hf.ViTModel(hf.ViTConfig(**architectures.VIT)), tmp_path / "model", tiny.byte_level_bpe(320))
    status, error = run(capsys, "--model", tmp_path / "model", "--out", tmp_path / "pack", "--pooling", "cls")
    assert status == 1
    assert "model: ViTModel (expected: an encoder of texts, which reads input_ids)" in error


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (
            "gpt2",
            ["--task", "image-to-text"],
            "task: image-to-text (expected: feature-extraction or question-answering or text-classification or "
            "text-generation for gpt2)",
        ),
        ("gpt2", ["--engine", "OnnxRuntime"], "engine: OnnxRuntime (expected: PyTorch for gpt2)"),
        (
            "t5",
            ["--dtype", "float16_weights"],
            "dtype: float16_weights (expected: float32, bfloat16 or float16 for text2text-generation)",
        ),
        ("gpt2", ["--pooling", "mean"], "pooling: mean (expected: none for text-generation)"),
        ("gpt2", ["--attention-layer", "1"], "attention_layer: 1 (expected: none for text-generation)"),
        ("bert", ["--pooling", "cls", "--attention-layer", "2"], "attention_layer: 2 (expected: 0 to 1)"),
        ("blip", ["--heat-map-layer", "1"], "heat_map_layer: 1 (expected: none for image-to-text)"),
        ("blip-matching", ["--heat-map-layer", "-1"], "heat_map_layer: -1 (expected: 0 to 3)"),
        (
            "bert",
            ["--engine", "OnnxRuntime", "--dtype", "float16"],
            "dtype: float16 (expected: float32 or int8 with OnnxRuntime)",
        ),
        ("gpt2", ["--dtype", "int8"], "dtype: int8 (expected: float32, bfloat16 or float16 for text-generation)"),
        (
            "bert",
            ["--engine", "PyTorch", "--dtype", "int8"],
            "dtype: int8 (expected: float32, bfloat16 or float16 with PyTorch)",
        ),
        (
            "bert",
            ["--pooling", "cls", "--dtype", "int8", "--attention-layer", "1"],
            "attention_layer: 1 (expected: none with int8)",
        ),
    ],
)
def test_requests_that_do_not_fit(source, tmp_path, capsys, model, arguments, message):
    status, error = run(capsys, "--model", source(model), "--out", tmp_path / "pack", *arguments)
    assert status == 1
    assert message in error


def test_output_folder_must_be_new(source, tmp_path, capsys):
    status, error = run(capsys, "--model", source("gpt2"), "--out", tmp_path)
    assert status == 1
    assert f"out: {tmp_path} exists (expected: a new folder)" in error


def test_missing_gguf(tmp_path, capsys):
    status, error = run(capsys, "--model", tmp_path / "no.gguf", "--out", tmp_path / "pack")
    assert status == 1
    assert "no.gguf (expected: an existing GGUF file)" in error


def test_normalize_alone_is_an_invalid_argument(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["--model", "x", "--out", "y", "--normalize"])
    assert end.value.code == 2
    assert "--normalize: needs --pooling" in capsys.readouterr().err


def test_encoder_without_pooling_needs_the_option(source, tmp_path, capsys):
    folder = tmp_path / "plain"
    shutil.copytree(source("bert"), folder)
    (folder / "modules.json").unlink()
    status, error = run(capsys, "--model", folder, "--out", tmp_path / "pack")
    assert status == 1
    assert "expected: --pooling mean or cls or max or lastToken" in error

    assert command.main(["--model", str(folder), "--out", str(tmp_path / "pack"), "--pooling", "lastToken"]) == 0
    spec = json.loads((tmp_path / "pack" / "pack.json").read_text(encoding="utf-8"))
    section = {"pooling": "lastToken", "normalize": False, "dimension": 32}
    assert spec["tasks"] == {"feature-extraction": section}


@pytest.mark.parametrize(
    ("task", "architectures", "chosen"),
    [
        (None, [], Encoder),
        (None, ["BertModel"], Encoder),
        (None, ["BertForMaskedLM"], Encoder),
        (None, ["BertForPreTraining"], Encoder),
        (None, ["BertForSequenceClassification"], Classifier),
        (None, ["BertForQuestionAnswering"], Answerer),
        ("feature-extraction", ["BertForSequenceClassification"], Encoder),
        ("text-classification", ["BertModel"], Classifier),
    ],
)
def test_the_checkpoint_chooses_among_the_tasks_of_its_architecture(task, architectures, chosen):
    assert families.choose("bert", task, architectures) is chosen


@pytest.mark.parametrize(
    "architectures", [["BertForTokenClassification"], ["BertModel", "BertForSequenceClassification"]]
)
def test_a_checkpoint_that_tells_no_task_needs_the_option(architectures):
    message = f"task: not given, architectures: {', '.join(architectures)} "
    with pytest.raises(ValueError, match=re.escape(message + "(expected: --task feature-extraction or question-ans")):
        families.choose("bert", None, architectures)


@pytest.mark.parametrize(
    ("name", "architectures", "chosen"),
    [
        ("gpt2", ["GPT2LMHeadModel"], causal.Causal),
        ("gpt2", ["GPT2ForSequenceClassification"], Classifier),
        ("qwen3", ["Qwen3Model"], Encoder),
        ("qwen3", [], causal.Causal),  # a GGUF file names no class
        ("marian", ["MarianMTModel"], Seq2Seq),
        ("bart", ["BartForConditionalGeneration"], Seq2Seq),
        ("bart", [], Seq2Seq),
        ("gemma3", ["Gemma3ForConditionalGeneration"], ImagePrefix),
        ("git", ["GitForCausalLM"], Git),
        ("vision-encoder-decoder", ["VisionEncoderDecoderModel"], VisionEncoderDecoder),
    ],
)
def test_the_class_that_was_saved_tells_the_task(name, architectures, chosen):
    assert families.choose(name, None, architectures) is chosen


def test_blip_captions_or_matches():
    assert families.choose("blip", None, ["BlipForConditionalGeneration"]).task == "image-to-text"
    assert families.choose("blip", None, ["BlipForImageTextRetrieval"]).task == "image-text-matching"
    with pytest.raises(ValueError, match="expected: --task feature-extraction or image-text-matching or image-to-text"):
        families.choose("blip", None, ["BlipForQuestionAnswering"])


def test_other_pipelines_of_diffusers_are_refused(tmp_path, capsys):
    index = {"_class_name": "FluxPipeline", "text_encoder": ["transformers", "CLIPTextModel"]}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    status, error = run(capsys, "--model", tmp_path / "model", "--out", tmp_path / "pack")
    assert status == 1
    assert "FluxPipeline: {'text_encoder': 'CLIPTextModel'} (expected: stable-diffusion with" in error


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modules.json", [{"type": "a.Transformer", "path": ""}], "expected: Transformer, Pooling"),
        (
            "modules.json",
            [
                {"type": "a.Transformer", "path": ""},
                {"type": "a.Pooling", "path": "1_Pooling"},
                {"type": "a.Dense", "path": "2"},
            ],
            "Dense",
        ),
        ("1_Pooling/config.json", {"pooling_mode_mean_sqrt_len_tokens": True}, "expected: one of pooling_mode_mean"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True},
            "expected: one of",
        ),
    ],
)
def test_pooling_that_java_does_not_know(source, tmp_path, file, content, message):
    folder = tmp_path / "model"
    shutil.copytree(source("bert"), folder)
    (folder / file).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        export(Request(str(folder), tmp_path / "pack"))


def test_positions_that_depend_on_the_length_end_where_they_begin_to():
    model = tiny.llama(1)
    model.config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 48}
    assert causal.Causal(model, torch.float32).context == 48


def test_a_graph_that_differs_leaves_no_pack(source, tmp_path, monkeypatch):
    honest = causal.Causal.graphs

    def dishonest(self):
        found = honest(self)
        with torch.no_grad():
            found["decoder"].module.model.transformer.wpe.weight[3, 0] += 0.05
        return found

    monkeypatch.setattr(causal.Causal, "graphs", dishonest)
    message = "differ from the reference, no pack was written: decoder: differs by"
    with pytest.raises(ValueError, match=f"{message} .* for rows of unequal length"):
        export(Request(str(source("gpt2")), tmp_path / "pack"), lambda line: None)
    assert not (tmp_path / "pack").exists()


def test_a_model_that_cannot_be_traced_is_refused_in_a_sentence(source, tmp_path, monkeypatch):
    honest = causal.Causal.graphs

    def stubborn(self):
        found = honest(self)
        found["decoder"].module.model.transformer.forward = None
        return found

    monkeypatch.setattr(causal.Causal, "graphs", stubborn)
    message = "GPT2LMHeadModel: can't be traced for the decoder graph: 'NoneType' object is not callable"
    with pytest.raises(ValueError, match=message):
        export(Request(str(source("gpt2")), tmp_path / "pack"), lambda line: None)
    assert not (tmp_path / "pack").exists()


def test_a_model_that_fails_on_slots_is_refused_in_a_sentence(source, tmp_path, monkeypatch):
    def fail(*_inputs, **_options):
        raise IndexError("no place for a slot")

    monkeypatch.setattr(causal.CausalDecoder, "forward", fail)
    message = "GPT2LMHeadModel: can't be traced for the decoder graph: no place for a slot"
    with pytest.raises(ValueError, match=message):
        export(Request(str(source("gpt2")), tmp_path / "pack"), lambda line: None)
    assert not (tmp_path / "pack").exists()


def test_reduced_precision_beyond_its_tolerance_leaves_no_pack(tmp_path):
    model = tiny.gpt2(1)
    with torch.no_grad():
        for block in model.transformer.h:
            block.attn.c_attn.weight.mul_(20)  # attention so sharp that a rounded key changes its target
    tiny.save(model, tmp_path / "model", tiny.byte_level_bpe(320))
    with pytest.raises(ValueError, match="differ from the reference, no pack was written"):
        export(Request(str(tmp_path / "model"), tmp_path / "pack", dtype=torch.bfloat16), lambda line: None)
    assert not (tmp_path / "pack").exists()
