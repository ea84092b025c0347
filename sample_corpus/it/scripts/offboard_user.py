"""Close the accounts of somebody who leaves the company.

The order matters: sessions end first, so that an open browser cannot undo the rest. Mail is kept
for 30 days with an automatic reply that names the manager, then handed to the archive. Licences
are released on the last day, not before, because payroll still needs the Rookery account.

Run with --dry-run to see what would happen. HR starts this from the leaver's ticket in Harbour;
nobody runs it because of a phone call.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import date, timedelta

MAIL_KEPT_DAYS = 30
HARDWARE_DUE_DAYS = 5  # working days after the last day; afterwards the manager is reminded


@dataclass(frozen=True)
class Leaver:
    """One person and the date of the last working day."""

    login: str
    manager: str
    last_day: date


@dataclass(frozen=True)
class Step:
    """One thing to do, and when."""

    due: date
    system: str
    action: str


def plan(leaver: Leaver) -> list[Step]:
    """Return all steps in the order in which they are carried out."""
    last = leaver.last_day
    return [
        Step(last, "lighthouse", "end all sessions and revoke passkeys"),
        Step(last, "lighthouse", "disable sign-in at 18:00 local time"),
        Step(last, "causeway", "delete device keys"),
        Step(last, "strongbox", "move team vault items to the manager; the private vault stays with the person"),
        Step(last, "source code", "reassign open reviews to the manager"),
        Step(last, "foghorn", "remove from every on-call rotation"),
        Step(last, "mail", f"automatic reply naming {leaver.manager}"),
        Step(last + timedelta(days=HARDWARE_DUE_DAYS), "assets", "check that laptop, phone and badge came back"),
        Step(last + timedelta(days=MAIL_KEPT_DAYS), "mail", "close the mailbox and hand it to the archive"),
    ]


def main() -> None:
    """Print or carry out the plan of one leaver."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("login")
    parser.add_argument("--manager", required=True)
    parser.add_argument("--last-day", type=date.fromisoformat, required=True)
    parser.add_argument("--dry-run", action="store_true")
    arguments = parser.parse_args()
    for step in plan(Leaver(arguments.login, arguments.manager, arguments.last_day)):
        print(f"{step.due}  {step.system:<12} {step.action}")
    if not arguments.dry_run:
        raise SystemExit("connect the adapters of your office first: see Driftwood, 'Leavers'")


if __name__ == "__main__":
    main()
