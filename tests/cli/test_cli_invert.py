"""``p2s2p invert``: what reaches the Python function, what is printed, and with which code it ends."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_api import FakeApi, Result, image, summary

from pixel2style2pixel_cli.cli.app import run
from pixel2style2pixel_cli.errors import DeviceError, IntegrityError, MissingError, UsageError

Call = Callable[..., Result]


def passed(api: FakeApi) -> dict[str, object]:
    inputs, options = api.calls["invert"][0][0], dict(api.calls["invert"][1])
    for name in ("stdin", "stdout", "on_event"):
        assert callable(options.pop(name))
    return {"inputs": inputs, **options}


def test_defaults_reach_the_function(p2s2p: Call, api: FakeApi) -> None:
    p2s2p("invert", "a.jpg")
    assert passed(api) == {
        "inputs": ["a.jpg"], "out": None, "model": "auto", "align": "auto", "face": "best", "on_no_face": "skip",
        "detector": "dlib", "detector_threshold": 0.0, "paste": False, "debug_align": False, "optimize": None,
        "passes": None, "refine": 0, "stage": None,
        "device": "auto", "dtype": "auto", "backend": "auto", "threads": None, "batch_size": "auto", "seed": 0,
        "noise": "fixed", "recursive": False,
        "existing": "error", "name": "{stem}", "format": "png", "save_latents": False, "grid": "none",
        "keep_exif": False, "metadata": True, "fail_fast": False, "dry_run": False, "shard": None,
        "max_pixels": 200_000_000, "preview_input": False, "mix_seed": None, "mix_layers": None,
        "mix_alpha": 1.0, "mix_truncation": 1.0,
    }  # fmt: skip


def test_options_reach_the_function(p2s2p: Call, api: FakeApi) -> None:
    p2s2p(
        "invert", "a", "b", "-", "@list.txt", "-o", "out", "-r", "--model", "psp", "--align", "never", "--face", "2",
        "--on-no-face", "crop", "--detector", "dlib", "--detector-threshold", "-0.5", "--paste", "--debug-align",
        "--optimize", "50", "--passes", "3", "--refine", "2", "--stage", "all",
        "--device", "cuda:1", "--dtype", "bfloat16", "--batch-size", "8",
        "--backend", "torch", "--threads", "2",
        "--seed", "7", "--noise", "random", "--name", "{stem}_{seed}", "--format", "webp", "--save-latents",
        "--grid", "sheet",
        "--keep-exif", "--no-metadata", "-n", "--shard", "1/4", "--fail-fast", "--max-pixels", "100",
        "--preview-input", "--mix-seed", "3", "--mix-seed", "10-12", "--mix-layers", "4-", "--mix-alpha", "0.5",
        "--mix-truncation", "0.7",
    )  # fmt: skip
    assert passed(api) == {
        "inputs": ["a", "b", "-", "@list.txt"], "out": "out", "model": "psp", "align": "never", "face": "2",
        "on_no_face": "crop", "detector": "dlib", "detector_threshold": -0.5, "paste": True, "debug_align": True,
        "optimize": 50, "passes": 3, "refine": 2, "stage": "all",
        "device": "cuda:1", "dtype": "bfloat16", "backend": "torch", "threads": 2, "batch_size": 8, "seed": 7,
        "noise": "random",
        "recursive": True, "existing": "error", "name": "{stem}_{seed}", "format": "webp", "save_latents": True,
        "grid": "sheet", "keep_exif": True, "metadata": False, "fail_fast": True, "dry_run": True, "shard": "1/4",
        "max_pixels": 100, "preview_input": True, "mix_seed": ["3", "10-12"], "mix_layers": "4-",
        "mix_alpha": 0.5, "mix_truncation": 0.7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "policy"),
    [
        (["--skip-existing"], "skip"),
        (["--overwrite"], "overwrite"),
        (["--existing", "rename"], "rename"),
        (["--existing=skip", "--skip-existing"], "skip"),
    ],
)
def test_short_forms_of_existing(p2s2p: Call, api: FakeApi, typed: list[str], policy: str) -> None:
    p2s2p("invert", "a", *typed)
    assert passed(api)["existing"] == policy


def test_typed_short_form_beats_a_configured_policy(p2s2p: Call, api: FakeApi, folder: Path) -> None:
    (folder / "p2s2p.toml").write_text('[invert]\nexisting = "rename"\n')
    p2s2p("invert", "a", "--overwrite")
    assert passed(api)["existing"] == "overwrite"


@pytest.mark.parametrize("typed", [["--overwrite", "--skip-existing"], ["--existing", "error", "--overwrite"]])
def test_two_policies_are_refused(p2s2p: Call, api: FakeApi, typed: list[str]) -> None:
    result = p2s2p("invert", "a", *typed)
    assert result.code == 2
    assert result.err.startswith("error: two values for --existing: ")
    assert "invert" not in api.calls


def test_messages_for_people(p2s2p: Call) -> None:
    result = p2s2p("invert", "a")
    assert result == Result(
        code=3,
        out="",
        err="model: mini-invert (bundled, 128 px)\n"
        "device: cpu\n"
        "error: a/3.jpg: not an image: empty file\n"
        "hint: remove it or fetch it again\n"
        "no face: a/2.jpg: no face found\n"
        "hint: a lower --detector-threshold finds more; --on-no-face crop takes the centre of the picture\n"
        "2 written, 1 skipped, 1 without a face, 1 failed in 5.1 s -> p2s2p-out/invert (3 files not images, ignored)\n",
    )


def test_quiet_prints_problems_only(p2s2p: Call, api: FakeApi) -> None:
    assert [line.split(":")[0] for line in p2s2p("invert", "a", "-q").err.splitlines()] == [
        "error",
        "hint",
        "no face",
        "hint",
    ]
    api.events = [image("a.jpg"), summary(ok=1)]
    assert p2s2p("invert", "a", "-q") == Result(code=0, out="", err="")


def test_one_result_is_named_in_the_summary(p2s2p: Call, api: FakeApi) -> None:
    api.events = [image("a.jpg"), summary(ok=1)]
    assert p2s2p("invert", "a.jpg").err == "1 written, 0 failed in 5.1 s -> out/a.jpg.png\n"


def test_json_lines_follow_the_schema(p2s2p: Call) -> None:
    result = p2s2p("invert", "a", "--json")
    first, no_face, failed, skipped, _, last = (json.loads(line) for line in result.out.splitlines())
    assert first == {
        "event": "image", "schema": 1, "input": "a/1.jpg", "face": 0, "mix_seed": None, "output": "out/a/1.jpg.png",
        "latent": None, "status": "ok", "seconds": 0.084, "model": "mini-invert@3f2c", "aligned": True, "metrics": {},
    }  # fmt: skip
    assert list(first)[:8] == ["event", "schema", "input", "face", "mix_seed", "output", "latent", "status"]
    assert (no_face["status"], no_face["message"], no_face["face"]) == ("no_face", "no face found", None)
    assert (failed["status"], failed["message"]) == ("failed", "not an image: empty file")
    assert (skipped["status"], skipped["output"]) == ("skipped", "out/a/4.jpg.png")
    wanted = {
        "event": "summary", "schema": 1, "ok": 2, "skipped": 1, "no_face": 1, "failed": 1, "seconds": 5.1,
        "device": "cpu", "dtype": "float32", "model": "mini-invert@3f2c", "exit": 3,
    }  # fmt: skip
    assert wanted.items() <= last.items()
    assert "written" not in result.err and "model: mini-invert" in result.err


def test_ignore_failures_exits_0_and_says_so(p2s2p: Call) -> None:
    result = p2s2p("invert", "a", "--json", "--ignore-failures")
    assert result.code == 0
    assert json.loads(result.out.splitlines()[-1])["exit"] == 0


def test_dry_run_prints_the_plan(p2s2p: Call, api: FakeApi) -> None:
    names = [f"{number}.jpg" for number in range(30)]
    api.events = [*(image(name, face=None, seconds=None) for name in names), summary(ok=30)]
    result = p2s2p("invert", "a", "-n")
    assert result.out.splitlines() == [f"{name} -> out/{name}.png" for name in names[:10]]
    assert result.err == "30 to write, 0 failed in 5.1 s -> p2s2p-out/invert; nothing was written\n"
    lines = [json.loads(line) for line in p2s2p("invert", "a", "-n", "--json").out.splitlines()]
    assert {(line["event"], line.get("status")) for line in lines} == {("plan", "todo"), ("summary", None)}
    assert lines[-1]["dry_run"] is True


def test_picture_on_standard_output(api: FakeApi, folder: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    api.events = [image("a.jpg", output="-"), summary(ok=1)]
    assert run(["invert", "a.jpg", "-o", "-"]) == 0
    captured = capsysbinary.readouterr()
    assert captured.out == b"\x89PNG\r\n\x1a\nbytes"
    assert b"1 written" in captured.err


def test_picture_and_json_on_standard_output_are_refused(p2s2p: Call, api: FakeApi) -> None:
    assert p2s2p("invert", "a.jpg", "-o", "-", "--json").code == 2
    assert "invert" not in api.calls


def test_list_faces(p2s2p: Call, api: FakeApi) -> None:
    api.events = [image("a/2.jpg", "no_face")]
    result = p2s2p("invert", "a", "-r", "--list-faces", "--detector-threshold", "0.2")
    assert result.code == 3
    header, row = result.out.splitlines()
    assert header.split() == ["input", "face", "score", "left", "top", "right", "bottom"]
    assert row.split() == ["a/1.jpg", "0", "1.25", "10", "20", "110", "120"]
    assert "no face: a/2.jpg" in result.err
    options = api.calls["list_faces"][1]
    assert (options["recursive"], options["detector_threshold"]) == (True, 0.2)
    assert "invert" not in api.calls
    none, found = (json.loads(line) for line in p2s2p("invert", "a", "--list-faces", "--json").out.splitlines())
    assert (none["input"], none["status"]) == ("a/2.jpg", "no_face")
    assert found == {
        "event": "face", "schema": 1, "input": "a/1.jpg", "face": 0, "score": 1.25, "box": [10.0, 20.0, 110.4, 120.0]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("output a.png exists", "use --overwrite"), 2),
        (MissingError("model psp is not installed", "p2s2p models import psp FILE"), 4),
        (IntegrityError("psp.pt has another hash", "fetch it again"), 4),
        (DeviceError("there is no device cuda:3", "use --device cpu"), 5),
    ],
)
def test_errors_are_two_lines_and_a_code(p2s2p: Call, api: FakeApi, error: UsageError, code: int) -> None:
    def fail() -> None:
        raise error

    api.before = fail
    assert p2s2p("invert", "a") == Result(code=code, out="", err=f"error: {error.message}\nhint: {error.hint}\n")


def test_a_bug_shows_its_traceback(p2s2p: Call, api: FakeApi) -> None:
    def fail() -> None:
        raise ZeroDivisionError("of our own making")

    api.before = fail
    result = p2s2p("invert", "a")
    assert result.code == 1
    assert "Traceback" in result.err and "in fail" in result.err
    assert result.err.splitlines()[-2] == "error: unexpected ZeroDivisionError: of our own making"
    assert "report it" in result.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("typed", "resume"),
    [
        (["a b", "--existing", "overwrite", "--seed", "3"], "p2s2p invert --skip-existing 'a b' --seed 3"),
        (["a", "--overwrite"], "p2s2p invert --skip-existing a"),
        (["a", "--existing=skip", "--skip-existing"], "p2s2p invert --skip-existing a"),
        (["-", "-o", "x.png"], None),
        (["a", "-o", "-"], None),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="quoted for a POSIX shell")
def test_interruption_prints_how_to_resume(p2s2p: Call, api: FakeApi, typed: list[str], resume: str | None) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    api.before = stop
    result = p2s2p("invert", *typed)
    assert result.code == 130
    assert result.err == (f"interrupted; resume with:\n  {resume}\n" if resume else "interrupted\n")
