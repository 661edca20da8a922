"""``p2s2p morph``, ``expression`` and ``transfer``: codes of several inputs in one output, as frames and animations."""

from __future__ import annotations

import builtins
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import Call, contents, pixels, write_photos
from tiny_zoo import GENERATOR, SIDE

from pixel2style2pixel_cli.weights.latents import LatentFile, load_latents, save_latents

NEVER = ("--align", "never")
ROWS = GENERATOR.n_styles


@pytest.fixture
def codes(real: Call, folder: Path) -> dict[str, np.ndarray]:
    """Photographs a, b, c in the working folder and their codes beside them; the codes by name."""
    write_photos(folder, ["a.png", "b.png", "c.png"])
    assert real("invert", "a.png", "b.png", "c.png", *NEVER, "-o", "made", "--save-latents").code == 0
    for name in "abc":
        shutil.move(folder / "made" / f"{name}.safetensors", folder / f"{name}.safetensors")
    shutil.rmtree(folder / "made")
    return {name: load_latents(folder / f"{name}.safetensors").codes for name in "abc"}


def frames(path: Path) -> int:
    with Image.open(path) as film:
        return int(film.n_frames)  # type: ignore[attr-defined]


@pytest.mark.parametrize("inputs", [("a.png", "b.png"), ("a.safetensors", "b.png"), ("a.safetensors", "b.safetensors")])
def test_frames_lie_on_the_straight_way(
    real: Call, folder: Path, codes: dict[str, np.ndarray], inputs: tuple[str, str]
) -> None:
    result = real("morph", *inputs, *NEVER, "-o", "out", "--steps", "5", "--format", "png", "--save-latents", "--json")
    assert result.code == 0, result.err
    assert [row["output"] for row in result.rows[:-1]] == [f"out/a_to_b_{i}.png" for i in range(5)]
    for i in range(5):
        found = load_latents(folder / "out" / f"a_to_b_{i}.safetensors").codes
        np.testing.assert_allclose(found, (1 - i / 4) * codes["a"] + i / 4 * codes["b"], rtol=1e-5, atol=1e-6)
    assert np.array_equal(load_latents(folder / "out" / "a_to_b_4.safetensors").codes, codes["b"])
    recipe = real("show", "out/a_to_b_1.png", "--json").rows[0]
    assert recipe["variant"] == {"frame": "1", "place": 0.25} and recipe["options"]["steps"] == 5
    assert len(recipe["options"]["to_sha256_1"]) == 64


def test_a_way_through_three_and_back(real: Call, folder: Path, codes: dict[str, np.ndarray]) -> None:
    line = ("morph", "a.png", "b.png", "c.safetensors", *NEVER, "-o", "out", "--steps", "6", "--loop")
    assert real(*line, "--format", "png", "--save-latents").code == 0
    for frame, (first, second, share) in enumerate(
        [("a", "b", 0.0), ("a", "b", 0.5), ("b", "c", 0.0), ("b", "c", 0.5), ("c", "a", 0.0), ("c", "a", 0.5)]
    ):
        found = load_latents(folder / "out" / f"a_to_c_{frame}.safetensors").codes
        np.testing.assert_allclose(found, (1 - share) * codes[first] + share * codes[second], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("format", ["webp", "gif", "mp4"])
def test_an_animation_is_one_file(real: Call, folder: Path, codes: dict[str, np.ndarray], format: str) -> None:
    av = pytest.importorskip("av") if format == "mp4" else None
    line = ("morph", "a.png", "b.png", *NEVER, "--steps", "4", "--fps", "10")
    result = real(*line, "-o", f"x.{format}", "--json")
    assert result.code == 0, result.err
    assert [(row["input"], row["output"], row["status"]) for row in result.rows[:-1]] == [
        ("a.png", f"x.{format}", "ok")
    ]
    assert result.rows[-1]["ok"] == 1
    if av is not None:
        with av.open(str(folder / f"x.{format}")) as container:
            assert len(list(container.decode(video=0))) == 4
    else:
        assert frames(folder / f"x.{format}") == 4
    shown = real("show", f"x.{format}", "--json").rows[0]
    assert (shown["kind"], shown["command"]) == ("picture" if format == "webp" else "animation", "morph")
    before = contents(folder)
    again = real(*line, "-o", f"x.{format}", "--skip-existing", "--json")
    assert again.code == 0 and again.rows[-1]["skipped"] == 1 and contents(folder) == before
    assert real(*line, "-o", "out", "--format", format).code == 0
    assert set(contents(folder / "out")) == {f"a_to_b.{format}"}
    assert contents(folder / "out")[f"a_to_b.{format}"] == (folder / f"x.{format}").read_bytes()


def test_frames_can_be_compared_and_named(real: Call, folder: Path, codes: dict[str, np.ndarray]) -> None:
    line = ("morph", "a.png", "b.png", *NEVER, "--steps", "3", "--format", "jpg")
    assert real(*line, "-o", "out", "--name", "{frame}-{last}", "--grid", "row").code == 0
    assert set(contents(folder / "out")) == {"0-b.jpg", "1-b.jpg", "2-b.jpg", "all-b_row.jpg"}
    assert real("morph", "a.png", "b.png", *NEVER, "--steps", "3", "-o", "still.png").code == 0
    assert {path.name for path in folder.glob("still*")} == {"still_0.png", "still_1.png", "still_2.png"}
    animated = real("morph", "a.png", "b.png", *NEVER, "-o", "x.webp", "--grid", "row", "-q")
    assert animated.code == 2 and "--format png" in animated.problems[0][1]
    coded = real("morph", "a.png", "b.png", *NEVER, "-o", "x.gif", "--save-latents", "-q")
    assert coded.code == 2 and "an animation has no one code" in coded.problems[0][0]


def test_photographs_are_optimised_where_asked(real: Call, folder: Path, codes: dict[str, np.ndarray]) -> None:
    line = ("morph", "a.png", "b.png", *NEVER, "--steps", "2", "--format", "png", "--save-latents", "--optimize", "3")
    assert real(*line, "-o", "out").code == 0
    assert real("invert", "b.png", *NEVER, "-o", "b", "--optimize", "3", "--save-latents").code == 0
    last = load_latents(folder / "out" / "a_to_b_1.safetensors").codes
    assert np.array_equal(last, load_latents(folder / "b" / "b.safetensors").codes)
    assert not np.array_equal(last, codes["b"])
    kept = real("morph", "a.safetensors", "b.safetensors", *line[3:], "-o", "kept")
    assert kept.code == 0
    assert np.array_equal(load_latents(folder / "kept" / "a_to_b_1.safetensors").codes, codes["b"])


def test_an_expression_is_a_difference(real: Call, folder: Path, codes: dict[str, np.ndarray]) -> None:
    line = ("expression", "a.png", "b.safetensors", "c.png", *NEVER, "--save-latents")
    assert real(*line, "-o", "one.png", "--layers", "2-4").code == 0
    found, wanted = load_latents(folder / "one.safetensors").codes, codes["a"].copy()
    wanted[2:5] += (codes["c"] - codes["b"])[2:5]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    result = real(*line, "-o", "out", "--strength", "-1:1:3", "--grid", "row")
    assert result.code == 0, result.err
    for strength in (-1, 0, 1):
        found = load_latents(folder / "out" / f"a_strength{strength}.safetensors").codes
        np.testing.assert_allclose(found, codes["a"] + strength * (codes["c"] - codes["b"]), rtol=1e-4, atol=1e-5)
    assert real(*line[:-1], "-o", "x.gif", "--strength", "0:1:4").code == 0 and frames(folder / "x.gif") == 4


def test_rows_of_a_style_from_the_crossover_on(real: Call, folder: Path, codes: dict[str, np.ndarray]) -> None:
    for options, first in (((), ROWS // 2), (("--crossover", "2"), 2), (("--crossover", "0"), 0)):
        line = ("transfer", "a.png", "b.png", *NEVER, "-o", "x.png", "--overwrite", "--save-latents", *options)
        assert real(*line).code == 0
        found = load_latents(folder / "x.safetensors").codes
        assert np.array_equal(found[:first], codes["a"][:first]) and np.array_equal(found[first:], codes["b"][first:])
    assert real("transfer", "a.png", "b.png", "c.safetensors", *NEVER, "-o", "out", "--grid", "sheet").code == 0
    assert set(contents(folder / "out")) == {"a_x_b.png", "a_x_c.png", "sheet.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["morph", "a.png"], "a way needs two ends"),
        (["morph", "a.png", "."], "an input of morph is one picture or saved code, not ."),
        (["morph", "a.png", "b.png", "--steps", "1"], "--steps is '1', expected a whole number from 2"),
        (["morph", "a.png", "b.png", "--steps", "-3"], "--steps is '-3', expected"),
        (["morph", "a.png", "b.png", "--fps", "0"], "--fps is '0', expected"),
        (["morph", "a.png", "b.png", "--mix-seed", "1"], "random styles have no place on a way"),
        (["expression", "a.png", "b.png"], "2 inputs were given, expected three"),
        (["expression", "a.png", "b.png", "a.png", "--strength", "much"], "--strength is 'much', expected a number"),
        (["expression", "a.png", "b.png", "a.png", "--strength", "nan"], "--strength is 'nan', expected a number"),
        (["expression", "a.png", "b.png", "a.png", "--strength", "0:1"], "the sweep '0:1' is not FIRST:LAST:COUNT"),
        (["expression", "a.png", "b.png", "a.png", "--layers", "8-"], "the layers 8- go beyond the model's 8 rows"),
        (["transfer", "a.png", "b.png", "--crossover", "8"], "--crossover 8 leaves the style none of the model's 8"),
        (["transfer", "a.png", "b.png", "--mix-layers", "fine"], "--crossover says which rows"),
        (["transfer", "a.png"], "there is no style to mix in"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    real: Call, folder: Path, arguments: list[str], message: str
) -> None:
    write_photos(folder, ["a.png", "b.png"])
    before = contents(folder)
    result = real(*arguments, "-q")
    ((error, hint),) = result.problems
    assert result.code == 2 and error.startswith(message) and hint
    assert contents(folder) == before


@pytest.mark.parametrize("place", [0, 1, 2])
def test_codes_of_another_generator_are_refused(
    real: Call, folder: Path, codes: dict[str, np.ndarray], place: int
) -> None:
    other = LatentFile(codes=codes["a"], space="W+", generator="f" * 64)
    save_latents(folder / "other.safetensors", other)
    inputs = ["a.png", "b.png", "c.png"]
    inputs[place] = "other.safetensors"
    result = real("expression", *inputs, *NEVER, "-o", "x.png", "-q")
    ((error, hint),) = result.problems
    assert (
        result.code == 3 and "belongs to generator ffffffffffff, and this model has" in error and "p2s2p show" in hint
    )
    assert not (folder / "x.png").exists()


def test_broken_and_missing_inputs_are_named(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png", "b.png"])
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:300])
    for inputs in (
        ("a.png", "broken.png"),
        ("broken.png", "a.png"),
        ("a.png", "missing.png"),
        ("missing.png", "a.png"),
    ):
        result = real("morph", *inputs, *NEVER, "-o", "x.gif", "-q")
        ((error, _),) = result.problems
        assert result.code == 3 and ("broken.png" in error or "missing.png" in error)
        assert not (folder / "x.gif").exists()


def test_a_video_without_its_library_is_refused_at_once(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "av":
            raise ImportError("No module named 'av'")
        return whole(name, *rest, **more)  # type: ignore[arg-type]

    write_photos(folder, ["a.png", "b.png"])
    monkeypatch.setattr(builtins, "__import__", without)
    result = real("morph", "a.png", "b.png", "-o", "x.mp4", "-q")
    assert result.code == 4 and "MP4 needs PyAV" in result.problems[0][0] and "[video]" in result.problems[0][1]


def test_a_session_does_the_same(
    real: Call, folder: Path, codes: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixel2style2pixel_cli import load, save_animation

    assert real("morph", "a.png", "b.png", *NEVER, "-o", "out", "--steps", "3", "--format", "png").code == 0
    with load(device="cpu") as session:
        made = session.morph(["a.png", codes["b"]], steps=3, align="never")
        assert [
            np.array_equal(each.array, pixels(folder / "out" / f"a_to_b_{i}.png")) for i, each in enumerate(made)
        ] == [True] * 3
        one = session.expression(["a.png", "b.png", "c.png"], align="never")
        np.testing.assert_allclose(one.codes, codes["a"] + codes["c"] - codes["b"], rtol=1e-4, atol=1e-5)
        rows = session.transfer("a.png", codes["b"], crossover=3, align="never").codes
        assert np.array_equal(rows[:3], codes["a"][:3]) and np.array_equal(rows[3:], codes["b"][3:])
        assert len(session.transfer("a.png", ["b.png", "c.png"], align="never")) == 2
        found = session.embed("a.png", steps=3, noise_steps=2, align="never")
        assert found.metrics["steps"] == 5 and found.noise is not None
        assert load_latents(found.save(folder / "kept.safetensors")).noise is not None
    path = save_animation(made, folder / "way.webp", fps=5)
    assert frames(path) == 3 and Image.open(io.BytesIO(path.read_bytes())).size == (SIDE, SIDE)
