"""The texts that a faster way of computing is judged on, and the judgement. Knows no runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from searchkit.arrays import Float32Matrix
from searchkit.embedding.hashes import value_sha256
from searchkit.export import quantise

if TYPE_CHECKING:
    from searchkit.embedding.tokens import TokenRows, Tokens

# A way of computing as close as this to float32 ranks alike: its vectors may share a Collection with them.
MIN_COSINE = 0.9999
# How far a text's vector may depend on the texts it is embedded with, in any component.
MAX_COMPANY_EFFECT = 1e-5
# Calibration ends here, although a network may read on: quadratic attention would take minutes.
LONGEST_CALIBRATION = 512  # tokens
JOINED = (0.5, 0.75, 1.0)  # lengths of texts put together, as shares of the window
# Put before every second text where Instructions stay out of the pooling: masks shape vectors, too.
INSTRUCTION = "Represent the sentence for retrieval: "
# Batches of which all layers' inputs are kept at once: 0.3 MB per token for a network of T5-base's size.
WATCHED_TOKENS = 512
# Of the linear layers this share may stay in float32 before 8 bits are no longer worth it.
MOST_SPARED = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How another way of computing compares with float32 on the calibration texts."""

    min_cosine: float
    company_effect: float  # largest difference of a component, row alone against row among others
    mean_cosine: float

    @property
    def interchangeable(self) -> bool:
        """Whether documents embedded one way may be searched with queries embedded the other."""
        return self.min_cosine >= MIN_COSINE and self.company_effect <= MAX_COMPANY_EFFECT


def parity_of(exact: Float32Matrix, together: Float32Matrix, alone: Float32Matrix) -> Parity:
    """Compare rows: in float32, another way in batches, another way one by one; all (n, dim) of length 1."""
    cosines = (exact * together).sum(1)
    return Parity(
        min_cosine=float(cosines.min()),
        mean_cosine=float(cosines.mean()),
        company_effect=float(np.abs(together - alone).max()),
    )


def calibration_texts() -> list[str]:
    """Texts of one token to a long paragraph, in several languages and scripts."""
    return _lines("calibration.txt")


@cache
def calibration_sha256() -> str:
    """A hash of all that judgements and 8-bit scales come from, beside the model and the code itself."""
    judged = [calibration_texts(), LONGEST_CALIBRATION, JOINED, INSTRUCTION]
    scaled = [_lines("quantisation.txt"), WATCHED_TOKENS, MOST_SPARED, *quantise.CONSTANTS]
    return value_sha256([judged, scaled])


def parity_rows(tokens: Tokens, position_limit: int | None) -> TokenRows:
    """The calibration texts as the network reads them, some joined so that lengths reach its window.

    position_limit: of the network, None for none. The window is the network's, not that which whoever opens
    the model asks for: what is found out once holds for all.
    """
    return _rows(tokens, position_limit, calibration_texts())


def quantisation_rows(tokens: Tokens, position_limit: int | None) -> TokenRows:
    """Other texts, whose activations the scales of 8-bit layers are taken from: no judge in its own cause."""
    return _rows(tokens, position_limit, _lines("quantisation.txt"))


def _rows(tokens: Tokens, position_limit: int | None, texts: Sequence[str]) -> TokenRows:
    window = min(position_limit or LONGEST_CALIBRATION, LONGEST_CALIBRATION)
    backwards = texts[::-1]
    counts = np.cumsum(tokens.count(backwards))
    joined = []
    for share in JOINED:
        enough = min(int(np.searchsorted(counts, share * window)) + 1, len(texts))
        joined.append(" ".join(backwards[:enough]))
    instructions = ("", INSTRUCTION if tokens.masks_instructions else "")
    pairs = [(instructions[at % 2], text) for at, text in enumerate((*texts, *joined))]
    return tokens.windowed(window).rows(pairs)


def _lines(name: str) -> list[str]:
    file = resources.files("searchkit").joinpath("embedding", name)
    return file.read_text(encoding="utf-8").splitlines()
