"""Files around the code agree: dependencies and their lowest versions, pinned tools, workflows, forms."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]

if not (ROOT / ".github").is_dir():
    pytest.skip("the tests run without the repository", allow_module_level=True)

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
REQUIREMENTS = [Requirement(text) for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"])]
YAML_FILES = sorted([*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml"])
PINNED = ("ruff", "mypy", "import-linter")


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: str) -> list[dict[str, Any]]:
    jobs = read_yaml(ROOT / ".github" / "workflows" / workflow)["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def lower_bound(requirement: Requirement) -> Version | None:
    bounds = [Version(part.version) for part in requirement.specifier if part.operator == ">="]
    return bounds[0] if bounds else None


def test_lowest_versions_are_those_of_the_project() -> None:
    lines = (ROOT / ".ci" / "lowest.txt").read_text(encoding="utf-8").splitlines()
    found = {}
    for requirement in (Requirement(line) for line in lines if line and not line.startswith("#")):
        (pin,) = requirement.specifier
        found[canonicalize_name(requirement.name)] = Version(pin.version)
    wanted = {canonicalize_name(r.name): lower_bound(r) for r in REQUIREMENTS if lower_bound(r) is not None}
    assert found == wanted


def test_tools_are_pinned_once() -> None:
    pins = {r.name: next(iter(r.specifier)) for r in REQUIREMENTS if r.name in PINNED}
    assert set(pins) == set(PINNED) and all(pin.operator == "==" for pin in pins.values())
    hooks = {repo["repo"].rpartition("/")[2]: repo for repo in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]}
    assert hooks["ruff-pre-commit"]["rev"] == f"v{pins['ruff'].version}"
    assert [hook["id"] for hook in hooks["local"]["hooks"]] == ["mypy", "lint-imports"]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_yaml_can_be_read(path: Path) -> None:
    assert isinstance(read_yaml(path), dict)


def test_the_workflow_runs_what_runs_here() -> None:
    commands = [step["run"] for step in steps("ci.yml") if "run" in step]
    assert commands[0] == "bash .ci/run" and commands[-1] == "bash .ci/run tests"
    matrix = read_yaml(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["tests"]["strategy"]["matrix"]
    systems = {"ubuntu-latest", "macos-latest", "windows-latest"}
    assert set(matrix["os"]) == systems == {extra["os"] for extra in matrix["include"]}
    assert PROJECT["requires-python"] == f">={min(matrix['python'], key=Version)}"


def test_a_release_compares_its_tag_with_the_version() -> None:
    file = PYPROJECT["tool"]["hatch"]["version"]["path"]
    check = next(step["run"] for step in steps("release.yml") if "GITHUB_REF_NAME#v" in step.get("run", ""))
    assert f'"__version__ = \\"$version\\"" {file}\n' in check
    assert re.search(r'^__version__ = "[\w.]+"$', (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert file in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_workflows_use_versions_and_no_stored_secret() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        assert "secrets." not in path.read_text(encoding="utf-8"), path.name
        assert read_yaml(path)["permissions"] == {"contents": "read"}, path.name
        uses = [step["uses"] for step in steps(path.name) if "uses" in step]
        assert [name for name in uses if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", name)] == []


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml"])
def test_forms_ask_questions(name: str) -> None:
    form = read_yaml(ROOT / ".github" / "ISSUE_TEMPLATE" / name)
    questions = [item for item in form["body"] if item["type"] != "markdown"]
    assert {"name", "description", "labels", "body"} <= set(form)
    assert len({item["id"] for item in questions}) == len(questions) >= 3
    assert all(item["attributes"]["label"] for item in questions)
