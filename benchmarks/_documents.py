"""Synthetic documents: seeded, so that every run measures the same texts."""

from __future__ import annotations

import random
from pathlib import Path

PASSAGES_PER_FILE = 10
WORDS_PER_PASSAGE = 35  # made-up words cost a tokenizer three tokens: as many as 70 words of prose
PARTS = 50  # folders

# Letters of a pronounceable word: tokenizers cut it as they cut names, into two to four pieces.
_HEADS = [*"bcdfgklmnprstv", "br", "cl", "dr", "pl", "st", "tr"]
_TAILS = [*"aeiou", "ai", "ea", "ou", "an", "er", "in", "on"]


def vocabulary(size: int, seed: int) -> list[str]:
    """Made-up words."""
    dice = random.Random(seed)
    words = set()
    while len(words) < size:
        words.add("".join(dice.choice(_HEADS) + dice.choice(_TAILS) for _ in range(dice.randint(1, 4))))
    return sorted(words)


def write_documents(
    folder: Path,
    files: int,
    *,
    passages: int = PASSAGES_PER_FILE,
    words: int = WORDS_PER_PASSAGE,
    seed: int = 1,
) -> None:
    """Write Markdown files of about so many passages each, under a heading each, into sub-folders."""
    dice = random.Random(seed)
    known = vocabulary(20_000, seed)
    for number in range(files):
        place = folder / f"part{number % PARTS:02}"
        place.mkdir(parents=True, exist_ok=True)
        sections = [
            f"## {' '.join(dice.choices(known, k=4)).capitalize()}\n\n"
            f"{' '.join(dice.choices(known, k=words)).capitalize()}.\n"
            for _ in range(passages)
        ]
        text = f"# Document {number}\n\n" + "\n".join(sections)
        (place / f"document{number:06}.md").write_text(text, encoding="utf-8")
