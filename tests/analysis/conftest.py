import pytest

from searchkit.collection.choosing import chosen_or_default
from searchkit.collection.library import Library
from searchkit.library.database import Database
from tests.analysis.same_texts import LEAVE, LEAVE_NOT, TUNNEL, indexed
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
