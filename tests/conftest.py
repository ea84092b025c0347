"""What every test gets: no network, and none of the settings, caches and Libraries of whoever runs it."""

from __future__ import annotations

import codecs
import importlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from searchkit.library.database import Database

# Read by huggingface_hub when it is imported, so a fixture would come too late.
os.environ["HF_HUB_OFFLINE"] = "1"
WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if WORKER:  # there is one for each core: more threads would wait for each other; read when numpy is loaded
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So it is in what a script runs in its background, and would be in all processes that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the whole run: hashes, graphs and parity results are dear and always the same.

    Workers of one run share it, as processes of one user do.
    """
    if not WORKER:
        return tmp_path_factory.mktemp("cache")
    folder = tmp_path_factory.getbasetemp().parent / "cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def isolated_cache(cache_folder: Path) -> Iterator[None]:
    """Keep out of the user's cache, also in fixtures that live longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCHKIT_CACHE", str(cache_folder))
        yield


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Point searchkit at folders of the test's own, in this process and in those it starts."""
    monkeypatch.setenv("SEARCHKIT_CONFIG", str(tmp_path_factory.mktemp("config")))
    monkeypatch.delenv("SEARCHKIT_LIBRARY", raising=False)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread: of tiny networks two lose more by waiting than they gain."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def library_folder(tmp_path: Path) -> Path:
    """Where a test's Library goes; the folder does not exist yet."""
    return tmp_path / "library"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder $SEARCHKIT_SHARED: reference checkpoints and corpora too large to be committed."""
    named = os.environ.get("SEARCHKIT_SHARED", "")
    if not named or not Path(named).is_dir():
        pytest.skip("SEARCHKIT_SHARED names no folder")
    return Path(named)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="searchkit-test-"))
    folder.chmod(0o777)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o777)
    shutil.rmtree(folder)


@pytest.fixture
def unprivileged(tmp_path: Path) -> Callable[[], AbstractContextManager[None]]:
    """Within it, permissions hold even for root: the effective user is one without rights."""

    @contextmanager
    def as_nobody() -> Iterator[None]:
        if not hasattr(os, "geteuid"):
            pytest.skip("this system has no effective users")
        # What is imported on first use may lie in files that belong to root alone: use it before.
        Database.write(tmp_path / "warm").close()
        codecs.lookup("utf-8-sig")
        importlib.import_module("mmap")
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(before)

    return as_nobody
