"""Weights in float16 under float32 arithmetic: as the float32 model that has the same weights, row for row."""

import pytest
import torch
from test_decoders import Subject

from fixtures import tiny
from lakegen_export.families.causal import Causal


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def subject(request, exported):
    subject = Subject(request.param, exported(request.param, weights=torch.float16))
    tiny.round_linear(subject.model)
    return subject


def test_equals_the_float32_model_with_these_weights(subject):
    batch = subject.batch(3, slots=16)
    for row in range(3):
        batch.start(row, row)
    batch.check([[11, 12, 13, 14, 15, 16], [21, 22, 23], [31]])
    batch.check([[17], [24], [32]])
    batch.start(0, 3)
    batch.check([[41, 42], [25], [33]])


def test_a_row_is_the_same_to_the_last_bit_beside_any_others(subject):
    found = []
    for rows in (1, 2, 3, 4, 7, 16):
        batch = subject.batch(rows, slots=32)
        for row in range(rows):
            batch.start(row, 0)
        steps = [[[5 + row]] * rows for row in range(3)]
        found.append([batch.step([*tokens[:-1], tokens[0]])[-1] for tokens in steps])
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


def test_the_pack_says_so_and_how_well_it_writes(subject):
    assert subject.pack.spec["dtype"] == "float16_weights"
    assert any("tokens that the model writes in float32" in line for line in subject.pack.reports)


def test_float32_is_not_asked_how_well_it_writes(exported):
    assert not any("writes in float32" in line for line in exported("llama").reports)


def test_bfloat16_is(exported):
    assert any("writes in float32" in line for line in exported("llama", dtype=torch.bfloat16).reports)


def test_a_graph_that_writes_badly_is_refused(source):
    family = Causal(Causal.load(source("llama")), torch.bfloat16)

    def worse(**_inputs):
        return [torch.linspace(0, 9, family.vocabulary)[None]]

    with pytest.raises(ValueError, match=r"perplexity [\d.]+ times that of float32 \(expected: at most 1.05 times\)"):
        family.agreement({"decoder": worse}, [[5, 6, 7]])
