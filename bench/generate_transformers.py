"""The Python side of `./lakegen bench generate`.

    python generate_transformers.py make FOLDER    a GPT-2-small with random weights, its pack, 64 prompts
    python generate_transformers.py time FOLDER BATCH THREADS    `transformers.generate` over the prompts

The lengths of the outputs follow a geometric law. So that nobody but the model knows when a text ends, the first token
of a prompt is the position of its end token, and the model forbids the end token before that position and forces it
there: in the pack the decoder graph does it, which keeps the first token in a spare layer of the cache, and in
`transformers` a logits processor.
"""

import copy
import dataclasses
import json
import os
import random
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "model-export"))

import torch
from lakegen_export import pack
from lakegen_export.families.base import Graph
from lakegen_export.families.causal import Causal
from lakegen_export.families.decoding import example_inputs
from lakegen_export.source import Tokenizer as PackTokenizer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerFast,
    set_seed,
)
from transformers.utils import logging

PROMPTS = 64
MEAN, SHORTEST, LONGEST = 50, 5, 200
EOS = 0
FORCE = 50.0  # logits of a model with random weights are within a few units of 0


def force(logits: torch.Tensor, next_position: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Logits [B, V] with the end token forced at position `end` and forbidden before; positions are [B]."""
    push = torch.where(next_position >= end, FORCE, -FORCE)
    return torch.cat([push[:, None].type_as(logits), logits[:, 1:]], 1)


class Decoder(torch.nn.Module):
    """The exporter's decoder, with a last cache layer that holds the token ids of the row."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, input_ids, slots, last, cache):
        logits = self.decoder(input_ids, slots, last, cache[:-1])
        ids = cache[-1, 0, :, 0, :, 0]
        ids.scatter_(1, slots, input_ids.type_as(ids))
        newest = slots.gather(1, last[:, None]).squeeze(1)
        return force(logits, newest + 1, ids[:, 0])


class EndAware(Causal):
    def __init__(self, reference, dtype):
        super().__init__(reference, dtype)
        self.layout = dataclasses.replace(self.layout, layers=self.layout.layers + 1)

    def graphs(self):
        inner = super().graphs()["decoder"].module
        return {
            "decoder": Graph(Decoder(copy.deepcopy(inner)), example_inputs(self.cache_shape(2, 8), self.cache_dtype))
        }

    def logits(self, ids, row):
        end = torch.tensor([float(ids[0])])
        return force(super().logits(ids, row)[None], torch.tensor([len(ids)]), end)[0]


class EndProcessor(LogitsProcessor):
    def __init__(self, padded: int, lengths: list[int]):
        self.padded = padded
        self.lengths = torch.tensor(lengths)

    def __call__(self, input_ids, scores):
        generated = torch.full_like(self.lengths, input_ids.shape[1] - self.padded)
        return force(scores, generated + 1, self.lengths)


def make(folder: Path) -> None:
    set_seed(1)
    config = GPT2Config(bos_token_id=EOS, eos_token_id=EOS, pad_token_id=EOS)
    model = GPT2LMHeadModel(config).eval()
    vocabulary = {"<end>": EOS, **{str(i): i for i in range(1, config.vocab_size)}}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<end>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<end>", unk_token="<end>")
    building = folder.with_suffix(".partial")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    model.save_pretrained(building / "model")
    family = EndAware(model, torch.float32)
    manifest = {
        "tasks": {family.task: family.section()},
        "family": "gpt2",
        "engine": "PyTorch",
        "dtype": "float32",
        "tokenizer": PackTokenizer(tokenizer, family.context).manifest(),
        **family.manifest(),
        "source": {"id": "random-gpt2-small", "revision": "local", "licence": "Apache-2.0"},
    }
    pack.write(family, manifest, PackTokenizer(tokenizer, family.context), None, building / "pack")
    draw = random.Random(2)
    prompts = []
    while len(prompts) < PROMPTS:
        length = 1
        while draw.random() > 1 / MEAN:
            length += 1
        if SHORTEST <= length <= LONGEST:
            ids = [draw.randrange(1000, config.vocab_size) for _ in range(draw.randint(8, 24))]
            ids[0] = len(ids) + length - 1
            prompts.append({"id": len(prompts), "prompt": " ".join(map(str, ids)), "length": length})
    lines = "".join(json.dumps(prompt) + "\n" for prompt in prompts)
    (building / "prompts.jsonl").write_text(lines, encoding="utf-8")
    building.rename(folder)


def measure(folder: Path, batch: int, threads: int) -> None:
    """Prints one line of JSON: seconds by the clock and of the processor, and the tokens generated for each prompt."""
    torch.set_num_threads(threads)
    model = GPT2LMHeadModel.from_pretrained(folder / "model").eval()
    rows = [json.loads(line) for line in (folder / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]

    def run(some: list[dict], longest: int) -> list[list[int]]:
        ids = [list(map(int, row["prompt"].split())) for row in some]
        padded = max(map(len, ids))
        inputs = torch.tensor([[EOS] * (padded - len(one)) + one for one in ids])
        mask = torch.tensor([[0] * (padded - len(one)) + [1] * len(one) for one in ids])
        ends = EndProcessor(padded, [row["length"] for row in some])
        output = model.generate(
            inputs,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=longest,
            logits_processor=LogitsProcessorList([ends]),
        )
        return [one[padded:][: row["length"]].tolist() for one, row in zip(output, some, strict=True)]

    with torch.no_grad():
        run(rows[:batch], 8)
        start, cpu = time.perf_counter(), time.process_time()
        tokens = []
        for first in range(0, len(rows), batch):
            tokens += run(rows[first : first + batch], LONGEST)
        spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({**spent, "tokens": tokens}))


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    match sys.argv[1:]:
        case ["make", folder]:
            make(Path(folder))
        case ["time", folder, batch, threads]:
            measure(Path(folder), int(batch), int(threads))
        case _:
            sys.exit("usage: generate_transformers.py make FOLDER | time FOLDER BATCH THREADS")
