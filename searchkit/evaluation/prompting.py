"""Prompt retrieval: do the examples that an embedder finds help a language model to answer?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from searchkit.arrays import Float64Vector, Int64Vector, top_k
from searchkit.evaluation import statistics
from searchkit.evaluation.measured import Encode, Measured
from searchkit.evaluation.rouge import rouge_l, same
from searchkit.evaluation.sets import PromptSet

SHOTS = 8  # examples in a prompt at most
MOST_TOKENS = 64  # of an answer
MOST_LABELS = 20  # answers to choose between; where there are more, the model writes its own
TIMES_SEEN = 2  # in the examples, of each answer that is a label
SEED = 0


class Completer(Protocol):
    """A language model. embedding/completer.py has a real one."""

    @property
    def model(self) -> str:
        """The model as it was asked for."""

    @property
    def max_tokens(self) -> int:
        """Tokens of prompt and answer together."""

    def fingerprint(self) -> str:
        """All that shapes its answers."""

    def count_tokens(self, text: str) -> int:
        """Tokens of a text."""

    def complete(self, prompt: str, most_tokens: int, stop: str = "\n") -> str:
        """The likeliest continuation up to `stop`."""

    def log_likelihoods(self, prompt: str, continuations: Sequence[str]) -> Float64Vector:
        """(n,) log of the probability of each continuation after the prompt."""


def measure_prompts(
    train: PromptSet, test: PromptSet, encode: Encode, completer: Completer, *, shots: int = SHOTS
) -> Measured:
    r"""Answer each question of `test` by a prompt of its nearest examples of `train`.

    The task is that of Su et al. 2022 ("Selective Annotation Makes Language Models Better Few-Shot
    Learners"), on which INSTRUCTOR (arXiv 2212.09741) is evaluated. How it is done here is written down in
    full: figures of another language model, number of examples or form of prompt do not compare.

    Selection: questions are embedded as queries, the examples' texts as documents; the `shots` of the largest
    cosine are taken, of equals the first in the file. An example of the very text that is asked is left out.
    Order: the farthest first, the nearest last, beside the question. Form: "Input: TEXT\nOutput: ANSWER\n\n"
    for each example, then "Input: TEXT\nOutput:". Length: where prompt and answer do not fit into the window
    of the model, the farthest examples go, one by one; a question too long by itself loses its beginning.
    Answers have at most 64 tokens.

    Where the examples have at most 20 different answers, each seen at least twice, and all of the test are
    among them, they are labels: the answer is the one of the highest likelihood, that of its tokens and of
    the two line breaks that end it. Else the model writes, always the likeliest token, up to the line's end.

    Measures: accuracy and ROUGE-L; main is accuracy for labels, ROUGE-L for what is written. A label is right
    when it is the expected one, character by character; what is written, when it is equal without case and
    punctuation (rouge.py). `random_accuracy` and `random_rouge_l` are those of as
    many examples drawn at random, seeded, with all else equal: what the choice of examples is worth is the
    distance to them. Items are questions.
    """
    known, asked = encode(train.texts, "document"), encode(test.texts, "query")
    labels = labels_of(train, test)
    columns: dict[str, list[float]] = {
        name: [] for name in ("accuracy", "rouge_l", "random_accuracy", "random_rouge_l")
    }
    for row, (text, expected) in enumerate(zip(test.texts, test.answers, strict=True)):
        others = np.asarray([one for one, other in enumerate(train.texts) if other != text], dtype=np.int64)
        nearest = others[top_k(known[others] @ asked[row], shots)]
        for before, chosen in (("", nearest), ("random_", _drawn(others, shots, row))):
            said = _answer(_examples(train, chosen), text, labels, completer)
            right = said == expected if labels else same(said, expected)
            columns[f"{before}accuracy"].append(float(right))
            columns[f"{before}rouge_l"].append(rouge_l(said, expected))
    main = "accuracy" if labels else "rouge_l"
    low, high = statistics.mean_interval(np.asarray(columns[main]))
    return Measured(
        kind="prompts",
        main=main,
        measures={name: 100 * float(np.mean(values)) for name, values in columns.items()},
        items=columns,
        counts={"questions": len(test.texts), "examples": len(train.texts), "labels": len(labels)},
        low=100 * low,
        high=100 * high,
    )


def labels_of(train: PromptSet, test: PromptSet) -> tuple[str, ...]:
    """The answers to choose between, in the order they are first seen; () where answers are written."""
    seen: dict[str, int] = {}
    for answer in train.answers:
        seen[answer] = seen.get(answer, 0) + 1
    if (
        not 2 <= len(seen) <= MOST_LABELS
        or min(seen.values()) < TIMES_SEEN
        or not set(test.answers) <= set(seen)
    ):
        return ()
    return tuple(seen)


def prompt_of(examples: Sequence[tuple[str, str]], text: str) -> str:
    """Examples, (text, answer), in their order, and the question."""
    shown = "".join(f"Input: {one}\nOutput: {answer}\n\n" for one, answer in examples)
    return f"{shown}Input: {text}\nOutput:"


def _examples(train: PromptSet, chosen: Int64Vector) -> list[tuple[str, str]]:
    """Nearest last."""
    return [(train.texts[row], train.answers[row]) for row in reversed(chosen.tolist())]


def _answer(
    examples: Sequence[tuple[str, str]], text: str, labels: Sequence[str], completer: Completer
) -> str:
    continuations = [f" {label}\n\n" for label in labels]
    answer = max((completer.count_tokens(one) for one in continuations), default=MOST_TOKENS)
    while examples and completer.count_tokens(prompt_of(examples, text)) + answer > completer.max_tokens:
        examples = examples[1:]
    prompt = prompt_of(examples, text)
    if not labels:
        return completer.complete(prompt, MOST_TOKENS)
    return labels[int(np.argmax(completer.log_likelihoods(prompt, continuations)))]


def _drawn(others: Int64Vector, shots: int, row: int) -> Int64Vector:
    # Of its own seed for each question: leaving one out draws the same for all others.
    drawn = np.random.default_rng((SEED, row))
    return drawn.permutation(others)[:shots]
