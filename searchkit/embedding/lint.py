"""Looks over Profiles before anything is embedded under them: their words, and what a model makes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from searchkit.embedding.embedder import MAX_INSTRUCTION_SHARE
from searchkit.embedding.families import CONFIGURED, PLAIN, Family, families
from searchkit.embedding.prompts import deaf_sides, prompt_notices, render, task_sentence
from searchkit.embedding.tokens import Tokens
from searchkit.embedding.wording import Finding, Found, findings, made, sides
from searchkit.errors import ProfileInvalid
from searchkit.profile import SIDES, Profile, Side, profile_files
from searchkit.settings import expanded

NOTABLE_SHARE = 0.1  # of the window: every text pays as much


def lint(
    profiles: Sequence[Profile | str | Path] = (), model: str | Path | None = None
) -> tuple[Finding, ...]:
    """What is wrong, or likely to be, with Profiles; errors first, each Profile's in the order of its tables.

    profiles: Profiles, names or files; () for every one that can be named. model: a model's name or folder,
    of which the tokenizer is read and no weights; None to leave out what depends on one.

    Raises:
        ProfileNotFound: a name or file is not there; one that breaks the grammar is a Finding.
        ModelNotFound, ModelError: as for `open_embedder`.
    """
    reader = None if model is None else _Reader(model)
    found: list[Finding] = []
    for one in profiles or tuple(profile_files()):
        try:
            profile = one if isinstance(one, Profile) else Profile.load(one)
        except ProfileInvalid as error:
            found.append(
                Finding(
                    rule="grammar", severity="error", profile=str(one), where="", found=error.message,
                    expected=error.remedy or "a TOML file in UTF-8",
                )
            )  # fmt: skip
            continue
        found += findings(profile)
        if reader is not None:
            found += [made(profile, *one) for one in reader.found(profile)]
    return tuple(sorted(found, key=lambda finding: finding.severity))  # 'error' before 'warning', else stable


class _Reader:
    """A model as a reader of Instructions: its family and tokenizer."""

    def __init__(self, model: str | Path) -> None:
        from searchkit.embedding.opening import read_locally

        self.model = str(model)
        self.family, self.tokens = read_locally(model)

    def found(self, profile: Profile) -> Found:
        """What is to be said of a Profile under this model."""
        yield from self._ignored(profile)
        yield from _missing_prefix(self.family, self.model, profile)
        yield from _sides_told_apart(self.family, profile)
        yield from _no_task_sentence(self.family, profile)
        taken = 0
        for side in SIDES[:1] if profile.symmetric else SIDES:
            where = "instruction" if profile.symmetric else side
            text = render(self.family, profile, side)
            count = self.tokens.count([text])[0]
            taken = count if side == "document" else taken
            yield from self._share(where, text, count)
            yield from self._mask(where, text)
        yield from _window(profile, self.tokens, taken)

    def _ignored(self, profile: Profile) -> Found:
        if len(deaf_sides(self.family, profile)) < len(SIDES) or not _says_something(profile):
            return  # one side without an Instruction is how some families were trained
        for notice in prompt_notices(self.family, profile, self.model):
            yield (
                "ignored", "warning", "instructions", notice,
                "a model trained with instructions: see searchkit models list",
            )  # fmt: skip

    def _share(self, where: str, text: str, count: int) -> Found:
        window = self.tokens.max_tokens
        if count < NOTABLE_SHARE * window:
            return
        refused = count >= MAX_INSTRUCTION_SHARE * window
        yield (
            "share",
            "error" if refused else "warning",
            where,
            f"{count} of the {window} tokens that {self.model} reads go to {text!r}",
            f"less than {MAX_INSTRUCTION_SHARE:.0%} of them, or it is refused"
            if refused
            else f"less than {NOTABLE_SHARE:.0%} of them: every text is cut by as much",
        )

    def _mask(self, where: str, text: str) -> Found:
        if not self.tokens.masks_instructions or not text.strip():
            return
        if self.tokens.border_merges(text):
            yield (
                "border-merge",
                "warning",
                where,
                f"the end of {text!r} melts into one token with common words, and the mask is off by it",
                "': ' at its end",
            )
        if not self.tokens.rows([(text, "text")]).masked[0]:
            yield (
                "mask",
                "warning",
                where,
                f"{text!r} is too short to be told from the text, and is pooled with it",
                f"{self.family.reading.min_mask_tokens} tokens or more",
            )


def _says_something(profile: Profile) -> bool:
    return any(one.render().strip() for one in sides(profile).values())


def _missing_prefix(family: Family, model: str, profile: Profile) -> Found:
    """A model that is read as plain, and is called like one that wants words before its texts."""
    prompt = family.prompt
    if family.name == CONFIGURED and prompt.document and not prompt.query:
        yield (
            "missing-prefix",
            "warning",
            "query",
            f"the configuration of {model} has {prompt.document!r} for documents and nothing for queries",
            "words for both sides: see its authors' description",
        )
    if family.name not in (PLAIN, CONFIGURED) or prompt.document or prompt.query:
        return
    if (other := _namesake(_words_of_name(model))) is None:
        return
    rendered = {side: render(other, profile, side) for side in SIDES}
    shown = ", ".join(f"{side} {text!r}" for side, text in rendered.items() if text)
    yield (
        "missing-prefix",
        "warning",  # a name is no proof
        "model",
        f"{model} is read as a model without words before texts, and is called like the family "
        f"'{other.name}', which wants {shown or 'some'}",
        f"if it was made from one, a name that says so, such as {other.names[0]}; else another name",
    )


def _namesake(called: set[str]) -> Family | None:
    """The family with words before texts whose name a model's has in it; None where several fit alike."""
    found = [
        (len(words), other)
        for other in families().values()
        if (words := set(other.name.split("-"))) <= called
        and not other.refused
        and any(other.prompt.template("retrieval", side) for side in SIDES)
    ]
    most = max((count for count, _ in found), default=0)
    best = [other for count, other in found if count == most]
    return best[0] if len(best) == 1 else None


def _words_of_name(model: str) -> set[str]:
    folder = expanded(model)
    name = "/".join(folder.resolve().parts[-2:]) if folder.is_dir() else model
    return set(re.findall(r"[a-z0-9]+", name.lower()))


def _sides_told_apart(family: Family, profile: Profile) -> Found:
    """INSTRUCTOR learned with an Instruction on both sides."""
    if profile.symmetric or any("{instruction}" not in family.prompt.template("retrieval", s) for s in SIDES):
        return
    document, query = profile.document.render(), profile.query.render()
    for side, text, other in (("document", document, query), ("query", query, document)):
        if other.strip() and not text.strip():
            yield (
                "one-sided",
                "warning",
                side,
                f"no instruction, and {other!r} on the other side",
                f"one on both sides, as models of the family '{family.name}' were trained",
            )


def _no_task_sentence(family: Family, profile: Profile) -> Found:
    where: Side = "document" if profile.symmetric else "query"
    instruction = profile.instruction("query")
    if "{task}" not in family.prompt.template(profile.task, where) or instruction.task_sentence:
        return
    fallback = task_sentence(instruction)
    yield (
        "task-sentence",
        "warning" if fallback else "error",
        f"{'instruction' if profile.symmetric else 'query'}.task_sentence",
        f"none: the model reads {fallback!r} for a task",
        "an imperative sentence, as in 'Given a question, retrieve passages that answer it'",
    )


def _window(profile: Profile, tokens: Tokens, taken: int) -> Found:
    """Passages that the window makes shorter than the Profile says."""
    room = tokens.max_tokens - tokens.special_tokens - taken
    if profile.chunking.unit == "passage" and profile.chunking.max_tokens > room:
        yield (
            "window",
            "warning",
            "chunking.max_tokens",
            f"{profile.chunking.max_tokens}, of which the window of {tokens.max_tokens} leaves {room} beside "
            "the instruction",
            f"{room} or less: passages are cut to that anyway",
        )
