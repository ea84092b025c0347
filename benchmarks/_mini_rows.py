"""Make the rows that searchkit-mini is trained on, from the mixture's: reworded, with texts labelled twice.

    SEARCHKIT_SHARED=... python -m benchmarks._mini_rows OUT

Written into OUT: the recipes, benchmarks/mini-*.toml; rows/TASK.jsonl.gz to train on; and dev/,
judged sets for choosing between runs, of rows that are held out of all training. None of it is of the sets
that models are evaluated on.

- Rows of questions and answers, and of texts that say the same, keep their texts; each row gets one of
  several wordings of its Instructions, and 35 in 100 get none.
- Labelled texts become rows of contrast: a text, another of the same label, and one that is like it in the
  other labelling only. What is near and what is far changes places with the Instruction.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._mini_labels import TwoLabelled, two_labelled
from benchmarks._mini_made import made_sentences
from benchmarks._mini_reviews import reviews, sides
from benchmarks._mini_wording import QUESTION, TASKS, Wording, grouping
from searchkit.training.batches import groups_of, random_for
from searchkit.training.examples import Example, find_files, read_examples

RECIPES = sorted(Path(__file__).parent.glob("mini-*.toml"))
SEED = 7
HELD_OUT = 150  # rows of each task of texts that are found, for DEV
HELD_OUT_SHARE = 0.12  # of labelled texts
ROWS = 4_000  # of a labelling at most
POSITIVES = 3  # of a row
SHARED = 2  # rows: a positive of more of them is a label, as a relation is, and not held out
ASSISTANT = ("assistant command", "voice command", "utterance", "user request", "text")
REVIEW = ("review sentence", "sentence", "text", "review")
# Rows of labels whose names the mixture does not tell: kept, reworded.
LABELLED: Mapping[str, Wording] = {
    "hwu_intent": grouping(ASSISTANT, ("intent", "intention", "what the user wants", "topic", "subject")),
    "hwu_scenario": grouping(ASSISTANT, ("scenario", "domain", "situation", "broad area")),
    "snips_intent": grouping(ASSISTANT, ("intent", "intention", "what the user wants", "topic")),
    "trec_fine": grouping(
        QUESTION, ("kind of answer it expects", "type of question", "expected answer type")
    ),
    "opinion_phrase_polarity": grouping(("phrase", "text", "expression"), ("opinion polarity", "sentiment")),
    "subjectivity": grouping(REVIEW, ("subjectivity", "attitude: fact or opinion", "objectivity")),
    "trivia_category": grouping(("trivia question", *QUESTION), ("category", "topic", "subject", "theme")),
}

TWO_LABELS = ("opinion_phrase_polarity", "subjectivity")


def main() -> None:
    """Read the mixture, write rows and DEV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder")
    out: Path = parser.parse_args().out
    shared = Path(os.environ.get("SEARCHKIT_SHARED", ""))
    if not (shared / "train").is_dir():
        raise SystemExit("no rows to train on: name the shared data's folder in SEARCHKIT_SHARED")
    mixture = read_examples(find_files(["*.jsonl.gz"], shared / "train"))
    for folder in ("rows", "dev"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    counts = {}
    groups = known_groups(mixture)
    for task, wording in {**TASKS, **LABELLED}.items():
        trained, held = parted(task, mixture[task])
        rows = reworded(task, trained, wording, groups.get(task, {}))
        counts[task] = written(out / "rows" / f"{task}.jsonl.gz", rows)
        written(out / "dev" / f"{task}.pairs.jsonl.gz", [plain(one) for one in held])
    for found in (*two_labelled(mixture), *made_sentences(SEED), reviews(mixture)):
        random = random_for(SEED, "labelled", found.name)
        order = random.permutation(len(found.texts))
        held_rows = order[: min(600, round(HELD_OUT_SHARE * len(order)))]
        written(out / "dev" / f"{found.name}.jsonl.gz", labelled(found, held_rows))
        for labelling in found.labels:
            rows = contrasts(found, labelling, order[len(held_rows) :], random)
            task = f"{found.name}_by_{labelling}"
            counts[task] = written(out / "rows" / f"{task}.jsonl.gz", rows)
    for recipe in RECIPES:
        shutil.copyfile(recipe, out / recipe.name)
    for task, count in counts.items():
        print(f"{count:7,} {task}")


def parted(task: str, rows: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Rows to train on, and rows held out, whose queries are not among the former."""
    chosen = set(random_for(SEED, "held", task).permutation(len(rows))[:HELD_OUT].tolist())
    held = [rows[at] for at in sorted(chosen)]
    seen = Counter(text for one in rows for _, text in one.positives)
    texts = {one.query[1] for one in held} | {
        text for one in held for _, text in one.positives if seen[text] <= SHARED
    }
    return [one for one in rows if not texts & {one.query[1], *(p for _, p in one.positives)}], held


def known_groups(mixture: Mapping[str, Sequence[Example]]) -> dict[str, dict[str, str]]:
    """Texts to names of their groups, by task, where rows that name no labels tell them all the same.

    Of two labels by what is near and what is far. Of scenarios by their intents: an intent has one scenario.
    Elsewhere it is not known which of the many small groups that positives make have the same label.
    """
    of = {
        task: {
            text: f"{at}.{side}"
            for at, part in enumerate(sides(mixture[task]))
            for text, side in part.items()
        }
        for task in TWO_LABELS
    }
    both = groups_of([*mixture["hwu_intent"], *mixture["hwu_scenario"]])
    return {**of, "hwu_scenario": {text: str(number) for text, number in both.items()}}


def reworded(
    task: str, rows: Sequence[Example], wording: Wording, groups: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Rows with Instructions drawn anew, one for each text; `bare` of the rows without any.

    groups: of texts, as far as they are known.
    """
    random = random_for(SEED, "wording", task)
    made = []
    for one in rows:
        bare = random.random() < wording.bare
        sides = ["" if bare else wording.drawn(side, random) for side in ("query", "document", "document")]
        row: dict[str, Any] = {"query": [sides[0], one.query[1]], "pos": [sides[1], one.positives[0][1]]}
        if one.negatives:
            row["neg"] = [sides[2], one.negatives[0][1]]
        if one.query[1] in groups:
            row["group"] = groups[one.query[1]]
        made.append({**row, "task_name": task})
    return made


def contrasts(
    found: TwoLabelled, labelling: str, rows: Sequence[int], random: np.random.Generator
) -> list[dict[str, Any]]:
    """Rows of one labelling; labels have their turn by the square root of their texts' number."""
    (other,) = (name for name in found.labels if name != labelling)
    mine, others = found.labels[labelling], found.labels[other]
    by_label: dict[str, list[int]] = defaultdict(list)
    by_other: dict[str, list[int]] = defaultdict(list)
    for row in map(int, rows):
        by_label[mine[row]].append(row)
        by_other[others[row]].append(row)
    labels = [label for label, there in by_label.items() if len(there) > 1]
    weights = np.sqrt([len(by_label[label]) for label in labels])
    drawn = random.choice(len(labels), size=min(ROWS, 2 * len(rows)), p=weights / weights.sum())
    wording = found.wordings[labelling]
    made = []
    for label in (labels[at] for at in drawn):
        query = _one(by_label[label], random)
        # Near in this labelling alone, far in this labelling alone: nothing else tells the two apart.
        near = [row for row in by_label[label] if row != query and others[row] != others[query]]
        far = [row for row in by_other[others[query]] if mine[row] != label]
        near = near or [row for row in by_label[label] if row != query]
        far = far or [row for row in map(int, random.choice(rows, 20)) if mine[row] != label]
        if not far:
            continue
        positives = {_one(near, random) for _ in range(POSITIVES)}
        made.append(
            {
                "query": [wording.drawn("query", random), found.texts[query]],
                "pos": [[wording.drawn("document", random), found.texts[row]] for row in sorted(positives)],
                "neg": [wording.drawn("document", random), found.texts[_one(far, random)]],
                "task_name": f"{found.name}_by_{labelling}",
                "group": label,
            }
        )
    return made


def labelled(found: TwoLabelled, rows: Sequence[int]) -> list[dict[str, Any]]:
    """A labelled set of some rows."""
    return [
        {"text": found.texts[row], **{name: labels[row] for name, labels in found.labels.items()}}
        for row in map(int, rows)
    ]


def plain(one: Example) -> dict[str, Any]:
    """A row held out, as texts."""
    return {
        "query": one.query[1],
        "positive": one.positives[0][1],
        "negative": one.negatives[0][1] if one.negatives else None,
    }


def written(file: Path, rows: Sequence[Mapping[str, Any]]) -> int:
    """Write JSON Lines, the same bytes for the same rows; returns how many."""
    with file.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as out:
        for row in rows:
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8"))
    return len(rows)


def _one(rows: Sequence[int], random: np.random.Generator) -> int:
    return int(rows[int(random.integers(len(rows)))])


if __name__ == "__main__":
    main()
