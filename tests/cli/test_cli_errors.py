"""What the parser and the configuration refuse: two lines, exit 2, and the nearest thing that exists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_api import FakeApi, Result

Call = Callable[..., Result]


@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        ("invert a --exsting skip", "no such option: --exsting", "did you mean --existing"),
        ("invert a -x", "no such option: -x", "p2s2p invert --help lists what it takes"),
        ("invert a --existing sikp", "--existing is 'sikp', expected error, skip", "did you mean skip?"),
        ("invert a --seed", "option '--seed' requires an argument", "p2s2p invert --help lists what it takes"),
        ("invert a --seed x", "--seed is 'x', expected a whole number", "p2s2p invert --help"),
        ("invert a --seed=-1", "--seed is '-1'", "p2s2p invert --help"),
        ("invert a --face biggest", "--face is 'biggest', expected best, largest", "did you mean best?"),
        (
            "invert a --batch-size 0",
            "--batch-size is '0', expected auto or a whole",
            "p2s2p invert --help",
        ),
        ("invert a -q -v", "--quiet and --verbose were both given", "use one of them"),
        ("invert a --config no.toml", "cannot read no.toml", "give --config the path"),
        ("invert", "missing INPUT", "p2s2p invert --help"),
        ("invrt a", "no such command: invrt", "did you mean invert?"),
        ("models verfy", "no such command: verfy", "did you mean verify?"),
        ("zzz", "no such command: zzz", "p2s2p --help"),
        ("show a b", "got unexpected extra argument", "p2s2p show --help"),
        ("train encoder --data x --out y", "missing --generator", "p2s2p train encoder --help"),
        (
            "train generator --data x --out y --set foo",
            "--set is 'foo', expected NAME=VALUE",
            "p2s2p train generator --help",
        ),
        ("--verison", "no such option: --verison", "did you mean --version?"),
        ("", "no command given", "choose one of the commands above"),
        ("models", "no command given", "choose one of the commands above"),
    ],
)
def test_usage_errors_are_two_lines(p2s2p: Call, api: FakeApi, typed: str, error: str, hint: str) -> None:
    result = p2s2p(*typed.split())
    assert result.code == 2
    first, second = result.err.splitlines()
    assert first.startswith(f"error: {error}")
    assert second.startswith(f"hint: {hint}")
    assert not api.calls


def test_no_command_prints_the_help(p2s2p: Call) -> None:
    result = p2s2p()
    assert "Usage: p2s2p" in result.out and "invert" in result.out


def test_version(p2s2p: Call) -> None:
    assert p2s2p("-V").out.startswith("p2s2p 0.")
    assert p2s2p("--version").code == 0


def test_precedence(p2s2p: Call, api: FakeApi, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seed(*typed: str) -> object:
        p2s2p("invert", "a", *typed)
        return api.calls["invert"][1]["seed"]

    user = folder.parent / "user"
    user.mkdir()
    (user / "p2s2p.toml").write_text("[invert]\nseed = 1\n")
    assert seed() == 1
    (folder / "p2s2p.toml").write_text("[invert]\nseed = 2\n")
    assert seed() == 2
    monkeypatch.setenv("P2S2P_INVERT_SEED", "3")
    assert seed() == 3
    assert seed("--seed", "4") == 4
    monkeypatch.delenv("P2S2P_INVERT_SEED")
    (folder / "other.toml").write_text("[invert]\npaste = true\n")
    assert seed("--config", "other.toml") == 0


def test_configured_values_of_every_kind(p2s2p: Call, api: FakeApi, folder: Path) -> None:
    (folder / "p2s2p.toml").write_text(
        "[invert]\nbatch-size = 4\nsave_latents = true\nmetadata = false\ndetector-threshold = -1\nverbose = 2\n"
        '[train.generator]\ndata = ["my data"]\nout = "run"\nset = { batch_size = 16, ada = false }\n'
    )
    assert "device cpu, float32" in p2s2p("invert", "a").err
    options = api.calls["invert"][1]
    assert [options[n] for n in ("batch_size", "save_latents", "metadata", "detector_threshold")] == [
        4,
        True,
        False,
        -1.0,
    ]
    assert p2s2p("train", "generator", "--set", "ada=true").code == 0
    arguments, options = api.calls["train_generator"]
    assert arguments == (["my data"], Path("run"))
    assert options["overrides"] == {"batch_size": "16", "ada": "true"}


def test_flags_in_files_can_be_taken_back(p2s2p: Call, api: FakeApi, folder: Path) -> None:
    (folder / "p2s2p.toml").write_text("[invert]\nkeep-exif = true\nquiet = true\n")
    result = p2s2p("invert", "a", "--no-keep-exif", "-v")
    assert api.calls["invert"][1]["keep_exif"] is False
    assert "a/1.jpg -> " in result.err


def test_unknown_keys_are_told_all_at_once(p2s2p: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "p2s2p.toml").write_text(
        "[invert]\nsede = 1\n[inver]\na = 1\n[train.encoder]\ntask = 'invert'\nstep = 2\n"
    )
    monkeypatch.setenv("P2S2P_INVERT_PSTE", "1")
    result = p2s2p("invert", "a")
    assert result.code == 2
    error, hint = result.err.splitlines()
    for name in ("P2S2P_INVERT_PSTE in the environment", "invert.sede", "inver", "train.encoder.step", "p2s2p.toml"):
        assert name in error
    assert hint == "hint: did you mean P2S2P_INVERT_PASTE, invert.seed, invert, train.encoder.steps?"


def test_help_needs_no_sound_configuration(p2s2p: Call, folder: Path) -> None:
    (folder / "p2s2p.toml").write_text("not toml")
    assert p2s2p("invert", "--help").code == 0
    assert p2s2p("invert", "a").err.startswith("error: ")


@pytest.mark.parametrize(("name", "value"), [("P2S2P_INVERT_SEED", "-4"), ("P2S2P_INVERT_GRID", "pairs")])
def test_bad_values_name_their_origin(p2s2p: Call, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    result = p2s2p("invert", "a")
    assert result.code == 2
    first, second = result.err.splitlines()
    assert f"{name} in the environment is {value!r}, expected " in first
    assert second.startswith("hint: ")
