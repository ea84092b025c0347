"""Instruction and text to token ids: window, special tokens, masked prefix. Knows no networks."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from searchkit.arrays import BoolVector, Int64Vector
from searchkit.embedding.families import Family
from searchkit.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
COMMON_FIRST_WORDS = ("the", "a", "how", "in", "s", "1", "The")

# Of a text only so much is tokenised as fills the window: an Encoding costs a hundred times its text.
HEAD_CHARACTERS_PER_TOKEN = 16  # the first attempt; prose has 2 to 6
SMALLEST_HEAD = 4096  # characters; far above the longest word that WordPiece looks at (100)
# Tokens that have to follow the window: where a text is cut, its last tokens may not be the whole text's.
MARGIN = 64
# What has not filled the window by here is blanks or one endless word: it is read no further.
LARGEST_HEAD = 1_000_000
LAST_SPACE = re.compile(r"\s(?=\S*\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRows:
    """Tokenised (Instruction, text) pairs, in order."""

    ids: tuple[npt.NDArray[np.int64], ...]  # each (length,), special tokens included, within the window
    masked: Int64Vector  # leading tokens that take no part in pooling
    counts: Int64Vector  # tokens before truncation, special tokens included; see Tokens.rows
    merged: BoolVector  # whether the mask may be off: the Instruction's own tokens are not the row's first

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row, within the window."""
        return [len(row) for row in self.ids]

    def padded(
        self, rows: Sequence[int], columns: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Some rows as a batch: ids, where tokens are, where tokens are pooled; each (rows, columns)."""
        lengths = np.array([len(self.ids[row]) for row in rows])
        ids = np.zeros((len(rows), columns), dtype=np.int64)
        for at, row in enumerate(rows):
            ids[at, : lengths[at]] = self.ids[row]
        places = np.arange(columns)
        attended = places < lengths[:, None]
        return ids, attended, attended & (places >= self.masked[list(rows)][:, None])


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
        ends: tuple[str, str] = ("", ""),  # tokens that must stand first and last; '' for none
    ) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._reading = family.reading
        self._vocabulary = vocabulary
        self._lower_case = lower_case
        self.max_tokens = max_tokens
        self.prefix, self.suffix = self._special_tokens(*ends)
        self._check_room()

    @property
    def special_tokens(self) -> int:
        """Tokens that are put around every text."""
        return len(self.prefix) + len(self.suffix)

    @property
    def description(self) -> list[object]:
        """What shapes ids beside the tokenizer's files: the tokens around a text, lower-casing."""
        return [self.prefix, self.suffix, self._lower_case]

    @property
    def masks_instructions(self) -> bool:
        """Whether tokens of an Instruction stay out of the pooling."""
        return not self._reading.pool_instruction

    @property
    def head_characters(self) -> int:
        """Characters of a text that are looked at first, and of almost every text at all."""
        return max(SMALLEST_HEAD, HEAD_CHARACTERS_PER_TOKEN * self.max_tokens)

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

        What exceeds the window is cut from the end, before the closing special tokens. A text is
        tokenised only as far as the window needs, so that `counts` are exact up to the window and
        lower bounds beyond it.
        """
        room = self.max_tokens - self.special_tokens
        prefix, suffix = list(self.prefix), list(self.suffix)
        bodies, whole = self._heads(pairs)
        alone = self._instructions({instruction for instruction, _ in pairs})
        masked = {instruction: self._masked(body) for instruction, body in alone.items()}
        merged = [
            masked[instruction] > 0
            and body[: min(len(alone[instruction]), room)] != alone[instruction][:room]
            for (instruction, _), body in zip(pairs, bodies, strict=True)
        ]
        return TokenRows(
            ids=tuple(np.array(prefix + body[:room] + suffix, dtype=np.int64) for body in bodies),
            masked=np.array([masked[instruction] for instruction, _ in pairs], dtype=np.int64),
            counts=np.array(
                [
                    max(len(body) + self.special_tokens, 0 if is_whole else self.max_tokens + 1)
                    for body, is_whole in zip(bodies, whole, strict=True)
                ],
                dtype=np.int64,
            ),
            merged=np.array(merged, dtype=np.bool_),
        )

    def composed(self, instruction: str, text: str) -> str:
        """The string that is tokenised for a pair."""
        return self._head(instruction, text, len(instruction) + len(text) + len(self._reading.separator))[0]

    def border_merges(self, instruction: str) -> bool:
        """Whether common words, put after the Instruction, melt with its end into one token.

        The mask counts tokens of the Instruction alone: it is then off by a token for such texts.
        """
        if not instruction.strip():
            return False
        alone = self._encode([self.composed(instruction, "")])[0]
        joined = self._encode([self.composed(instruction, word) for word in COMMON_FIRST_WORDS])
        return any(ids[: len(alone)] != alone for ids in joined)

    def _instructions(self, instructions: set[str]) -> dict[str, list[int]]:
        """Per Instruction, its tokens without a text; none where Instructions are pooled."""
        given = [] if self._reading.pool_instruction else sorted(filter(None, instructions))
        bodies, _ = self._heads([("", instruction) for instruction in given])
        return {instruction: [] for instruction in instructions} | dict(zip(given, bodies, strict=True))

    def _masked(self, alone: list[int]) -> int:
        """The leading tokens that stay out of the pooling, for an Instruction of these tokens.

        Counted as the reference does, from the Instruction tokenised alone within the window, less
        its closing special token: an Instruction that fills the window leaves only that one to pool.
        """
        count = min(len(alone) + self.special_tokens, self.max_tokens) - bool(self.suffix)
        return count if alone and count >= self._reading.min_mask_tokens else 0

    def _heads(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[list[int]], list[bool]]:
        """Tokens of each pair's beginning without special tokens, and whether it is the whole pair.

        As far as the window goes they are the whole pair's, unless not even LARGEST_HEAD characters
        fill the window.
        """
        heads = [self._head(instruction, text, self.head_characters) for instruction, text in pairs]
        whole = [is_whole for _, is_whole in heads]
        bodies = self._encode([head for head, _ in heads])
        for at in range(len(pairs)):
            size = self.head_characters
            while not whole[at] and len(bodies[at]) < self.max_tokens + MARGIN and size < LARGEST_HEAD:
                size *= 2  # one by one: such texts are rare, and their Encodings large
                head, whole[at] = self._head(pairs[at][0], pairs[at][1], size)
                bodies[at] = self._encode([head])[0]
        return bodies, whole

    def _head(self, instruction: str, text: str, size: int) -> tuple[str, bool]:
        """The beginning of what is tokenised for a pair, cut at white space, and whether it is all."""
        reading = self._reading
        if reading.strip_instruction:
            instruction = instruction.strip()
        if reading.strip_text:
            text = text.strip()
        separator = reading.separator if instruction else ""
        whole = len(instruction) + len(separator) + len(text) <= size
        head = f"{instruction[:size]}{separator}{text[:size]}"[:size]
        if not whole and (space := LAST_SPACE.search(head, size // 2)):
            head = head[: space.start()]
        return head.strip() if reading.strip_text else head, whole

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
