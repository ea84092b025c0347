"""Puts the first candidates of a query into a better order: under other Instructions, or by a cross-encoder.

Knows candidates and what judges them; nothing of how they were found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from searchkit.arrays import Float32Matrix, Float32Vector, Float64Vector
from searchkit.collection import recipe
from searchkit.collection.query_pipeline import SCORE_DECIMALS, Candidate
from searchkit.collection.selecting import MAX_K, First
from searchkit.embedding.embedder import Embedder
from searchkit.errors import LibraryDamaged, ModelError, UsageError
from searchkit.profile import Profile

if TYPE_CHECKING:
    from searchkit.library.vectors import CollectionVectors

FIRST = 50  # candidates that are judged again where nobody says how many

# Ids of passages -> (n, dim) float32 rows of length 1 in that order.
Vectors: TypeAlias = Callable[[Sequence[int]], Float32Matrix]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranking:
    """What the first candidates are to be judged by: see `settle`."""

    first: int  # how many
    model: str | None  # None for the Collection's own
    profile: Profile | None  # whose Instructions; None for the query's own, and for a cross-encoder
    cross_encoder: bool

    @property
    def in_words(self) -> str:
        """By what, as a person reads it."""
        by = self.model or "the collection's model"
        return by if self.profile is None else f"{by} under {self.profile.name}"

    def over(self, k: int, offset: int = 0) -> int:
        """How many candidates are judged to show k of them from `offset` on; a ranking of them ends there.

        What is shown has always been judged: no page mixes two kinds of scores. So the first page judges
        more than `first` where k is larger; a later page does not, for it would be cut from another order
        than the first was.

        Raises: UsageError: a page begins beyond the first.
        """
        if offset == 0:
            return max(self.first, k)
        if offset < self.first:
            return self.first
        raise UsageError(
            f"Hits from {offset + 1} on are asked for, but only the first {self.first} are reranked",
            remedy=f"rerank more, on all pages: --rerank-first {offset + k}",
        )


class PairScorer(Protocol):
    """What reads query and text together: a cross-encoder."""

    @property
    def model(self) -> str:
        """The model as it was asked for."""

    def score(self, query: str, texts: Sequence[str]) -> Float32Vector:
        """Scores (n,) in the order of the texts, larger is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderProfile:
    """An embedder under a Profile: query and texts are embedded apart, and compared by their cosine.

    vectors: of the passages, where they are stored under this very recipe; None to embed the texts.
    """

    embedder: Embedder
    profile: Profile
    vectors: Vectors | None = None


Judge: TypeAlias = PairScorer | UnderProfile


def settle(
    model: str | None,
    profile: Profile | None,
    first: int | None,
    is_cross_encoder: Callable[[str], bool],
) -> Reranking | None:
    """What is asked for by the options --rerank-model, --rerank-profile and --rerank-first.

    A Profile alone: the Collection's own model under its Instructions. An embedder alone: that embedder under
    the query's own Profile. Both: that embedder under that Profile. A cross-encoder reads no Instruction.

    is_cross_encoder: whether a model scores pairs; asked only where a model is named.
    Returns: None where nothing is to be reranked.
    Raises: UsageError: the options contradict each other, or `first` is out of bounds.
    """
    if model is None and profile is None:
        if first is not None:
            raise UsageError(
                f"the first {first} are to be reranked, and nothing says by what",
                remedy="add --rerank-profile NAME or --rerank-model ID",
            )
        return None
    if first is not None and not 1 <= first <= MAX_K:
        raise UsageError(
            f"{first} Hits cannot be reranked, expected 1 to {MAX_K}", remedy="ask with: --rerank-first 50"
        )
    crosses = model is not None and is_cross_encoder(model)
    if crosses and profile is not None:
        raise UsageError(
            f"'{model}' is a cross-encoder and reads no Instruction, yet profile '{profile.name}' is named",
            remedy="leave out --rerank-profile, or name an embedder with --rerank-model",
        )
    return Reranking(first=first or FIRST, model=model, profile=profile, cross_encoder=crosses)


def scores(query: str, candidates: Sequence[Candidate], judge: Judge) -> Float64Vector:
    """How well each candidate answers the query, by the judge, which reads the text that was embedded.

    Returns: (n,) float64 in the candidates' order, larger is better: by a cross-encoder, which reads the
    words, on a scale of its own; under a Profile the cosine, and beside it the words in common, where they
    counted.
    Raises: UsageError: an Instruction is too long for the embedder. ModelError.
    """
    if not candidates:
        return np.empty(0)
    texts = [one.passage.embedded_text for one in candidates]
    if not isinstance(judge, UnderProfile):
        return judge.score(query, texts).astype(np.float64)
    embedder = judge.embedder
    asked = embedder.embed([query], embedder.instruction_for(judge.profile, "query"))[0]
    if judge.vectors is not None:
        rows = judge.vectors([one.passage.passage_id for one in candidates])
    else:
        rows = embedder.embed(texts, embedder.instruction_for(judge.profile, "document"))
    cosines: Float64Vector = rows.astype(np.float64) @ asked.astype(np.float64)
    cosines = cosines.round(SCORE_DECIMALS)
    return (cosines + _worth_of_words(candidates, cosines)).round(SCORE_DECIMALS)


def _worth_of_words(candidates: Sequence[Candidate], cosines: Float64Vector) -> Float64Vector:
    """What words in common added to the candidates' cosines, on the scale of the new cosines; (n,).

    A model that reads no Instruction gives the same cosines again: without this, reranking would throw the
    words away and lose what they found (LOG "does reranking under another Instruction keep the words?").
    """
    former = np.array([np.nan if one.cosine is None else one.cosine for one in candidates])
    if np.isnan(former).any():  # they were found by words alone, whose scores have no place beside cosines
        return np.zeros(len(candidates))
    spread = np.ptp(former)
    scale = float(np.ptp(cosines) / spread) if spread else 1.0
    worth: Float64Vector = (np.array([one.score for one in candidates]) - former) * scale
    return worth


def rerank(candidates: Sequence[Candidate], scores: Sequence[float] | Float64Vector) -> list[Candidate]:
    """The candidates by falling score, each with its place before; those of equal score keep their order.

    scores: (n,), one of each candidate, in their order.
    Raises: ModelError: a score is no number. ValueError: there are not as many scores as candidates.
    """
    new = np.asarray(scores, dtype=np.float64)
    if new.shape != (len(candidates),):
        raise ValueError(f"found scores of shape {new.shape} for {len(candidates)} candidates")
    if odd := int(np.isnan(new).sum()):
        raise ModelError(
            f"{odd} of {len(candidates)} scores are no numbers (NaN)",
            remedy="the reranking model's weights are damaged: copy it again",
        )
    return [
        replace(candidates[at], score=float(new[at]), found=(int(at) + 1, candidates[at].score))
        for at in np.argsort(-new, kind="stable")
    ]


def reranked(first: First, n: int, judged: Callable[[list[Candidate]], list[Candidate]]) -> First:
    """A ranking of the first n of another one, judged again when they are first asked for; it ends there."""
    order: list[Candidate] = []

    def of(wanted: int) -> list[Candidate]:
        if not order:
            order.extend(judged(first(n)))
        return order[:wanted]

    return of


def under_profile(
    embedder: Embedder, profile: Profile, stored: Mapping[str, str], vectors: Vectors
) -> UnderProfile:
    """An embedder under a Profile, that takes the stored vectors where they are of that recipe.

    stored: the Collection's recipe; vectors: its vectors of record, see `stored_vectors`.
    """
    same = not recipe.differences(stored, recipe.recipe_of(embedder, profile))
    return UnderProfile(embedder=embedder, profile=profile, vectors=vectors if same else None)


def stored_vectors(record: CollectionVectors) -> Vectors:
    """The vectors of record of a Collection's passages, in the order asked."""

    def of(passage_ids: Sequence[int]) -> Float32Matrix:
        ids = np.array(passage_ids, dtype=np.int64)
        found, rows = record.of(ids)
        if missing := set(passage_ids) - set(found.tolist()):
            raise LibraryDamaged(
                f"{len(missing)} of {len(passage_ids)} passages found have no vector, expected one each",
                remedy="see what else is wrong: searchkit verify; then move the Library away and index again",
            )
        return rows[np.searchsorted(found, ids)]

    return of


def same_order_notice(judge: UnderProfile, query_instruction: str) -> str:
    """What to tell who reranks with the model and the Instructions of the search itself; '' otherwise.

    query_instruction: the literal one that the search embedded its query under.
    """
    if judge.vectors is None or judge.embedder.instruction_for(judge.profile, "query") != query_instruction:
        return ""
    return (
        f"under profile '{judge.profile.name}' {judge.embedder.model} puts the same words before texts as the"
        " search did: reranking leaves every Hit where it was"
    )
