"""The Python side of `./lakegen bench prefix`.

    python prefix_transformers.py make FOLDER    SmolLM2-135M-Instruct, its pack, 1,000 tokens of examples, 64 prompts
    python prefix_transformers.py time FOLDER NEW_TOKENS THREADS BATCH...

`time` computes the keys and values of the shared tokens once, copies them by hand for every batch and lets
`transformers.generate` go on from there, as its documentation says. Computing the shared part is not in its time.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "model-export"))

import torch
from fixtures import smollm2
from lakegen_export.export import Request, export
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.utils import logging

GGUF = "model.gguf"
SHARED_TOKENS = 1000
TEMPLATE = "Question: {prompt} Answer:"
THINGS = """
lake river bridge tower engine candle mirror violin garden harbour mountain library kitchen railway balloon
compass pepper lantern blanket orchard meadow glacier desert island village market temple castle statue
fountain tunnel carpet bottle basket hammer needle ladder saddle anchor rudder sail propeller telescope
microscope camera radio piano trumpet drum flute guitar pencil notebook stamp envelope coin ticket passport
suitcase umbrella jacket boot scarf hat
""".split()  # noqa: SIM905 - a list would be a line a word


def common(rows: list[list[int]]) -> int:
    """Tokens that all rows begin with; the last token of a row is none of them."""
    shortest = min(map(len, rows)) - 1
    return next((i for i in range(shortest) if len({row[i] for row in rows}) > 1), shortest)


def make(folder: Path) -> None:
    building = folder.with_suffix(".partial")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        gguf = smollm2.download(Path(scratch))
        shutil.move(gguf, building / GGUF)
    export(Request(str(building / GGUF), building / "pack", licence="Apache-2.0"))
    tokenizer = AutoTokenizer.from_pretrained(building, gguf_file=GGUF)
    examples, shots = [], ""
    while len(tokenizer(shots)["input_ids"]) < SHARED_TOKENS:
        prompt, output = smollm2.EXAMPLES[len(examples) % len(smollm2.EXAMPLES)]
        examples.append({"prompt": prompt, "output": output})
        shots += f"{TEMPLATE.format(prompt=prompt)} {output}\n\n"
    asked = [f"What can one do with a {thing}?" for thing in THINGS]
    rows = [{"id": i, "prompt": p, "text": shots + TEMPLATE.format(prompt=p)} for i, p in enumerate(asked)]
    for name, lines in (("examples", examples), ("prompts", rows)):
        (building / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    building.rename(folder)


def measure(folder: Path, new_tokens: int, threads: int, batches: list[int]) -> None:
    """Prints one line of JSON: the best batch's seconds, the tokens for each prompt, and how many tokens are shared."""
    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
    lines = (folder / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [tokenizer(json.loads(line)["text"])["input_ids"] for line in lines]
    shared = common(rows)

    def prefix() -> DynamicCache:
        cache = DynamicCache(config=model.config)
        model(torch.tensor([rows[0][:shared]]), past_key_values=cache)
        return cache

    def copied(cache: DynamicCache, times: int) -> DynamicCache:
        copies = DynamicCache(config=model.config)
        for number, layer in enumerate(cache.layers):
            copies.update(
                layer.keys.expand(times, -1, -1, -1).clone(), layer.values.expand(times, -1, -1, -1).clone(), number
            )
        return copies

    def run(cache: DynamicCache, some: list[list[int]], length: int) -> list[list[int]]:
        own = [row[shared:] for row in some]
        padded = max(map(len, own))
        ids = [rows[0][:shared] + [0] * (padded - len(one)) + one for one in own]
        mask = [[1] * shared + [0] * (padded - len(one)) + [1] * len(one) for one in own]
        output = model.generate(
            torch.tensor(ids),
            attention_mask=torch.tensor(mask),
            past_key_values=copied(cache, len(some)),
            do_sample=False,
            min_new_tokens=length,
            max_new_tokens=length,
            pad_token_id=0,
        )
        return output[:, shared + padded :].tolist()

    with torch.no_grad():
        start = time.perf_counter()
        cache = prefix()
        prefix_seconds = time.perf_counter() - start
        run(cache, rows[:2], 2)
        best, tokens = {}, []
        for batch in batches:
            start, cpu = time.perf_counter(), time.process_time()
            tokens = []
            for first in range(0, len(rows), batch):
                tokens += run(cache, rows[first : first + batch], new_tokens)
            spent = {
                "batch": batch,
                "seconds": time.perf_counter() - start,
                "cpu_seconds": time.process_time() - cpu,
            }
            if not best or spent["seconds"] < best["seconds"]:
                best = spent
    print(json.dumps({**best, "prefix_seconds": prefix_seconds, "shared": shared, "tokens": tokens}))


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    match sys.argv[1:]:
        case ["make", folder]:
            make(Path(folder))
        case ["time", folder, new_tokens, threads, *batches] if batches:
            measure(Path(folder), int(new_tokens), int(threads), list(map(int, batches)))
        case _:
            sys.exit("usage: prefix_transformers.py make FOLDER | time FOLDER NEW_TOKENS THREADS BATCH...")
