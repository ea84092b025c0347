"""The network that learns: opened as for embedding, read as for embedding, with gradients."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from searchkit.arrays import Float32Matrix
from searchkit.embedding.checkpoint import check_window
from searchkit.embedding.embedder import LocalEmbedder
from searchkit.embedding.families import INSTRUCTOR, Family, family_named
from searchkit.embedding.opening import Plan, open_in_torch, plan_model
from searchkit.embedding.precision import worthwhile
from searchkit.embedding.tokens import TokenRows, Tokens
from searchkit.training.examples import Pair
from searchkit.training.lora import add_adapters
from searchkit.training.settings import TrainingRecipe

INSTRUCTED = "instructed"
# Never reached by a gradient: we pool ourselves.
UNUSED = re.compile(r"(^|\.)pooler\.")
EMBEDDINGS = re.compile(r"(^|\.)(embeddings|embed_tokens|shared|wte|wpe|word_embeddings|tok_embeddings)\.")
LAYER = re.compile(r"\.(?:layer|layers|block|blocks|h)\.(\d+)\.")


def family_of_result(plan: Plan) -> Family:
    """The family that a model has after training, by the family it has before.

    What was trained on its own Instructions stays what it is, and so does what needs tokens at its ends.
    """
    family = plan.family
    if not family.reading.pool_instruction or family.bos_token or family.eos_token:
        return family
    return family_named(INSTRUCTOR if plan.checkpoint.evidence.instructor_layout else INSTRUCTED)


class Student:
    """A model's network with pooling and tail, its tokenizer with one window for each side."""

    def __init__(self, recipe: TrainingRecipe) -> None:
        named = recipe.family or family_of_result(plan_model(recipe.base)).name
        # transformers fills up poolers that a checkpoint leaves out, by chance: not used, but written.
        torch.manual_seed(recipe.seed)
        self.plan, self.tokens, self.runtime = open_in_torch(recipe.base, family=named, device=recipe.device)
        self.device = self.runtime.device
        self._sides = (self._windowed(recipe.query_tokens), self._windowed(recipe.document_tokens))
        wanted = recipe.precision == "bfloat16" or (recipe.precision == "auto" and worthwhile(self.runtime))
        self.precision = "bfloat16" if wanted else "float32"
        self._dropout = recipe.dropout
        if recipe.lora.rank:
            add_adapters(self.runtime.network, recipe.lora)
        self.module = nn.ModuleDict({"network": self.runtime.network, "tail": self.runtime.tail})
        for name, weight in self.module.named_parameters():
            fixed = UNUSED.search(name) or (recipe.optimiser.freeze_embeddings and EMBEDDINGS.search(name))
            frozen = recipe.lora.rank and name.startswith("network.") and "lora_" not in name
            weight.requires_grad_(not fixed and not frozen)

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """Weights that are trained, by name."""
        return {name: one for name, one in self.module.named_parameters() if one.requires_grad}

    def tokenise(self, queries: Sequence[Pair], documents: Sequence[Pair]) -> TokenRows:
        """Pairs as the network reads them, queries first, each side cut to its window."""
        first, second = (
            tokens.rows(pairs) for tokens, pairs in zip(self._sides, (queries, documents), strict=True)
        )
        return TokenRows(
            ids=first.ids + second.ids,
            masked=np.concatenate([first.masked, second.masked]),
            counts=np.concatenate([first.counts, second.counts]),
            merged=np.concatenate([first.merged, second.merged]),
        )

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.runtime.dim

    @property
    def windows(self) -> tuple[int, int]:
        """Tokens that are read of a query, and of a document."""
        return self._sides[0].max_tokens, self._sides[1].max_tokens

    def instruction_tokens(self, instructions: Sequence[str]) -> list[int]:
        """Tokens of each Instruction, without special tokens."""
        return self.tokens.count(instructions)

    def vectors(self, rows: TokenRows, batch: Sequence[int]) -> Tensor:
        """Vectors (len(batch), dim) float32 of some rows, with gradients where torch keeps them."""
        with self.autocast():
            hidden, taking_part = self.runtime.states(rows, batch)
        return self.runtime.finish(hidden, taking_part)

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Within it, the network drops out as its configuration says, if the recipe lets it."""
        self.module.train(self._dropout)
        try:
            yield
        finally:
            self.module.eval()

    def embedder(self, model: str) -> LocalEmbedder:
        """The model as it is now, to be evaluated; valid until the next step."""
        return LocalEmbedder(
            model=model,
            family=self.plan.family,
            tokens=self.tokens,
            runtime=_InTraining(self),
            notices=(),
            fingerprint={"weights": "in training"},
        )

    def weights(self) -> dict[str, Tensor]:
        """Copies of the trained weights, on the CPU."""
        return {name: one.detach().to("cpu", copy=True).contiguous() for name, one in self.trained.items()}

    def put(self, weights: dict[str, Tensor]) -> None:
        """Put trained weights in place."""
        with torch.no_grad():
            for name, one in self.trained.items():
                one.copy_(weights[name])

    def depth(self, name: str) -> int:
        """How far above the embeddings a weight stands: 0 for these, 1 for the first layer, and so on."""
        if EMBEDDINGS.search(name):
            return 0
        found = LAYER.search(name)
        return int(found[1]) + 1 if found else self.layers

    @property
    def layers(self) -> int:
        """The depth of the last layer, and of what follows it."""
        found = (LAYER.search(name) for name, _ in self.module.named_parameters())
        return max((int(one[1]) + 1 for one in found if one), default=0)

    def _windowed(self, window: int) -> Tokens:
        limit = self.plan.checkpoint.position_limit
        window = min(window, self.plan.window)
        check_window(window, limit, self.plan.checkpoint.source.model)
        return self.tokens.windowed(window)

    def autocast(self) -> torch.autocast:
        """Within it, matrices are multiplied in the precision of the training."""
        return torch.autocast(
            self.device.split(":")[0], dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        )


class _InTraining:
    """A runtime over a network that goes on learning afterwards."""

    def __init__(self, student: Student) -> None:
        self._student = student
        self.dim: int = student.runtime.dim
        self.device: str = student.device
        self.precision: str = student.precision
        self.position_limit = student.runtime.position_limit
        self.vocabulary = student.runtime.vocabulary

    def rows(self, tokens: TokenRows, *, token_budget: int | None = None) -> Float32Matrix:
        """Embed tokenised texts."""
        with self._student.autocast():
            return self._student.runtime.rows(tokens, token_budget=token_budget)
