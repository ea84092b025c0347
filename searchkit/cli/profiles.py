"""`searchkit profiles list|show|lint|new`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from searchkit.cli import options, output
from searchkit.errors import ProfileInvalid, UsageError
from searchkit.profile import Profile, profile_files, profiles_folder


@click.group("profiles")
def profiles_command() -> None:
    """List, show, check and make instruction profiles."""


@profiles_command.command("list")
@options.json_option
def list_profiles(as_json: bool) -> None:
    """List every profile that can be named: shipped ones and your own."""
    own = profiles_folder()
    rows = []
    for path in profile_files().values():
        try:
            rows.append((Profile.load(path), "yours" if path.parent == own else "shipped"))
        except ProfileInvalid as error:  # one broken file must not hide the others
            click.echo(f"Note: {error.in_one_line}", err=True)
    if as_json:
        output.print_json([{**profile.to_dict(), "origin": origin} for profile, origin in rows])
        return
    shown = output.table("profile", "task", "origin", "for")
    for profile, origin in rows:
        shown.add_row(profile.name, profile.task, origin, profile.description)
    output.console().print(shown)


@profiles_command.command("show")
@click.argument("name", metavar="NAME|FILE")
@click.option("--model", metavar="ID|DIR", help="Show what this model would read before a text.")
@options.json_option
def show_profile(name: str, model: str | None, as_json: bool) -> None:
    """Show a profile as TOML, with its instructions as they are rendered."""
    profile = Profile.load(name)
    rendered = {side: profile.instruction(side).render() for side in ("document", "query")}
    before = "rendered"
    if model is not None:
        from searchkit.embedding.embedder import instructions_for

        family, rendered = instructions_for(model, profile)
        before = f"for {model} ({family.name})"
    if as_json:
        output.print_json({**profile.to_dict(), "instructions": rendered})
        return
    click.echo(profile.to_toml())
    for side, text in rendered.items():
        click.echo(f"# {side} instruction, {before}: {text!r}")


@profiles_command.command("lint")
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@click.option(
    "--model", metavar="ID|DIR", help="Look also at what this model would read; no weights are read."
)
@options.json_option
def lint_profiles(names: tuple[str, ...], model: str | None, as_json: bool) -> int:
    """Look for mistakes in profiles, all that can be named where none is; exit code 1 where one has errors.

    \b
    searchkit profiles lint
    searchkit profiles lint ./mine.toml --model intfloat/e5-base-v2
    """
    from dataclasses import asdict

    from searchkit.embedding.lint import lint

    looked_at = names or tuple(profile_files())
    found = lint(looked_at, model)
    errors = sum(one.severity == "error" for one in found)
    if as_json:
        output.print_json(
            {"errors": errors, "profiles": len(looked_at), "model": model, "findings": [*map(asdict, found)]}
        )
    else:
        for one in found:
            where = f" at {one.where}" if one.where else ""
            click.echo(f"{output.clean(one.profile)}: {one.severity} '{one.rule}'{where}")
            click.echo(f"  found     {output.clean(one.found)}\n  expected  {output.clean(one.expected)}")
        click.echo(_verdict(len(looked_at), errors, len(found) - errors))
    return 1 if errors else 0


def _verdict(profiles: int, errors: int, warnings: int) -> str:
    found = f"{output.counted(errors, 'error')}, {output.counted(warnings, 'warning')}"
    return f"{output.counted(profiles, 'profile')}: {found if errors or warnings else 'clean'}"


@profiles_command.command("new")
@click.argument("name")
@click.option("--from", "base", default="company-docs", show_default=True, help="The profile to start from.")
@click.option("--domain", help="The domain both instructions name, as in 'medicine'.")
@click.option("--description", help="One line for `profiles list`.")
@click.option("-o", "--output", "target", type=click.Path(path_type=Path), help="Write here instead.")
def new_profile(
    name: str, base: str, domain: str | None, description: str | None, target: Path | None
) -> None:
    """Write a profile of your own, NAME, to edit: then index with --profile NAME."""
    name = name.removesuffix(".toml")
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise UsageError(f"{name!r} cannot name a profile", remedy="use letters, digits, '-', '_' and '.'")
    path = target or profiles_folder() / f"{name}.toml"
    table = Profile.load(base).to_dict()
    for side in ("document", "query"):
        if domain is not None and table[side]["literal"] is None:
            table[side]["domain"] = domain
    table |= {"name": name, "description": description or f"{name}, made from {base}"}
    profile = Profile.from_dict(table)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise UsageError(f"{path} is already there", remedy="edit it, or choose another name")
        path.write_text(profile.to_toml(), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", remedy="write it elsewhere: -o FILE.toml"
        ) from error
    click.echo(f"Wrote {path}. Edit it, then: searchkit index FOLDER --profile {target or name}")
