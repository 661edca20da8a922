"""``models``, ``train`` and ``show``: arguments passed on, results for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_api import FakeApi, Result

Call = Callable[..., Result]


def test_models_list(p2s2p: Call) -> None:
    header, mini, psp = p2s2p("models", "list").out.splitlines()
    assert header.split()[:4] == ["name", "tasks", "state", "size"]
    assert mini.split()[:5] == ["mini-invert", "invert", "bundled", "9.7", "MB"]
    assert "not installed" in psp and "nvidia-nc" in psp
    rows = [json.loads(line) for line in p2s2p("models", "list", "--json").out.splitlines()]
    assert [(row["event"], row["name"], row["installed"]) for row in rows] == [
        ("model", "mini-invert", True),
        ("model", "psp-ffhq-encode", False),
    ]


def test_models_show(p2s2p: Call) -> None:
    out = p2s2p("models", "show", "mini").out
    assert out == ("name      mini\nencoder\n  kind        psp\n  input_size  256\ntasks     invert\nmeasured  -\n")
    assert json.loads(p2s2p("models", "show", "mini", "--json").out)["encoder"]["input_size"] == 256


def test_models_verify_exits_4_when_a_file_differs(p2s2p: Call, api: FakeApi) -> None:
    assert p2s2p("models", "verify").code == 0
    assert api.calls["verify_models"][0] == ([],)
    api.verified.append(("psp", False, "encoder.safetensors has another hash"))
    result = p2s2p("models", "verify", "mini-invert", "psp", "-q")
    assert result.code == 4
    assert "mini-invert" not in result.out and "another hash" in result.out
    assert api.calls["verify_models"][0] == (["mini-invert", "psp"],)
    lines = [json.loads(line) for line in p2s2p("models", "verify", "--json").out.splitlines()]
    assert [line["ok"] for line in lines] == [True, False]


def test_models_import(p2s2p: Call, api: FakeApi) -> None:
    result = p2s2p("models", "import", "psp", "psp.pt")
    assert api.calls["import_model"][0] == ("psp", Path("psp.pt"))
    assert result.err == "reading the file\n"
    assert "folder  models/x" in result.out
    assert p2s2p("models", "import", "psp", "psp.pt", "-q") == Result(code=0, out="", err="")


def test_models_blend(p2s2p: Call, api: FakeApi) -> None:
    result = p2s2p("models", "blend", "mini-generator", "runs/toon", "my-toon", "--at", "32")
    assert (
        result.out
        == "name       my-toon\nstructure  mini-generator\nlook       runs/toon\nat         32\nwidth      0\n"
    )
    assert api.calls["blend_models"] == (("mini-generator", "runs/toon", "my-toon"), {"at": 32, "width": 0.0})
    line = json.loads(p2s2p("models", "blend", "a", "b", "c", "--at", "8", "--width", "1.5", "--json").out)
    assert (line["event"], line["schema"], line["at"], line["width"]) == ("blend", 1, 8, 1.5)
    assert p2s2p("models", "blend", "a", "b", "c", "--at", "8", "-q") == Result(code=0, out="", err="")
    assert p2s2p("models", "blend", "a", "b", "c").code == 2
    assert p2s2p("models", "blend", "a", "b", "c", "--at", "8", "--width", "-1").code == 2


def test_models_pull_and_remove(p2s2p: Call, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    result = p2s2p("models", "pull", "psp", "e4e", "--accept-license", "--offline")
    assert result.out == "name    psp\nstatus  installed\nname    e4e\nstatus  installed\n"
    options = api.calls["pull_models"][1]
    assert api.calls["pull_models"][0] == (["psp", "e4e"],) and callable(options.pop("on_event"))
    assert options == {"accept_licence": True, "offline": True, "ask": None}  # nobody at a terminal to ask
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    line = json.loads(p2s2p("models", "pull", "psp", "--json").out)
    assert line == {"event": "pull", "schema": 1, "name": "psp", "status": "installed"}
    assert (api.calls["pull_models"][1]["offline"], api.calls["pull_models"][1]["accept_licence"]) == (True, False)
    assert p2s2p("models", "remove", "psp").out == "removed psp: 1.2 MB freed\n"
    assert json.loads(p2s2p("models", "remove", "psp", "--json").out)["freed"] == 1_200_000
    assert p2s2p("models", "remove", "psp", "-q") == Result(code=0, out="", err="")


def test_an_interrupted_pull_says_how_to_go_on(p2s2p: Call, api: FakeApi) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    api.before = interrupt
    result = p2s2p("models", "pull", "psp", "--accept-licence")
    assert (result.code, result.err) == (130, "interrupted; resume with:\n  p2s2p models pull psp --accept-licence\n")


def test_show(p2s2p: Call, api: FakeApi) -> None:
    assert p2s2p("show", "x.png").out == "kind     recipe\ncommand  invert\nseed     0\n"
    assert api.calls["show_file"][0] == (Path("x.png"),)
    assert json.loads(p2s2p("show", "x.png", "--json").out)["kind"] == "recipe"


def test_train_generator(p2s2p: Call, api: FakeApi) -> None:
    result = p2s2p(
        "train", "generator", "--data", "a", "--data", "b", "--out", "run", "--preset", "mini", "--set", "batch_size=4",
        "--set", "text=a=b", "--start", "runs/before", "--steps", "20", "--minutes", "30",
        "--device", "cpu", "--seed", "3",
        "--no-resume", "--check",
    )  # fmt: skip
    assert result.out == "run    runs/x\nsteps  20\n"
    arguments, options = api.calls["train_generator"]
    assert arguments == (["a", "b"], Path("run"))
    assert callable(options.pop("on_event"))
    assert options == {
        "preset": "mini", "overrides": {"batch_size": "4", "text": "a=b"}, "steps": 20,
        "minutes": 30.0, "start": Path("runs/before"), "device": "cpu", "seed": 3, "resume": False, "check": True,
        "compile": False,
    }  # fmt: skip


def test_train_encoder(p2s2p: Call, api: FakeApi) -> None:
    result = p2s2p("train", "encoder", "--data", "a", "--generator", "mini-generator", "--out", "run", "--json")
    assert json.loads(result.out) == {"event": "train", "schema": 1, "run": "runs/x", "steps": 20, "exit": 0}
    options = api.calls["train_encoder"][1]
    options.pop("on_event")
    assert options == {
        "task": "invert", "generator": "mini-generator", "preset": None, "overrides": {}, "steps": None,
        "minutes": None, "start": None, "teacher": None, "compile": False,
        "device": "auto", "seed": 0, "resume": True, "check": False,
        "method": None, "partners": None, "labels": None, "recogniser": None,
    }  # fmt: skip


def test_train_recogniser(p2s2p: Call, api: FakeApi) -> None:
    result = p2s2p("train", "recogniser", "--data", "a", "--out", "run", "--steps", "5", "--json")
    assert json.loads(result.out)["event"] == "train"
    arguments, options = api.calls["train_recogniser"]
    assert arguments == (["a"], Path("run")) and callable(options.pop("on_event"))
    assert options == {
        "preset": None, "overrides": {}, "steps": 5, "minutes": None, "start": None, "device": "auto", "seed": 0,
        "resume": True, "check": False, "compile": False,
    }  # fmt: skip


def test_data_pack(p2s2p: Call, api: FakeApi) -> None:
    result = p2s2p("data", "pack", "a", "-o", "packed", "--label-maps", "m", "--size", "64", "--crop")
    assert (result.code, result.out) == (0, "pictures  3\nleft_out  0\nunpaired  0\n")
    arguments, options = api.calls["pack_data"]
    assert callable(options.pop("on_event"))
    assert arguments == (["a"], "packed") and [str(folder) for folder in options.pop("label_maps")] == ["m"]
    assert options == {
        "labels": None, "sketches": None, "frontal": None, "masks": None, "small": None,
        "size": 64, "crop": True, "shard": 1000, "overwrite": False,
    }  # fmt: skip
    line = json.loads(p2s2p("data", "pack", "a", "b", "-o", "packed", "--json").out)
    assert line == {"event": "pack", "schema": 1, "pictures": 3, "left_out": 1, "unpaired": 0, "exit": 3}
    assert p2s2p("data", "pack", "a").code == 2


def test_a_check_that_finds_pictures_which_cannot_be_used_ends_with_3(p2s2p: Call, api: FakeApi) -> None:
    api.result = {"pictures": 9, "left_out": 0, "unpaired": 2}
    told = ("train", "generator", "--data", "a", "--out", "run", "--json")
    assert (p2s2p(*told).code, p2s2p(*told, "--check").code) == (0, 3)
    assert json.loads(p2s2p(*told, "--check").out)["exit"] == 3
