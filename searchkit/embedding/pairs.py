"""Query and text to the token ids of one row, as cross-encoders read them. Knows no networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from searchkit.embedding.families import PLAIN, families
from searchkit.embedding.tokens import Tokens
from searchkit.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRows:
    """Tokenised pairs of one query and several texts, in order."""

    ids: tuple[npt.NDArray[np.int64], ...]  # each (length,), special tokens included, within the window
    sides: tuple[npt.NDArray[np.int64], ...]  # each (length,): 0 the query's tokens, 1 the text's

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(row) for row in self.ids]

    def padded(
        self, rows: Sequence[int], columns: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Some rows as a batch: ids, where tokens are, whose they are; each (rows, columns) int64."""
        ids, attended, sides = (np.zeros((len(rows), columns), dtype=np.int64) for _ in range(3))
        for at, row in enumerate(rows):
            length = len(self.ids[row])
            ids[at, :length], sides[at, :length], attended[at, :length] = self.ids[row], self.sides[row], 1
        return ids, attended, sides


class PairTokens:
    """A checkpoint's tokenizer with its window, for pairs of query and text."""

    def __init__(
        self, tokenizer: Tokenizer, *, max_tokens: int, vocabulary: int, lower_case: bool = False
    ) -> None:
        """vocabulary: rows of the network's embedding table."""
        self._tokens = Tokens(
            tokenizer,
            families()[PLAIN],
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            lower_case=lower_case,
        )
        self._before, self._between, self._after = _special_tokens(tokenizer)
        self.max_tokens = max_tokens
        self.room = max_tokens - sum(len(part[0]) for part in (self._before, self._between, self._after))
        if self.room < 2:
            raise ModelError(
                f"a window of {max_tokens} tokens leaves no room for query and text: "
                f"{max_tokens - self.room} are special tokens"
            )

    def rows(self, query: str, texts: Sequence[str]) -> PairRows:
        """Tokenise the query with each of the texts.

        What exceeds the window is cut from the end of the text, and from that of the query only where
        it fills more than half of the room and the text needs it: what `shares` says.
        """
        heads = self._tokens.rows([("", query), *(("", text) for text in texts)])
        first, last = len(self._tokens.prefix), len(self._tokens.suffix)
        bodies = [row[first : len(row) - last] for row in heads.ids]
        lengths = (heads.counts - first - last).tolist()
        ids, sides = [], []
        for body, length in zip(bodies[1:], lengths[1:], strict=True):
            of_query, of_text = shares(lengths[0], length, self.room)
            parts = (
                self._before,
                (bodies[0][:of_query], np.zeros(of_query, np.int64)),
                self._between,
                (body[:of_text], np.ones(of_text, np.int64)),
                self._after,
            )
            ids.append(np.concatenate([part[0] for part in parts]))
            sides.append(np.concatenate([part[1] for part in parts]))
        return PairRows(ids=tuple(ids), sides=tuple(sides))


def shares(query: int, text: int, room: int) -> tuple[int, int]:
    """How many tokens of a query and a text, of so many each, go into the room; the longer is cut first."""
    if query + text <= room:
        return query, text
    shorter = min(query, text, room // 2)
    return (shorter, room - shorter) if query <= text else (room - shorter, shorter)


_Part = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # ids, and whose they count as


def _special_tokens(tokenizer: Tokenizer) -> tuple[_Part, _Part, _Part]:
    """Special tokens before the query, between it and the text, and after the text.

    Raises:
        ModelError: the tokenizer does not tell query and text apart.
    """
    probe = tokenizer.encode("a", "a", add_special_tokens=True)
    # 0 for tokens of the query, 1 for those of the text, None for special ones.
    runs = [(owner, len(list(run))) for owner, run in groupby(probe.sequence_ids)]
    sides = [owner for owner, _ in runs]
    if sides not in ([None, 0, None, 1, None], [0, None, 1, None]):
        shown = " ".join(probe.tokens) or "nothing"
        raise ModelError(
            f"the tokenizer makes '{shown}' of the pair ('a', 'a'), expected special tokens between the two "
            "and after them",
            remedy="a cross-encoder's tokenizer.json holds the template it was trained with: copy it again",
        )
    ends = np.cumsum([sum(n for _, n in runs[:-4]), *(n for _, n in runs[-4:])])
    ids, types = np.array(probe.ids, dtype=np.int64), np.array(probe.type_ids, dtype=np.int64)
    spans = [slice(0, ends[0]), slice(ends[1], ends[2]), slice(ends[3], ends[4])]
    before, between, after = ((ids[span], types[span]) for span in spans)
    return before, between, after
