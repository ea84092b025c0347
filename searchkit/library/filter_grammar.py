"""The grammar of filters: from the text of --where to a tree. Knows no field and no SQL.

    filter      = both ("or" both)*
    both        = one ("and" one)*
    one         = "not" one | "(" filter ")" | comparison
    comparison  = FIELD ("=" | "!=" | "<" | "<=" | ">" | ">=" | "has" | "contains" | "glob") VALUE
                | FIELD ["not"] "in" "(" VALUE ("," VALUE)* ")"
                | FIELD ["not"] "exists"
    FIELD       = letters, digits, "_", "-", "." | "name in double quotes"
    VALUE       = 'text in single quotes' | "text in double quotes" | a word, number or date without blanks

Words of the grammar are recognised in any case; a quote within quotes is doubled.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

from searchkit.errors import FilterInvalid

MAX_CHARACTERS = 10_000
MAX_DEPTH = 12  # of brackets and "not": SQLite's own parser ends at some 40 of the levels made of them

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "has", "contains", "glob")
_KEYWORDS = {"and", "or", "not", "in", "exists", "has", "contains", "glob"}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")
      | (?P<symbol>!=|<>|==|<=|>=|[=<>(),])
      | (?P<word>[^\s=<>!(),'"]+)
      | (?P<wrong>\S)
    )""",
    re.VERBOSE,
)
_SYNONYMS = {"<>": "!=", "==": "="}


def fold(value: object) -> str | None:
    """A value as text, in the form in which filters compare texts; None of None."""
    return None if value is None else unicodedata.normalize("NFKC", str(value)).casefold()


@dataclass(frozen=True, slots=True)
class Value:
    """What a field is compared with, as it was written."""

    text: str
    quoted: bool = False  # quoted values are text, whatever they look like


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field against values: of several, one must fit. operator: one of OPERATORS, or 'exists'."""

    field: str
    operator: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """Exactly what the other leaves out."""

    inner: Filter


@dataclass(frozen=True, slots=True)
class All:
    """Every part must hold."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One part must hold."""

    parts: tuple[Filter, ...]


Filter: TypeAlias = Comparison | Not | All | AnyOf


def parse_filter(text: str) -> Filter:
    """Read a filter. Raises: FilterInvalid, which shows the place."""
    if len(text) > MAX_CHARACTERS:
        raise FilterInvalid(
            f"the filter has {len(text):,} characters, at most {MAX_CHARACTERS:,} are taken",
            remedy="leave out a part of it",
        )
    return _Parser(text.encode("utf-8", "replace").decode("utf-8")).whole()


@dataclass(frozen=True, slots=True)
class _Token:
    text: str  # without its quotes
    at: int
    kind: str  # 'word', 'quoted', 'symbol', 'end'

    def says(self, *words: str) -> bool:
        """Whether it is one of these symbols or words of the grammar."""
        return self.kind in ("word", "symbol") and self.text.lower() in words


class _Parser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [*self._split(), _Token("", len(text.rstrip()), "end")]
        self._next = 0
        self._depth = 0

    def whole(self) -> Filter:
        if self._now.kind == "end":
            raise self._wrong("the filter is empty", self._now)
        found = self._either()
        if self._now.says(")"):
            raise self._wrong("this bracket closes nothing", self._now)
        if self._now.kind != "end":
            raise self._wrong("expected 'and', 'or' or the end", self._now)
        return found

    # ---------------------------------------------------------------- grammar

    def _either(self) -> Filter:
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _both(self) -> Filter:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Filter:
        begun = self._now
        found: Filter
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} brackets and 'not' within each other", begun)
        if self._take("not"):
            inner = self._one()
            found = inner.inner if isinstance(inner, Not) else Not(inner)
        elif self._take("("):
            found = self._either()
            if not self._take(")"):
                raise self._wrong("expected ')' for the bracket that opens here", begun)
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Filter:
        field = self._now
        if field.kind not in ("word", "quoted") or field.says("and", "or", "in"):
            raise self._wrong("expected the name of a field", field)
        self._next += 1
        negated = self._take("not")
        if self._take("exists"):
            found: Filter = Comparison(field.text, "exists")
        elif self._take("in"):
            found = Comparison(field.text, "=", self._list())
        elif negated:
            raise self._wrong("expected 'in' or 'exists' after 'not'", self._now)
        else:
            operator = _SYNONYMS.get(self._now.text, self._now.text.lower())
            if self._now.kind == "quoted" or operator not in OPERATORS:
                expected = f"expected one of {' '.join(OPERATORS)} in exists after '{field.text}'"
                raise self._wrong(expected, self._now)
            self._next += 1
            found = Comparison(field.text, operator, (self._value(),))
        return Not(found) if negated else found

    def _list(self) -> tuple[Value, ...]:
        opened = self._now
        if not self._take("("):
            raise self._wrong("expected '(' and values with commas between", opened)
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        if not self._take(")"):
            raise self._wrong("expected ')' or ',' in the list that opens here", opened)
        return tuple(values)

    def _value(self) -> Value:
        token = self._now
        if token.kind not in ("word", "quoted"):
            raise self._wrong("expected a value", token)
        if token.says(*_KEYWORDS):
            raise self._wrong(
                f"'{token.text}' is a word of the grammar; as a value write '{token.text}' in quotes", token
            )
        self._next += 1
        return Value(token.text, quoted=token.kind == "quoted")

    # ---------------------------------------------------------------- tokens

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        while found := _TOKEN.match(self._text, at):
            kind = str(found.lastgroup)
            text, begun = found[kind], found.start(kind)
            if kind == "wrong":
                unclosed = text in "'\""
                what = "this quote is never closed" if unclosed else f"'{text}' means nothing here"
                raise self._wrong(what, _Token(text, begun, kind))
            if kind == "quoted":
                text = text[1:-1].replace(text[0] * 2, text[0])
            tokens.append(_Token(text, begun, kind))
            at = found.end()
        return tokens

    @property
    def _now(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, word: str) -> bool:
        taken = self._now.says(word)
        self._next += taken
        return taken

    def _wrong(self, what: str, token: _Token) -> FilterInvalid:
        """An error that shows the place: up to 30 characters before it and 20 from there on."""
        first = max(0, token.at - 30)
        before = ("..." if first else "") + self._text[first : token.at]
        shown = before + (self._text[token.at : token.at + 20] or "(the end)")
        return FilterInvalid(
            f"the filter cannot be read: {what}\n  {_plain(shown)}\n  {' ' * len(before)}^",
            remedy="as in: type = pdf and modified >= 2026-01-01 and path glob 'hr/**' and tags has policy",
        )


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
