"""Classifiers and what they say, as tables, JSON and CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from searchkit.cli import output

if TYPE_CHECKING:
    from searchkit.analysis.classifying import Prediction, TrainReport
    from searchkit.library.classifiers import StoredClassifier
    from searchkit.records import Failure

ROWS_SHOWN = 100  # of predictions in a table
SHOWN = 20  # rows, classes or texts of a kind; the rest is counted
TEXT_SHOWN = 60  # characters
FEW = 10  # texts of a class: from there on its figures say something
CSV_COLUMNS = ("line", "text", "label", "guess", "probability", "held back", "document", "start", "end")
HELD_BACK = {"improbable": "unsure", "unlike": "unsure: unlike what it learnt"}


def say_rows_left_out(failed: Sequence[Failure]) -> None:
    """Say on stderr which rows could not be used."""
    if failed:
        click.echo(f"{len(failed):,} rows could not be used:", err=True)
        for one in failed[:SHOWN]:
            click.echo(f"  {output.clean(one.document)}: {output.clean(one.reason)}", err=True)
        if len(failed) > SHOWN:
            click.echo(f"  and {len(failed) - SHOWN:,} more", err=True)


def say_what_was_left_out(report: TrainReport) -> None:
    """Say on stderr what was not learnt from, and what contradicts itself."""
    from searchkit.analysis.classified_texts import differing

    say_rows_left_out(report.failed)
    if report.left_out:
        shown = ", ".join(output.clean(label) for label, _ in report.left_out[:SHOWN])
        more = f" and {len(report.left_out) - SHOWN:,} more" if len(report.left_out) > SHOWN else ""
        click.echo(f"Left out, for they have a single text or document: {shown}{more}", err=True)
    if report.unlabelled:
        click.echo(f"{report.unlabelled:,} documents have no single value in the field.", err=True)
    if report.repeated:
        click.echo(f"{report.repeated:,} texts stand there more than once: each counts once.", err=True)
    if report.contradicting:
        click.echo(f"Left out: {differing(report.contradicting)}:", err=True)
        for one in report.conflicts[:5]:
            labels, where = ", ".join(one.labels[:4]), ", ".join(one.where[:4])
            click.echo(f"  {_short(one.text)} ({output.clean(labels)}; {output.clean(where)})", err=True)
    if report.truncated:
        click.echo(f"{report.truncated:,} texts are longer than the model reads.", err=True)


def print_report(report: TrainReport) -> None:
    """What was learnt and how good it is, for people."""
    from dataclasses import asdict

    click.echo(
        f"Trained '{report.name}' on {report.texts:,} texts from {report.origin} in {report.took_s:.1f} s."
    )
    _print_figures(asdict(report.measured))


def _print_figures(found: Mapping[str, Any]) -> None:
    from rich.text import Text

    out, choice = output.console(), found["choice"]
    ece, loss = found["calibration_error"], found["log_loss"]
    shown = output.table("on texts held out", "", "")
    for row in (
        ("accuracy", f"{found['accuracy']:.1%}", f"always the most frequent class: {found['baseline']:.1%}"),
        (
            "macro-F1",
            f"{found['macro_f1']:.3f}",
            f"{len(found['classes']):,} classes, {choice['folds']} folds",
        ),
        ("calibration error", f"{ece[1]:.3f}", f"{ece[0]:.3f} before calibration"),
        ("log loss", f"{loss[1]:.3f}", f"{loss[0]:.3f} before calibration"),
        (f"at precision {choice['precision']:g}", *_reached(found["reach"])),
        *(
            (f"at precision {one:g}", *_reached(reach))
            for one, reach in found["reaches"]
            if one != choice["precision"]
        ),
    ):
        shown.add_row(*map(Text, row))
    out.print(shown)
    classes = sorted(found["classes"], key=lambda one: (one["f1"], one["label"]))
    table = output.table("class", "texts", "precision", "recall", "F1")
    for one in classes[:SHOWN]:
        scores = (f"{one[name]:.3f}" for name in ("precision", "recall", "f1"))
        table.add_row(*map(Text, [output.clean(one["label"]), f"{one['texts']:,}", *scores]))
    out.print(table)
    if len(classes) > SHOWN:
        out.print(Text(f"The {SHOWN} weakest of {len(classes):,} classes; all with --json.", style="dim"))
    if few := sum(one["texts"] < FEW for one in classes):
        out.print(
            Text(f"{few:,} classes have fewer than {FEW} texts: their figures say little.", style="dim")
        )
    if found["reach"] is None:
        out.print(Text(f"A precision of {choice['precision']:g} cannot be reached: {UNREACHED}"))


UNREACHED = (
    "predictions will say 'unsure'. Label more texts, train for less (--precision 0.8), or ask with "
    "--abstain never, or with a probability of your own (--abstain 0.5), where what is unlike everything "
    "learnt stays unsure."
)


def _reached(reach: Mapping[str, float] | None) -> tuple[str, str]:
    if reach is None:
        return "", "cannot be reached"
    return f"{reach['coverage']:.1%} answered", f"from probability {reach['threshold']:.3f} on"


def say_if_all_is_unsure(found: StoredClassifier) -> None:
    """Say on stderr that nothing was ever sure enough, where that is so."""
    if found.head.threshold is None:
        click.echo(
            f"Note: '{found.name}' could not reach a precision of {found.head.precision:g}: {UNREACHED}",
            err=True,
        )


# -------------------------------------------------------------------- predictions


def say_what_was_cut(found: Sequence[Prediction]) -> None:
    """Say on stderr how many texts were not read to their ends."""
    if cut := sum(one.truncated for one in found):
        click.echo(f"{cut:,} texts are longer than the model reads: only their beginnings count.", err=True)


def print_predictions(
    name: str, found: Sequence[Prediction], form: str, *, proba: bool, lines: Sequence[int] = ()
) -> None:
    """Print what a classifier says. lines: where in their file the texts stand."""
    if form == "json":
        plain = [_plain(one, proba, lines[row : row + 1]) for row, one in enumerate(found)]
        output.print_json({"classifier": name, "predictions": plain})
    elif form == "jsonl":
        for row, one in enumerate(found):
            output.print_json(_plain(one, proba, lines[row : row + 1]))
    elif form == "csv":
        classes = list(found[0].probabilities) if proba and found else []
        # In brackets, for a class may be called as a column is.
        click.echo(output.csv_line([*CSV_COLUMNS, *(f"p({label})" for label in classes)]), nl=False)
        for row, one in enumerate(found):
            line = lines[row] if lines else ""
            click.echo(output.csv_line([line, *_cells(one, classes)]), nl=False)
    else:
        _print_table(found, proba, lines)


def _plain(one: Prediction, proba: bool, line: Sequence[int]) -> dict[str, Any]:
    """The stable JSON form. line: of its file, if there is one."""
    plain: dict[str, Any] = {
        "text": one.text,
        "label": one.label,
        "guess": one.guess,
        "probability": round(one.probability, 6),
        "held_back": one.held_back or None,
        "likeness": round(one.likeness, 6),
    }
    if proba:
        plain["probabilities"] = {label: round(value, 6) for label, value in one.probabilities.items()}
    if one.passage is None:
        plain["truncated"] = one.truncated
    else:
        plain |= {
            "document": one.passage.document,
            "heading": one.passage.heading,
            "start": one.passage.start,
            "end": one.passage.end,
        }
    return {"line": line[0], **plain} if line else plain


def _cells(one: Prediction, classes: Sequence[str]) -> list[object]:
    where = [one.passage.document, one.passage.start, one.passage.end] if one.passage else ["", "", ""]
    own = [one.text, one.label or "", one.guess, round(one.probability, 6), one.held_back]
    return [*own, *where, *(round(one.probabilities[label], 6) for label in classes)]


def _print_table(found: Sequence[Prediction], proba: bool, lines: Sequence[int]) -> None:
    from rich.text import Text

    stored = any(one.passage for one in found)
    every, found = found, found[:ROWS_SHOWN]
    where = ["document"] if stored else ["line"] if lines else []
    shown = output.table("label", "probability", "best guess", *where, "text")
    for row, one in enumerate(found):
        label = HELD_BACK[one.held_back] if one.held_back else output.clean(one.guess)
        cells = [label, f"{one.probability:.3f}", output.clean(one.guess)]
        if stored:
            cells.append(output.clean(one.passage.document) if one.passage else "")
        elif lines:
            cells.append(f"{lines[row]}")
        shown.add_row(*map(Text, [*cells, _short(one.text)]))
        if proba:
            ranked = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
            for other, value in ranked[1:SHOWN]:
                shown.add_row("", Text(f"{value:.3f}"), Text(output.clean(other)))
    out = output.console()
    if found:
        out.print(shown)
    if len(every) > len(found):
        out.print(Text(f"and {len(every) - len(found):,} more; see all with --format csv or --jsonl"))
    said = Counter(output.clean(one.label) for one in every if one.label is not None)
    by_label = "".join(f" · {label} {count:,}" for label, count in said.most_common(SHOWN))
    out.print(Text(f"{said.total():,} of {len(every):,} answered{by_label}", style="dim"))


def _short(text: str) -> str:
    plain = output.clean(text)
    return plain if len(plain) <= TEXT_SHOWN else f"{plain[: TEXT_SHOWN - 3]}..."


# -------------------------------------------------------------------- stored classifiers


def print_classifiers(found: Sequence[StoredClassifier], as_json: bool) -> None:
    """A line for each."""
    from rich.text import Text

    if as_json:
        output.print_json([plain_classifier(one) for one in found])
        return
    if not found:
        click.echo("No classifiers yet; make one with: searchkit classify train NAME --labels FILE")
        return
    shown = output.table("classifier", "classes", "texts", "accuracy", "trained from", "model")
    for one in found:
        cells = [one.name, f"{len(one.head.classes):,}", f"{one.figures['texts']:,}"]
        cells += [f"{one.figures['accuracy']:.1%}", one.origin.told, one.model]
        shown.add_row(*map(Text, map(output.clean, cells)))
    output.console().print(shown)


def print_classifier(found: StoredClassifier, as_json: bool) -> None:
    """Everything about one but its numbers."""
    if as_json:
        output.print_json(plain_classifier(found))
        return
    from rich.text import Text

    shown = output.table(output.clean(found.name), "")
    head = found.head
    sure = "no probability is high enough" if head.threshold is None else f"probability {head.threshold:.3f}"
    for row in (
        ("trained from", f"{found.origin.told}, {found.figures['trained']}"),
        ("model", found.model),
        ("profile", str(found.profile["name"])),
        ("answers from", f"{sure}, for a precision of {head.precision:g}"),
        ("unlike below", f"cosine {head.floor:.3f} to the nearest class"),
        ("temperature", f"{head.temperature:.3f}, C {found.figures['choice']['strength']:g}"),
        *((f"recipe: {name}", value) for name, value in sorted(found.recipe.items())),
    ):
        shown.add_row(*map(Text, map(output.clean, row)))
    output.console().print(shown)
    _print_figures(found.figures)


def plain_classifier(found: StoredClassifier) -> dict[str, Any]:
    """The stable JSON form of a classifier; its numbers are left out."""
    head = found.head
    return {
        "name": found.name,
        "trained_from": found.origin.told,
        "model": found.model,
        "profile": dict(found.profile),
        "recipe": dict(found.recipe),
        "classes": list(head.classes),
        "temperature": head.temperature,
        "threshold": head.threshold,
        "precision": head.precision,
        "floor": head.floor,
        "figures": dict(found.figures),
    }
