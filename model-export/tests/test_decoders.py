"""Decoder graphs against the models they were traced from, the way a batch server drives them."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BlipForConditionalGeneration,
    VisionEncoderDecoderModel,
)

from fixtures import architectures, tiny
from lakegen_export import golden
from lakegen_export.families.causal import Causal

TEXT = ["gpt2", "llama", "mistral", "qwen2"]
SEQ2SEQ = ["t5", "bart"]
VISION = ["git", "blip", "vit-gpt2"]
LOADERS = {
    **dict.fromkeys([*TEXT, "git"], AutoModelForCausalLM),
    **dict.fromkeys(SEQ2SEQ, AutoModelForSeq2SeqLM),
    "blip": BlipForConditionalGeneration,
    "vit-gpt2": VisionEncoderDecoderModel,
}


class Subject:
    """A pack beside its reference model, with one context (picture, text to read) for each of some sequences."""

    def __init__(self, name, pack):
        self.name = name
        self.pack = pack
        self.model = LOADERS[name].from_pretrained(pack.source, dtype=torch.float32).eval()
        self.prefix = pack.spec["cache"]["prefix"]
        self.contexts = self._contexts()

    def _contexts(self):
        if self.name in VISION:
            pixels = golden.tensor(golden.sine("pixels", (5, 3, 32, 32)))
            return [{"pixel_values": pixels[i : i + 1]} for i in range(5)]
        if self.name in SEQ2SEQ:
            prompts = tiny.prompts(tiny.byte_level_bpe(320, enclose=True))
            return [{"input_ids": torch.tensor([prompt])} for prompt in prompts[1:6]]
        return [{}] * 5

    def expected(self, tokens, number):
        """Logits after `tokens`, by the model itself, alone and without a cache."""
        ids = torch.tensor([tokens])
        key = "decoder_input_ids" if self.name in [*SEQ2SEQ, "vit-gpt2"] else "input_ids"
        with torch.no_grad():
            return self.model(**{key: ids}, **self.contexts[number]).logits[0, -1]

    def batch(self, rows, slots):
        return Batch(self, rows, slots)


class Batch:
    """Rows that share a cache; each holds a sequence and the number of its context."""

    def __init__(self, subject, rows, slots):
        self.subject = subject
        self.graphs = subject.pack.graphs
        self.cache = subject.pack.cache(rows, subject.prefix + slots)
        self.rows = [None] * rows
        self.cross = [None] * rows

    def start(self, row, number):
        """Gives a row to another sequence."""
        subject = self.subject
        self.rows[row] = ([], number)
        context = subject.contexts[number]
        with torch.no_grad():
            if subject.name == "git":
                self.graphs["encoder"](pixels=context["pixel_values"], cache=self.cache[:, :, row : row + 1])
            elif subject.name in VISION:
                self.cross[row] = self.graphs["encoder"](pixels=context["pixel_values"])
            elif subject.name in SEQ2SEQ:
                ids = context["input_ids"]
                self.cross[row] = self.graphs["encoder"](input_ids=ids, attention_mask=torch.ones_like(ids))

    def step(self, tokens, view=None):
        """Logits of every row after its new tokens; rows with fewer tokens than others are padded."""
        length = max(map(len, tokens))
        ids, slots, last = [], [], []
        for (sequence, _), new in zip(self.rows, tokens, strict=True):
            start = self.subject.prefix + len(sequence)
            ids.append(new + [7] * (length - len(new)))
            slots.append(range(start, start + length))
            last.append(len(new) - 1)
            sequence += new
        inputs = {
            "input_ids": torch.tensor(ids),
            "slots": torch.tensor([list(row) for row in slots]),
            "last": torch.tensor(last),
            "cache": self.cache if view is None else self.cache[:, :, :, :, : self.subject.prefix + view],
        }
        layout = self.subject.pack.spec["cache"]
        if layout.get("commonPrefix"):
            layers, heads, size = layout["layers"], layout["heads"], layout["headDim"]
            inputs["common_keys"] = torch.zeros(layers, heads, 0, size)
            inputs["common_values"] = torch.zeros(layers, heads, size, 0)
            inputs["offset"] = torch.zeros(len(ids), dtype=torch.int64)
        if self.cross[0] is not None:
            longest = max(mask.shape[1] for _, mask in self.cross)
            inputs["cross"] = torch.cat(
                [torch.nn.functional.pad(keys, (0, 0, 0, longest - keys.shape[4])) for keys, _ in self.cross], dim=2
            )
            inputs["mask"] = torch.cat(
                [torch.nn.functional.pad(mask, (0, longest - mask.shape[1])) for _, mask in self.cross]
            )
        with torch.no_grad():
            return self.graphs["decoder"](**inputs)[0]

    def check(self, tokens, view=None):
        actual = self.step(tokens, view)
        expected = torch.stack([self.subject.expected(*row) for row in self.rows])
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5 * max(1.0, expected.abs().max().item()))
        return actual


@pytest.fixture(scope="module", params=[*TEXT, *SEQ2SEQ, *VISION])
def subject(request, exported):
    return Subject(request.param, exported(request.param))


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_unequal_rows_and_single_steps_equal_the_model(subject, rows):
    batch = subject.batch(rows, slots=24)
    for row in range(rows):
        batch.start(row, row)
    batch.check([[5 + row] * (1 + 3 * row) for row in range(rows)], view=16)
    batch.check([[40 + row] for row in range(rows)])
    batch.check([[80 + row] * (3 if row == 0 else 1) for row in range(rows)])


def test_a_row_that_joins_a_running_batch_equals_the_model(subject):
    batch = subject.batch(3, slots=20)
    for row in range(3):
        batch.start(row, row)
    batch.check([[11, 12, 13, 14, 15, 16], [21, 22, 23], [31]])
    batch.check([[17], [24], [32]])
    batch.start(0, 3)
    batch.check([[41, 42], [25], [33]])
    batch.start(2, 4)
    batch.check([[43], [26], [51]])
    batch.check([[44], [27], [52]])


def test_smallest_shapes(subject):
    batch = subject.batch(1, slots=1)
    batch.start(0, 0)
    batch.check([[9]])


def test_rows_may_be_reordered(subject):
    batch = subject.batch(2, slots=8)
    batch.start(0, 0)
    batch.start(1, 1)
    batch.check([[5, 6, 7], [8, 9]])
    batch.cache = batch.cache[:, :, [1, 1]].clone()
    batch.rows = [([*batch.rows[1][0]], 1), ([*batch.rows[1][0]], 1)]
    batch.cross = [batch.cross[1]] * 2
    batch.check([[70], [71]])


def test_greedy_tokens_equal_generate_when_four_prompts_share_two_rows(subject):
    name, model = subject.name, subject.model
    start = {"t5": 0, "bart": 2}.get(name, 1)
    prompts = tiny.prompts(tiny.byte_level_bpe(320))[:4] if name in TEXT else [[start]] * 4
    wanted = []
    for number, prompt in enumerate(prompts):
        options = {"max_new_tokens": 6 + number, "do_sample": False, "eos_token_id": None, **subject.contexts[number]}
        if name in TEXT:
            options["input_ids"] = torch.tensor([prompt])
        if name == "bart":
            options["forced_eos_token_id"] = None
            model.generation_config.forced_eos_token_id = None
        if name == "blip":
            del options["eos_token_id"]
            model.config.text_config.sep_token_id = -1
        with torch.no_grad():
            wanted.append(model.generate(**options)[0, len(prompt) :].tolist())

    batch = subject.batch(2, slots=32)
    found = [[], [], [], []]
    waiting, serving, tokens = [2, 3], [0, 1], [prompts[0], prompts[1]]
    batch.start(0, 0)
    batch.start(1, 1)
    while any(len(found[n]) < 6 + n for n in range(4)):
        best = batch.step(tokens).argmax(1).tolist()
        for row, token in enumerate(best):
            number = serving[row]
            if len(found[number]) < 6 + number:
                found[number].append(token)
            tokens[row] = [token]
            if len(found[number]) == 6 + number and waiting:
                serving[row] = waiting.pop(0)
                batch.start(row, serving[row])
                tokens[row] = list(prompts[serving[row]])
    assert found == wanted


def test_heads_that_share_keys_read_the_cache_where_it_is(exported):
    subject = Subject("llama", exported("llama"))
    batch = subject.batch(2, slots=8)
    batch.start(0, 0)
    batch.start(1, 1)
    with torch.profiler.profile(record_shapes=True) as profile:
        batch.step([[5, 6, 7], [8, 9]])
    calls = [event for event in profile.events() if event.name == "aten::scaled_dot_product_attention"]
    keys = [[shape for shape in call.input_shapes if len(shape) == 4][1] for call in calls]
    layout = subject.pack.spec["cache"]
    assert keys == [[2, layout["heads"], 8, layout["headDim"]]] * layout["layers"]
    assert subject.model.config.num_attention_heads > layout["heads"]


TRIALS = {trial.name: trial for trial in architectures.trials() if trial.task == "text-generation"}


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("gpt2", True),
        ("llama", True),
        ("mixtral", True),
        pytest.param("ministral", False, id="a window"),
        pytest.param("gemma3_text", False, id="windows in some layers"),
        pytest.param("gpt_oss", False, id="sinks"),
        pytest.param("gemma2", False, id="a soft cap"),
        pytest.param("deepseek_v3", False, id="keys and values of two sizes"),
        pytest.param("diffllama", False, id="values that aren't as they were kept"),
        pytest.param("bloom", False, id="attention of its own"),
    ],
)
def test_which_attention_takes_a_common_prefix(name, takes):
    assert Causal(TRIALS[name].make(), torch.float32).takes_common_prefix is takes


def test_a_pack_with_a_float16_cache_takes_no_common_prefix():
    family = Causal(TRIALS["llama"].make(), torch.float16)
    assert "commonPrefix" not in family.manifest()["cache"]
