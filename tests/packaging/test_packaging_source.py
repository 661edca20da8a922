"""Rules of the house that no linter knows: words that must not occur, sizes, nothing of the author's machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pixel2style2pixel_cli"
FOLDERS = (".ci", ".github", "benchmarks", "docs", "models", "pixel2style2pixel_cli", "tests")
CACHES = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".import_linter_cache"}
MODULES = sorted(PACKAGE.rglob("*.py"))
PYTHON = [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]

MOST_LINES = 400
MOST_LINES_OF_TESTS = 500
MOST_LINES_OF_FUNCTION = 60
LARGEST_FILE = 20_000_000
LARGEST_ZOO = 60_000_000

# (file, what) that may stand there all the same
ALLOWED: frozenset[tuple[str, str]] = frozenset(
    {("pixel2style2pixel_cli/jobs/helper.py", "sys.path")}  # read, not changed: a helper process gets the same one
)

MACHINE = re.compile(r"(?<![\w.-])/(work|farm|root|tmp)/[A-Za-z.]|--(extra-)?index-url|registr[y]=")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sources() -> Iterator[Path]:
    """Files of the project, without what tools leave behind."""
    yield from (path for path in ROOT.iterdir() if path.suffix in (".md", ".toml"))
    for folder in FOLDERS:
        yield from (p for p in (ROOT / folder).rglob("*") if p.is_file() and not CACHES & set(p.parts))


def forbidden(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Calls and names that the house does not use, and their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield "print(", node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cuda":
            yield ".cuda(", node.lineno
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "cuda:0" in node.value:
            yield "cuda:0", node.lineno
        if isinstance(node, ast.Attribute) and node.attr == "path" and ast.unparse(node) == "sys.path":
            yield "sys.path", node.lineno
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield "bare except", node.lineno


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Functions and the lines of their bodies; a signature with many options and a docstring are not counted."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body:
                yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_words_that_must_not_occur() -> None:
    found = [
        (name_of(path), what, line)
        for path in MODULES
        for what, line in forbidden(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert [row for row in found if row[:2] not in ALLOWED] == []


def test_the_search_finds_them() -> None:
    text = "print(1)\nx.cuda()\nd = 'cuda:0'\nsys.path\ntry:\n    pass\nexcept:\n    pass\nconsole.print(1)\n"
    found = [what for what, _ in forbidden(ast.parse(text))]
    assert sorted(found) == sorted(["print(", ".cuda(", "cuda:0", "sys.path", "bare except"])


def test_files_are_short() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    limits = {path: MOST_LINES if path in MODULES else MOST_LINES_OF_TESTS for path in PYTHON}
    assert {name_of(path): n for path, n in lines.items() if n > limits[path]} == {}


def test_functions_are_short() -> None:
    found = {(name_of(p), name): n for p in MODULES for name, n in functions(ast.parse(p.read_text(encoding="utf-8")))}
    assert {key: n for key, n in found.items() if n > MOST_LINES_OF_FUNCTION} == {}


def test_every_file_says_what_it_is() -> None:
    silent = [name_of(p) for p in PYTHON if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))]
    assert silent == []


def test_nothing_of_one_machine() -> None:
    found = []
    for path in sources():
        if path.suffix in (".npz", ".safetensors", ".png", ".webp", ".jpg", ".heic", ".dng", ".pgm"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if MACHINE.search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()[:80]}")
    assert found == []


def test_bundled_files_are_small() -> None:
    sizes = {name_of(path): path.stat().st_size for path in sources()}
    assert {name: size for name, size in sizes.items() if size > LARGEST_FILE} == {}
    assert sum(size for name, size in sizes.items() if name.startswith("models/")) <= LARGEST_ZOO


def test_no_file_is_a_pickle() -> None:
    assert [name_of(p) for p in sources() if p.suffix in (".pt", ".pth", ".pkl", ".ckpt", ".npy")] == []
