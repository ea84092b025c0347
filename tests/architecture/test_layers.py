"""The shape of searchkit: who may import whom, who owns which library, and what never happens.

Each rule is tried twice: on the code, where it must find nothing, and on a small tree that breaks
it, where it must find exactly that.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.architecture import rules

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "searchkit"

# What `import searchkit` and `searchkit --help` must not pay for.
HEAVY = {
    "faiss",
    "kreuzberg",
    "matplotlib",
    "mteb",
    "onnxruntime",
    "openTSNE",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "torch",
    "transformers",
}

LIGHT_DOORS = {
    "import searchkit": "import searchkit",
    "import searchkit.cli.main": "import searchkit.cli.main",
    "searchkit --help": """
        import sys
        from searchkit.cli.main import main
        sys.argv = ["searchkit", "--help"]
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
    """,
}


@pytest.fixture
def plant(tmp_path: Path):
    """Write a package `searchkit` from {path: source} and return its folder."""

    def write(files: dict[str, str]) -> Path:
        package = tmp_path / "searchkit"
        for path, source in files.items():
            file = package / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(source), encoding="utf-8")
        return package

    return write


def heavy_modules_after(code: str, folder: Path) -> set[str]:
    """Heavy modules that a fresh interpreter has loaded after `code`, with `folder` first on its path."""
    report = "\nimport sys as _sys\nprint('\\n', *_sys.modules, file=_sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(folder)!r})\n{dedent(code)}{report}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stderr.splitlines()[-1].split())


# On the code: nothing is found.


def test_imports_point_down_and_never_sideways():
    assert rules.wrong_directions(PACKAGE) == []


def test_lazy_names_lead_to_modules():
    assert rules.dangling_lazy_names(PACKAGE) == []


def test_heavy_libraries_stay_with_their_owners():
    assert rules.strangers_libraries(PACKAGE) == []


@pytest.mark.parametrize("folder", ["searchkit", "tests"])
def test_every_file_is_one_sitting(folder: str):
    assert rules.long_files(REPOSITORY / folder) == []


def test_nothing_runs_foreign_code():
    assert rules.runs_foreign_code(PACKAGE) == []


@pytest.mark.parametrize("door", LIGHT_DOORS)
def test_the_door_is_light(door: str):
    """No model, index or extraction library is loaded before a command needs it."""
    assert heavy_modules_after(LIGHT_DOORS[door], REPOSITORY) == set()


def test_the_rules_see_the_code():
    """A rule that reads no files would find nothing wrong."""
    names = {name for _, _, name in rules.imports(PACKAGE)}
    assert {"searchkit.errors.SearchkitError", "numpy"} & names
    assert "searchkit.profile" in names  # the root's lazy table


# On planted trees: each rule finds what breaks it, and lets pass what looks like it.


@pytest.mark.parametrize(
    ("file", "source", "found"),
    [
        ("errors.py", "import searchkit.settings", "imports up"),
        ("settings.py", "from searchkit.arrays import top_k", "imports sideways"),
        ("profile.py", "from searchkit import records", "imports up"),
        ("documents/load.py", "from searchkit.embedding.embedder import Embedder", "imports sideways"),
        ("documents/load.py", "from ..embedding import embedder", "imports sideways"),
        ("documents/load.py", "def f():\n    from searchkit.library import jobs", "imports sideways"),
        ("library/jobs.py", "from ..collection.plan import plan", "imports up"),
        ("embedding/pooling.py", "from importlib import import_module\nimport_module('..cli', 'x')", "up"),
        ("embedding/pooling.py", "HOME = 'searchkit.training.trainer:train'", "imports up"),
        ("compat.py", "import searchkit.collection.plan as plan", "imports sideways"),
        ("server/app.py", "from searchkit.cli.output import table", "imports up"),
        ("records.py", "import searchkit", "package root"),
        ("cli/main.py", "from searchkit import __version__", "package root"),
        ("cli/main.py", "from .. import Library", "package root"),
        ("helpers.py", "", "belongs to no layer"),
    ],
)
def test_a_wrong_direction_is_found(plant, file: str, source: str, found: str):
    (broken,) = rules.wrong_directions(plant({file: source}))
    assert broken.startswith(f"searchkit/{file}")
    assert found in broken


def test_right_directions_pass(plant):
    package = plant(
        {
            "__init__.py": "HOMES = {'Library': 'searchkit.collection.library'}",
            "records.py": "from searchkit.profile import Profile",
            "compat.py": "from searchkit.embedding.embedder import open_embedder",
            "library/jobs.py": "from . import database\nfrom ..records import Hit\nimport searchkit_other",
            "cli/main.py": "COMMANDS = {'index': 'searchkit.cli.index:index'}",
        }
    )
    assert rules.wrong_directions(package) == []


def test_a_lazy_name_without_module_is_found(plant):
    package = plant(
        {
            "__init__.py": "HOMES = ['searchkit.profile', 'searchkit.cli', 'searchkit.profil']",
            "profile.py": "",
            "cli/__init__.py": "",
        }
    )
    assert rules.dangling_lazy_names(package) == ["searchkit/__init__.py:1: no module searchkit.profil"]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("collection/plan.py", "import sqlite3"),
        ("cli/main.py", "def f():\n    from sqlite_utils import Database"),
        ("library/vectors.py", "import faiss"),
        ("documents/chunk.py", "from transformers import AutoTokenizer"),
        ("vector_index/exact.py", "import torch.nn.functional as F"),
        ("collection/plan.py", "import importlib\nimportlib.import_module('kreuzberg')"),
    ],
)
def test_a_library_away_from_its_owner_is_found(plant, file: str, source: str):
    (broken,) = rules.strangers_libraries(plant({file: source}))
    assert broken.startswith(f"searchkit/{file}")


def test_a_second_file_that_imports_faiss_is_found(plant):
    package = plant({"vector_index/a.py": "import faiss", "vector_index/b.py": "import faiss"})
    (broken,) = rules.strangers_libraries(package)
    assert "more than one file: searchkit/vector_index/a.py, searchkit/vector_index/b.py" in broken


def test_libraries_with_their_owners_pass(plant):
    package = plant(
        {
            "library/database.py": "import sqlite3\nimport sqlite_utils",
            "vector_index/faiss_index.py": "import faiss",
            "embedding/torch_runtime.py": "import torch\nimport transformers",
            "compat.py": "import torch",
        }
    )
    assert rules.strangers_libraries(package) == []


def test_a_long_file_is_found(plant):
    package = plant({"a.py": "x = 1\n" * rules.LINE_LIMIT, "b.py": "x = 1\n" * (rules.LINE_LIMIT + 1)})
    assert rules.long_files(package) == [f"searchkit/b.py: {rules.LINE_LIMIT + 1} lines"]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from joblib import load",
        "eval('1 + 1')",
        "exec(open('x').read())",
        "AutoModel.from_pretrained(folder, trust_remote_code=True)",
        "AutoModel.from_pretrained(folder, trust_remote_code=asked)",
        "options = {'trust_remote_code': True}",
        "options['trust_remote_code'] = True",
        "np.load(file, allow_pickle=True)",
        "torch.load(file, weights_only=False)",
    ],
)
def test_foreign_code_is_found(plant, source: str):
    assert len(rules.runs_foreign_code(plant({"embedding/checkpoint.py": source}))) == 1


def test_code_that_only_looks_foreign_passes(plant):
    source = (
        "model.eval()\ntorch.load(f, weights_only=True)\nload(f, trust_remote_code=False)\ntext = 'eval(x)'"
    )
    assert rules.runs_foreign_code(plant({"embedding/checkpoint.py": source})) == []


def test_a_heavy_import_is_found(plant):
    package = plant({"__init__.py": "import torch", "../torch.py": ""})
    assert heavy_modules_after("import searchkit", package.parent) == {"torch"}
