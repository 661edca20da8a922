"""What users install: the wheel and the source archive hold what they must, and work away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "pixel2style2pixel_cli"
LARGEST_WHEEL = 60_000_000

if not (ROOT / "pyproject.toml").is_file():
    pytest.skip("the tests run without the source tree", allow_module_level=True)


@dataclass(frozen=True)
class Built:
    """A wheel and a source archive, and the first unpacked."""

    wheel: Path
    sdist: Path
    installed: Path

    @property
    def files(self) -> dict[str, int]:
        """Names and sizes of what the wheel holds."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {entry.filename: entry.file_size for entry in archive.infolist()}


def build(root: Path, out: Path, *kinds: str) -> None:
    targets = [word for kind in kinds for word in ("-t", kind)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out), *targets]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("dist")
    build(ROOT, out, "wheel", "sdist")
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "installed")
    return Built(wheel, sdist, out / "installed")


def python(code: str, *, path: Path, cwd: Path, **variables: str) -> str:
    """Output of a program that imports the package from ``path``, in a folder that is no checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("P2S2P_")}
    environment |= {"PYTHONPATH": str(path), "P2S2P_HOME": str(cwd / "home"), **variables}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def model_files() -> set[str]:
    folder = ROOT / "models"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_wheel_has_one_package(built: Built) -> None:
    tops = {name.split("/")[0] for name in built.files}
    assert PACKAGE in tops and len(tops) == 2
    assert all(top == PACKAGE or top.endswith(".dist-info") for top in tops)
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / PACKAGE).rglob("*.py")}
    assert {name for name in built.files if name.endswith(".py")} == modules
    assert built.wheel.stat().st_size < LARGEST_WHEEL and built.wheel.name.endswith("-py3-none-any.whl")


def test_wheel_has_the_zoo_and_the_data(built: Built) -> None:
    assert {name.split("_models/", 1)[1] for name in built.files if "/_models/" in name} == model_files()
    presets = {path.relative_to(ROOT).as_posix() for path in (ROOT / PACKAGE).rglob("*.toml")}
    assert any("presets/" in name for name in presets) and presets <= set(built.files)
    assert f"{PACKAGE}/py.typed" in built.files
    assert not [name for name in built.files if name.endswith((".pyc", ".part")) or "/tests/" in name]


def test_wheel_names_the_command_and_the_licence(built: Built) -> None:
    (info,) = built.installed.glob("*.dist-info")
    assert "p2s2p = pixel2style2pixel_cli.__main__:main" in (info / "entry_points.txt").read_text()
    metadata = (info / "METADATA").read_text(encoding="utf-8")
    assert "License-Expression: MIT" in metadata and "Requires-Python: >=3.11" in metadata
    assert (info / "licenses" / "LICENSE").is_file()


def test_sdist_is_enough_to_build_and_test(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Pythons before 3.11.4 have none
        archive.extractall(tmp_path)
    (source,) = tmp_path.iterdir()
    pages = ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "docs/commands.md", "benchmarks/README.md")
    for name in ("pyproject.toml", *pages, "tests/conftest.py", "tests/data"):
        assert (source / name).exists(), name
    assert {p.relative_to(source / "models").as_posix() for p in (source / "models").rglob("*") if p.is_file()} == (
        model_files()
    )
    build(source, tmp_path / "again", "wheel")
    (wheel,) = (tmp_path / "again").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == set(built.files)


FIND = (
    "from pixel2style2pixel_cli.zoo import find; print(find.zoo_folder()); print(*(c.name for c in find.list_cards()))"
)


def test_installed_package_finds_its_own_zoo(built: Built, tmp_path: Path) -> None:
    folder, names = python(FIND, path=built.installed, cwd=tmp_path).splitlines()
    assert Path(folder) == built.installed / PACKAGE / "_models"
    assert set(names.split()) == {path.parent.name for path in (ROOT / "models").glob("*/model.toml")}


def test_checkout_finds_the_models_beside_it(tmp_path: Path) -> None:
    folder, _ = python(FIND, path=ROOT, cwd=tmp_path).splitlines()
    assert Path(folder) == ROOT / "models"


def test_a_named_zoo_comes_first(built: Built, tmp_path: Path, tiny_zoo: Path) -> None:
    for path in (ROOT, built.installed):
        folder, names = python(FIND, path=path, cwd=tmp_path, P2S2P_ZOO=str(tiny_zoo)).splitlines()
        assert Path(folder) == tiny_zoo and names.split() == ["tiny-generator", "tiny-invert"]


def test_command_runs_from_the_wheel(built: Built, tmp_path: Path) -> None:
    code = "from pixel2style2pixel_cli.cli.app import run; raise SystemExit(run(['models', 'list', '--json']))"
    rows = python(code, path=built.installed, cwd=tmp_path).splitlines()
    assert len(rows) == len(list((ROOT / "models").glob("*/model.toml")))
