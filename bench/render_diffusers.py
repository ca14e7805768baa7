"""The Python side of `./lakegen bench render`.

    python render_diffusers.py make FOLDER       models with random weights, their packs, the prompts
    python render_diffusers.py time FOLDER THREADS    diffusers' pipeline over the prompts

The models have the shapes of Stable Diffusion 1.5 with half the channels, so that two cores can render with it, and of
an unCLIP whose three stages take as long.
"""

import json
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "model-export"))

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    PriorTransformer,
    StableDiffusionPipeline,
    UnCLIPPipeline,
    UnCLIPScheduler,
    UNet2DConditionModel,
    UNet2DModel,
)
from diffusers.pipelines.deprecated.unclip import UnCLIPTextProjModel
from lakegen_export.export import Request, export
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, PreTrainedTokenizerFast

SIZE, STEPS, GUIDANCE, BATCH = 256, 10, 7.5, 4
PROMPTS = 8
WORDS = 1000
LENGTH = 77


def make(folder: Path) -> None:
    torch.manual_seed(1)
    tokenizer = words()
    building = folder.with_suffix(".partial")
    shutil.rmtree(building, ignore_errors=True)
    one_stage(tokenizer).save_pretrained(building / "model")
    three_stages(tokenizer).save_pretrained(building / "unclip-model")
    packs = [("model", torch.float32, "float32"), ("model", torch.bfloat16, "bfloat16")]
    for model, dtype, name in [*packs, ("unclip-model", torch.float32, "unclip")]:
        export(Request(str(building / model), building / name, dtype=dtype, licence="Apache-2.0"), lambda line: None)
    shutil.rmtree(building / "unclip-model")
    rows = [
        {"id": i, "prompt": " ".join(str(2 + (7 * i + k) % (WORDS - 2)) for k in range(12))} for i in range(PROMPTS)
    ]
    (building / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    building.rename(folder)


def words() -> PreTrainedTokenizerFast:
    vocabulary = {"<end>": 0, "<start>": 1, **{str(i): i for i in range(2, WORDS)}}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<end>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<start>",
        eos_token="<end>",
        pad_token="<end>",
        unk_token="<end>",
        model_max_length=LENGTH,
    )


def one_stage(tokenizer: PreTrainedTokenizerFast) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        text_encoder=CLIPTextModel(CLIPTextConfig(vocab_size=WORDS, hidden_size=768, num_attention_heads=12)),
        unet=UNet2DConditionModel(
            sample_size=SIZE // 8,
            block_out_channels=(160, 320, 640, 640),
            cross_attention_dim=768,
            attention_head_dim=8,
        ),
        vae=AutoencoderKL(
            sample_size=SIZE,
            block_out_channels=(64, 128, 256, 256),
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
        tokenizer=tokenizer,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def three_stages(tokenizer: PreTrainedTokenizerFast) -> UnCLIPPipeline:
    """From texts to pictures of 32 pixels, and of 128."""
    width = 512

    def larger() -> UNet2DModel:
        return UNet2DModel(
            sample_size=SIZE // 2,
            in_channels=6,
            out_channels=3,
            block_out_channels=(64, 128, 192, 256),
            layers_per_block=1,
            down_block_types=("ResnetDownsampleBlock2D",) * 4,
            up_block_types=("ResnetUpsampleBlock2D",) * 4,
        )

    return UnCLIPPipeline(
        prior=PriorTransformer(
            num_attention_heads=8,
            attention_head_dim=64,
            num_layers=8,
            embedding_dim=width,
            num_embeddings=LENGTH,
            additional_embeddings=4,
        ),
        decoder=UNet2DConditionModel(
            sample_size=SIZE // 8,
            in_channels=3,
            out_channels=6,
            block_out_channels=(128, 256, 384, 512),
            cross_attention_dim=width,
            attention_head_dim=64,
            class_embed_type="identity",
            resnet_time_scale_shift="scale_shift",
            down_block_types=("ResnetDownsampleBlock2D", *("SimpleCrossAttnDownBlock2D",) * 3),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn",
            up_block_types=(*("SimpleCrossAttnUpBlock2D",) * 3, "ResnetUpsampleBlock2D"),
        ),
        text_encoder=CLIPTextModelWithProjection(
            CLIPTextConfig(vocab_size=WORDS, hidden_size=width, num_attention_heads=8, projection_dim=width)
        ),
        tokenizer=tokenizer,
        text_proj=UnCLIPTextProjModel(
            clip_extra_context_tokens=4, clip_embeddings_dim=width, time_embed_dim=512, cross_attention_dim=width
        ),
        super_res_first=larger(),
        super_res_last=larger(),
        prior_scheduler=UnCLIPScheduler(prediction_type="sample", clip_sample_range=5.0),
        decoder_scheduler=UnCLIPScheduler(variance_type="learned_range"),
        super_res_scheduler=UnCLIPScheduler(),
    )


def measure(folder: Path, threads: int) -> None:
    """Prints one line of JSON: seconds by the clock and of the processor for all prompts, and the images' shape."""
    torch.set_num_threads(threads)
    pipeline = StableDiffusionPipeline.from_pretrained(folder / "model", safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    lines = (folder / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    prompts = [json.loads(line)["prompt"] for line in lines]

    def run(some: list[str], steps: int):
        return pipeline(some, num_inference_steps=steps, guidance_scale=GUIDANCE, height=SIZE, width=SIZE).images

    run(prompts[:BATCH], 1)
    start, cpu = time.perf_counter(), time.process_time()
    images = [image for first in range(0, PROMPTS, BATCH) for image in run(prompts[first : first + BATCH], STEPS)]
    spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({**spent, "images": len(images), "width": images[0].width}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", folder]:
            make(Path(folder))
        case ["time", folder, threads]:
            measure(Path(folder), int(threads))
        case _:
            sys.exit("usage: render_diffusers.py make FOLDER | time FOLDER THREADS")
