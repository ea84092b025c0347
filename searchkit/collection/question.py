"""What may be asked, and how; checked before a database or a model is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from searchkit.collection.query_pipeline import checked_query
from searchkit.collection.selecting import Selection
from searchkit.errors import UsageError, near_names
from searchkit.library.collections import StoredCollection
from searchkit.profile import Profile
from searchkit.records import MODES

if TYPE_CHECKING:
    from searchkit.library.filter_grammar import Filter

MAX_CONTEXT = 100


class Options(TypedDict, total=False):
    """How a query is asked; every one may be left out.

    collection      a name, or several; default the only one, or 'company-docs'
    k               how many Hits; default the Profile's
    profile         another query Instruction for the same stored vectors
    model           another place of the model; it must give the space they are in
    mode            'hybrid' by meaning and by words, 'vector' by meaning only, 'text' by words only, which
                    needs no model, 'fts' by an expression in SQLite's FTS5 syntax
    where           which passages may be found, as library/filter_grammar.py says; there are k Hits where k
                    may be, and by words where k hold one
    offset          how many Hits to pass over, for the next page
    per_document    at most so many Hits of one Document
    diversity       0 to 1, how much a passage counts for less when it is like one above it
    min_relevance   least percentile (collection/relevance.py), looked for among the first 120 or more
    context         how many Passages before and after each Hit to bring along
    explain         say how the Hits were found
    rerank_profile  judge the first Hits again under another Profile's Instructions
    rerank_model    and by another embedder, or by a cross-encoder
    rerank_first    how many of them; default 50
    """

    collection: str | Sequence[str] | None
    k: int | None
    profile: Profile | str | Path | None
    model: str | Path | None
    mode: str
    where: str | Filter
    offset: int
    per_document: int | None
    diversity: float
    min_relevance: float | None
    context: int
    explain: bool
    rerank_profile: Profile | str | Path | None
    rerank_model: str | Path | None
    rerank_first: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: see Options for each field."""

    text: str
    collection: str | Sequence[str] | None = None
    k: int | None = None
    profile: Profile | str | Path | None = None
    model: str | Path | None = None
    mode: str = "hybrid"
    where: str | Filter = ""
    offset: int = 0
    per_document: int | None = None
    diversity: float = 0.0
    min_relevance: float | None = None
    context: int = 0
    explain: bool = False
    rerank_profile: Profile | str | Path | None = None
    rerank_model: str | Path | None = None
    rerank_first: int | None = None

    @property
    def reranks(self) -> bool:
        """Whether anything is said of reranking."""
        return any(one is not None for one in (self.rerank_profile, self.rerank_model, self.rerank_first))

    @property
    def filter(self) -> Filter | None:
        """Which passages may be found; None for all. Raises: FilterInvalid."""
        return parsed_filter(self.where)

    def profile_for(self, collection: StoredCollection) -> Profile:
        """The Profile that is asked under. Raises: ProfileNotFound, ProfileInvalid."""
        return loaded(self.profile) or Profile.from_dict(collection.profile)

    def selection(self, k: int) -> Selection:
        """Which candidates are wanted. Raises: UsageError: a number is out of bounds."""
        return Selection(
            k=k,
            offset=self.offset,
            per_document=self.per_document,
            diversity=self.diversity,
            relevance=self.min_relevance,
        )


def checked(question: Question) -> Question:
    """The question as it is asked: a mistake in it costs neither database nor model.

    Raises: QueryInvalid, FilterInvalid, ProfileNotFound, ProfileInvalid, UsageError.
    """
    if question.mode not in MODES:
        raise UsageError(
            f"there is no mode '{question.mode}'{near_names(question.mode, MODES)}",
            remedy=f"expected one of: {', '.join(MODES)}",
        )
    if question.min_relevance is not None and question.mode not in ("hybrid", "vector"):
        raise UsageError(
            f"relevance is not known in the mode '{question.mode}': it is measured by vectors",
            remedy="leave out --min-relevance, or ask with --hybrid or --vector",
        )
    text = checked_query(question.text)
    question.selection(1 if question.k is None else question.k)
    if not 0 <= question.context <= MAX_CONTEXT:
        raise UsageError(
            f"{question.context} passages around each were asked for, expected 0 to {MAX_CONTEXT}",
            remedy="ask with: --context 1",
        )
    return replace(
        question,
        text=text,
        profile=loaded(question.profile),
        rerank_profile=loaded(question.rerank_profile),
        where=parsed_filter(question.where) or "",
    )


def loaded(profile: Profile | str | Path | None) -> Profile | None:
    """A Profile by its name or file. Raises: ProfileNotFound, ProfileInvalid."""
    return profile if profile is None or isinstance(profile, Profile) else Profile.load(profile)


def collections_of(asked: Options) -> list[str | None]:
    """The Collections that are asked, each once; None stands for the one that need not be named."""
    named = asked.get("collection")
    return [named] if named is None or isinstance(named, str) else [*dict.fromkeys(named)] or [None]


def parsed_filter(where: str | Filter) -> Filter | None:
    """The tree of a filter; None where there is none. Raises: FilterInvalid."""
    if not where or not isinstance(where, str):
        return where or None
    from searchkit.library.filter_grammar import parse_filter  # most queries have no filter

    return parse_filter(where)
