"""The texts that a faster way of computing is judged on, and the judgement. Knows no runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from searchkit.arrays import Float32Matrix

if TYPE_CHECKING:
    from searchkit.embedding.tokens import TokenRows, Tokens

# A way of computing as close as this to float32 ranks alike: its vectors may share a Collection with them.
MIN_COSINE = 0.9999
# How far a text's vector may depend on the texts it is embedded with, in any component.
MAX_COMPANY_EFFECT = 1e-5
# Calibration ends here, although a window may be longer: quadratic attention would take minutes.
LONGEST_CALIBRATION = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How another way of computing compares with float32 on the calibration texts."""

    min_cosine: float
    company_effect: float  # largest difference of a component, row alone against row among others
    mean_cosine: float = 1.0

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


def parity_rows(tokens: Tokens) -> TokenRows:
    """The calibration texts as the network reads them, some joined so that lengths reach the window."""
    return _rows(tokens, calibration_texts())


def quantisation_rows(tokens: Tokens) -> TokenRows:
    """Other texts, whose activations the scales of 8-bit layers are taken from: no judge in its own cause."""
    return _rows(tokens, _lines("quantisation.txt"))


def _rows(tokens: Tokens, texts: Sequence[str]) -> TokenRows:
    window = min(tokens.max_tokens, LONGEST_CALIBRATION)
    backwards = texts[::-1]
    counts = np.cumsum(tokens.count(backwards))
    joined = []
    for share in (0.5, 0.75, 1.0):
        enough = min(int(np.searchsorted(counts, share * window)) + 1, len(texts))
        joined.append(" ".join(backwards[:enough]))
    return tokens.rows([("", text) for text in (*texts, *joined)])


def _lines(name: str) -> list[str]:
    file = resources.files("searchkit").joinpath("embedding", name)
    return file.read_text(encoding="utf-8").splitlines()
