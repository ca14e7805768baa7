"""Trains a small latent diffusion model on emoji art and measures how well its pictures of unseen names are named.

Data and held-out names are those of `train_captioner.py`: neither the autoencoder nor the diffusion model sees a
held-out picture or name. Pictures are composited on white and not augmented.

The autoencoder (AutoencoderKL) is trained first, then the text encoder (CLIPTextModel) and the UNet together, on its
latents: v-prediction, min-SNR weights (Hang et al. 2023, arXiv 2303.09556), texts left out at times for
classifier-free guidance. Each phase is given minutes, not steps, and its learning rate follows the clock; what is
saved on the way (running averages of the weights) is a whole pipeline too, but sharper after the full time.
`grid.png` shows the prompts of the demo: real pictures, and below each what was rendered.

The measure: a captioner pack names rendered pictures and the real pictures of the same names. The last weights count:
no choice is made on the held-out part.
"""

import argparse
import copy
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from packages import bucket, fetch
from PIL import Image
from tokenizers import Tokenizer
from torch.nn import functional as F
from train_captioner import SIZE, load, make_tokenizer, on_white, score
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast
from wordpiece import CLS, PAD, SEP

MAX_TOKENS = 24
WIDTH = 96
ROOT = Path(__file__).resolve().parents[2]

# DDPM's own betas leave next to no signal in the last step, so that sampling can start from pure noise: the white of
# the pictures would leak through Stable Diffusion's.
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "steps_offset": 1,
}
STEPS = 20
GUIDANCE = 4.0


def build_vae() -> AutoencoderKL:
    """Pictures [N, 3, 64, 64] to latents [N, 4, 16, 16] and back."""
    return AutoencoderKL(
        sample_size=SIZE,
        block_out_channels=(16, 32, 48),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,
    )


def build_text_encoder(vocabulary: int) -> CLIPTextModel:
    """Texts of MAX_TOKENS tokens to [N, MAX_TOKENS, WIDTH]."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=CLS,
            eos_token_id=SEP,
            pad_token_id=PAD,
        )
    )


def build_unet() -> UNet2DConditionModel:
    """Texts and pixels meet at 8x8."""
    return UNet2DConditionModel(
        sample_size=SIZE // 4,
        block_out_channels=(48, 80),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=16,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # diffusers reads it as the number of heads
        time_embedding_dim=128,
    )


def fast_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The captioner's tokenizer with the names that a text encoder's tokenizer has."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        bos_token="[CLS]",
        eos_token="[SEP]",
        model_max_length=MAX_TOKENS,
    )


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> torch.Tensor:
    """int64 [N, MAX_TOKENS], padded as pipelines pad."""
    return tokenizer(texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt").input_ids


def factor(progress: float) -> float:
    """The learning rate's factor at a progress of 0..1: a linear warm-up, then a cosine down to 1 percent."""
    return min(max(0.01, progress / 0.03), 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


class Optimiser:
    """Muon for the matrices and convolutions inside the blocks, AdamW for the rest; keeps an average of the weights."""

    def __init__(self, models: list[torch.nn.Module], learning_rate: float):
        self.models = models
        self.averages = [copy.deepcopy(model).requires_grad_(False).eval() for model in models]
        inner = ("block", "layers.")
        named = [pair for model in models for pair in model.named_parameters()]
        chosen = [p for name, p in named if p.dim() > 1 and any(word in name for word in inner)]
        # Muon takes matrices only: a view of a convolution as [out, in * kernel] shares its memory.
        self.matrices = [(p, torch.nn.Parameter(p.data.view(len(p), -1))) for p in chosen]
        ids = {id(p) for p in chosen}
        others = [p for _, p in named if id(p) not in ids]
        views = [view for _, view in self.matrices]
        self.steppers = [
            torch.optim.Muon(views, lr=learning_rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0),
        ]
        self.learning_rate = learning_rate
        self.steps = 0

    def step(self, loss: torch.Tensor, progress: float) -> None:
        """One update of the models and of their averages."""
        for model in self.models:
            model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for model in self.models for p in model.parameters()], 1.0)
        for p, view in self.matrices:
            view.grad = p.grad.reshape(view.shape)
        for stepper in self.steppers:
            for group in stepper.param_groups:
                group["lr"] = self.learning_rate * factor(progress)
            stepper.step()
        self.steps += 1
        weight = 1 - min(0.998, self.steps / (self.steps + 9))
        for model, average in zip(self.models, self.averages, strict=True):
            torch._foreach_lerp_(list(average.parameters()), [p.data for p in model.parameters()], weight)


def clock(minutes: float, save: Callable[[], None]) -> Iterator[float]:
    """The progress 0..1 of a phase for each of its steps; saves every five minutes."""
    start = saved = time.monotonic()
    while (now := time.monotonic()) - start < 60 * minutes:
        if now - saved > 300:
            save()
            saved = time.monotonic()
        yield (now - start) / (60 * minutes)


def batches(count: int, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Row numbers without end, each row once in every pass."""
    order = torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < size:
            order = torch.cat([order, torch.randperm(count, generator=generator)])
        yield order[:size]
        order = order[size:]


class Log:
    """Prints the mean loss of every hundred steps."""

    def __init__(self, name: str):
        self.name, self.start, self.losses = name, time.monotonic(), []

    def add(self, loss: torch.Tensor) -> None:
        self.losses.append(loss.item())
        if len(self.losses) % 100 == 0:
            seconds = time.monotonic() - self.start
            mean = sum(self.losses[-100:]) / 100
            print(f"{self.name} step {len(self.losses)} loss {mean:.4f} seconds {seconds:.0f}", flush=True)


def edges(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Differences of neighbouring pixels, down and across."""
    return pictures.diff(dim=2), pictures.diff(dim=3)


def fit_vae(vae: AutoencoderKL, pictures: torch.Tensor, options: argparse.Namespace) -> AutoencoderKL:
    """Trains on pictures in -1..1 and gives the averaged autoencoder, its latents centred and of unit variance.

    Flat art lives by its edges, so their differences count beside those of the pixels.
    """
    vae.train()
    optimiser = Optimiser([vae], options.learning_rate)
    generator = torch.Generator().manual_seed(options.seed)
    rows = batches(len(pictures), 32, generator)
    log = Log("autoencoder")

    def save() -> None:
        optimiser.averages[0].save_pretrained(options.out / "vae")

    for progress in clock(options.vae_minutes, save):
        batch = pictures[next(rows)].contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not options.float32):
            distribution = vae.encode(batch).latent_dist
            decoded = vae.decode(distribution.sample(generator)).sample
        decoded, mean, logvar = decoded.float(), distribution.mean.float(), distribution.logvar.float()
        pairs = [(decoded, batch), *zip(edges(decoded), edges(batch), strict=True)]
        loss = sum(F.l1_loss(a, b) for a, b in pairs)
        divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        optimiser.step(loss + 5e-4 * divergence, progress)
        log.add(loss)
    vae = optimiser.averages[0]
    centre(vae, latents_of(vae, pictures)[0])
    return vae


@torch.no_grad()
def latents_of(vae: AutoencoderKL, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the pictures' latents, each [N, 4, 16, 16]."""
    found = [vae.encode(chunk).latent_dist for chunk in pictures.split(64)]
    return torch.cat([one.mean for one in found]), torch.cat([one.std for one in found])


@torch.no_grad()
def centre(vae: AutoencoderKL, latents: torch.Tensor) -> None:
    """Moves the latents' means into the biases around them, so that they are 0, and sets the scaling factor."""
    mean = latents.mean((0, 2, 3))
    vae.quant_conv.bias[: len(mean)] -= mean
    vae.post_quant_conv.bias += vae.post_quant_conv.weight[:, :, 0, 0] @ mean
    vae.register_to_config(scaling_factor=1 / (latents - mean.view(1, -1, 1, 1)).std().item())


def pipeline_of(
    tokenizer: PreTrainedTokenizerFast, text_encoder: CLIPTextModel, unet: UNet2DConditionModel, vae: AutoencoderKL
) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DPMSolverMultistepScheduler(**SCHEDULER),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save_pipeline(pipeline: StableDiffusionPipeline, out: Path) -> None:
    """A diffusers folder. Its scheduler configuration holds what every scheduler reads, and no defaults."""
    pipeline.save_pretrained(out)
    # clip_sample and set_alpha_to_one are DDIM's: latents go beyond 1, and the last step ends without noise.
    config = {"_class_name": "DPMSolverMultistepScheduler", **SCHEDULER, "clip_sample": False, "set_alpha_to_one": True}
    (out / "scheduler" / "scheduler_config.json").write_text(json.dumps(config, indent=1) + "\n")


def fit(
    pipeline: StableDiffusionPipeline,
    pictures: torch.Tensor,
    ids: torch.Tensor,
    options: argparse.Namespace,
) -> StableDiffusionPipeline:
    """Trains text encoder and UNet on pictures in -1..1 and texts [N, MAX_TOKENS]; gives the averaged pipeline."""
    vae, scheduler = pipeline.vae, pipeline.scheduler
    models = [pipeline.text_encoder.train(), pipeline.unet.train()]
    optimiser = Optimiser(models, options.learning_rate)
    averaged = pipeline_of(pipeline.tokenizer, *optimiser.averages, vae)
    mean, std = (part * vae.config.scaling_factor for part in latents_of(vae, pictures))
    empty = encode(pipeline.tokenizer, [""])
    signal = scheduler.alphas_cumprod
    generator = torch.Generator().manual_seed(options.seed)
    rows = batches(len(pictures), options.batch, generator)
    log = Log("diffusion")
    for progress in clock(options.minutes, lambda: save_pipeline(averaged, options.out)):
        chosen = next(rows)
        count = len(chosen)
        latents = mean[chosen] + std[chosen] * torch.randn(mean[chosen].shape, generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        # One time in each of equal parts of the schedule: fewer lucky and unlucky batches than with independent times.
        spread = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        times = (spread * len(signal)).long()
        texts = torch.where(torch.rand((count, 1), generator=generator) < 0.1, empty, ids[chosen])
        alpha = signal[times].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not options.float32):
            condition = models[0](texts).last_hidden_state
            found = models[1](noisy, times, encoder_hidden_states=condition).sample
        snr = alpha / (1 - alpha)
        weight = snr.clamp(max=5) / (snr + 1)
        loss = (weight * (found.float() - velocity) ** 2).mean()
        optimiser.step(loss, progress)
        log.add(loss)
    print(f"diffusion: {optimiser.steps} steps of {options.batch} pictures", flush=True)
    return averaged


@torch.no_grad()
def render(pipeline: StableDiffusionPipeline, prompts: list[str], seed: int) -> torch.Tensor:
    """Pictures of the prompts, float RGB [N, 3, 64, 64] in 0..255; row i starts from the noise of seed + i."""
    pictures = []
    for start in range(0, len(prompts), 32):
        chunk = prompts[start : start + 32]
        generators = [torch.Generator().manual_seed(seed + start + i) for i in range(len(chunk))]
        images = pipeline(
            chunk, num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=generators, output_type="np"
        ).images
        pictures.append(torch.from_numpy(np.round(images * 255)).permute(0, 3, 1, 2).float())
    return torch.cat(pictures)


class Captioner:
    """An image-to-text pack of 64x64 pictures, run greedily."""

    def __init__(self, folder: Path):
        self.spec = json.loads((folder / "pack.json").read_text())
        self.encoder, self.decoder = (torch.jit.load(folder / self.spec["graphs"][r]) for r in ("encoder", "decoder"))
        self.tokenizer = Tokenizer.from_file(str(folder / self.spec["tokenizer"]["file"]))

    @torch.no_grad()
    def captions(self, pictures: torch.Tensor) -> list[str]:
        """Captions of float RGB pictures [N, 3, 64, 64] in 0..255, which need no resizing."""
        image, cache, generation = self.spec["image"], self.spec["cache"], self.spec["generation"]
        mean, std = (torch.tensor(image[key]).view(3, 1, 1) for key in ("mean", "std"))
        count, first, limit = len(pictures), cache["prefix"], generation["maxLength"]
        buffer = torch.zeros(cache["layers"], 2, count, cache["heads"], first + limit, cache["headDim"])
        self.encoder((pictures / 255 - mean) / std, buffer)
        ids = torch.full((count, 1), generation["bos"])
        ended = torch.zeros(count, dtype=torch.bool)
        for slot in range(first, first + limit - 1):
            last = torch.zeros(count, dtype=torch.long)
            logits = self.decoder(ids[:, -1:], torch.full((count, 1), slot), last, buffer)
            following = logits.argmax(1).masked_fill(ended, generation["pad"])
            ended |= torch.isin(following, torch.tensor(generation["eos"]))
            ids = torch.cat([ids, following[:, None]], 1)
            if ended.all():
                break
        return self.tokenizer.decode_batch(ids.tolist())


def measure(
    pipeline: StableDiffusionPipeline, captioner: Captioner, parts: dict[str, tuple[list[str], torch.Tensor]], seed: int
) -> dict:
    """Scores of rendered and of real pictures of each part (names, float RGB pictures), and ten fixed examples."""
    measured: dict = {}
    for part, (names, real) in parts.items():
        found = captioner.captions(render(pipeline, names, seed))
        pairs = sorted(zip(names, found, strict=True), key=lambda pair: bucket(f"example {pair[0]}", 2**32))
        vae = pipeline.vae
        with torch.no_grad():
            coded = torch.cat(
                [vae.decode(vae.encode(chunk).latent_dist.mean).sample for chunk in to_model(real).split(64)]
            )
        measured[part] = {
            "rendered": score(names, found),
            "real": score(names, captioner.captions(real)),
            "autoencoder": score(names, captioner.captions(to_pixels(coded))),
            "examples": [{"prompt": a, "caption": b} for a, b in pairs[:10]],
        }
    return measured


def grid(real: torch.Tensor, rendered: torch.Tensor, columns: int = 8) -> Image.Image:
    """Rows of real pictures, float RGB [N, 3, h, w] in 0..255, each above a row of rendered ones; N is a multiple."""
    pairs = torch.stack([real.unflatten(0, (-1, columns)), rendered.unflatten(0, (-1, columns))], 1)
    lines = pairs.flatten(0, 1).permute(0, 3, 1, 4, 2)
    return Image.fromarray(lines.flatten(2, 3).flatten(0, 1).byte().numpy())


def to_model(pictures: torch.Tensor) -> torch.Tensor:
    """0..255 to -1..1."""
    return pictures / 127.5 - 1


def to_pixels(pictures: torch.Tensor) -> torch.Tensor:
    """-1..1 to whole numbers 0..255."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the diffusers model and metrics.json")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "lakegen-demo", help="downloaded packages"
    )
    parser.add_argument(
        "--captioner", type=Path, default=ROOT / "sample-data/models/emoji-git", help="the pack that names the pictures"
    )
    parser.add_argument("--vae-minutes", type=float, default=20, help="training time of the autoencoder")
    parser.add_argument("--vae", type=Path, help="a trained autoencoder to go on with instead")
    parser.add_argument("--minutes", type=float, default=80, help="training time of text encoder and UNet")
    parser.add_argument("--batch", type=int, default=32, help="pictures in a step of the diffusion model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--float32", action="store_true", help="train in float32 where the CPU has no bfloat16 products"
    )
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    samples, rgba = load(fetch("emoji-datasource-google", options.cache))
    pictures = on_white(torch.from_numpy(rgba))
    train = [i for i, sample in enumerate(samples) if sample.part == "train"]
    names = [samples[i].caption for i in train]
    tokenizer = fast_tokenizer(make_tokenizer(names))
    options.out.mkdir(parents=True, exist_ok=True)
    vae = build_vae()
    pipeline = pipeline_of(tokenizer, build_text_encoder(len(tokenizer)), build_unet(), vae)
    sizes = {
        part: sum(p.numel() for p in getattr(pipeline, part).parameters()) for part in ("text_encoder", "unet", "vae")
    }
    print(f"{Counter(sample.part for sample in samples)} pictures, parameters {sizes}", flush=True)

    if options.vae:
        pipeline.vae = AutoencoderKL.from_pretrained(options.vae)
    else:
        pipeline.vae = fit_vae(vae, to_model(pictures[train]), options)
        pipeline.vae.save_pretrained(options.out / "vae")
    pipeline = fit(pipeline, to_model(pictures[train]), encode(tokenizer, names), options)
    save_pipeline(pipeline, options.out)

    parts = {}
    for part, every in (("tone", 1), ("person", 1), ("train", 11)):
        rows = [i for i, sample in enumerate(samples) if sample.part == part][::every]
        parts[part] = [samples[i].caption for i in rows], pictures[rows]
    metrics = {
        "parameters": sizes,
        "training_minutes": [options.vae_minutes, options.minutes],
        "inference_steps": STEPS,
        "guidance_scale": GUIDANCE,
        **measure(pipeline, Captioner(options.captioner), parts, options.seed),
    }
    lines = (ROOT / "sample-data/prompts/pictures.jsonl").read_text().splitlines()
    prompts = [json.loads(line)["prompt"] for line in lines]
    numbers = {sample.caption: i for i, sample in enumerate(samples)}
    real = pictures[[numbers[prompt] for prompt in prompts]]
    grid(real, render(pipeline, prompts, options.seed)).save(options.out / "grid.png")
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
