"""The door to cross-encoders: open one, score texts for a query. Loads torch only when one is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from searchkit.arrays import Float32Vector
from searchkit.embedding.batching import distinct, plan_blocks
from searchkit.embedding.cross_folder import is_cross_encoder
from searchkit.errors import ModelError, UsageError

if TYPE_CHECKING:
    from searchkit.embedding.cross_folder import CrossFolder
    from searchkit.embedding.pairs import PairTokens
    from searchkit.embedding.scoring import Scorer


class CrossEncoder:
    """A network that reads a query and a text together and says how well the one answers the other.

    Made by `open_cross_encoder`. Its scores may be compared with each other, not with cosines.
    """

    def __init__(self, folder: CrossFolder, tokens: PairTokens, scorer: Scorer) -> None:
        self.model = folder.model
        self.max_tokens = tokens.max_tokens  # of query, text and special tokens together
        self.device = scorer.device
        self.prompt = folder.prompt  # put before every query, as the model's folder says
        self._tokens = tokens
        self._scorer = scorer

    def score(self, query: str, texts: Sequence[str]) -> Float32Vector:
        """Score texts for one query; equal texts score equally, whatever stands beside them.

        What exceeds the window is cut from the end of the text; from that of the query only where it takes
        more than half of the window.

        Returns: (n,) float32 in input order, larger is better; on what scale is the model's own affair.

        Raises:
            UsageError: a str in place of a sequence of them, or something in it that is no str.
            ModelError: a score is no number, or a pair does not fit into the device's memory.
        """
        if isinstance(texts, str):  # a str is a sequence of str: it would be scored letter by letter
            raise UsageError("expected a sequence of texts, found a single str", remedy="pass [text]")
        if odd := [text for text in (query, *texts) if not isinstance(text, str)]:
            raise UsageError(f"found a {type(odd[0]).__name__} among the texts", remedy="expected str only")
        different, inverse = distinct(texts)
        scores = np.empty(len(different), dtype=np.float32)
        for block in plan_blocks([len(text) for text in different]):
            scores[block] = self._scorer.rows(self._tokens.rows(self.prompt + query, different[block]))
        return scores[inverse]


def open_cross_encoder(model: str | Path, *, device: str = "auto") -> CrossEncoder:
    """Open a cross-encoder: a local folder, or an id on the Hugging Face hub.

    Its folder is laid out as sentence-transformers does, in any version. Torch runs it, in float32: there is
    no exported form.

    Args:
        model: a folder's path or an id; looked for as `open_embedder` does.
        device: 'auto' (CUDA, else Apple's, else the CPU), 'cpu', 'cuda', 'cuda:N' or 'mps'.

    Raises:
        ModelNotFound: the model is nowhere to be found.
        ModelError: it is no cross-encoder with one label, or incomplete, damaged, or of a kind that searchkit
            does not run.
        UsageError: there is no such device.
    """
    from searchkit.embedding.cross_folder import read_cross_folder
    from searchkit.embedding.opening import TOKENIZER, built_tokenizer
    from searchkit.embedding.pairs import PairTokens
    from searchkit.embedding.runtimes import read_tokenizer
    from searchkit.embedding.sources import find_model

    folder = read_cross_folder(find_model(model))
    try:
        tokenizer = read_tokenizer(folder.network / TOKENIZER, lambda: built_tokenizer(folder.network))

        from searchkit.embedding.scoring import Scorer  # a second, not spent on a folder without a tokenizer

        scorer = Scorer(folder, device)
    except OSError as error:  # a closed folder within the model's, a disk that fails
        raise ModelError(f"'{model}' cannot be read: {error}", remedy="let your user read it") from error
    tokens = PairTokens(
        tokenizer,
        max_tokens=folder.window,
        vocabulary=scorer.vocabulary,
        lower_case=folder.lower_case,
    )
    return CrossEncoder(folder, tokens, scorer)


__all__ = ["CrossEncoder", "is_cross_encoder", "open_cross_encoder"]
