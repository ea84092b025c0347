"""`searchkit train data|mine`: rows to train on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from searchkit.cli import options, output
from searchkit.cli.progress import steps
from searchkit.errors import UsageError
from searchkit.settings import DEFAULT_MODEL, DEFAULT_PROFILE

if TYPE_CHECKING:
    from searchkit.collection.library import Library

file_option = click.Path(exists=True, dir_okay=False, path_type=Path)
out_option = click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="JSONL; .jsonl.gz is gzipped.",
)  # fmt: skip
negatives_option = click.option(
    "--negatives", type=click.IntRange(0), default=4, show_default=True, help="Of a row, at most."
)
below_option = click.option(
    "--below", type=click.FloatRange(0, 1), default=0.95, show_default=True,
    help="A negative's score is at most this share of the positive's.",
)  # fmt: skip


@click.command("data")
@click.option("--questions", type=file_option, metavar="FILE", help="question, documents: to a collection.")
@click.option("--clicks", type=file_option, metavar="FILE", help="query, clicked, shown: texts or documents.")
@click.option("--faq", type=file_option, metavar="FILE", help="question, answer.")
@options.library_option
@options.collection_option("Whose documents questions and clicks name.")
@options.profile_option("Whose Instructions the rows have.  [default: the collection's, else company-docs]")
@click.option("--split", metavar="NAME", help="Only questions whose `split` says so.")
@click.option("--task", metavar="NAME", help="What the rows are called.  [default: the file's name]")
@negatives_option
@below_option
@out_option
def data_command(
    library: Library,
    questions: Path | None,
    clicks: Path | None,
    faq: Path | None,
    collection: str | None,
    profile: str | None,
    split: str | None,
    **asked: object,
) -> None:
    """Make rows to train on, of what people asked and what answered it.

    \b
    searchkit train data --questions questions.jsonl -c company-docs --out rows.jsonl
    searchkit train data --clicks clicks.csv -c company-docs --out rows.jsonl
    searchkit train data --faq faq.csv --out rows.jsonl

    Files are JSONL, CSV or TSV. With -c, positives and hard negatives are passages of the collection;
    without, clicks are texts, and searchkit train mine finds negatives. Read the rows before you train on
    them. A question that was trained on cannot judge the model any more: keep some back, in another file or
    in another `split` of this one, for searchkit eval.
    """
    from searchkit.evaluation import rows_to_train
    from searchkit.evaluation.rows import stem_of
    from searchkit.profile import Profile
    from searchkit.training.mining import write_rows

    given = [one for one in (questions, clicks, faq) if one is not None]
    if len(given) != 1:
        raise UsageError(
            f"{len(given) or 'none'} of --questions, --clicks and --faq are given", remedy="give one of them"
        )
    if faq is not None and collection is not None:
        raise UsageError("--faq has its answers in the file", remedy="leave out -c, or give --questions")
    if faq is not None:
        _refuse_given("--faq", "split")
        _refuse_given("--faq, which has no negatives", "negatives", "below")
    elif clicks is not None:
        _refuse_given("--clicks", "split")
        if collection is None:
            _refuse_given("--clicks without -c", "below")
    out = Path(str(asked["out"]))
    _require_out(out, given)
    in_collection = questions is not None or collection is not None
    info = library.show(collection) if in_collection else None
    making = rows_to_train.Making(
        task=str(asked["task"] or stem_of(given[0])),
        profile=Profile.load(profile or DEFAULT_PROFILE) if profile or info is None else info.profile,
        negatives=int(str(asked["negatives"])),
        below=float(str(asked["below"])),
        split=split,
    )
    if info is not None:
        made = rows_to_train.rows_of_collection(
            library, info.name, given[0], making, clicked=clicks is not None
        )
    elif faq is not None:
        made = rows_to_train.rows_of_answers(faq, making)
    else:
        made = rows_to_train.rows_of_clicks(given[0], making)
        if names := rows_to_train.like_file_names(made):
            click.echo(
                f"Note: of what was clicked, {output.counted(len(names), 'text')}, such as "
                f"{output.clean(names[0])!r}, look like names of files: what is in the files is not trained "
                "on, unless -c names their collection",
                err=True,
            )
    write_rows(made, out)
    bare = sum(not one.negatives for one in made)
    click.echo(f"{out}: {len(made):,} rows of task '{making.task}', {bare:,} of them without a negative")


def _refuse_given(beside: str, *names: str) -> None:
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name} has no meaning beside {beside}", remedy=f"leave out --{name}")


def _require_out(out: Path, read: Sequence[Path]) -> None:
    """Before anything is read: the work may take an hour."""
    from searchkit.whole_file import require_place

    require_place(out)
    if out.exists() and any(out.samefile(file) for file in read):
        raise UsageError(f"{out} is one of the files that are read", remedy="name another file with --out")


@click.command("mine")
@click.argument("rows", nargs=-1, required=True, metavar="ROWS...")
@click.option("--model", metavar="ID|DIR", default=DEFAULT_MODEL, show_default=True, help="What searches.")
@click.option("--guide", metavar="ID|DIR", help="Whose scores tell what is too near.  [default: the model's]")
@negatives_option
@below_option
@click.option("--keep", is_flag=True, help="Keep the negatives of every row, and add to them.")
@out_option
def mine_command(
    rows: tuple[str, ...],
    model: str,
    guide: str | None,
    negatives: int,
    below: float,
    keep: bool,
    out: Path,
) -> None:
    """Find hard negatives for ROWS: texts of the same task that a model finds near, and that are not right.

    \b
    searchkit train mine rows.jsonl --out mined.jsonl
    searchkit train mine "rows/*.jsonl" --guide BAAI/bge-base-en-v1.5 --negatives 8 --out mined.jsonl.gz

    What scores almost as high as the positive may well be right, and is left out: see --below. A row for
    which nothing is found keeps the negatives that it has.
    """
    from searchkit.embedding.embedder import open_embedder
    from searchkit.training.examples import find_files, read_examples
    from searchkit.training.mining import Mining, mine_task, without_instructions, write_rows

    files = find_files(rows, Path.cwd())
    _require_out(out, files)
    examples = read_examples(files)
    opened = open_embedder(model)
    pooled = opened.family.reading.pool_instruction
    searching = without_instructions(opened.embed_pairs) if pooled else opened.embed_pairs
    judging = open_embedder(guide).embed_pairs if guide else None
    mining = Mining(count=negatives, below=below, keep=keep, guide=judging)
    made, shown = [], output.table("task", "rows", "negatives a row", "without", "as they were", "too near")
    with steps("mining") as show:
        for done, (task, of_task) in enumerate(sorted(examples.items())):
            if show is not None:
                show(task, done, len(examples))
            new, found = mine_task(of_task, searching, mining)
            made += new
            each = f"{found.negatives / found.rows:.1f}"
            counts = (f"{one:,}" for one in (found.without, found.as_they_were, found.too_near))
            shown.add_row(task, f"{found.rows:,}", each, *counts)
    write_rows(made, out)
    output.console().print(shown)
    click.echo(f"{out}: {len(made):,} rows")
