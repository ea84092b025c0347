"""Reads, cuts and embeds files as an index run would, and stores nothing of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from searchkit.arrays import Float32Matrix
from searchkit.collection import recipe, sources
from searchkit.collection.index_pipeline import capacity_of
from searchkit.documents.chunk import chunk
from searchkit.documents.load import load
from searchkit.embedding.embedder import Embedder
from searchkit.errors import DocumentError
from searchkit.library.collections import StoredCollection
from searchkit.profile import Profile
from searchkit.records import Failure, Passage


@dataclass(frozen=True, slots=True)
class Unstored:
    """Passages of files, with the name and the kind of the Document of each.

    vectors: (len(passages), dim) float32, of the Collection's recipe; failures: files that could not be read.
    """

    passages: tuple[tuple[str, str, Passage], ...]
    vectors: Float32Matrix
    failures: tuple[Failure, ...]


def read_unstored(
    paths: Sequence[str | Path], collection: StoredCollection, embedder: Embedder, exclude: Path
) -> Unstored:
    """What files and folders would become in a Collection. exclude: a folder that is left out.

    Raises: UsageError: a path does not exist, or there is nothing to read. RecipeMismatch: the embedder's
    vectors are of another recipe.
    """
    profile = Profile.from_dict(collection.profile)
    recipe.require_same(
        collection.name,
        collection.recipe,
        recipe.recipe_of(embedder, profile),
        remedy=f"embed it again with: searchkit index FOLDER -c {collection.name}-new",
    )
    capacity = capacity_of(embedder, profile)
    passages: list[tuple[str, str, Passage]] = []
    failures: list[Failure] = []
    for root in sources.absolute(paths):
        found = sources.look(root, exclude)
        sources.require_files(root, found)
        failures += found.failures
        for file in found.files:
            made: list[tuple[str, str, Passage]] = []
            try:
                for document in load(file, on_failure=failures.append):
                    cut = chunk(
                        document, profile.chunking, capacity=capacity, count_tokens=embedder.count_tokens
                    )
                    made += [(document.name, document.kind, passage) for passage in cut]
            except DocumentError as error:
                failures.append(Failure(document=file.name, reason=error.in_one_line))
            else:
                passages += made
    texts = [passage.embedded_text for _, _, passage in passages]
    vectors = embedder.embed(texts, embedder.instruction_for(profile, "document"))
    return Unstored(tuple(passages), vectors, tuple(failures))
