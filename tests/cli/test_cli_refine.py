"""``p2s2p invert --refine`` and ``--stage``: what is drawn, what is said and recorded, what is refused, interrupts."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_run import Call, pixels, write_photos
from tiny_zoo import ENCODER, GENERATOR, _write_model, tiny_model

from pixel2style2pixel_cli import load
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.fitting import refine
from pixel2style2pixel_cli.weights.latents import load_latents

NEVER = ("--align", "never", "-o", "out", "--save-latents")
LAST = GENERATOR.n_styles - 1


@pytest.fixture
def tiny_zoo(tiny_zoo: Path, tmp_path: Path) -> Path:
    """Beside the others a model as Cycle Encoding leaves it: offsets that it has learnt, and all of them closed."""
    zoo = tmp_path / "zoo"
    shutil.copytree(tiny_zoo, zoo)
    spec = dataclasses.replace(ENCODER, kind="e4e", stage=0)
    _write_model(zoo, "tiny-cycle", "encoder", tiny_model().encoder, spec, ("invert", "mix"), 'kind = "photo"')
    return zoo


def codes(path: Path) -> np.ndarray:
    return load_latents(path).codes


def test_refined_codes_are_recorded_with_their_companions(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refine, "RATE", 3e-3)  # of a network of a few thousand weights
    write_photos(folder, ["a.png", "b.png"])
    plain = real("invert", "a.png", "b.png", *NEVER, "--model", "tiny-invert")
    assert plain.code == 0, plain.err
    first = codes(folder / "out" / "a.safetensors")
    line = ("invert", *NEVER, "--model", "tiny-invert", "--refine", "6", "--overwrite", "--json")
    both = real(line[0], "a.png", "b.png", *line[1:])
    assert both.code == 0, both.err
    for row in both.rows[:-1]:
        assert row["metrics"]["refined"] == 6 and row["metrics"]["refine_loss"] > 0
    options = real("show", "out/a.png", "--json").rows[0]["options"]
    assert (options["refine"], options["companions"]) == (6, "7 faces of the generator a step, seed 0")
    assert options["refined_by"] and 0 <= options["refine_best"] <= 6
    second = codes(folder / "out" / "a.safetensors")
    assert not np.array_equal(first, second)
    assert real(line[0], "a.png", *line[1:]).code == 0  # by itself, as beside others
    assert np.array_equal(second, codes(folder / "out" / "a.safetensors"))
    assert real(line[0], "a.png", *line[1:], "--seed", "3").code == 0
    assert not np.array_equal(second, codes(folder / "out" / "a.safetensors"))
    assert real("show", "out/a.png", "--json").rows[0]["options"]["companions"].endswith("seed 3")
    kept = real(line[0], "a.png", *NEVER, "--model", "tiny-invert", "--refine", "7", "--skip-existing", "--json")
    assert "made with other options" in kept.rows[0]["message"]


def test_optimisation_goes_on_from_the_refined_code(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    line = ("invert", "a.png", *NEVER, "--model", "tiny-invert", "--json", "--overwrite", "--refine", "2")
    result = real(*line, "--optimize", "3", "-v")
    assert result.code == 0 and result.rows[0]["metrics"]["refined"] == 2
    options = real("show", "out/a.png", "--json").rows[0]["options"]
    assert (options["refine"], options["optimize"]) == (2, 3)


@pytest.mark.parametrize(("stage", "opened"), [(None, 0), ("w", 0), ("3", 3), ("all", LAST)])
def test_both_readings_of_a_cycle_model_can_be_chosen_and_are_said(
    real: Call, folder: Path, stage: str | None, opened: int
) -> None:
    write_photos(folder, ["a.png"])
    asked = () if stage is None else ("--stage", stage)
    result = real("invert", "a.png", *NEVER, "--model", "tiny-cycle", *asked, "--json")
    assert result.code == 0, result.err
    assert result.rows[0]["metrics"]["stage"] == opened
    assert real("show", "out/a.png", "--json").rows[0]["options"]["stage"] == opened
    found = codes(folder / "out" / "a.safetensors")
    same = [bool(np.array_equal(row, found[0])) for row in found]
    assert same == [row == 0 or row > opened for row in range(GENERATOR.n_styles)]
    people = real("invert", "a.png", *NEVER, "--model", "tiny-cycle", *asked, "--overwrite")
    assert f"model: tiny-cycle (bundled, 32 px, stage {opened} of {LAST})" in people.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--refine", "-1"], "--refine is '-1', expected a whole number"),
        (["--refine", "nan"], "--refine is 'nan', expected a whole number"),
        (["--refine", "1.5"], "--refine is '1.5', expected a whole number"),
        (["--refine", "1000000"], "--refine is '1000000', expected a whole number"),
        (["--stage", "x"], "--stage is 'x', expected w, all or a number of open rows"),
        (["--stage", "-1"], "--stage is '-1', expected w, all or a number of open rows"),
        (["--stage", "w"], "the encoder of tiny-invert has no offsets that --stage w could open or close"),
        (["--stage", "9", "--model", "tiny-cycle"], f"--stage 9 opens more offsets than the {LAST} of tiny-cycle"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(real: Call, folder: Path, arguments: list[str], message: str) -> None:
    write_photos(folder, ["a.png"])
    model = () if "--model" in arguments else ("--model", "tiny-invert")
    result = real("invert", "a.png", "-o", "out", *model, *arguments, "-q")
    ((found, _),) = result.problems
    assert result.code == 2 and found.startswith(message) and not (folder / "out").exists()


def test_an_interrupt_keeps_the_best_code_and_says_so(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(folder, ["a.png", "b.png"])
    look, calls = refine.Refinement._look, []

    def stopping(self: refine.Refinement, *given: object) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return look(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(refine.Refinement, "_look", stopping)
    result = real("invert", "a.png", "b.png", *NEVER, "--model", "tiny-invert", "--refine", "1000", "--optimize", "5")
    assert result.code == 130, result.err
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.png", "a.safetensors"]
    assert "warning: a.png: stopped after 2 of 1000 steps of refinement; the best code until then is kept" in result.err
    recipe = json.loads(load_latents(folder / "out" / "a.safetensors").recipe or "")["options"]
    assert recipe["refine"] == 2
    words = shlex.split(result.err.split("interrupted; resume with:\n")[1])
    assert words[:3] == ["p2s2p", "invert", "--skip-existing"]


def test_a_session_refines_too(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    photo = Image.open(folder / "a.png")
    with load("tiny-cycle", device="cpu") as session:
        plain = session.invert(photo, align="never")
        refined = session.invert(photo, align="never", refine=3, seed=2)
        opened = session.invert(photo, align="never", stage="all")
        assert np.array_equal(session.encode(photo, align="never", stage="all"), opened.codes)
        assert plain.metrics == {"stage": 0} and opened.metrics == {"stage": LAST}
        assert refined.metrics["refined"] == 3 and refined.recipe["options"]["companions"].endswith("seed 2")
        assert np.array_equal(plain.array, session.invert(photo, align="never", stage="w").array)
        assert not np.array_equal(plain.codes, opened.codes)
        with pytest.raises(UsageError, match="refine is nan"):
            session.invert(photo, refine=float("nan"))
    assert pixels(folder / "a.png").shape[2] == 3


def test_closed_offsets_that_did_not_come_along_cannot_be_opened(real: Call, folder: Path, tiny_zoo: Path) -> None:
    card = tiny_zoo / "tiny-cycle" / "model.toml"
    card.write_text('heads_model = "tiny-invert"\n' + card.read_text("utf-8"), encoding="utf-8")
    write_photos(folder, ["a.png"])
    result = real("invert", "a.png", "-o", "out", "--model", "tiny-cycle", "--stage", "all", "-q")
    ((found, _),) = result.problems
    assert result.code == 2 and found.startswith("tiny-cycle comes without the offsets that it has closed")
