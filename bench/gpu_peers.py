"""The Python side of `./lakegen bench gpu`.

    python gpu_peers.py make FOLDER TOKENIZER [tiny]    models with random weights, their float16 packs, the rows
    python gpu_peers.py time FOLDER TASK                transformers or diffusers over the rows, against Lakegen's

The models have the shapes of all-MiniLM-L6-v2 (`embed`), Llama 3.2 1B (`generate`) and Stable Diffusion 1.5 (`render`);
`tiny` makes small ones, to try the benchmark with where there is no GPU.
"""

import itertools
import json
import math
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "model-export"))

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from lakegen_export.export import Request, export
from lakegen_export.families.encoder import Pooling
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    CLIPTextConfig,
    CLIPTextModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.float16
GUIDANCE = 7.5
WORDS = 1000  # of the renderer's vocabulary

# What both sides do; `tiny` in the second place.
SIZES = {
    "texts": (40_000, 500),
    "tokensOfBatch": (65_536, 2_048),
    "prompts": (64, 8),
    "newTokens": (128, 12),
    "images": (32, 3),
    "imagesOfBatch": (16, 2),
    "side": (512, 64),
    "steps": (20, 3),
}


class Busy:
    """The share of the time in which the GPU runs a kernel, as `nvidia-smi` samples it."""

    def __enter__(self):
        query = "nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits -i 0 -lms 100"
        self.process = subprocess.Popen(query.split(), stdout=subprocess.PIPE, text=True) if DEVICE == "cuda" else None
        return self

    def __exit__(self, *_):
        self.share = math.nan
        if self.process:
            self.process.terminate()
            samples = [int(line) for line in self.process.communicate()[0].split()]
            self.share = sum(samples) / len(samples) / 100 if samples else math.nan


def words(names: list[str], length: int) -> PreTrainedTokenizerFast:
    vocabulary = {name: i for i, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<start>",
        eos_token="<end>",
        pad_token="<end>",
        unk_token="<end>",
        model_max_length=length,
    )


def numbers(count: int) -> list[str]:
    return ["<end>", "<start>", *map(str, range(2, count))]


def save_embedder(folder: Path, tokenizer: Path, tiny: bool) -> None:
    fast = PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer),
        model_max_length=256,
        **{f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")},
    )
    fast.backend_tokenizer.no_padding()
    fast.backend_tokenizer.no_truncation()
    size = {"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 128}
    full = {"hidden_size": 384, "num_attention_heads": 12, "num_hidden_layers": 6, "intermediate_size": 1536}
    config = BertConfig(vocab_size=len(fast), **(size if tiny else full))
    with torch.device(DEVICE):
        BertModel(config, add_pooling_layer=False).to(DTYPE).save_pretrained(folder)
    fast.save_pretrained(folder)


def save_llama(folder: Path, tiny: bool) -> None:
    full = {
        "vocab_size": 128_256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    }
    small = {
        "vocab_size": 500,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    config = LlamaConfig(
        **(small if tiny else full),
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.device(DEVICE):
        LlamaForCausalLM(config).to(DTYPE).save_pretrained(folder)
    words(numbers(config.vocab_size), 2048).save_pretrained(folder)


def save_diffusion(folder: Path, tiny: bool) -> None:
    unet = (32, 64, 64, 64) if tiny else (320, 640, 1280, 1280)
    vae = (32, 32, 32, 32) if tiny else (128, 256, 512, 512)
    text = 32 if tiny else 768
    side = SIZES["side"][tiny]
    with torch.device(DEVICE):
        pipeline = StableDiffusionPipeline(
            text_encoder=CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=WORDS,
                    hidden_size=text,
                    intermediate_size=4 * text,
                    num_hidden_layers=2 if tiny else 12,
                    num_attention_heads=text // (16 if tiny else 64),
                    eos_token_id=0,
                    bos_token_id=1,
                )
            ),
            unet=UNet2DConditionModel(
                sample_size=side // 8, block_out_channels=unet, cross_attention_dim=text, attention_head_dim=8
            ),
            vae=AutoencoderKL(
                sample_size=side,
                block_out_channels=vae,
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                layers_per_block=2,
                scaling_factor=0.18215,
            ),
            scheduler=DDIMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                clip_sample=False,
                set_alpha_to_one=False,
                steps_offset=1,
            ),
            tokenizer=words(numbers(WORDS), 77),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.to(DTYPE).save_pretrained(folder)


def write_rows(folder: Path, sizes: dict, tokenizer: PreTrainedTokenizerFast, tiny: bool) -> None:
    rng = random.Random(1)
    vocabulary = sorted(word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha())
    rows = {
        # Lengths as those of the corpus of `bench embed`.
        "embed": [
            " ".join(rng.choices(vocabulary, k=min(250, max(1, round(rng.lognormvariate(math.log(18), 1))))))
            for _ in range(sizes["texts"])
        ],
        "generate": [
            " ".join(str(rng.randrange(2, 500 if tiny else 128_256)) for _ in range(rng.randint(4, 8 if tiny else 128)))
            for _ in range(sizes["prompts"])
        ],
        "render": [" ".join(str(rng.randrange(2, WORDS)) for _ in range(12)) for _ in range(sizes["images"])],
    }
    for task, texts in rows.items():
        (folder / task / "rows.json").write_text(json.dumps(texts), encoding="utf-8")


def make(target: Path, tokenizer: Path, tiny: bool) -> None:
    if DEVICE == "cpu" and not tiny:
        sys.exit("gpu_peers.py: torch sees no GPU (expected: one; `tiny` tries the benchmark without)")
    torch.manual_seed(1)
    sizes = {name: values[tiny] for name, values in SIZES.items()}
    folder = target.with_suffix(".partial")
    shutil.rmtree(folder, ignore_errors=True)
    for task in ("embed", "generate", "render"):
        start = time.monotonic()
        model = folder / task / "model"
        match task:
            case "embed":
                save_embedder(model, tokenizer, tiny)
            case "generate":
                save_llama(model, tiny)
            case "render":
                save_diffusion(model, tiny)
        print(f"{task}: model made, {time.monotonic() - start:.1f} s", flush=True)
        pooling = Pooling("mean", True) if task == "embed" else None
        request = Request(str(model), folder / task / "pack", dtype=DTYPE, licence="Apache-2.0", pooling=pooling)
        export(request, lambda line, task=task: print(f"{task}: {line}", flush=True))
        print(f"{task}: exported, {time.monotonic() - start:.1f} s", flush=True)
    (folder / "sizes.json").write_text(json.dumps(sizes), encoding="utf-8")
    write_rows(folder, sizes, AutoTokenizer.from_pretrained(folder / "embed" / "model"), tiny)
    folder.rename(target)


def timed(run) -> tuple[list, dict]:
    """What `run` gives, and seconds, rows per second and the GPU's busy share of its second round."""
    run()
    with Busy() as busy:
        start, cpu = time.perf_counter(), time.process_time()
        found = run()
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    figures = {"seconds": seconds, "rows_per_second": len(found) / seconds, "cpu_seconds": cpu}
    return found, figures | ({} if math.isnan(busy.share) else {"gpu_busy": busy.share})


def time_embed(folder: Path, sizes: dict, texts: list[str], kept: list) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    model = BertModel.from_pretrained(folder / "model", dtype=DTYPE, add_pooling_layer=False).to(DEVICE).eval()

    def run() -> list[np.ndarray]:
        ids = tokenizer(texts, truncation=True)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        vectors = [None] * len(ids)
        while order:
            length = len(ids[order[0]])
            batch, order = order[: sizes["tokensOfBatch"] // length], order[sizes["tokensOfBatch"] // length :]
            inputs = tokenizer.pad({"input_ids": [ids[i] for i in batch]}, return_tensors="pt").to(DEVICE)
            hidden = model(**inputs).last_hidden_state.float()
            mask = inputs["attention_mask"][..., None]
            pooled = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).cpu().numpy()
            for i, vector in zip(batch, pooled, strict=True):
                vectors[i] = vector
        return vectors

    vectors, figures = timed(run)
    ours = np.array(kept)
    cosine = (ours * np.array(vectors[: len(ours)])).sum(1) / np.linalg.norm(ours, axis=1)
    return figures | {"lowest_cosine": float(cosine.min())}


def time_generate(folder: Path, sizes: dict, texts: list[str], kept: list) -> dict:
    model = LlamaForCausalLM.from_pretrained(folder / "model", dtype=DTYPE).to(DEVICE).eval()
    prompts = [[int(word) for word in text.split()] for text in texts]
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(one)) + one for one in prompts], device=DEVICE)
    mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts], device=DEVICE)

    def run() -> list[list[int]]:
        found = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=sizes["newTokens"])
        rows = found[:, longest:].tolist()
        return [row[: row.index(0) + 1] if 0 in row else row for row in rows]

    theirs, figures = timed(run)
    ours = [[int(word) for word in text.split()] for text in kept]
    figures["tokens_per_second"] = sum(map(len, theirs)) / figures["seconds"]
    figures["lakegen_tokens"] = sum(map(len, ours))
    figures["tokens"] = sum(map(len, theirs))
    equal = sum(alike(one, other) for one, other in zip(ours, theirs, strict=True))
    figures["equal_tokens_before_the_first_other"] = equal / sum(map(len, ours))
    model.float()
    for name, found in (("lakegen", ours), ("generate", theirs)):
        figures |= {f"{name}_{key}": value for key, value in against_float32(model, prompts, found).items()}
    return figures


def alike(one: list[int], other: list[int]) -> int:
    """How many tokens two rows have in common before they part."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def against_float32(model: LlamaForCausalLM, prompts: list[list[int]], found: list[list[int]]) -> dict:
    """How many tokens are the float32 model's own choice after those before, and how far the worst falls short."""
    best, short, spread = 0, 0.0, []
    for prompt, row in zip(prompts, found, strict=True):
        logits = model(torch.tensor([prompt + row], device=DEVICE)).logits[0, len(prompt) - 1 : -1]
        chosen = logits.gather(1, torch.tensor(row, device=DEVICE)[:, None])[:, 0]
        gap = logits.max(1).values - chosen
        best += int((gap == 0).sum())
        short = max(short, float(gap.max()))
        spread.append(float(logits.std()))
    return {
        "tokens_as_float32": best / sum(map(len, found)),
        "logit_short_of_float32": short,
        "logits_deviation": sum(spread) / len(spread),
    }


def time_render(folder: Path, sizes: dict, texts: list[str], _kept: list) -> dict:
    pipeline = StableDiffusionPipeline.from_pretrained(folder / "model", dtype=DTYPE, safety_checker=None)
    pipeline.to(DEVICE).set_progress_bar_config(disable=True)
    side, batch = sizes["side"], sizes["imagesOfBatch"]
    noise = [
        np.fromfile(folder / "lakegen" / f"{i}.noise", "<f4").reshape(4, side // 8, side // 8)
        for i in range(len(texts))
    ]

    def run() -> list:
        images = []
        for first in range(0, len(texts), batch):
            latents = torch.tensor(np.array(noise[first : first + batch])).to(DEVICE, DTYPE)
            images += pipeline(
                texts[first : first + batch],
                latents=latents,
                num_inference_steps=sizes["steps"],
                guidance_scale=GUIDANCE,
                height=side,
                width=side,
            ).images
        return images

    images, figures = timed(run)
    ours = [
        np.asarray(Image.open(folder / "lakegen" / f"{i}.png").convert("RGB")).astype(int) for i in range(len(texts))
    ]
    theirs = [np.asarray(image).astype(int) for image in images]
    different = np.array([np.abs(a - b).mean() for a, b in zip(ours, theirs, strict=True)])
    others = np.abs(theirs[0] - theirs[1]).mean()  # what two images of this model differ by
    return figures | {
        "mean_levels_of_difference": float(different.mean()),
        "most_levels_of_difference": float(different.max()),
        "levels_between_two_images": float(others),
    }


def measure(folder: Path, task: str) -> None:
    """Prints one line of JSON."""
    sizes = json.loads((folder / "sizes.json").read_text(encoding="utf-8"))
    texts = json.loads((folder / task / "rows.json").read_text(encoding="utf-8"))
    kept = json.loads((folder / task / "lakegen" / "values.json").read_text(encoding="utf-8"))
    run = {"embed": time_embed, "generate": time_generate, "render": time_render}[task]
    with torch.no_grad():
        figures = run(folder / task, sizes, texts, kept)
    machine = {"torch": torch.__version__, "gpu": torch.cuda.get_device_name() if DEVICE == "cuda" else "none"}
    print(json.dumps({f"peer_{name}": value for name, value in figures.items()} | machine))


if __name__ == "__main__":
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    match sys.argv[1:]:
        case ["make", folder, tokenizer, *tiny]:
            make(Path(folder), Path(tokenizer), bool(tiny))
        case ["time", folder, task]:
            measure(Path(folder), task)
        case _:
            sys.exit(__doc__)
