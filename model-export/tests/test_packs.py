"""What is in a pack, and that it is free of the machine that made it."""

import hashlib
import inspect
import json
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from conftest import BUILDERS, PICTURES, Pack

from lakegen_export import families, golden, graphs

ALL = [*BUILDERS, *PICTURES]
DIFFUSION = [name for name in PICTURES if name.startswith(("stable-diffusion", "sana", "unclip", "deepfloyd"))]
FIXTURES = Path(__file__).parents[2] / "inference/src/test/resources/fixtures"
COMMITTED = sorted(path.parent for path in FIXTURES.glob("*/pack/pack.json"))


def differences(pack: Pack) -> dict[str, float]:
    """Replays golden.json and gives each graph's largest difference from it."""
    steps = [golden.Step(entry["graph"], entry["inputs"]) for entry in pack.golden["graphs"]]
    found: dict[str, float] = {}
    for entry, outputs in zip(pack.golden["graphs"], golden.replay(pack.graphs, steps), strict=True):
        for actual, expected in zip(outputs, entry["outputs"], strict=True):
            assert list(actual.shape) == expected["shape"]
            values = actual.flatten()[expected["index"]].numpy()
            largest = float(np.abs(values - np.array(expected["data"])).max())
            found[entry["graph"]] = max(found.get(entry["graph"], 0.0), largest)
    return found


@pytest.mark.parametrize("name", ALL)
def test_golden_values_come_from_the_reference_and_hold(exported, name):
    pack = exported(name)
    found = differences(pack)
    assert set(found) == set(pack.spec["graphs"])
    assert max(found.values()) <= pack.golden["tolerance"]


@pytest.mark.parametrize("name", ALL)
def test_every_file_has_its_checksum(exported, name):
    pack = exported(name)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in pack.folder.iterdir()}
    del files["pack.json"]
    assert pack.spec["sha256"] == files
    assert set(pack.spec["graphs"].values()) <= set(files)


@pytest.mark.parametrize(
    ("name", "role", "expected"),
    [("bert", "model", True), ("gpt2", "decoder", False), ("llama", "decoder", False), ("git", "decoder", False)],
)
def test_only_encoders_fill_up_the_keys_of_attention(exported, name, role, expected):
    pack = exported(name)
    graph = torch.jit.load(pack.folder / pack.spec["graphs"][role]).graph
    assert bool(graph.findAllNodes("aten::remainder")) == expected


@pytest.mark.parametrize("name", ALL)
def test_graphs_run_where_their_inputs_are(exported, name):
    """On the meta device any operation with a tensor of the CPU fails, as it would on a GPU."""
    pack = exported(name)
    for role, file in pack.spec["graphs"].items():
        assert graphs.baked_devices(pack.folder / file) == []
        if role == "preprocess":
            continue
        entry = next(entry for entry in pack.golden["graphs"] if entry["graph"] == role)
        graph = torch.jit.load(str(pack.folder / file), map_location="cpu")
        for module in graph.modules():
            tensors = dict([*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)])
            if hasattr(module, "packed"):
                tensors["packed"] = module.packed
            for key, weight in tensors.items():
                module._c.setattr(key, torch.empty(weight.shape, dtype=weight.dtype, device="meta"))
        inputs = [_meta(pack, value) for value in entry["inputs"]]
        with torch.no_grad():
            outputs = graph(*inputs)
        for output in outputs if isinstance(outputs, tuple) else [outputs]:
            assert output.device.type == "meta"


def _meta(pack: Pack, value: dict) -> torch.Tensor:
    if "from" not in value:
        return golden.tensor(value).to("meta")
    step, output = value["from"]
    entry = pack.golden["graphs"][step]
    if output == "cache":
        return _meta(pack, next(one for one in entry["inputs"] if one["name"] == "cache"))
    return torch.zeros(entry["outputs"][output]["shape"], dtype=getattr(torch, entry["outputs"][output]["dtype"])).to(
        "meta"
    )


def test_a_plain_trace_has_baked_devices(tmp_path):
    class Counts(torch.nn.Module):
        def forward(self, x):
            return x + torch.arange(x.shape[0], device=x.device)

    plain = torch.jit.trace(Counts(), (torch.zeros(3),))
    plain.save(str(tmp_path / "plain.pt"))
    graphs.save(graphs.trace(Counts(), (torch.zeros(3),)), tmp_path / "free.pt")

    assert len(graphs.baked_devices(tmp_path / "plain.pt")) == 1
    assert graphs.baked_devices(tmp_path / "free.pt") == []
    assert torch.jit.load(str(tmp_path / "free.pt"))(torch.zeros(2)).tolist() == [0, 1]


def test_a_saved_graph_divides_and_fills_as_the_model_does(tmp_path):
    class Divides(torch.nn.Module):
        def forward(self, x):
            return x / 4, torch.full((x.shape[0],), 3)

    graphs.save(graphs.trace(Divides(), (torch.tensor([5, 6, 8]),)), tmp_path / "graph.pt")
    quotient, filled = torch.jit.load(str(tmp_path / "graph.pt"))(torch.tensor([1, 2]))
    assert quotient.tolist() == [0.25, 0.5]
    assert filled.dtype == torch.int64


def test_graphs_hold_no_paths_of_this_machine(exported):
    pack = exported("gpt2")
    content = (pack.folder / "decoder.pt").read_bytes()
    assert b"debug_pkl" not in content
    assert str(Path.cwd()).encode() not in content


@pytest.mark.parametrize("engine", ["PyTorch", "OnnxRuntime"])
@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta"])
def test_encoders_pad_without_a_trace(exported, name, engine):
    pack = exported(name, engine=engine)
    assert pack.spec["engine"] == engine
    texts = [[1, 30, 31, 32, 2], [1, 50, 2], [1, *range(60, 72), 2]]
    with torch.no_grad():
        alone = [
            pack.graphs["model"](input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=int))[0][0]
            for ids in texts
        ]
        for pad in (0, 9):
            ids = torch.tensor([row + [pad] * (20 - len(row)) for row in texts])
            mask = torch.tensor([[1] * len(row) + [0] * (20 - len(row)) for row in texts])
            together = pack.graphs["model"](input_ids=ids, attention_mask=mask)[0]
            for row, expected in zip(together, alone, strict=True):
                torch.testing.assert_close(row[: len(expected)], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_a_pack_has_format_2_and_a_section_for_its_task(exported, name):
    spec = exported(name).spec
    assert list(spec)[:5] == ["format", "tasks", "family", "engine", "dtype"]
    assert spec["format"] == 2
    ((task, _),) = spec["tasks"].items()
    assert task in families.families(spec["family"])
    allowed = {"tokenizer", "image", "cache", "generation", "source", "graphs", "sha256"}
    assert set(list(spec)[5:]) <= allowed


def test_pooling_comes_from_the_model(exported):
    sections = {name: exported(name).spec["tasks"]["feature-extraction"] for name in ("bert", "distilbert", "roberta")}
    assert sections == {
        name: {"pooling": mode, "normalize": True, "dimension": 32}
        for name, mode in (("bert", "mean"), ("distilbert", "cls"), ("roberta", "max"))
    }
    pack = exported("bert")
    for entry in pack.golden["embeddings"]:
        assert np.linalg.norm(entry["values"]) == pytest.approx(1, abs=1e-6)


def test_manifest_of_a_captioner(exported):
    spec = exported("git").spec
    assert spec["tasks"] == {"image-to-text": {}}
    assert spec["cache"] == {"layers": 2, "heads": 4, "headDim": 8, "prefix": 17}
    assert spec["generation"] == {"bos": 1, "eos": [2], "pad": 0, "maxLength": 48}
    assert spec["image"]["height"] == spec["image"]["width"] == 32
    assert spec["source"] == {"id": "git", "revision": "local", "licence": "apache-2.0"}


def test_manifest_of_a_pipeline(exported):
    spec = exported("stable-diffusion").spec
    section = spec["tasks"]["text-to-image"]
    assert list(section) == ["scheduler", "latents"]
    assert section["latents"] == {"channels": 4, "scale": 2, "multiple": 2, "scalingFactor": 0.18215}
    assert section["scheduler"]["_class_name"] == "DDIMScheduler"
    assert spec["image"] == {"height": 32, "width": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    assert spec["generation"] == {"bos": 1, "pad": 0, "eos": [2], "maxLength": 24}


@pytest.mark.parametrize("name", DIFFUSION)
def test_steps_and_guidance_of_a_pack_are_its_pipelines(exported, source, name):
    section = exported(name).spec["tasks"]["text-to-image"]
    base = next((stage for stage in section.get("stages", []) if stage["kind"] == "base"), section)
    pipeline = getattr(diffusers, json.loads((source(name) / "model_index.json").read_text())["_class_name"])
    own = inspect.signature(pipeline.__call__).parameters
    of = "decoder_" if name == "unclip" else ""
    assert base.get("steps", 50) == own[f"{of}num_inference_steps"].default
    assert base.get("guidanceScale", 7.5) == own[f"{of}guidance_scale"].default


@pytest.mark.parametrize("name", ["bert-classification", "gpt2", "git", "blip", "stable-diffusion"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_reduced_precision_reports_its_difference(exported, name, dtype):
    pack = exported(name, dtype=dtype)
    assert pack.spec["dtype"] == str(dtype).removeprefix("torch.")
    assert any("largest difference" in line and "cosine 0.99" in line for line in pack.reports)
    cache = [value for entry in pack.golden["graphs"] for value in entry["inputs"] if value["name"] == "cache"]
    expected = "float32" if dtype == torch.bfloat16 else "float16"
    assert all(value["dtype"] == expected for value in cache if "from" not in value)
    assert max(differences(pack).values()) <= pack.golden["tolerance"]


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.parent.name)
def test_committed_fixtures_answer_as_their_golden_values_say(folder):
    pack = Pack(folder, folder, [])
    for name, digest in pack.spec["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    assert max(differences(pack).values()) <= pack.golden["tolerance"]
    assert pack.spec["format"] == 2
    assert json.loads((folder.parent / "expected.json").read_text(encoding="utf-8"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
