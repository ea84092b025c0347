"""What README.md shows is run: every console line, every Python block, and printed output is compared."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from searchkit.cli import main
from searchkit.cli.main import COMMANDS
from searchkit.profile import Profile
from searchkit.training.recipe import load_recipe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
HUB_MODEL = "hkunlp/instructor-base"  # stands for any INSTRUCTOR checkpoint: here for one in this repository
LOCAL_MODEL = ROOT / "tests" / "golden" / "instructor-relu"


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with a small sample_corpus, as if the checkout were small."""
    for part in ("it", "hr"):
        shutil.copytree(ROOT / "sample_corpus" / part, tmp_path / "sample_corpus" / part)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_every_console_line_works(workplace, capfd):
    lines = [line[2:] for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
    assert len(lines) >= 6
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "searchkit"
        assert main.run(arguments) == 0, capfd.readouterr().err


@pytest.mark.slow
def test_every_python_block_works_and_prints_what_is_shown(workplace):
    namespace: dict[str, object] = {}
    printed = ""
    for kind, text in BLOCKS:
        if kind == "python":
            assert HUB_MODEL not in text or LOCAL_MODEL.is_dir()
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text.replace(HUB_MODEL, str(LOCAL_MODEL)), "README.md", "exec"), namespace)
            printed = out.getvalue()
        elif kind == "text":
            assert printed == text


def test_the_profile_shown_is_a_valid_one(tmp_path):
    (toml,) = [text for kind, text in BLOCKS if kind == "toml" and "files = " not in text]
    (tmp_path / "bikes.toml").write_text(toml, encoding="utf-8")
    rendered = Profile.load(tmp_path / "bikes.toml").document.render()
    assert rendered == "Represent the bicycle article for retrieval: " and rendered in toml


def test_the_training_recipe_shown_is_a_valid_one(tmp_path):
    (toml,) = [text for kind, text in BLOCKS if kind == "toml" and "files = " in text]
    (tmp_path / "mine.toml").write_text(toml, encoding="utf-8")
    assert load_recipe(tmp_path / "mine.toml").data.held_out == 50


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme_and_explains_itself(name, capfd):
    assert f"searchkit {name}" in README
    assert main.run([name, "--help"]) == 0
    assert len(capfd.readouterr().out) > 80
