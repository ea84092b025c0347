"""Prints what a query found: a table for people, JSON or CSV for programs, and why it was found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli.output import clean, console, csv_line, print_json, table
from searchkit.records import Hit, QueryResult

if TYPE_CHECKING:
    from rich.text import Text

    from searchkit.collection.snippet import Sentence

CSV_COLUMNS = (
    "query",
    "rank",
    "score",
    "relevance",
    "collection",
    "document",
    "where",
    "heading",
    "start",
    "end",
    "text",
)
MARK = "bold yellow"

Ask = Callable[[str], tuple[QueryResult, "list[Sentence]"]]
AskPlain = Callable[[str], QueryResult]


def print_results(queries: Sequence[str], form: str, ask: AskPlain, ask_for_people: Ask) -> QueryResult:
    """Answer queries one after the other and print each as soon as it is there. Returns: the last answer."""
    if form == "csv":
        in_utf8()
        click.echo(csv_line(CSV_COLUMNS), nl=False)
    if form == "json" and len(queries) > 1:
        results = [ask(query) for query in queries]
        print_json([asdict(result) for result in results])
        return results[-1]
    for number, query in enumerate(queries):
        if form == "table":
            if len(queries) > 1:
                click.echo(("\n" if number else "") + clean(query))
            result, sentences = ask_for_people(query)
            print_hits(result, sentences)
        else:
            result = ask(query)
            print_csv(result) if form == "csv" else print_json(result)
    return result


def in_utf8() -> None:
    """CSV is read in UTF-8, whatever stdout is otherwise written in."""
    if not sys.stdout.isatty() and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")


def print_csv(result: QueryResult) -> None:
    """A line for each Hit."""
    for hit in result.hits:
        row = [result.query if name == "query" else getattr(hit, name) for name in CSV_COLUMNS]
        click.echo(csv_line(["" if value is None else value for value in row]), nl=False)


def print_hits(
    result: QueryResult, sentences: Sequence[Sentence], further: str = "more with --offset {}"
) -> None:
    """Show the Hits of a query, each with the sentence of its passage that answers best.

    further: how the next page is asked for; {} stands for the last rank.
    """
    from rich.text import Text

    out = console()
    for notice in result.notices:
        click.echo(f"Note: {notice}", err=True)
    if verdict := verdict_of(result):
        out.print(Text(verdict, style="bold"))
    if result.hits:
        several = len({hit.collection for hit in result.hits}) > 1
        known = any(hit.relevance is not None for hit in result.hits)
        names = ["#", "score", *(["relevance"] if known else []), "document", "passage"]
        shown = table(*names)
        for hit, sentence in zip(result.hits, sentences, strict=True):
            relevance = [] if not known else ["" if hit.relevance is None else f"{hit.relevance:.1f} %"]
            cells = [str(hit.rank), f"{hit.score:.3f}", *relevance]
            shown.add_row(*cells, _place(hit, several=several), _passage(hit, sentence))
        out.print(shown)
    if result.explanation is not None:
        print_explanation(result)
    about = [result.collection, result.profile, result.model, result.mode]
    if result.reranked_by:
        about.append(f"reranked by {result.reranked_by}")
    about.append(f"{result.took_ms:.0f} ms")
    if result.more and result.hits:
        about.append(further.format(result.hits[-1].rank))
    out.print(Text(" · ".join(about), style="dim"))


def print_passage(hit: Hit) -> None:
    """Show the whole passage of a Hit, and those around it as far as they were read."""
    from rich.text import Text

    out = console()
    out.print(_place(hit, several=False))
    if hit.heading:
        out.print(Text(clean(hit.heading), style="dim"))
    out.print(_whole(hit))


def verdict_of(result: QueryResult) -> str:
    """What is to be said before the Hits; '' where they speak for themselves."""
    where = f"'{result.collection}'" if ", " not in result.collection else result.collection
    if not result.hits and result.offset:
        return f"There are no hits after the first {result.offset:,} in {where}."
    if result.relevant is False:
        return f"Nothing relevant was found in {where}: an unrelated question would find as much."
    if not result.hits:
        return f"Nothing was found in {where}."
    return ""


def _place(hit: Hit, *, several: bool) -> Text:
    from rich.text import Text

    place = Text(clean(hit.document), style="bold")
    place.append(clean(hit.where[len(hit.document) :]), style="not bold")
    if several:
        place.append(f"\n{hit.collection}", style="not bold dim")
    return place


def _passage(hit: Hit, sentence: Sentence) -> Text:
    """Heading and best sentence; the whole passage with those around it where they were asked for."""
    from rich.text import Text

    shown = Text(clean(hit.heading) + "\n" if hit.heading else "", style="dim")
    if hit.before or hit.after:
        return shown.append_text(_whole(hit))
    return shown.append_text(_marked(sentence.text, sentence.marks))


def _whole(hit: Hit) -> Text:
    """The passage between those around it."""
    from rich.text import Text

    shown = Text()
    for text in hit.before:
        shown.append(f"{_printable(text)}\n\n", style="dim")
    shown.append_text(_marked(hit.text, hit.highlights))
    for text in hit.after:
        shown.append(f"\n\n{_printable(text)}", style="dim")
    return shown


def _marked(text: str, marks: Sequence[tuple[int, int]]) -> Text:
    from rich.text import Text

    shown = Text(_printable(text), style="not dim")
    for start, end in marks:
        shown.stylize(MARK, start, end)
    return shown


def _printable(text: str) -> str:
    """As long as it was, without characters that a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def print_explanation(result: QueryResult) -> None:
    """Say for each Collection what was asked of what, and for each Hit what it owes its place to."""
    for name, part in (result.explanation or {}).items():
        assert isinstance(part, dict)
        for line in _lines_of(name, part):
            click.echo(line)
    for hit in result.hits:
        click.echo(f"  {hit.rank}. {why(hit, _mode_of(hit, result))}")
    click.echo("")


def _mode_of(hit: Hit, result: QueryResult) -> str:
    """How its own Collection was asked: several are one list by something else."""
    part = (result.explanation or {}).get(hit.collection)
    return str(part["mode"]) if isinstance(part, dict) else result.mode


def why(hit: Hit, mode: str) -> str:
    """What a Hit owes its score to, in words; mode: how its Collection was asked."""
    parts = []
    if hit.found is not None:
        rank, before = hit.found
        parts.append(f"judged again, before no. {rank} with {before:.3f}")
    if hit.cosine is not None:
        place = f"nearest no. {hit.vector_rank}" if hit.vector_rank else "not among the nearest"
        parts.append(f"cosine {hit.cosine:.3f} ({place})")
    if hit.bm25 is not None:
        parts.append(f"BM25 {hit.bm25:.2f} (no. {hit.text_rank} by words)")
    elif hit.cosine is not None:
        parts.append("not among the best by words" if mode == "hybrid" else "words not looked for")
    if mode == "hybrid" and hit.cosine is not None and hit.bm25 is not None:
        before = hit.score if hit.found is None else hit.found[1]
        parts.append(f"{before - hit.cosine:+.3f} for the words")
    return f"score {hit.score:.3f}: " + ", ".join(parts)


def _lines_of(name: str, part: dict[str, Any]) -> list[str]:
    lines = [f"{name}, profile {part['profile']}, {part['mode']}"]
    if model := part["model"]:
        cut = ", the rest was cut off" if model["truncated"] else ""
        lines += [
            f"  model        {model['name']}, {model['precision']} on {model['device']}",
            f"  instruction  {model['instruction']!r}",
            f"  query        {model['tokens']} of {model['max_tokens']} tokens{cut}",
        ]
    if words := part["words"]:
        shown = ", ".join(
            f"{word['word']} ({word['texts']:,} texts{'' if word['looked_for'] else ', not looked for'})"
            for word in words
        )
        lines.append(f"  words        {clean(shown)}")
    if part["allowed"] is not None:
        lines.append(f"  filter       leaves {part['allowed']:,} of {part['passages']:,} passages")
    if part["threshold"] is not None:
        lines.append(f"  threshold    cosine {part['threshold']:g}, from the profile")
    if index := part["index"]:
        lines.append(f"  index        {_index_line(index)}")
    if relevance := part["relevance"]:
        lines.append(
            f"  relevance    of {relevance['unrelated_questions']} unrelated questions the middle one comes "
            f"to cosine {relevance['nearest']:.3f}; relevant from {relevance['relevant_from']:g} % on"
        )
    took = ", ".join(f"{step} {ms:.1f} ms" for step, ms in part["took_ms"].items())
    return [*lines, f"  took         {took}"]


def _index_line(index: dict[str, Any]) -> str:
    beside = f", {index['scanned_beside']:,} scanned beside" if index["scanned_beside"] else ""
    gone = f", {index['removed']:,} removed since" if index["removed"] else ""
    if index["kind"] == "none":
        return f"none, exact: all {index['scanned_beside']:,} stored vectors compared"
    if index["exact"]:
        return f"{index['kind']}, exact: {index['rows']:,} rows compared{beside}{gone}"
    return (
        f"{index['kind']}, {index['rows']:,} rows{beside}{gone}; approximate: "
        f"{index['promised_recall']:.0%} of the best ten promised, {index['measured_recall']:.1%} measured "
        f"(effort {index['effort']:,}, "
        f"{index['oversampling']:g} times the rows compared exactly)"
    )
