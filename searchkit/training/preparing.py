"""All that a training needs before its first step: rows, network, batches, loss, what judges it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from searchkit.embedding.embedder import LocalEmbedder, open_embedder
from searchkit.embedding.opening import plan_model
from searchkit.embedding.weights import weights_sha256
from searchkit.errors import TrainingInvalid, near_names
from searchkit.training.batches import Schedule, capped, groups_of
from searchkit.training.examples import Example, data_fingerprint, find_files, read_examples
from searchkit.training.held_out import evaluate_held_out, split, with_rivals
from searchkit.training.objective import Embed, Objective
from searchkit.training.processes import ALONE, Processes
from searchkit.training.settings import GUIDES, IN_BATCH, PAPER, TrainingRecipe
from searchkit.training.student import Student

# An Instruction that takes more of a side's window than this leaves too little of the text.
MAX_INSTRUCTION_SHARE = 0.5
NAMED = 8  # tasks that a notice names; a mixture may have hundreds


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A training, ready to begin."""

    processes: Processes
    student: Student
    examples: Mapping[str, Sequence[Example]]  # trained on, by task
    left_out: Mapping[str, int]  # rows whose Instruction is too long for the window, by task
    notices: tuple[str, ...]  # of what is not as the recipe has it
    schedule: Schedule
    objective: Objective
    evaluate: Callable[[int, LocalEmbedder], Mapping[str, float]] | None  # on rows held out
    anchor_texts: Mapping[str, Sequence[str]]  # by task
    data: str  # fingerprint of the rows' files
    base: str  # of the weights that training begins with
    guide: str  # of a model's weights that the recipe names as guide; "" for none
    teacher: str  # likewise of the model that anchors


def prepare(recipe: TrainingRecipe, processes: Processes = ALONE, *, judged: bool = False) -> Prepared:
    """Read the rows, open the model, make the batches.

    judged: whether something judges the model that the recipe does not say.

    Raises:
        TrainingInvalid: the recipe and the rows do not go together, or a row is not right.
    """
    files = find_files(recipe.data.files, recipe.folder)
    read = read_examples(files)
    examples, held = split(read, recipe.data.held_out, recipe.seed)
    chosen = capped(examples, recipe.data, recipe.seed)
    student = Student(recipe)
    fitting, left_out = _fitting(chosen, student)
    _check_tasks(fitting, left_out, recipe)
    groups = {task: groups_of(read[task]) for task in held if task in fitting}
    judging = with_rivals({task: held[task] for task in groups}, groups)
    _check_judges(judging, recipe, judged)
    objective = _objective(recipe, fitting, student, processes)
    return Prepared(
        processes=processes,
        student=student,
        examples=fitting,
        left_out=left_out,
        notices=(
            *_cut(student, recipe),
            *_notices(fitting, left_out, judging, recipe),
            *_idle(objective, fitting, recipe),
        ),
        schedule=Schedule(fitting, recipe),
        objective=objective,
        evaluate=_evaluation(judging, groups) if judging else None,
        anchor_texts=_anchor_texts(fitting, recipe),
        data=data_fingerprint(files),
        base=weights_sha256(student.plan.checkpoint),
        guide=_guide_sha256(objective, recipe),
        teacher=_sha256(recipe.anchor.model, recipe) if objective.teacher else "",
    )


def _evaluation(
    held: Mapping[str, Sequence[Example]], groups: Mapping[str, Mapping[str, int]]
) -> Callable[[int, LocalEmbedder], Mapping[str, float]]:
    return lambda step, embedder: evaluate_held_out(held, groups, embedder.embed_pairs)


def _check_judges(judging: Mapping[str, Sequence[Example]], recipe: TrainingRecipe, judged: bool) -> None:
    if judging or judged or recipe.evaluate.sets or not recipe.evaluate_every:
        return
    if recipe.data.held_out:
        raise TrainingInvalid(
            "the recipe says held_out, but no task has rows that could be held out: it takes four rows for "
            "each, other queries than theirs to train on, and wrong answers to tell theirs from",
            remedy="add rows or negatives, or under [evaluate]: sets = [...]; or leave out evaluate_every",
        )
    raise TrainingInvalid(
        "the recipe says evaluate_every, but there is nothing to evaluate on",
        remedy="add under [data]: held_out = 50; or under [evaluate]: sets = [...]",
    )


def _cut(student: Student, recipe: TrainingRecipe) -> Iterator[str]:
    """Which texts are cut shorter than the recipe says; the defaults are for networks that read so much."""
    defaults = TrainingRecipe(out="")  # a class with slots does not know them
    asked = {"query_tokens": recipe.query_tokens, "document_tokens": recipe.document_tokens}
    for (name, wanted), read in zip(asked.items(), student.windows, strict=True):
        if read < wanted != getattr(defaults, name):
            yield f"{name} is {wanted}, but the model reads no more than {read} tokens"


def _notices(
    examples: Mapping[str, Sequence[Example]],
    left_out: Mapping[str, int],
    judging: Mapping[str, Sequence[Example]],
    recipe: TrainingRecipe,
) -> Iterator[str]:
    """What of the rows takes no part, in words."""
    gone = [task for task in left_out if task not in examples]
    if gone:
        yield (
            f"tasks left out, for the Instruction of each row takes more than half of the window: "
            f"{_listed(gone)}"
        )
    some = [
        f"{left_out[task]:,} of {left_out[task] + len(rows):,} of {task}"
        for task, rows in examples.items()
        if task in left_out
    ]
    if some:
        yield f"rows left out, for their Instruction takes more than half of the window: {_listed(some)}"
    if recipe.data.held_out and (unjudged := [task for task in examples if task not in judging]):
        yield (
            "tasks that do not judge, for they have fewer than four rows, no two queries, or no wrong "
            f"answers: {_listed(unjudged)}"
        )


def _idle(
    objective: Objective, examples: Mapping[str, Sequence[Example]], recipe: TrainingRecipe
) -> Iterator[str]:
    """Tasks whose loss is 0 in every batch, in words: nothing stands beside the positive.

    Raises:
        TrainingInvalid: all of them are, and there is no anchor.
    """
    idle = [
        task
        for task, rows in examples.items()
        if objective.name_for(task) == IN_BATCH
        and not (recipe.negatives and any(one.negatives for one in rows))
        and len({objective.groups.get(task, {}).get(one.query[1], at) for at, one in enumerate(rows)}) < 2
    ]
    if len(idle) == len(examples) and not recipe.anchor.weight:
        raise TrainingInvalid(
            f"no task has two candidates to tell apart: {_listed(idle)}",
            remedy="add rows that say something else, or negatives: searchkit train mine",
        )
    if idle:
        yield f"tasks of which nothing is learned, for they have no two candidates: {_listed(idle)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _fitting(
    examples: Mapping[str, Sequence[Example]], student: Student
) -> tuple[dict[str, list[Example]], dict[str, int]]:
    """Rows whose Instructions leave room for a text, and how many do not."""
    known: dict[str, int] = {}
    for rows in examples.values():
        for one in rows:
            for instruction, _ in (one.query, *one.positives, *one.negatives):
                known.setdefault(instruction, 0)
    counts = dict(zip(known, student.instruction_tokens(list(known)), strict=True))
    limits = [MAX_INSTRUCTION_SHARE * size for size in student.windows]

    def fits(one: Example) -> bool:
        return counts[one.query[0]] <= limits[0] and all(
            counts[instruction] <= limits[1] for instruction, _ in (*one.positives, *one.negatives)
        )

    kept = {task: [one for one in rows if fits(one)] for task, rows in examples.items()}
    left_out = {task: len(examples[task]) - len(rows) for task, rows in kept.items()}
    kept = {task: rows for task, rows in kept.items() if rows}
    if not kept:
        raise TrainingInvalid(
            "every row's Instruction takes more than half of the window",
            remedy="raise query_tokens and document_tokens",
        )
    return kept, {task: count for task, count in left_out.items() if count}


def _check_tasks(
    examples: Mapping[str, Sequence[Example]], left_out: Mapping[str, int], recipe: TrainingRecipe
) -> None:
    """Refuse tasks that the recipe names and nothing is trained on, and rows that lack what a loss takes."""
    for name in (*recipe.data.weights, *recipe.data.shares, *recipe.loss.tasks, *recipe.anchor.tasks):
        if name in left_out and name not in examples:
            raise TrainingInvalid(
                f"the recipe names the task '{name}', but the Instruction of each of its {left_out[name]:,} "
                "rows takes more than half of the window",
                remedy=f"raise query_tokens and document_tokens, or {_without(name, recipe)}",
            )
    for name in (*recipe.loss.tasks, *recipe.anchor.tasks):
        if name not in examples:
            raise TrainingInvalid(
                f"the recipe names the task '{name}', which has no rows to train on"
                f"{near_names(name, examples)}",
                remedy=f"tasks: {', '.join(sorted(examples))}",
            )
    for task, rows in examples.items():
        bare = sum(not one.negatives for one in rows) if recipe.negatives else len(rows)
        if recipe.loss.tasks.get(task, recipe.loss.name) == PAPER and bare:
            raise TrainingInvalid(
                f"{bare:,} of {len(rows):,} rows of '{task}' have no hard negative, which the loss 'paper' "
                "tells positives from",
                remedy=f'say name = "{IN_BATCH}" under [loss], or {task} = "{IN_BATCH}" under [loss.tasks]',
            )


def _without(task: str, recipe: TrainingRecipe) -> str:
    """What to change for a task that the recipe names to be left out, in words."""
    named = {"[loss.tasks]": task in recipe.loss.tasks, "[anchor] tasks": task in recipe.anchor.tasks}
    changes = [f"leave {task} out of {place}" for place, there in named.items() if there]
    if task in recipe.data.weights or task in recipe.data.shares:
        changes.append(f"say {task} = 0 under [data.weights]")
    return " and ".join(changes)


def _objective(
    recipe: TrainingRecipe, examples: Mapping[str, Sequence[Example]], student: Student, processes: Processes
) -> Objective:
    in_batch = [task for task in examples if recipe.loss.tasks.get(task, recipe.loss.name) == IN_BATCH]
    groups = {task: groups_of(examples[task]) for task in in_batch} if recipe.loss.groups else {}
    guide: Embed | None = None
    teacher: Embed | None = None
    if in_batch and recipe.loss.guide not in ("none", "self"):
        of = recipe.base if recipe.loss.guide == "base" else recipe.beside(recipe.loss.guide)
        guide = processes.shared(_frozen(of, recipe).embed_pairs)
    if recipe.anchor.weight:
        teacher = processes.shared(_teacher(recipe, student))
    return Objective(loss=recipe.loss, anchor=recipe.anchor, groups=groups, guide=guide, teacher=teacher)


def _guide_sha256(objective: Objective, recipe: TrainingRecipe) -> str:
    """Of a model that is only a guide; the base is known by a hash of its own."""
    if objective.guide is None or recipe.loss.guide in GUIDES:
        return ""
    return _sha256(recipe.loss.guide, recipe)


def _sha256(model: str, recipe: TrainingRecipe) -> str:
    return weights_sha256(plan_model(recipe.beside(model)).checkpoint) if model else ""


def _teacher(recipe: TrainingRecipe, student: Student) -> Embed:
    """The model that anchors.

    Raises:
        TrainingInvalid: its vectors cannot be compared with the student's.
    """
    named = recipe.anchor.model
    teacher = _frozen(recipe.beside(named) if named else recipe.base, recipe)
    if recipe.anchor.kind == "cosine" and teacher.dim != student.runtime.dim:
        raise TrainingInvalid(
            f"[anchor] model '{named}' makes vectors of {teacher.dim} dimensions, and the model that is "
            f"trained of {student.runtime.dim}",
            remedy='say kind = "similarity" there, which compares cosines, or name a model of as many',
        )
    return teacher.embed_pairs


def _frozen(model: str, recipe: TrainingRecipe) -> LocalEmbedder:
    """A model that stays as it is. In torch: threads of another runtime would get into this one's way."""
    opened = open_embedder(model, runtime="torch", device=recipe.device)
    window = min(opened.max_tokens, max(recipe.query_tokens, recipe.document_tokens))
    return opened.windowed(window)


def _anchor_texts(examples: Mapping[str, Sequence[Example]], recipe: TrainingRecipe) -> dict[str, list[str]]:
    """Different texts of queries and positives, by task."""
    if not recipe.anchor.weight:
        return {}
    tasks = recipe.anchor.tasks or tuple(examples)
    return {
        task: list(dict.fromkeys(text for one in examples[task] for _, text in (one.query, *one.positives)))
        for task in tasks
    }
