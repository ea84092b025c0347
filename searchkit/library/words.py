"""What the full-text index holds of a text.

Languages written without spaces are indexed as pairs of neighbouring characters, so that any part of a word
of two characters or more is found. The words follow from the text alone: the index keeps no copy of it, and a
row is taken out by giving the same words again. So a change here needs a migration that indexes anew.
"""

from __future__ import annotations

import re
import unicodedata

# Han, kana, Hangul, Thai, Lao, Burmese, Khmer: no spaces between words, or long compounds between spaces.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = re.compile(f"[{UNSPACED}]+")


def words(text: str) -> str:
    """The text as it is indexed: compatibility forms unified, runs without spaces as pairs of characters."""
    return _RUN.sub(lambda run: f" {_pairs(run[0])} ", unicodedata.normalize("NFKC", text))


def is_unspaced(text: str) -> bool:
    """Whether all of it is written without spaces."""
    return _RUN.fullmatch(text) is not None


def _pairs(run: str) -> str:
    return " ".join(run[i : i + 2] for i in range(len(run) - 1)) or run
