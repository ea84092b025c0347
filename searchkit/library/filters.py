"""Which passages a filter allows: its tree as one SQL condition, every value a parameter.

Fields that every Document has come from columns; all other names are those of its metadata (front matter,
properties, columns of a table), where a list fits when one of its members does. Text is compared without
regard to case, and `not` means exactly the rest: Documents that lack the field are among it.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from types import MappingProxyType

import numpy as np

from searchkit.arrays import Int64Vector
from searchkit.errors import FilterInvalid, near_names
from searchkit.library.cluster_filter import passages_meant
from searchkit.library.database import Database
from searchkit.library.filter_grammar import All, AnyOf, Comparison, Filter, Not, Value, fold

TEXT, NUMBER, TIME, KIND, METADATA, DATED = "text", "number", "time", "kind", "metadata", "dated metadata"
CLUSTER = "cluster"  # searchkit's own where a Collection has clusters, else a field like any other
FIELDS_SHOWN = 40
METADATA_PREFIX = "meta."  # 'meta.size' is the metadata's, 'size' the file's


@dataclass(frozen=True, slots=True)
class Field:
    """Where a name leads. source: the SQL of a column, or names in the metadata."""

    kind: str
    source: str | tuple[str, ...]


FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "path": Field(TEXT, "f.name"),
        "document": Field(TEXT, "d.name"),
        "title": Field(TEXT, "d.title"),
        "heading": Field(TEXT, "p.heading"),
        "type": Field(KIND, "d.kind"),
        "size": Field(NUMBER, "f.size"),
        "page": Field(NUMBER, "p.page"),
        "modified": Field(TIME, "abs(f.mtime_ns) / 1e9"),
        "created": Field(DATED, ("created", "created_at", "date")),
        "author": Field(METADATA, ("author", "authors", "creator", "from")),
        "language": Field(METADATA, ("language", "lang")),
        "tags": Field(METADATA, ("tags", "keywords", "categories")),
    }
)

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-z]*)", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:?\d\d)?)?)?)?")
_AGO = re.compile(r"(\d{1,5})([dwmy])", re.IGNORECASE)
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}

# The members of a value: itself where it is no list. Truth values are named, else they would be 1 and 0.
_MEMBERS = """json_each(CASE j.type WHEN 'array' THEN j.value WHEN 'true' THEN '[true]'
    WHEN 'false' THEN '[false]' ELSE json_array(j.value) END) e"""
_MEMBER = "CASE e.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE e.value END"
_JOINED = "FROM sources s CROSS JOIN files f USING (source_id) CROSS JOIN documents d USING (file_id)"
_DOCUMENTS = f"{_JOINED} WHERE s.collection_id = ?1"
_PASSAGES = f"{_JOINED} CROSS JOIN passages p USING (document_id) WHERE s.collection_id = ?1"


def allowed_passages(db: Database, collection_id: int, wanted: Filter, *, now: float) -> Int64Vector:
    """The passages of a Collection that a filter allows.

    now: seconds since 1970, for dates such as 'today' and '7d'. Returns: (n,) int64 ids, ascending.
    Raises: FilterInvalid: a value does not suit its field, or no Document has such a field.
    """
    for name, (function, arguments) in _FUNCTIONS.items():
        db.define(name, function, arguments)
    made = _Condition(
        now,
        [collection_id],
        partial(metadata_keys, db, collection_id),
        partial(passages_meant, db, collection_id),
    )
    sql = made.of(wanted)
    rows = db.scan(f"SELECT p.passage_id {_PASSAGES} AND {sql}", made.parameters)
    found = np.fromiter((row[0] for row in rows), dtype=np.int64)
    found.sort()
    return found


def metadata_keys(db: Database, collection_id: int, name: str) -> Sequence[str]:
    """Names in the metadata that are `name` but for case. Raises: FilterInvalid: there is none."""
    if name.isascii():  # SQLite can tell by itself, and need not look through all when it is there
        has_key = f"""SELECT 1 {_DOCUMENTS} AND EXISTS (
            SELECT 1 FROM json_each(d.metadata) j WHERE j.key = ?2 COLLATE NOCASE) LIMIT 1"""
        if db.rows(has_key, (collection_id, name)):
            return (name,)
    known = metadata_names(db, collection_id)
    if found := [one for one in known if fold(one) == fold(name)]:
        return found
    if fold(name) == CLUSTER:
        raise FilterInvalid(
            "this collection has no clusters yet, and no document a field 'cluster'",
            remedy="make clusters with: searchkit cluster",
        )
    names = list(dict.fromkeys([*FIELDS, CLUSTER, *known]))
    raise FilterInvalid(
        f"no document has a field '{name}'{near_names(name, names)}",
        remedy=f"fields here: {', '.join(names[:FIELDS_SHOWN])}; names with blanks in double quotes",
    )


def metadata_names(db: Database, collection_id: int) -> list[str]:
    """Names in the metadata of a Collection's Documents, sorted."""
    named = f"SELECT DISTINCT j.key {_JOINED}, json_each(d.metadata) j WHERE s.collection_id = ?1"
    return sorted(str(row[0]) for row in db.rows(named, (collection_id,)))


class _Condition:
    """A condition over the aliases p, d and f. Two-valued: no comparison in it is ever NULL."""

    def __init__(
        self,
        now: float,
        parameters: list[object],
        keys: Callable[[str], Sequence[str]],
        in_clusters: Callable[[Comparison], Int64Vector | None],
    ) -> None:
        self.parameters = parameters
        self._now = now
        self._keys = keys  # a name that is asked for -> the names in the metadata
        self._in_clusters = in_clusters  # passages in the clusters that fit, None where there are no clusters

    def of(self, part: Filter) -> str:
        if isinstance(part, Not):
            return f"(NOT {self.of(part.inner)})"
        if isinstance(part, All | AnyOf):
            return _joined("AND" if isinstance(part, All) else "OR", [self.of(one) for one in part.parts])
        if part.operator == "!=":
            return f"(NOT {self.of(Comparison(part.field, '=', part.values))})"
        known = FIELDS.get(part.field.lower())
        if part.field.lower() == CLUSTER and (ids := self._in_clusters(part)) is not None:
            listed = self._put(json.dumps(ids.tolist()))
            return f"(p.passage_id IN (SELECT value FROM json_each({listed})))"
        if known is None:
            known = Field(METADATA, tuple(self._keys(part.field.removeprefix(METADATA_PREFIX))))
        if isinstance(known.source, tuple):
            return self._in_metadata(known.kind, known.source, part)
        if part.operator == "exists":
            return f"(coalesce({known.source}, '') <> '')"
        tests = [self._test(known.kind, known.source, part, value) for value in part.values]
        return f"coalesce({_joined('OR', tests)}, 0)"

    def _in_metadata(self, kind: str, names: tuple[str, ...], part: Comparison) -> str:
        keys = ", ".join(self._put(name) for name in names)
        if part.operator == "exists":
            test = "j.type <> 'null' AND j.value NOT IN ('', '[]', '{}')"
        else:
            tests = [self._test(kind, _MEMBER, part, value) for value in part.values]
            test = f"EXISTS (SELECT 1 FROM {_MEMBERS} WHERE {_joined('OR', tests)})"
        keyed = f"SELECT 1 FROM json_each(d.metadata) j WHERE j.key COLLATE NOCASE IN ({keys})"
        return f"EXISTS ({keyed} AND {test})"

    def _test(self, kind: str, sql: str, part: Comparison, value: Value) -> str:
        """One value against one operand."""
        operator = part.operator
        if operator in _OF_TEXT:
            return f"{_OF_TEXT[operator]}({self._put(fold(value.text))}, {sql})"
        if kind == NUMBER:
            return f"{sql} {operator} {self._put(_required_number(part.field, value))}"
        if kind in (TIME, DATED):
            zone = None if kind == TIME else UTC
            seconds = sql if kind == TIME else f"filter_seconds({sql})"
            return self._within(seconds, operator, _required_span(part, value, self._now, zone))
        if kind == KIND and operator == "=":
            return f"filter_is_type({self._put(fold(value.text))}, {sql}, f.name)"
        other = self._guessed(sql, operator, value) if kind == METADATA and not value.quoted else ""
        if other and operator != "=":
            return other
        same = f"filter_fold({sql}) {operator} {self._put(fold(value.text))}"
        return f"({same} OR {other})" if other else same

    def _guessed(self, sql: str, operator: str, value: Value) -> str:
        """What a value that stands without quotes may mean beside its text: a number, a date."""
        number, span = as_number(value.text), _span(value.text, self._now, UTC)
        tests = []
        if number is not None:
            tests.append(f"filter_number({sql}) {operator} {self._put(number)}")
        if span is not None:  # 2026 may be either
            tests.append(self._within(f"filter_seconds({sql})", operator, span))
        return _joined("OR", tests) if tests else ""

    def _within(self, sql: str, operator: str, span: tuple[float, float]) -> str:
        """A time against a span such as a day: before its start, in it, or from its end on."""
        first, end = span
        if operator == "=":
            return f"({sql} >= {self._put(first)} AND {sql} < {self._put(end)})"
        bound = end if operator in (">", "<=") else first
        return f"{sql} {'>=' if operator[0] == '>' else '<'} {self._put(bound)}"

    def _put(self, value: object) -> str:
        self.parameters.append(value)
        return f"?{len(self.parameters)}"


def _joined(word: str, parts: Sequence[str]) -> str:
    """Parts as a balanced tree: SQLite refuses expressions that are nested a thousand deep, as a chain is."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({_joined(word, parts[:half])} {word} {_joined(word, parts[half:])})"


# -------------------------------------------------------------------- values


def as_number(value: object) -> float | None:
    """A number, or a text that is one; else None."""
    if isinstance(value, str):
        found = _NUMBER.fullmatch(value.strip())
        return float(found[1]) if found and not found[2] else None
    return float(value) if isinstance(value, int | float) else None


def as_seconds(value: object) -> float | None:
    """A moment in metadata, ISO 8601 or as mail writes it, in seconds since 1970; without a zone, UTC."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if span := _date_span(text, UTC):  # a year or month, which Python does not take
        return span[0]
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, TypeError, IndexError, OverflowError, OSError):
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return None


def _required_number(name: str, value: Value) -> float:
    found = _NUMBER.fullmatch(value.text.strip())
    if found and (unit := found[2].lower()) in {"", *_UNITS}:
        return float(found[1]) * _UNITS.get(unit, 1)
    expected = "a number, for sizes also as 10kB or 2.5MB"
    raise FilterInvalid(f"'{name}' is a number, and '{value.text}' is none", remedy=f"write {expected}")


def _required_span(part: Comparison, value: Value, now: float, zone: tzinfo | None) -> tuple[float, float]:
    found = _span(value.text, now, zone)
    if found is None:
        raise FilterInvalid(
            f"'{part.field}' is a date, and '{value.text}' is none",
            remedy="write 2026-01-31, 2026-01, 2026, 2026-01-31T08:30, today, yesterday, or 7d, 2w, 3m, 1y "
            "for so long ago",
        )
    if found[0] == found[1] and part.operator == "=":
        raise FilterInvalid(
            f"no time is exactly '{value.text}' ago",
            remedy=f"write {part.field} >= {value.text} for what is newer, < for what is older",
        )
    return found


def _span(text: str, now: float, zone: tzinfo | None) -> tuple[float, float] | None:
    """First second and end of what a text names: a year, month, day, minute or second; or a moment ago."""
    today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    word = text.strip().lower()
    if word in ("today", "yesterday"):
        return _date_span(f"{today - timedelta(days=word == 'yesterday'):%Y-%m-%d}", zone)
    if ago := _AGO.fullmatch(word):
        moment = now - 86_400 * int(ago[1]) * _DAYS[ago[2]]
        return moment, moment
    return _date_span(text.strip(), zone)


def _date_span(text: str, zone: tzinfo | None) -> tuple[float, float] | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    numbers = [int(one) for one in found.groups()[:6] if one is not None]
    offset = found[7]
    try:
        first = datetime(*(numbers + [1] * (3 - len(numbers))))  # type: ignore[arg-type]
        if len(numbers) == 1:
            end = first.replace(year=first.year + 1)
        elif len(numbers) == 2:
            end = (first + timedelta(days=31)).replace(day=1)
        else:
            end = (
                first + {3: timedelta(days=1), 5: timedelta(minutes=1), 6: timedelta(seconds=1)}[len(numbers)]
            )
        if offset:
            zone = datetime.fromisoformat(f"2000-01-01T00:00{offset}").tzinfo
        return tuple(one.replace(tzinfo=zone).timestamp() for one in (first, end))  # type: ignore[return-value]
    except (ValueError, OverflowError, OSError):  # no such day, or beyond what the system counts
        return None


# -------------------------------------------------------------------- what SQLite calls


def _has(wanted: str, value: object) -> bool:
    """Whether a value is it, or lists it between commas or semicolons."""
    text = fold(value) or ""
    return wanted == text or wanted in (part.strip() for part in re.split("[,;]", text))


def _contains(wanted: str, value: object) -> bool:
    return wanted in (fold(value) or "")


def _glob(pattern: str, value: object) -> bool:
    """Part by part between '/': '*', '?' and '[a-z]' within one part, '**' for any number of parts."""
    parts = (fold(value) or "").split("/")
    reached = {0}  # so many parts may be used up
    for one in _compiled(pattern):
        if one is None:
            reached = set(range(min(reached), len(parts) + 1)) if reached else reached
        else:
            reached = {at + 1 for at in reached if at < len(parts) and one.fullmatch(parts[at])}
    return len(parts) in reached


def _is_type(wanted: str, kind: str, name: str) -> bool:
    """Whether a Document is of that kind, or its file ends so."""
    return wanted == fold(kind) or (fold(name) or "").endswith("." + wanted.removeprefix("."))


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Sequence[re.Pattern[str] | None]:
    return [None if one == "**" else re.compile(fnmatch.translate(one)) for one in pattern.split("/")]


# By operator, those that look at a value as text whatever it is.
_OF_TEXT = {"has": "filter_has", "contains": "filter_contains", "glob": "filter_glob"}
_FUNCTIONS: Mapping[str, tuple[Callable[..., object], int]] = MappingProxyType(
    {
        "filter_fold": (fold, 1),
        "filter_number": (as_number, 1),
        "filter_seconds": (as_seconds, 1),
        "filter_has": (_has, 2),
        "filter_contains": (_contains, 2),
        "filter_glob": (_glob, 2),
        "filter_is_type": (_is_type, 3),
    }
)
