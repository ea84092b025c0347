import json

import pytest

from searchkit.collection.choosing import chosen_or_default
from searchkit.collection.library import Library
from searchkit.library.database import Database
from tests.analysis import teams
from tests.analysis.same_texts import LEAVE, LEAVE_NOT, TUNNEL, indexed
from tests.collection.conftest import write
from tests.fakes import WordEmbedder


@pytest.fixture
def library(library_folder):
    return Library(library_folder, open_model=lambda model: WordEmbedder())


@pytest.fixture
def within(library):
    """Call a function with the database and Collections by name."""

    def call(function, *names, **options):
        with Database.read(library.folder) as db, db.one_state():
            return function(db, *(chosen_or_default(db, name) for name in names or (None,)), **options)

    return call


@pytest.fixture
def three(library, tmp_path):
    return indexed(library, tmp_path / "in", a=LEAVE, b=LEAVE_NOT, c=LEAVE, d=TUNNEL)


@pytest.fixture
def labelled(tmp_path):
    """Thirty texts of two teams."""
    rows = [
        {"text": (teams.LEAVE, teams.INVOICE)[n % 2].format(n), "label": ("hr", "finance")[n % 2]}
        for n in range(30)
    ]
    return write(tmp_path / "labelled.jsonl", "\n".join(map(json.dumps, rows)))


@pytest.fixture(name="indexed")
def documents_of_teams(library, tmp_path):
    """Ten Documents of each team, with two passages each."""
    for n in range(20):
        team, text = (("hr", teams.LEAVE), ("finance", teams.INVOICE))[n % 2]
        body = f"---\nteam: {team}\n---\n# One\n\n{text.format(n) * 15}\n\n# Two\n\n{text.format(-n) * 15}\n"
        write(tmp_path / "docs" / f"{n}.md", body)
    library.index([tmp_path / "docs"])
    return library
