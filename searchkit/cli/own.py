"""`searchkit eval own`: a collection of one's own, measured."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from searchkit.cli import options, output
from searchkit.cli.progress import steps
from searchkit.cli.stopping import stopped_in_order
from searchkit.errors import UsageError

if TYPE_CHECKING:
    from searchkit.collection.library import Library
    from searchkit.evaluation.results import Result

Command = TypeVar("Command", bound=Callable[..., Any])

MODES = ("hybrid", "vector", "text")
ONLY_HERE = (
    "-c",
    "--collection",
    "--questions",
    "--self",
)  # options by which `eval` knows that this is meant
TEXT_SHOWN = 60  # characters of a question or a passage


def gate_options(command: Command) -> Command:
    """--fail-under and --baseline, handed on as `fail_under` and `baseline`."""
    for option in (
        click.option(
            "--baseline",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Exit code 1 if significantly worse (p < 0.05) than the results kept there.",
        ),
        click.option(
            "--fail-under",
            multiple=True,
            metavar="[MEASURE=]X",
            help="Exit code 1 if a measure, by default the main one, is below X: 60, ndcg@10=0.6.",
        ),
    ):
        command = option(command)
    return command


def report_options(command: Command) -> Command:
    """--html and --png, handed on as `html` and `png`."""
    file = click.Path(dir_okay=False, path_type=Path)
    for option in (
        click.option("--png", type=file, metavar="FILE", help="Draw the figures."),
        click.option("--html", type=file, metavar="FILE", help="Write a report."),
    ):
        command = option(command)
    return command


class Gate:
    """What --fail-under and --baseline ask for, read before anything is measured."""

    def __init__(self, fail_under: Sequence[str], baseline: Path | None, out: Path | None) -> None:
        from searchkit.evaluation import gate

        self._bounds = [gate.bound(one) for one in fail_under]
        self._baseline = None if baseline is None else gate.kept(baseline)
        self._name = str(baseline)
        if (
            baseline is not None
            and out is not None
            and baseline.resolve() in (out.resolve(), *out.resolve().glob("*.json"))
        ):
            raise UsageError(
                f"--out would write over the baseline {baseline}, and the next run be held against this one",
                remedy="name another folder, and copy what it holds when it is to be the baseline",
            )

    def check(self, tasks: Sequence[str], measures: Collection[str]) -> None:
        """Before anything is measured. measures: those of all Tasks. Raises: UsageError: it is no gate."""
        from searchkit.evaluation import gate

        gate.require_measures(self._bounds, measures)
        if self._baseline is not None:
            gate.require_comparable(tasks, self._baseline)

    def exit_code(self, found: Sequence[Result]) -> int:
        """1 where something is too low, which is said on stderr in a line; else 0."""
        from searchkit.evaluation import gate

        code = 0
        for line in gate.below(found, self._bounds):
            click.echo(f"Failed: {line}", err=True)
            code = 1
        for line in gate.unbounded(found, self._bounds):
            click.echo(f"Note: {line}", err=True)
        if self._baseline is not None:
            for line in gate.other_conditions(found, self._baseline):
                click.echo(f"Note: {line}", err=True)
            for line in gate.worse(found, self._baseline):
                click.echo(f"Failed: {line}, significantly worse than {self._name}", err=True)
                code = 1
        return code


@click.command("own")
@options.collection_option("The collection to measure.  [default: the only one, else company-docs]")
@click.option(
    "--questions",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Questions with the documents that answer them: JSONL, CSV or TSV.",
)
@click.option("--split", metavar="NAME", help="Only questions of this split.")
@click.option(
    "--self", "by_itself", is_flag=True, help="Questions made of the collection's own texts: weak evidence."
)
@click.option(
    "--sample", type=click.IntRange(10), metavar="N", help="At most N questions of --self.  [default: 300]"
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of --self: another one takes others.")
@click.option(
    "--write-questions",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep the questions of --self, to be looked through and given as --questions.",
)
@click.option("--mode", type=click.Choice(MODES), default="hybrid", show_default=True, help="How to search.")
@click.option("--modes", is_flag=True, help="Measure all three ways, and compare them.")
@options.profile_option("Ask under another profile's query instruction.")
@options.model_option
@click.option(
    "--worst",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    metavar="N",
    help="Show the N questions answered worst.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Keep results there."
)
@click.option("--again", is_flag=True, help="Write over what --out holds of another measurement.")
@report_options
@gate_options
@options.library_option
@options.json_option
def own_command(
    library: Library,
    questions: Path | None,
    by_itself: bool,
    out: Path | None,
    again: bool,
    html: Path | None,
    png: Path | None,
    fail_under: tuple[str, ...],
    baseline: Path | None,
    as_json: bool,
    **asked: Any,
) -> int:
    """Measure how well a collection answers: searchkit eval -c NAME --questions FILE.

    \b
    searchkit eval -c company-docs --questions questions.jsonl
    searchkit eval -c company-docs --questions questions.jsonl --modes --html report.html
    searchkit eval -c company-docs --self
    searchkit eval -c company-docs --questions questions.jsonl --fail-under ndcg@10=0.6

    \b
    A line of FILE, or a row of a table:
    {"question": "how do I get a laptop", "documents": ["it/hardware-requests.md"]}
    {"question": "who won the cup", "answerable": false}

    It may also have: passage (a text that the right passage holds), heading (the one above it), split. A
    table among the documents is found with its first row. Where `kind` says that --self made a question, it
    is no evidence as it stands: put it in other words, and delete its kind.

    --self asks headings, titles, words of links and questions of the collection's own, in a copy from which
    they are taken out where they stand as heading, title or line of what they ask for. The copy, of that
    collection alone, lies in the Library's folder (if that may not be written to, among temporary files) and
    is deleted in the end. It takes as much space as the collection, and its snapshot twice.
    """
    from searchkit.evaluation import own, report
    from searchkit.evaluation.questions import write_questions

    _check(questions, by_itself, asked)
    output.check_folders(html, png, asked["write_questions"])
    if asked["modes"] and (fail_under or baseline is not None):
        raise UsageError(
            "--modes measures three ways to search, and a gate is for the one in use",
            remedy="leave out --modes, or --fail-under and --baseline",
        )
    gate = Gate(fail_under, baseline, out)
    modes = own.MODES if asked["modes"] else (asked["mode"],)
    gate.check(own.task_names(questions, modes, asked["split"]), own.MEASURES)
    wanted = own.Wanted(
        collection=asked["collection"],
        modes=modes,
        out=out,
        again=again,
        profile=asked["profile"],
        model=asked["model"],
        worst=asked["worst"],
    )
    with stopped_in_order(), steps() as on_task:  # or the copy of --self would be left
        if questions is not None:
            found = own.evaluate_own(library, questions, wanted, split=asked["split"], on_task=on_task)
        else:
            found, made = own.evaluate_itself(
                library, wanted, sample=asked["sample"] or own.SAMPLE, seed=asked["seed"], on_task=on_task
            )
            if asked["write_questions"] is not None:
                with output.written():
                    write_questions(made, asked["write_questions"])
    _print(found, as_json)
    if html is not None or png is not None:
        with output.written():
            report.write(found, html, png)
    return gate.exit_code(found)


def _check(questions: Path | None, by_itself: bool, asked: dict[str, Any]) -> None:
    if (questions is None) == (not by_itself):
        raise UsageError(
            "--questions and --self are two ways to measure" if by_itself else "there are no questions",
            remedy="name a file of them: --questions FILE; or make some of the collection's texts: --self",
        )
    if questions is not None:
        for name, option in (("sample", "--sample"), ("write_questions", "--write-questions")):
            if asked[name] is not None:
                raise UsageError(f"{option} goes with --self", remedy=f"leave out {option}")
    elif asked["split"] is not None:
        raise UsageError("--split goes with --questions", remedy="leave out --split")


def _print(found: Sequence[Result], as_json: bool) -> None:
    from searchkit.evaluation import own, own_report, results

    if as_json:
        output.print_json(results.plain(found))
        return
    shown = output.table(
        "mode", "ndcg@10", "95 %", "mrr@10", "recall@1", "@5", "@10", "@100", "map", "p50, p95"
    )
    columns = ("mrr@10", "recall@1", "recall@5", "recall@10", "recall@100", "map")
    for one in found:
        measured, times = one.measured, one.details["latency_ms"]
        shown.add_row(
            one.details["mode"], f"{one.main:.2f}", measured.interval,
            *(f"{measured.measures[name]:.2f}" for name in columns),
            f"{times['p50']:.0f}, {times['p95']:.0f} ms",
        )  # fmt: skip
    console = output.console()
    first = found[0]
    counts = first.measured.counts
    console.print(
        f"{counts['questions']:,} questions to {first.details['collection']}: "
        f"{counts['documents']:,} documents, {counts['passages']:,} passages"
    )
    if first.details["evidence"] != own.JUDGED_BY_PEOPLE:
        console.print(f"This is {first.details['evidence']}.")
    console.print(shown)
    for note in dict.fromkeys(note for one in found for note in one.measured.notes):
        click.echo(f"Note: {note}")
    if len(found) > 1:
        _print_differences(found)
    for one in found:
        _print_details(one, own_report.verdicts(one), several=len(found) > 1)


def _print_differences(found: Sequence[Result]) -> None:
    """The first mode against each other one."""
    from searchkit.evaluation.results import compare
    from searchkit.evaluation.statistics import said

    others = {one.task: one for one in found[1:]}
    for difference, other in zip(
        compare(others, dict.fromkeys(others, found[0])), others.values(), strict=True
    ):
        click.echo(
            f"{found[0].details['mode']} less {other.details['mode']}: {difference.difference:+.2f} "
            + (
                f"({difference.too_few})"
                if difference.too_few
                else f"({said(difference.low, difference.high, '+.2f')}, p {difference.p:.4f})"
            )
        )


def _print_details(one: Result, verdicts: str, *, several: bool) -> None:
    from searchkit.evaluation.own_report import place

    details, console = one.details, output.console()
    if several:
        console.print(f"\n{details['mode']}")
    if (share := one.measured.measures.get("passage@10")) is not None:
        named = one.measured.counts["passages named"]
        console.print(
            f"The passage that is named was among the first ten for {share:.1f} % of {named:,} questions."
        )
    if len(details["kinds"]) > 1:
        kinds = (
            f"{kind} {about['ndcg@10']:.2f} ({about['questions']:,})"
            for kind, about in details["kinds"].items()
        )
        console.print(f"ndcg@10 by kind of question: {', '.join(kinds)}")
    if verdicts:
        console.print(f"{verdicts[:1].upper()}{verdicts[1:]}.")
    if not details["worst"]:
        return
    console.print("Answered worst:")
    shown = output.table("question", "wanted", "it was", "found first")
    for row in details["worst"]:
        instead = row["found"][0]["where"] if row["found"] else "nothing"
        shown.add_row(
            output.clean(row["question"])[:TEXT_SHOWN],
            output.clean(", ".join(row["wanted"])),
            place(row),
            output.clean(instead),
        )
    console.print(shown)
