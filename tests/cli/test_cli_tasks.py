"""Every command on real files with a tiny model of its own: what is written, under which names, and what it says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import Call, contents, pixels, times
from task_inputs import COMMANDS, write_inputs
from tiny_zoo import SIDE

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.cli import app
from pixel2style2pixel_cli.tasks.table import TASKS, options_of
from pixel2style2pixel_cli.weights.latents import load_latents

TWO = ["a.png", "b.png"]


@pytest.fixture
def tiny_zoo(task_zoo: Path) -> Path:
    return task_zoo


@pytest.fixture
def inputs(command: str, folder: Path) -> list[str]:
    """The words of a command line up to the output."""
    write_inputs(command, folder / "in", TWO)
    return [command, "in", *COMMANDS[command]]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "mix"])
def test_each_input_gives_a_picture_of_the_generators_size(real: Call, folder: Path, inputs: list[str]) -> None:
    before = contents(folder)
    result = real(*inputs, "-o", "out", "--grid", "sheet", "--preview-input", "--json")
    assert result.code == 0, result.err
    assert [(row["input"], row["mix_seed"], row["output"]) for row in result.rows[:-1]] == [
        (f"in/{name}", None, f"out/{name}") for name in TWO
    ]
    assert set(contents(folder / "out")) == {"a.png", "b.png", "a_input.png", "b_input.png", "sheet.png"}
    assert [Image.open(folder / "out" / name).size for name in TWO] == [(SIDE, SIDE)] * 2
    assert not np.array_equal(pixels(folder / "out" / "a.png"), pixels(folder / "out" / "b.png"))
    recipe = real("show", "out/a.png", "--json").rows[0]
    assert recipe["command"] == inputs[0] and recipe["model"] == f"tiny-{options_of(inputs[0]).works_with or inputs[0]}"
    assert {name: data for name, data in contents(folder).items() if not name.startswith("out/")} == before


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "mix"])
def test_each_style_gives_a_picture(real: Call, folder: Path, inputs: list[str]) -> None:
    styles = ("--mix-seed", "3", "--mix-seed", "10-11,3", "--mix-alpha", "0.5", "--mix-truncation", "0.8")
    result = real(*inputs, "-o", "out", *styles, "--grid", "row", "--save-latents", "--json")
    assert result.code == 0, result.err
    wanted = [(name[0], seed) for name in TWO for seed in (3, 10, 11)]
    assert [(row["output"], row["latent"], row["mix_seed"]) for row in result.rows[:-1]] == [
        (f"out/{stem}_mix{seed}.png", f"out/{stem}_mix{seed}.safetensors", seed) for stem, seed in wanted
    ]
    assert result.rows[-1]["ok"] == 6
    files = {f"{stem}_mix{seed}{end}" for stem, seed in wanted for end in (".png", ".safetensors")}
    assert set(contents(folder / "out")) == files | {"a_row.png", "b_row.png"}
    recipe = real("show", "out/a_mix11.png", "--json").rows[0]
    options = {key: recipe["options"][key] for key in ("mix_layers", "mix_alpha", "mix_truncation")}
    assert options == {"mix_layers": "4,5,6,7", "mix_alpha": 0.5, "mix_truncation": 0.8}
    assert recipe["variant"] == {"mix_seed": 11}


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_dry_run_names_every_picture_and_writes_nothing(real: Call, folder: Path, inputs: list[str]) -> None:
    stems, lost = (("a",), 0) if inputs[0] == "mix" else (("a", "b"), 1)
    inputs[1:2] = ["in/a.png"] if inputs[0] == "mix" else ["in", "missing.png"]
    before, written = contents(folder), times(folder)
    result = real(*inputs, "-o", "out", "--mix-seed", "1-2", "-n")
    assert result.code == (3 if lost else 0)
    assert result.out.decode().splitlines() == [
        f"in/{stem}.png -> out/{stem}_mix{seed}.png" for stem in stems for seed in (1, 2)
    ]
    assert f"{2 * len(stems)} to write, {lost} failed" in result.err
    assert result.err.count("missing.png does not exist") == lost
    assert contents(folder) == before and times(folder) == written


def test_the_python_function_does_the_same(real: Call, folder: Path) -> None:
    write_inputs("sketch2face", folder / "in", TWO)
    assert real("sketch2face", "in", "-o", "out", "--mix-seed", "0-1").code == 0
    summary = api.sketch2face([folder / "in"], out=folder / "again", mix_seed=[0, "1"], device="cpu")
    assert summary.ok == 4 and contents(folder / "again") == contents(folder / "out")


def test_a_run_resumes_where_one_of_several_styles_is_missing(real: Call, folder: Path) -> None:
    write_inputs("seg2face", folder / "in", TWO)
    line = ("seg2face", "in", "-o", "out", "--mix-seed", "0-2", "--save-latents")
    assert real(*line).code == 0
    before, written = contents(folder / "out"), times(folder / "out")
    (folder / "out" / "b_mix1.png").unlink()
    resumed = real(*line, "--skip-existing", "--json")
    assert resumed.code == 0 and (resumed.rows[-1]["ok"], resumed.rows[-1]["skipped"]) == (1, 5)
    skipped = {(row["output"], row["mix_seed"]) for row in resumed.rows if row.get("status") == "skipped"}
    assert skipped == {(f"out/{stem}_mix{n}.png", n) for stem in "ab" for n in range(3)} - {("out/b_mix1.png", 1)}
    assert contents(folder / "out") == before
    again = {name for name, when in times(folder / "out").items() if when != written[name]}
    assert again == {"b_mix1.png", "b_mix1.safetensors"}
    assert real(*line, "--grid", "row", "--skip-existing").code == 0
    rows = {"a_row.png", "b_row.png"}
    assert {name for name, when in times(folder / "out").items() if name not in written or when != written[name]} == (
        again | rows
    )
    for name in rows:
        (folder / "out" / name).unlink()
    other = real(*line, "--skip-existing", "--mix-alpha", "0.5")
    assert other.code == 0 and other.err.count("kept, but made with other options") == 6
    refused = real(*line, "-q")
    assert refused.code == 2 and refused.problems[0][0].startswith("12 outputs exist already")


def test_latents_of_styles_are_the_codes_of_their_pictures(real: Call, folder: Path, task_zoo: Path) -> None:
    import torch

    from pixel2style2pixel_cli.engine.loading import load_generator
    from pixel2style2pixel_cli.files.pixels import to_uint8
    from pixel2style2pixel_cli.zoo.find import find_card
    from pixel2style2pixel_cli.zoo.resolve import resolve

    write_inputs("invert", folder / "in", ["a.png"])
    line = ("invert", "in", "--align", "never", "--save-latents")
    assert real(*line, "-o", "out", "--mix-seed", "0-1").code == 0 and real(*line, "-o", "plain").code == 0
    generator, _ = load_generator(resolve(find_card("tiny-generator")), torch.device("cpu"), torch.float32)
    plain = load_latents(folder / "plain" / "a.safetensors").codes
    for seed in (0, 1):
        latent = load_latents(folder / "out" / f"a_mix{seed}.safetensors")
        assert json.loads(latent.recipe or "")["variant"] == {"mix_seed": seed}
        assert np.array_equal(latent.codes[:4], plain[:4]) and not np.array_equal(latent.codes[4:], plain[4:])
        drawn = to_uint8(generator(torch.from_numpy(latent.codes)[None], "fixed"))[0]
        assert np.abs(drawn.astype(int) - pixels(folder / "out" / f"a_mix{seed}.png")).max() <= 1


def test_names_of_pairs_templates_and_one_file(real: Call, folder: Path) -> None:
    write_inputs("sketch2face", folder / "in", ["a.png"])
    two = ("sketch2face", "in/a.png", "--mix-seed", "0-1")
    assert real(*two, "-o", "pairs", "--grid", "pair", "--preview-input").code == 0
    assert set(contents(folder / "pairs")) == {
        *(f"a_mix{n}{end}.png" for n in (0, 1) for end in ("", "_pair")), "a_input.png"
    }  # fmt: skip
    assert real(*two, "-o", "named", "--name", "{mix_seed}-{stem}", "--grid", "sheet").code == 0
    assert set(contents(folder / "named")) == {"0-a.png", "1-a.png", "sheet.png"}
    assert real(*two, "-o", "face.png", "--grid", "row").code == 0
    assert {path.name for path in folder.glob("face*")} == {"face_mix0.png", "face_mix1.png", "face_row.png"}
    refused = real(*two, "-o", "-", "-q")
    assert refused.code == 2 and "standard output takes one picture" in refused.problems[0][0]
    piped = real("sketch2face", "-", "--mix-seed", "1", "-o", "-", stdin=(folder / "in" / "a.png").read_bytes())
    assert piped.code == 0 and piped.out.startswith(b"\x89PNG")


def test_a_disk_that_fails_at_one_style_costs_that_style_only(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixel2style2pixel_cli.files import atomic

    write_inputs("seg2face", folder / "in", TWO)
    whole = atomic._write_synced

    def refuse(part: Path, data: bytes) -> None:
        if part.name.startswith(".a_mix1.png"):
            raise OSError(28, "No space left on device")
        whole(part, data)

    monkeypatch.setattr(atomic, "_write_synced", refuse)
    result = real("seg2face", "in", "-o", "out", "--mix-seed", "0-2", "--json")
    assert result.code == 3 and (result.rows[-1]["ok"], result.rows[-1]["failed"]) == (5, 1)
    assert [row["mix_seed"] for row in result.rows if row.get("status") == "failed"] == [1]
    assert set(contents(folder / "out")) == {f"{stem}_mix{n}.png" for stem in "ab" for n in range(3)} - {"a_mix1.png"}


@pytest.mark.parametrize("command", list(TASKS))
def test_an_interrupted_run_says_how_to_go_on(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, command, stop)
    words = ["a b.png"] if options_of(command).takes_inputs else []
    result = real(command, *words, "--overwrite", "--mix-seed", "0-3", "-o", "out")
    assert result.code == 130
    named = "'a b.png' " if words else ""
    line = f"p2s2p {command} --skip-existing {named}--mix-seed 0-3 -o out"
    assert result.err == f"interrupted; resume with:\n  {line}\n"
    assert app.resume_command([command, "-", "-o", "x.png"]) is None


@pytest.mark.parametrize("command", list(TASKS))
def test_examples_are_possible(real: Call, folder: Path, command: str) -> None:
    for name in (
        "photo.jpg",
        "group.jpg",
        "a.jpg",
        "b.jpg",
        "tiny.png",
        "painted.png",
        "drawing.png",
        "map.png",
    ):
        Image.new("RGB", (8, 8)).save(folder / name)
    mask = Image.new("L", (8, 8))
    mask.paste(255, (2, 2, 6, 6))
    mask.save(folder / "mask.png")
    for name in ("photos", "maps", "masks", "styles"):
        (folder / name).mkdir()
        Image.new("RGB", (8, 8)).save(folder / name / "x.png")
    for name in ("a.safetensors", "me.safetensors"):
        (folder / name).write_bytes(b"codes")
    lines = options_of(command).examples
    assert lines and all(line.startswith(f"p2s2p {command} ") for line in lines)
    for line in lines:
        result = real(*shlex.split(line)[1:], *(() if "--list-faces" in line else ("-n",)))
        assert result.code == 0, (line, result.err)
