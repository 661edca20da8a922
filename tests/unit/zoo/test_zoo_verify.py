"""Weight files are hashed once, and a changed one is noticed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from pixel2style2pixel_cli.errors import IntegrityError, MissingError
from pixel2style2pixel_cli.zoo import verify
from pixel2style2pixel_cli.zoo.find import find_card, install_folder
from pixel2style2pixel_cli.zoo.resolve import resolve
from pixel2style2pixel_cli.zoo.verify import remembered_sha256, sha256_file

CARD = 'name = "m"\nlicence = "mit"\nbundled = {bundled}\n[spec.generator]\nresolution = 64\n'
ROW = '[[weights]]\nrole = "generator"\nfile = "generator.safetensors"\nsha256 = "{}"\n'


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("P2S2P_ZOO", str(tmp_path / "zoo"))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    (tmp_path / "zoo" / "m").mkdir(parents=True)
    return tmp_path / "zoo"


def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    seen: list[Path] = []

    def counting(path: Path) -> str:
        seen.append(path)
        return sha256_file(path)

    monkeypatch.setattr(verify, "sha256_file", counting)
    return seen


def test_sha256_of_a_file_larger_than_one_piece(tmp_path: Path) -> None:
    data = os.urandom(verify.CHUNK_BYTES + 17)
    (tmp_path / "f").write_bytes(data)
    assert sha256_file(tmp_path / "f") == hashlib.sha256(data).hexdigest()


def test_a_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, path = count_hashes(monkeypatch), tmp_path / "f"
    path.write_bytes(b"one")
    first = remembered_sha256(path)
    assert remembered_sha256(path) == first
    assert len(seen) == 1
    assert remembered_sha256(path, fresh=True) == first
    assert len(seen) == 2
    path.write_bytes(b"two!")
    assert remembered_sha256(path) == hashlib.sha256(b"two!").hexdigest()
    assert len(seen) == 3


def test_a_damaged_marker_or_an_unwritable_home_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")
    expected = remembered_sha256(path)
    for marker in (tmp_path / "home" / "verified").iterdir():
        marker.write_text("{", encoding="utf-8")
    assert remembered_sha256(path) == expected
    (tmp_path / "blocked").write_text("a file, not a folder", encoding="utf-8")
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "blocked"))
    assert remembered_sha256(path) == expected


def test_a_bundled_file_must_have_its_cards_hash(zoo: Path) -> None:
    weights, card = zoo / "m" / "generator.safetensors", zoo / "m" / "model.toml"
    weights.write_bytes(b"good")
    good = sha256_file(weights)
    card.write_text(CARD.format(bundled="true") + ROW.format(good), encoding="utf-8")
    assert resolve(find_card("m")).hashes == {"generator": good}
    weights.write_bytes(b"evil!")
    with pytest.raises(IntegrityError) as caught:
        resolve(find_card("m")).verify()
    assert good in caught.value.message
    assert sha256_file(weights) in caught.value.message
    assert caught.value.exit_code == 4


def test_an_imported_file_must_have_its_recorded_hash(zoo: Path) -> None:
    (zoo / "m" / "model.toml").write_text(CARD.format(bundled="false"), encoding="utf-8")
    with pytest.raises(MissingError):
        resolve(find_card("m")).verify()
    folder = install_folder("m")
    folder.mkdir(parents=True)
    (folder / "generator.safetensors").write_bytes(b"good")
    good = sha256_file(folder / "generator.safetensors")
    record = {"files": {"generator": {"sha256": good}}}
    (folder / "installed.json").write_text(json.dumps(record), encoding="utf-8")
    assert resolve(find_card("m")).hashes == {"generator": good}
    (folder / "generator.safetensors").write_bytes(b"evil!")
    with pytest.raises(IntegrityError, match="expected"):
        resolve(find_card("m")).verify()
    (folder / "installed.json").write_text("{}", encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"installed\.json cannot be read"):
        resolve(find_card("m")).verify()


def test_a_shared_generator_is_checked_against_its_own_card(zoo: Path) -> None:
    weights = zoo / "m" / "generator.safetensors"
    weights.write_bytes(b"good")
    good = sha256_file(weights)
    (zoo / "m" / "model.toml").write_text(CARD.format(bundled="true") + ROW.format(good), encoding="utf-8")
    (zoo / "e").mkdir()
    text = 'name = "e"\nlicence = "mit"\ngenerator_model = "m"\nbundled = true\n[spec.encoder]\nkind = "psp"\n'
    text += ROW.replace("generator", "encoder").format(hashlib.sha256(b"encoder").hexdigest())
    (zoo / "e" / "model.toml").write_text(text, encoding="utf-8")
    (zoo / "e" / "encoder.safetensors").write_bytes(b"encoder")
    assert resolve(find_card("e")).hashes == {"encoder": hashlib.sha256(b"encoder").hexdigest(), "generator": good}
    weights.write_bytes(b"evil!")
    with pytest.raises(IntegrityError, match=good):
        resolve(find_card("e")).verify()
