"""`searchkit eval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import figures, options, output
from searchkit.cli.groups import GroupWithDefault
from searchkit.cli.own import ONLY_HERE, Gate, gate_options, own_command, report_options
from searchkit.cli.progress import steps
from searchkit.errors import SearchkitError, UsageError
from searchkit.evaluation.kinds import KINDS, MEASURES_OF
from searchkit.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from searchkit.evaluation.prompting import Completer
    from searchkit.evaluation.results import Result
    from searchkit.profile import Side


class _SetsAreTheDefault(GroupWithDefault):
    """`searchkit eval SET` is `searchkit eval run SET`, `searchkit eval -c NAME` is `searchkit eval own`."""

    def default(self, args: list[str]) -> str:
        """By the options that only one of them has."""
        of_own = any(one.split("=")[0] in ONLY_HERE or one.startswith("-c") for one in args)
        return "own" if of_own else "run"


@click.group("eval", cls=_SetsAreTheDefault)
def eval_command() -> None:
    """Measure how good a model and its instructions are: searchkit eval SET..., or eval -c NAME ...

    \b
    searchkit eval ./scifact --profile scientific-retrieval
    searchkit eval suite.toml --out results/mine --html report.html
    searchkit eval compare results/default results/mine
    searchkit eval -c company-docs --questions questions.jsonl
    searchkit eval -c company-docs --self

    A SET is a folder or file of a judged set, or a suite.toml that names several. What kind of task it is
    shows in its columns: see searchkit eval run --help.
    """


against_option = click.option(
    "--against", type=click.Choice(["paper"]), help="Print INSTRUCTOR's published figures beside ours."
)


@eval_command.command("run")
@click.argument("targets", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SET...")
@click.option("--kind", type=click.Choice(KINDS), help="What is asked of the set.  [default: by its columns]")
@click.option("--split", metavar="NAME", help="Only this part of it, such as test.")
@click.option(
    "--label", "labels", multiple=True, metavar="COLUMN", help="A column of labels.  [default: label]"
)
@click.option(
    "--per-label",
    type=click.IntRange(1),
    metavar="N",
    help="Texts of each label that classification learns from.  [default: 16]",
)
@options.profile_option("Instructions of this profile.  [default: none]")
@click.option("--query-instruction", metavar="TEXT", help="Put before queries, as it is.")
@click.option("--document-instruction", metavar="TEXT", help="Put before documents, as it is.")
@click.option("--model", metavar="ID|DIR", default=DEFAULT_MODEL, show_default=True, help="What is measured.")
@click.option(
    "--precision", default="auto", metavar="NAME", help="float32, bfloat16 or int8.  [default: auto]"
)
@click.option("--completer", metavar="ID|DIR", help="Causal language model that answers; prompts need one.")
@click.option("--max-tokens", type=click.IntRange(8), metavar="N", help="The window.  [default: the model's]")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Keep results there."
)
@click.option("--again", is_flag=True, help="Measure also what has a result in --out, and write over it.")
@against_option
@report_options
@gate_options
@options.json_option
def run_command(
    targets: tuple[Path, ...],
    model: str,
    precision: str,
    max_tokens: int | None,
    against: str | None,
    html: Path | None,
    png: Path | None,
    fail_under: tuple[str, ...],
    baseline: Path | None,
    as_json: bool,
    **asked: Any,
) -> int:
    """Measure a model on judged sets, by the protocol of each kind of task.

    \b
    retrieval       BEIR's corpus.jsonl, queries.jsonl, qrels.tsv   nDCG@10
                    text, group: each asks for others of its group
    reranking       query, positive, negative                       MAP
    pairs           a, b, label (0 or 1)                            average precision
    sts             a, b, score                                     Spearman
    clustering      text, label                                     v-measure
    classification  text, label, with --kind classification         accuracy
    judgement       hyp, refs, human_score                          Pearson
    prompts         text, answer, in train.* and test.*             accuracy or ROUGE-L

    For prompts a language model (--completer) answers each text of test.* by its nearest examples of train.*.
    Files are JSONL, CSV or TSV, .gz too. With --out, what was measured is not measured again, and an
    interrupted run goes on where it was. What DIR holds of another measurement is written over only with
    --again.
    """
    from searchkit.embedding.embedder import open_embedder
    from searchkit.evaluation import tasks
    from searchkit.evaluation.evaluate import Wanted, each

    output.check_folders(html, png)
    gate = Gate(fail_under, baseline, asked["out"])
    chosen = tasks.named(
        targets,
        kind=asked["kind"],
        split=asked["split"],
        labels=tuple(asked["labels"]) or None,
        per_label=asked["per_label"],
    )
    names = [name for task in chosen for name in tasks.result_names(task)]
    gate.check(names, {name for task in chosen for name in MEASURES_OF[task.kind]})
    if against is not None:
        figures.check(chosen)
    wanted = Wanted(
        profile=asked["profile"],
        instructions=_instructions(
            asked["query_instruction"], asked["document_instruction"], asked["profile"]
        ),
        out=asked["out"],
        vectors=options.vectors_folder(),
        again=asked["again"],
        completer=_completer(asked["completer"]),
    )
    embedder = open_embedder(model, precision=precision, max_tokens=max_tokens)
    found: list[Result] = []
    notes: list[str] = []
    try:
        with steps("evaluating") as on_task:
            for one in each(embedder, chosen, wanted, on_task, notes.append):
                found.append(one)
    except (SearchkitError, KeyboardInterrupt):
        if found:  # what was measured took its time, and may be kept nowhere
            figures.print_results(found, as_json, against)
        raise
    finally:
        for line in notes:
            click.echo(f"Note: {line}", err=True)
    figures.print_results(found, as_json, against)
    if html is not None or png is not None:
        from searchkit.evaluation import report

        with output.written():
            report.write(found, html, png, figures.published_beside(found) if against is not None else None)
    return gate.exit_code(found)


eval_command.add_command(own_command)


@eval_command.command("show")
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="RESULTS..."
)
@against_option
@options.json_option
def show_command(folders: tuple[Path, ...], against: str | None, as_json: bool) -> None:
    """Print kept results again, those of several models or profiles side by side.

    \b
    searchkit eval ./scifact --out results/default
    searchkit eval ./scifact --model hkunlp/instructor-large --out results/large
    searchkit eval show results/default results/large --against paper

    RESULTS are folders of searchkit eval --out. Whether a difference is chance says searchkit eval compare.
    """
    from searchkit.evaluation.results import read_all

    figures.print_side_by_side({str(one): read_all(one) for one in folders}, as_json, against)


@eval_command.command("compare")
@click.argument("first", type=click.Path(exists=True, path_type=Path))
@click.argument("second", type=click.Path(exists=True, path_type=Path))
@options.json_option
def compare_command(first: Path, second: Path, as_json: bool) -> None:
    """Compare two folders of results item by item: is SECOND better than FIRST, or is it chance?

    What only one of them has, and sets that changed between the two, are named on stderr and left out.

    Measures that are means over queries are tested by paired randomisation, those of pairs by bootstrap,
    clusters and classes in blocks of texts that share none. p and intervals are adjusted for how many tasks
    are compared.
    """
    from dataclasses import asdict

    from searchkit.evaluation import results
    from searchkit.evaluation.measured import figure
    from searchkit.evaluation.statistics import said

    one_side, other_side, left_out = results.comparable(results.read_all(first), results.read_all(second))
    if not one_side:
        raise UsageError(
            f"nothing is comparable: {'; '.join(left_out)}",
            remedy="evaluate the same files with: searchkit eval SET --out FOLDER",
        )
    for line in left_out:
        click.echo(f"Not compared: {output.clean(line)}", err=True)
    found = results.compare(one_side, other_side)
    if as_json:
        output.print_json(
            results.without_nan([{**asdict(one), "difference": one.difference} for one in found])
        )
        return
    shown = output.table(
        "task", "measure", str(first), str(second), "difference", "95 %", "p", "better, worse"
    )
    for one in found:
        shown.add_row(
            output.clean(one.task), one.main, figure(one.first), figure(one.second),
            figure(one.difference, "+.2f"), said(one.low, one.high, "+.2f"),
            output.p_value(one.p),
            output.better_worse(one.better, one.worse),
        )  # fmt: skip
    output.console().print(shown)
    for one in found:
        if one.too_few:
            click.echo(f"{output.clean(one.task)}: nothing can be told from chance: {one.too_few}")


def _completer(model: str | None) -> Completer | None:
    if model is None:
        return None
    from searchkit.embedding.completer import open_completer

    return open_completer(model)


def _instructions(query: str | None, document: str | None, profile: str | None) -> dict[Side, str] | None:
    if query is None and document is None:
        return None
    if profile is not None:
        raise UsageError("--profile names both instructions", remedy="leave it out, or the literal ones")
    return {"query": query or "", "document": document or ""}
