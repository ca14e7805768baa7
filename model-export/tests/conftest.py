"""Tiny models of every family, exported once for all tests."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers.utils import logging

from fixtures import tiny
from lakegen_export import onnx_graphs, pack
from lakegen_export.export import Request, export

logging.set_verbosity_error()
torch.set_num_threads(1)

BUILDERS = {
    "gpt2": (tiny.gpt2, None, None),
    "llama": (tiny.llama, None, None),
    "mistral": (tiny.mistral, None, None),
    "qwen2": (tiny.qwen2, None, None),
    "t5": (tiny.t5, None, None),
    "bart": (tiny.bart, None, None),
    "git": (tiny.git, tiny.git_processor, None),
    "blip": (tiny.blip, tiny.blip_processor, None),
    "blip-matching": (tiny.blip_matching, tiny.blip_processor, None),
    "vit-gpt2": (tiny.vit_gpt2, tiny.vit_processor, None),
    "bert": (tiny.bert, None, "mean_tokens"),
    "distilbert": (tiny.distilbert, None, "cls_token"),
    "roberta": (tiny.roberta, None, "max_tokens"),
}

CLASSIFIERS = {
    "bert-classification": (tiny.bert_classification, tiny.BERT_PAIRS),
    "distilbert-classification": (tiny.distilbert_classification, tiny.DISTILBERT_PAIRS),
    "roberta-classification": (tiny.roberta_classification, tiny.ROBERTA_PAIRS),
    "xlm-roberta-classification": (tiny.xlm_roberta_classification, tiny.ROBERTA_PAIRS),
}
BUILDERS |= {name: (build, None, None) for name, (build, _) in CLASSIFIERS.items()}

ANSWERERS = {
    "bert-answers": (tiny.bert_answers, tiny.BERT_QUESTIONS),
    "distilbert-answers": (tiny.distilbert_answers, tiny.DISTILBERT_PAIRS),
    "roberta-answers": (tiny.roberta_answers, tiny.ROBERTA_QUESTIONS),
}
IMAGE_CLASSIFIERS = {
    "vit-classes": (tiny.vit_classes, tiny.vit_processor),
    "deit-classes": (tiny.deit_classes, tiny.deit_processor),
    "swin-classes": (tiny.swin_classes, tiny.vit_processor),
    "convnext-classes": (tiny.convnext_classes, tiny.convnext_processor),
    "resnet-classes": (tiny.resnet_classes, tiny.convnext_processor),
    "efficientnet-classes": (tiny.efficientnet_classes, tiny.efficientnet_processor),
}
DUAL = {"clip": (tiny.clip, tiny.git_processor), "siglip": (tiny.siglip, tiny.siglip_processor)}
BUILDERS |= {name: (build, None, None) for name, (build, _) in ANSWERERS.items()}
BUILDERS |= {name: (*parts, None) for name, parts in {**IMAGE_CLASSIFIERS, **DUAL}.items()}
IMAGE_ENCODERS = {
    "dinov2": (tiny.dinov2, tiny.dinov2_processor),
    "dinov2-with-registers": (tiny.dinov2_with_registers, tiny.dinov2_processor),
}
BUILDERS |= {name: (*parts, None) for name, parts in IMAGE_ENCODERS.items()}

# Names of the inputs in the order that Java passes them in.
DECODER = ["input_ids", "slots", "last", "cache"]
CROSS_DECODER = [*DECODER, "cross", "mask"]
INPUTS = {
    "text": {"decoder": DECODER},
    "git": {"encoder": ["pixels", "cache"], "decoder": DECODER},
    "vision": {"encoder": ["pixels"], "decoder": CROSS_DECODER},
    "seq2seq": {"encoder": ["input_ids", "attention_mask"], "decoder": CROSS_DECODER},
    "matching": {
        "encoder": ["pixels"],
        "match": ["input_ids", "attention_mask", "hidden", "feature"],
        "heat_map": ["input_ids", "attention_mask", "hidden", "feature"],
    },
    "encoder": {"model": ["input_ids", "attention_mask"], "attention": ["input_ids", "attention_mask"]},
    "pairs": {"model": ["input_ids", "attention_mask", "token_type_ids"]},
    "pictures": {"model": ["pixels"], "attention": ["pixels"]},
    "dual": {"image": ["pixels"], "attention": ["pixels"], "text": ["input_ids", "attention_mask"]},
}
TASK_KINDS = {
    "text-classification": "pairs",
    "question-answering": "pairs",
    "image-classification": "pictures",
    "image-feature-extraction": "pictures",
    "zero-shot-image-classification": "dual",
    "image-text-matching": "matching",
}
KINDS = {
    "git": "git",
    "llava": "git",
    "blip": "vision",
    "vision-encoder-decoder": "vision",
    "t5": "seq2seq",
    "bart": "seq2seq",
    "umt5": "seq2seq",
    "bert": "encoder",
    "modernbert": "encoder",
    "distilbert": "encoder",
    "roberta": "encoder",
}

PICTURES = {
    "stable-diffusion": tiny.stable_diffusion,
    "stable-diffusion-inpaint": tiny.stable_diffusion_inpaint,
    "stable-diffusion-xl": tiny.stable_diffusion_xl,
    "stable-diffusion-3": tiny.stable_diffusion_3,
    "sana": lambda seed, _: tiny.sana(seed, tiny.gemma_tokenizer()),
    "stable-diffusion-controlnet": tiny.controlnet,
    "stable-diffusion-upscale": tiny.upscaler,
    "stable-diffusion-latent-upscale": tiny.latent_upscaler,
    "unclip": tiny.unclip,
    "deepfloyd-if": lambda seed, _: tiny.deepfloyd_if(seed, tiny.unigram())[0],
    "autoencoder-kl": tiny.autoencoder_kl,
    "vae": tiny.vae,
    "gan": tiny.stylegan,
    "next-frame": tiny.next_frame,
}
"""Models that make pictures; the names are mostly those of their families."""


@dataclass
class Pack:
    """A pack on disk with its graphs loaded, and the folder of the model it came from."""

    folder: Path
    source: Path
    reports: list[str]

    def __post_init__(self):
        self.spec = json.loads((self.folder / "pack.json").read_text(encoding="utf-8"))
        self.golden = json.loads((self.folder / "golden.json").read_text(encoding="utf-8"))
        (task,) = self.spec["tasks"]
        names = INPUTS[TASK_KINDS.get(task) or KINDS.get(self.spec["family"], "text")]
        if task not in TASK_KINDS and self.spec["family"] in PICTURES:
            # What a denoiser is given differs from model to model; golden.json has it in Java's order.
            names = {entry["graph"]: [value["name"] for value in entry["inputs"]] for entry in self.golden["graphs"]}
        if self.spec.get("cache", {}).get("commonPrefix"):
            names = {**names, "decoder": [*names["decoder"], "common_keys", "common_values", "offset"]}
        self.graphs = {
            role: self._load(self.folder / file, names.get(role, ["image"]))
            for role, file in self.spec["graphs"].items()
        }

    @staticmethod
    def _load(path: Path, names: list[str]) -> Callable:
        return onnx_graphs.load(path) if path.suffix == ".onnx" else pack.load(path, names)

    def cache(self, rows: int, slots: int) -> torch.Tensor:
        cache = self.spec["cache"]
        return torch.zeros(cache["layers"], 2, rows, cache["heads"], slots, cache["headDim"])


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Callable[..., Path]:
    """The folder of a tiny model, by name."""
    found = {}

    def make(name: str) -> Path:
        if name not in found:
            folder = tmp_path_factory.mktemp("model") / name
            if name in ("vae", "gan", "next-frame"):
                tiny.save_contract(*PICTURES[name](1), folder)
            elif name == "autoencoder-kl":
                tiny.save(PICTURES[name](1), folder)
            elif name in PICTURES:
                tokenizer = tiny.byte_level_bpe(320, enclose=True)
                tokenizer.model_max_length = 24
                tiny.save(PICTURES[name](1, tokenizer), folder)
            else:
                build, processor, pooling = BUILDERS[name]
                _, pairs = {**CLASSIFIERS, **ANSWERERS}.get(name, (None, {}))
                enclose = name not in ("gpt2", "llama", "mistral", "qwen2")
                tokenizer = tiny.byte_level_bpe(320, enclose, **pairs)
                if name in IMAGE_CLASSIFIERS or name in IMAGE_ENCODERS:
                    tokenizer = None
                if name in ("clip", "siglip"):
                    tokenizer = getattr(tiny, f"{name}_tokenizer")()
                tiny.save(build(1), folder, tokenizer, processor and processor(), pooling)
            found[name] = folder
        return found[name]

    return make


@pytest.fixture(scope="session")
def exported(source, tmp_path_factory) -> Callable[..., Pack]:
    """The pack of a tiny model, by name and options of the request."""
    found = {}

    def make(name: str, **options) -> Pack:
        key = name, *sorted(options.items(), key=str)
        if key not in found:
            out = tmp_path_factory.mktemp("pack") / name
            reports: list[str] = []
            export(Request(str(source(name)), out, **options), reports.append)
            found[key] = Pack(out, source(name), reports)
        return found[key]

    return make
