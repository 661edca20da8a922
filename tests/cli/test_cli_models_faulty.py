"""Cards and weight files with faults: named by the commands, exit codes as promised, nobody else affected."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from real_run import RealRun

Call = Callable[..., RealRun]


@pytest.fixture
def zoo(folder: Path, tiny_zoo: Path, real: Call, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo and a home folder of their own."""
    shutil.copytree(tiny_zoo, folder / "zoo")
    monkeypatch.setenv("P2S2P_ZOO", str(folder / "zoo"))
    monkeypatch.setenv("P2S2P_HOME", str(folder / "home"))
    return folder / "zoo"


def test_a_faulty_card_is_named_and_the_others_work(real: Call, folder: Path, zoo: Path) -> None:
    for name, text in (("bad", "name = "), ("lost", 'name = "lost"\nlicence = "mit"\ngenerator_model = "nope"\n')):
        card = folder / "home" / "models" / name / "model.toml"
        card.parent.mkdir(parents=True)
        card.write_text(text)
    rows = {row["name"]: row for row in real("models", "list", "--json").rows}
    assert rows.keys() == {"bad", "lost", "tiny-generator", "tiny-invert"}
    assert "cannot be read" in rows["bad"]["error"] and "nope, which does not exist" in rows["lost"]["error"]
    assert "error" not in rows["tiny-invert"] and rows["tiny-invert"]["installed"]
    listed = real("models", "list").out.decode()
    assert listed.count("broken") == 2
    assert real("models", "verify", "tiny-invert").code == 0
    checked = real("models", "verify", "--json")
    assert checked.code == 4
    assert {row["name"]: row["ok"] for row in checked.rows} == {
        "bad": False, "lost": False, "tiny-generator": True, "tiny-invert": True,
    }  # fmt: skip


def test_a_cut_file_is_an_integrity_error_in_every_command(real: Call, folder: Path, zoo: Path) -> None:
    file = folder / "run" / "generator.safetensors"
    file.parent.mkdir()
    file.write_bytes((zoo / "tiny-generator" / file.name).read_bytes()[:-9])
    assert real("models", "import", "mine", file).code == 4
    assert real("models", "blend", file, "tiny-generator", "mine", "--at", "16").code == 4
    assert not (folder / "home" / "models").exists()
    (zoo / "tiny-generator" / file.name).write_bytes(file.read_bytes())
    failed = real("models", "verify", "tiny-generator")
    assert failed.code == 4 and "failed" in failed.out.decode()


def test_a_weight_file_is_installed_listed_and_removed(real: Call, folder: Path, zoo: Path) -> None:
    done = real("models", "import", "mine", zoo / "tiny-generator" / "generator.safetensors", "--json")
    assert done.code == 0 and done.rows[0]["checked_by"] == "digest"
    rows = {row["name"]: row for row in real("models", "list", "--json").rows}
    assert rows["mine"]["installed"] and rows["mine"]["commercial_ok"] is False  # the tiny zoo says MIT, not mit
    assert real("models", "remove", "mine").code == 0
