"""Every line of docs/architectures.md, on tiny random models."""

import pytest

from fixtures import architectures

PAGE = architectures.read(architectures.TABLE.read_text(encoding="utf-8"))
TRIALS = list(architectures.trials())


def test_the_page_has_a_line_for_every_trial():
    assert set(PAGE) == {(trial.task, trial.name) for trial in TRIALS}


@pytest.mark.parametrize(
    ("task", "least"),
    [
        ("text-generation", 30),
        ("feature-extraction", 12),
        ("text-classification", 8),
        ("text2text-generation", 6),
        ("image-to-text", 6),
    ],
)
def test_so_many_kinds_pass(task, least):
    passing = {
        name.split(" (")[0] if task != "image-to-text" else name
        for (of, name), why in PAGE.items()
        if of == task and not why
    }
    assert len(passing) >= least


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"{trial.task}-{trial.name}")
def test_outcome(trial):
    assert architectures.why_not(trial) == PAGE[trial.task, trial.name]
