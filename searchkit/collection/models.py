"""The models that a Library has open: each is loaded once and serves every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from searchkit.embedding.embedder import Embedder, open_embedder

if TYPE_CHECKING:
    from searchkit.embedding.cross_encoder import CrossEncoder


class OpenModels:
    """Embedders by name and precision class, and cross-encoders by name.

    open_model: how a name becomes an Embedder; None for open_embedder, in the runtime that suits.
    """

    def __init__(self, open_model: Callable[[str], Embedder] | None = None) -> None:
        self._open_model = open_model
        self._embedders: dict[tuple[str, str | None, str], Embedder] = {}
        self._scorers: dict[str, CrossEncoder] = {}

    def embedder(self, model: str, space: str | None, runtime: str = "auto") -> Embedder:
        """A model whose vectors are of this precision class, None for any.

        runtime: 'auto' to embed many texts, 'quick' for a single one; what is open already serves for both.
        """
        if (known := self._known(model, space, runtime)) is not None:
            return known
        if self._open_model is not None:
            opened = self._open_model(model)
        else:
            opened = open_embedder(model, space=space, runtime=runtime)
        self._embedders[model, space, runtime] = opened
        if space is None:  # it is what will be asked for by the class it turned out to be of
            self._embedders[model, opened.fingerprint().get("precision"), runtime] = opened
        return opened

    def quick(self, model: str, space: str | None) -> Embedder:
        """A model to embed a single text with."""
        return self.embedder(model, space, "quick")

    def has(self, model: str, space: str | None) -> bool:
        """Whether a model that embeds a single text is open."""
        return self._known(model, space, "quick") is not None

    def scorer(self, model: str) -> CrossEncoder:
        """A cross-encoder."""
        if model not in self._scorers:
            from searchkit.embedding.cross_encoder import open_cross_encoder

            self._scorers[model] = open_cross_encoder(model)
        return self._scorers[model]

    @staticmethod
    def is_cross_encoder(model: str) -> bool:
        """Whether a model scores pairs. Raises: ModelNotFound."""
        from searchkit.embedding.cross_encoder import is_cross_encoder

        return is_cross_encoder(model)

    def _known(self, model: str, space: str | None, runtime: str) -> Embedder | None:
        for (name, known_space, known_runtime), opened in self._embedders.items():
            fits = space is None or space == known_space
            if name == model and fits and known_runtime in ("auto", runtime):
                return opened
        return None
