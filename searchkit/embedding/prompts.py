"""From a Profile to the literal text a model family puts before texts. Knows templates; nothing of tokens."""

from __future__ import annotations

import re

from searchkit.embedding.families import CONFIGURED, Family
from searchkit.profile import SIDES, Instruction, Profile, Side

SLOT = re.compile(r"\{(instruction|task)\}")


def render(family: Family, profile: Profile, side: Side) -> str:
    """The literal text before every text of one side of the Profile; '' where the family puts none.

    Byte-exact: families differ by a single space or line break.
    """
    instruction = profile.instruction(side)
    # One pass, not str.format: an Instruction may hold braces, and what it holds is never a slot.
    return SLOT.sub(
        lambda slot: task_sentence(instruction) if slot[1] == "task" else instruction.render(),
        family.prompt.template(profile.task, side),
    )


def task_sentence(instruction: Instruction) -> str:
    """The purpose as one imperative sentence: the Profile's own, else the Instruction without its colon."""
    return instruction.task_sentence or instruction.render().strip().rstrip(":;").rstrip()


def deaf_sides(family: Family, profile: Profile) -> tuple[Side, ...]:
    """The sides on which a family puts nothing of the Profile's Instructions before texts."""
    return tuple(side for side in SIDES if not SLOT.search(family.prompt.template(profile.task, side)))


def prompt_notices(family: Family, profile: Profile, model: str) -> tuple[str, ...]:
    """What to tell a user once about how far the model listens to the Profile's Instructions."""
    deaf = deaf_sides(family, profile)
    if not deaf:
        return ()
    fixed = {side: text for side in SIDES if (text := family.prompt.template(profile.task, side))}
    if len(deaf) == 1:
        return (
            f"{model} takes no Instruction for the {deaf[0]} side: that of profile '{profile.name}' "
            "is stored but does not change its vectors",
        )
    if not fixed:
        return (
            f"{model} takes no Instruction: those of profile '{profile.name}' are stored "
            "but do not change its vectors",
        )
    source = "its configuration's" if family.name == CONFIGURED else "its family's"
    shown = ", ".join(f"{side} {text!r}" for side, text in fixed.items())
    return (
        f"{model} puts {source} own words before texts ({shown}) in place of the Instructions of "
        f"profile '{profile.name}'",
    )
