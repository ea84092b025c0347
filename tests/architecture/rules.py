"""The rules that keep searchkit's shape, as functions from a source tree to a list of broken rules.

They read the code and never import it. `package` is always the folder of the package `searchkit`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

LINE_LIMIT = 400

# Lowest first. A part imports itself and parts of lower levels; parts of one level are strangers.
LAYERS: list[set[str]] = [
    {"errors"},
    {"settings", "arrays", "paths", "whole_file", "durable"},
    {"profile"},
    {"records"},
    {"export"},
    {"documents", "embedding", "library", "vector_index"},
    {"collection", "training", "compat"},
    {"analysis", "evaluation", "scaleout"},
    {"server"},
    {"cli"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
ROOT = "__init__"  # searchkit/__init__.py: may name any part, and no part may import it

MODEL_PARTS = {"embedding", "training", "compat"}
OWNERS: dict[str, set[str]] = {
    "sqlite3": {"library"},
    "sqlite_utils": {"library"},
    "faiss": {"vector_index"},
    "torch": MODEL_PARTS,
    "transformers": MODEL_PARTS,
    "tokenizers": MODEL_PARTS,
    "onnx": {"export"},
    "onnxruntime": {"embedding"},
    "kreuzberg": {"documents"},
    "lxml": {"documents"},
    "openpyxl": {"documents"},
    "pptx": {"documents"},
    "pypdfium2": {"documents"},
    "semantic_text_splitter": {"documents"},
    "mteb": {"evaluation"},
    "scipy": {"evaluation"},
    "sklearn": {"analysis", "evaluation"},
    "openTSNE": {"analysis"},
    "umap": {"analysis"},
    "matplotlib": {"analysis", "evaluation", "training"},
    "peft": {"training"},
}
IMPORTED_BY_ONE_FILE = {"faiss", "mteb", "onnx", "onnxruntime", "peft"}

# Reading these runs code that the file brings along.
CODE_CARRYING_FORMATS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
RUNS_TEXT = {"eval", "exec"}
MUST_NOT_BE_ON = {"trust_remote_code", "allow_pickle"}
MUST_NOT_BE_OFF = {"weights_only"}

LAZY_NAME = re.compile(r"searchkit(?:\.\w+)+(?::\w+)?")


def sources(folder: Path) -> list[Path]:
    """Python files under a folder, in a stable order."""
    return sorted(folder.rglob("*.py"))


def part_of(package: Path, file: Path) -> str:
    """The part a file belongs to: its folder right under the package, or its own name."""
    first = file.relative_to(package).parts[0]
    return first.removesuffix(".py")


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def _module_parts(package: Path, file: Path) -> list[str]:
    """['searchkit', 'library'] for searchkit/library/jobs.py: the package that '.' means in a file."""
    return [package.name, *file.relative_to(package).parts[:-1]]


def _imported_by(node: ast.AST, home: list[str]) -> Iterator[str]:
    """Dotted names a node imports; `from a.b import c` gives 'a.b.c', relative names made absolute."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = home[: len(home) - node.level + 1] if node.level else []
        module = [*base, *([node.module] if node.module else [])]
        yield from (".".join([*module, alias.name]) for alias in node.names)
    elif isinstance(node, ast.Call) and _called_name(node) in {"import_module", "__import__"}:
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            name = node.args[0].value
            dots = len(name) - len(name.lstrip("."))
            base = home[: len(home) - dots + 1] if dots else []
            yield ".".join([*base, name.lstrip(".")])
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and LAZY_NAME.fullmatch(node.value):
        yield node.value.partition(":")[0]  # a lazy table: "Library": "searchkit.collection.library"


def _called_name(call: ast.Call) -> str:
    """'f' for f(), a.f() and a.b.f()."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def imports(package: Path) -> Iterator[tuple[Path, int, str]]:
    """(file, line, dotted name) of every import, those inside functions and lazy strings included."""
    for file in sources(package):
        home = _module_parts(package, file)
        for node in ast.walk(parse(file)):
            for name in _imported_by(node, home):
                yield file, getattr(node, "lineno", 0), name


def wrong_directions(package: Path) -> list[str]:
    """Imports that go up, sideways or to the package root, and modules that belong to no layer."""
    broken = []
    for file in sources(package):
        part = part_of(package, file)
        if part not in LEVEL and part != ROOT:
            broken.append(f"{_place(package, file)}: '{part}' belongs to no layer")
    for file, line, name in imports(package):
        importer = part_of(package, file)
        top, _, rest = name.partition(".")
        if top != package.name or importer == ROOT or importer not in LEVEL:
            continue
        imported = rest.partition(".")[0]
        place = f"{_place(package, file)}:{line}"
        if imported not in LEVEL:  # the root itself, or a name that it offers
            broken.append(f"{place}: {importer} imports the package root ({name})")
        elif imported != importer and LEVEL[imported] >= LEVEL[importer]:
            way = "sideways" if LEVEL[imported] == LEVEL[importer] else "up"
            broken.append(f"{place}: {importer} imports {way} ({name})")
    return broken


def dangling_lazy_names(package: Path) -> list[str]:
    """Lazy strings such as 'searchkit.collection.library' that name no module of the package."""
    broken = []
    for file in sources(package):
        for node in ast.walk(parse(file)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if not LAZY_NAME.fullmatch(node.value):
                    continue
                target = package.joinpath(*node.value.partition(":")[0].split(".")[1:])
                if not (target.with_suffix(".py").is_file() or (target / "__init__.py").is_file()):
                    broken.append(f"{_place(package, file)}:{node.lineno}: no module {node.value}")
    return broken


def strangers_libraries(package: Path) -> list[str]:
    """Libraries imported outside the part that owns them, or by several files where one may."""
    broken = []
    importers: dict[str, set[Path]] = defaultdict(set)
    for file, line, name in imports(package):
        library = name.partition(".")[0]
        if library not in OWNERS:
            continue
        importers[library].add(file)
        part = part_of(package, file)
        if part not in OWNERS[library]:
            owners = ", ".join(sorted(OWNERS[library]))
            broken.append(f"{_place(package, file)}:{line}: {library} belongs to {owners}")
    for library in sorted(IMPORTED_BY_ONE_FILE & importers.keys()):
        if len(importers[library]) > 1:
            files = ", ".join(_place(package, file) for file in sorted(importers[library]))
            broken.append(f"{library} is imported by more than one file: {files}")
    return broken


def long_files(folder: Path) -> list[str]:
    """Files that do not fit one sitting."""
    counted = ((file, len(file.read_text(encoding="utf-8").splitlines())) for file in sources(folder))
    return [f"{_place(folder, file)}: {lines} lines" for file, lines in counted if lines > LINE_LIMIT]


def runs_foreign_code(package: Path) -> list[str]:
    """Code-carrying formats, eval and exec, and switches that let a loaded file bring code along."""
    broken = []
    for file, line, name in imports(package):
        if name.partition(".")[0] in CODE_CARRYING_FORMATS:
            broken.append(f"{_place(package, file)}:{line}: imports {name}")
    for file in sources(package):
        for node in ast.walk(parse(file)):
            place = f"{_place(package, file)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RUNS_TEXT:
                broken.append(f"{place}: calls {node.func.id}")
            for option, value in _options(node):
                if option in MUST_NOT_BE_ON and not _is(value, False):
                    broken.append(f"{place}: {option} must be False")
                if option in MUST_NOT_BE_OFF and not _is(value, True):
                    broken.append(f"{place}: {option} must be True")
    return broken


def _options(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Named values a node passes on: keywords of a call, text keys of a dict, assigned names."""
    if isinstance(node, ast.Call):
        yield from ((keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                yield str(target.slice.value), node.value


def _is(value: ast.expr, wanted: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


def _place(folder: Path, file: Path) -> str:
    return f"{folder.name}/{file.relative_to(folder).as_posix()}"
