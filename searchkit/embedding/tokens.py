"""Instruction and text to token ids: window, special tokens, masked prefix. Knows no networks."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from searchkit.arrays import Int64Vector
from searchkit.embedding.families import Family
from searchkit.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
COMMON_FIRST_WORDS = ("the", "a", "how", "in", "s", "1", "The")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRows:
    """Tokenised (Instruction, text) pairs, in order."""

    ids: tuple[npt.NDArray[np.int64], ...]  # each (length,), special tokens included, within the window
    masked: Int64Vector  # leading tokens that take no part in pooling
    counts: Int64Vector  # tokens before truncation, special tokens included

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row, within the window."""
        return [len(row) for row in self.ids]


class Tokens:
    """A checkpoint's tokenizer with its window and its family's way of reading."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        family: Family,
        *,
        max_tokens: int,
        vocabulary: int,  # rows of the network's embedding table
        lower_case: bool = False,
        bos_token: str = "",
        eos_token: str = "",
    ) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._reading = family.reading
        self._vocabulary = vocabulary
        self._lower_case = lower_case
        self.max_tokens = max_tokens
        self.prefix, self.suffix = self._special_tokens(bos_token, eos_token)
        self._check_room()

    @property
    def special_tokens(self) -> int:
        """Tokens that are put around every text."""
        return len(self.prefix) + len(self.suffix)

    @property
    def description(self) -> str:
        """What shapes ids, as JSON: the tokenizer itself, the tokens around a text, lower-casing."""
        return f"{self._tokenizer.to_str()}{self.prefix}{self.suffix}{self._lower_case}"

    def windowed(self, max_tokens: int) -> Tokens:
        """The same tokens cut to another window."""
        other = copy.copy(self)
        other.max_tokens = max_tokens
        other._check_room()
        return other

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without special tokens, untruncated."""
        return [len(ids) for ids in self._encode(texts)]

    def rows(self, pairs: Sequence[tuple[str, str]]) -> TokenRows:
        """Tokenise (Instruction, text) pairs.

        What exceeds the window is cut from the end, before the closing special tokens.
        """
        room = self.max_tokens - self.special_tokens
        prefix, suffix = list(self.prefix), list(self.suffix)
        bodies = self._encode([self.composed(instruction, text) for instruction, text in pairs])
        masked = self._masked_tokens({instruction for instruction, _ in pairs})
        return TokenRows(
            ids=tuple(np.array(prefix + body[:room] + suffix, dtype=np.int64) for body in bodies),
            masked=np.array([masked[instruction] for instruction, _ in pairs], dtype=np.int64),
            counts=np.array([len(body) + self.special_tokens for body in bodies], dtype=np.int64),
        )

    def composed(self, instruction: str, text: str) -> str:
        """The string that is tokenised for a pair."""
        reading = self._reading
        if reading.strip_instruction:
            instruction = instruction.strip()
        if reading.strip_text:
            text = text.strip()
        whole = f"{instruction}{reading.separator if instruction else ''}{text}"
        return whole.strip() if reading.strip_text else whole

    def border_merges(self, instruction: str) -> bool:
        """Whether common words, put after the Instruction, melt with its end into one token.

        The mask counts tokens of the Instruction alone: it is then off by a token for such texts.
        """
        if not instruction.strip():
            return False
        alone = self._encode([self.composed(instruction, "")])[0]
        joined = self._encode([self.composed(instruction, word) for word in COMMON_FIRST_WORDS])
        return any(ids[: len(alone)] != alone for ids in joined)

    def _masked_tokens(self, instructions: set[str]) -> dict[str, int]:
        """Per Instruction, the leading tokens that stay out of the pooling.

        Counted as the reference does, from the Instruction tokenised alone within the window, less
        its closing special token: an Instruction that fills the window leaves only that one to pool.
        """
        if self._reading.pool_instruction:
            return dict.fromkeys(instructions, 0)
        given = sorted(filter(None, instructions))
        masked = {"": 0}
        for instruction, body in zip(given, self._encode([self._alone(i) for i in given]), strict=True):
            count = min(len(body) + self.special_tokens, self.max_tokens) - bool(self.suffix)
            masked[instruction] = count if body and count >= self._reading.min_mask_tokens else 0
        return masked

    def _alone(self, instruction: str) -> str:
        return instruction.strip() if self._reading.strip_text else instruction

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        cleaned = [_cleaned(text) for text in texts]
        if self._lower_case:
            cleaned = [text.lower() for text in cleaned]
        encodings = self._tokenizer.encode_batch_fast(cleaned, add_special_tokens=False)
        bodies = [encoding.ids for encoding in encodings]
        if self._tokenizer.get_vocab_size() > self._vocabulary:
            # Tokens for images and the like may lie beyond the network's table: a text that spells
            # one would read outside of it.
            bodies = [[i if i < self._vocabulary else 0 for i in body] for body in bodies]
        return bodies

    def _check_room(self) -> None:
        if self.max_tokens <= self.special_tokens:
            raise ModelError(
                f"a window of {self.max_tokens} tokens leaves no room for text: "
                f"{self.special_tokens} are special tokens"
            )

    def _special_tokens(self, bos_token: str, eos_token: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids put before and after every text: what the tokenizer puts, and what the family insists on."""
        probe = self._tokenizer.encode("a", add_special_tokens=True)
        marks = probe.special_tokens_mask
        if 0 not in marks:
            raise ModelError("the tokenizer makes no token of the text 'a'")
        first, last = marks.index(0), len(marks) - marks[::-1].index(0)
        prefix, suffix = probe.ids[:first], probe.ids[last:]
        if bos_token and self._id_of(bos_token) not in prefix:
            prefix = [self._id_of(bos_token), *prefix]
        if eos_token and self._id_of(eos_token) not in suffix:
            suffix = [*suffix, self._id_of(eos_token)]
        return tuple(prefix), tuple(suffix)

    def _id_of(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise ModelError(f"the tokenizer has no token {token!r}, which the model is read with")
        return int(found)


def _cleaned(text: str) -> str:
    """The text without halves of surrogate pairs, which no tokenizer can encode."""
    return text if text.isascii() else LONE_SURROGATE.sub(REPLACEMENT, text)
