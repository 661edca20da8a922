"""``p2s2p mix``: one content, styles from photographs, latents and folders; and styles drawn from seeds anywhere."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import FACES, Call, contents, pixels, times, two_faces, write_photos

from pixel2style2pixel_cli.engine import loading
from pixel2style2pixel_cli.weights.latents import LatentFile, load_latents, save_latents

NEVER = ("--align", "never")


@pytest.fixture
def tiny_zoo(task_zoo: Path) -> Path:
    return task_zoo


@pytest.fixture
def faces(real: Call, folder: Path) -> dict[str, np.ndarray]:
    """Photographs a, b, c in the working folder, their latents in ``latents``; the codes by name."""
    write_photos(folder, ["a.png", "b.png", "c.png"])
    assert real("invert", "a.png", "b.png", "c.png", *NEVER, "-o", "made", "--save-latents").code == 0
    (folder / "latents").mkdir()
    for name in "abc":
        shutil.move(folder / "made" / f"{name}.safetensors", folder / "latents" / f"{name}.safetensors")
    shutil.rmtree(folder / "made")
    return {name: load_latents(folder / "latents" / f"{name}.safetensors").codes for name in "abc"}


@pytest.mark.parametrize(
    ("content", "style"),
    [
        ("a.png", "b.png"),
        ("latents/a.safetensors", "b.png"),
        ("a.png", "latents/b.safetensors"),
        ("latents/a.safetensors", "latents/b.safetensors"),
    ],
)
def test_rows_come_from_the_style(
    real: Call, folder: Path, faces: dict[str, np.ndarray], content: str, style: str
) -> None:
    result = real("mix", content, style, *NEVER, "-o", "x.png", "--mix-layers", "2,5-", "--save-latents", "--json")
    assert result.code == 0, result.err
    assert [(row["input"], row["output"], row["mix_seed"]) for row in result.rows[:-1]] == [(style, "x.png", None)]
    codes, rows = load_latents(folder / "x.safetensors").codes, [2, 5, 6, 7]
    others = [row for row in range(8) if row not in rows]
    assert np.array_equal(codes[rows], faces["b"][rows]) and np.array_equal(codes[others], faces["a"][others])
    recipe = real("show", "x.png", "--json").rows[0]
    assert recipe["options"]["mix_layers"] == "2,5,6,7" and recipe["options"]["mix_alpha"] == 1.0
    assert len(recipe["options"]["content_sha256"]) == 64 and recipe["input_name"] == Path(style).name


def test_alpha_and_the_models_own_rows(real: Call, folder: Path, faces: dict[str, np.ndarray]) -> None:
    assert real("mix", "a.png", "b.png", *NEVER, "-o", "x.png", "--mix-alpha", "0.25", "--save-latents").code == 0
    codes = load_latents(folder / "x.safetensors").codes
    assert np.array_equal(codes[:4], faces["a"][:4])
    np.testing.assert_allclose(codes[4:], 0.25 * faces["b"][4:] + 0.75 * faces["a"][4:], rtol=1e-5, atol=1e-6)
    other = real("mix", "a.png", "b.png", *NEVER, "-o", "x.png", "--skip-existing", "--save-latents")
    assert "kept, but made with other options" in other.err


def test_styles_from_a_folder_are_pictures_and_latents(real: Call, folder: Path, faces: dict[str, np.ndarray]) -> None:
    (folder / "styles").mkdir()
    for name in ("latents/b.safetensors", "c.png"):
        shutil.copy(folder / name, folder / "styles")
    (folder / "styles" / "notes.txt").write_text("text")
    for size in ("1", "4"):
        result = real("mix", "a.png", "styles", *NEVER, "-o", size, "--grid", "sheet", "--batch-size", size, "--json")
        assert result.code == 0 and (result.rows[-1]["ok"], result.rows[-1]["ignored"]) == (2, 1)
    assert set(contents(folder / "1")) == {"a_x_b.png", "a_x_c.png", "sheet.png"}
    assert contents(folder / "1") == contents(folder / "4")
    assert real("mix", "a.png", "c.png", *NEVER, "-o", "alone.png").code == 0
    assert np.array_equal(pixels(folder / "alone.png"), pixels(folder / "1" / "a_x_c.png"))


def test_the_same_seed_is_the_same_style_for_every_input(
    real: Call, folder: Path, faces: dict[str, np.ndarray]
) -> None:
    inputs = ["a.png", "b.png", "c.png"]
    assert real("invert", *inputs, *NEVER, "-o", "all", "--mix-seed", "4-6", "--save-latents").code == 0
    assert real("invert", *inputs[::-1], *NEVER, "-o", "some", "--mix-seed", "5", "--batch-size", "1").code == 0
    every = contents(folder / "all")
    assert all(every[name] == data for name, data in contents(folder / "some").items())
    styles = [load_latents(folder / "all" / f"{name}_mix5.safetensors").codes[4:] for name in "abc"]
    assert np.array_equal(styles[0], styles[1]) and np.array_equal(styles[0], styles[2])
    assert real("mix", "latents/a.safetensors", *NEVER, "-o", "mixed", "--mix-seed", "5").code == 0
    assert np.array_equal(pixels(folder / "mixed" / "a_mix5.png"), pixels(folder / "all" / "a_mix5.png"))
    assert real("invert", "a.png", *NEVER, "-o", "weak", "--mix-seed", "5", "--mix-truncation", "0.3").code == 0
    assert not np.array_equal(pixels(folder / "weak" / "a_mix5.png"), pixels(folder / "all" / "a_mix5.png"))


def test_whatever_a_latent_cannot_have_is_left_out(real: Call, folder: Path, faces: dict[str, np.ndarray]) -> None:
    two_faces().save(folder / "two.png")
    line = ("mix", "a.png", "two.png", "latents/b.safetensors", "--preview-input")
    result = real(*line, "-o", "out", "--debug-align", "--paste", "--grid", "pair", "--json")
    assert result.code == 0, result.err
    assert [row["aligned"] for row in result.rows[:-1]] == [True, False]
    endings = ("", "_pair", "_input", "_crop", "_landmarks")
    assert set(contents(folder / "out")) == {f"a_x_{name}{end}.png" for name in ("two", "b") for end in endings}
    assert Image.open("out/a_x_two.png").size == (360, 200) and Image.open("out/a_x_b.png").size == (32, 32)


def test_names_come_from_content_and_style(real: Call, folder: Path, faces: dict[str, np.ndarray]) -> None:
    for name, expected in (("{stem}", "b"), ("{content}-{stem}-{index:02d}", "a-b-00"), ("{content}.png", "a")):
        assert real("mix", "a.png", "b.png", *NEVER, "-o", f"in-{expected}", "--name", name).code == 0
        assert set(contents(folder / f"in-{expected}")) == {f"{expected}.png"}
    assert real("mix", "latents/a.safetensors", "--mix-seed", "2", "-o", "random").code == 0
    assert set(contents(folder / "random")) == {"a_mix2.png"}
    same = real("mix", "a.png", "b.png", "latents/b.safetensors", *NEVER, "-q")
    assert same.code == 2 and "would both be written to p2s2p-out/mix/a_x_b.png" in same.problems[0][0]
    other = real("invert", "a.png", *NEVER, "--name", "{content}", "-q")
    assert other.code == 2 and "unknown field {content}" in other.problems[0][0]


def test_comparisons_show_content_style_and_result(real: Call, folder: Path, faces: dict[str, np.ndarray]) -> None:
    made: list[dict[str, bytes]] = []
    for content in ("a.png", "latents/a.safetensors"):
        for grid in ("pair", "row", "sheet"):
            out = f"{Path(content).suffix[1:]}-{grid}"
            assert real("mix", content, "b.png", *NEVER, "-o", out, "--grid", grid).code == 0
            made.append(contents(folder / out))
    names = ["a_x_b_pair.png", "a_x_b_row.png", "sheet.png"]
    for number, files in enumerate(made):
        picture = Image.open(io.BytesIO(files[names[number % 3]])).convert("RGB")
        assert 3 * 192 < picture.width < 3.4 * 192, "three pictures side by side"
    photographed, coded = (np.asarray(Image.open(io.BytesIO(files["a_x_b_pair.png"]))) for files in (made[0], made[3]))
    assert photographed.shape == coded.shape
    third = coded.shape[1] // 3
    assert coded[40:150, 40 : third - 10].std() > 10, "the content is drawn from its code"
    assert not np.array_equal(photographed[:150, :third], coded[:150, :third])


def foreign_latent(real: Call, path: Path) -> Path:
    """A latent of the cartoon generator."""
    assert real("toonify", "a.png", *NEVER, "-o", path.with_suffix(".png"), "--save-latents").code == 0
    return path


def test_a_foreign_latent_as_style_fails_alone(real: Call, folder: Path, faces: dict[str, np.ndarray]) -> None:
    foreign_latent(real, folder / "toon.safetensors")
    result = real("mix", "a.png", "b.png", "toon.safetensors", "c.png", *NEVER, "-o", "out", "-q")
    assert result.code == 3 and set(contents(folder / "out")) == {"a_x_b.png", "a_x_c.png"}
    ((error, hint),) = result.problems
    assert "toon.safetensors belongs to generator " in error and "this model has generator " in error
    assert "use the model it was made with" in hint


def save_codes(path: Path, **fields: object) -> None:
    digest = load_latents(Path("latents/a.safetensors")).generator
    values: dict[str, object] = {"codes": np.zeros((8, 32), np.float32), "space": "W+", "generator": digest}
    save_latents(path, LatentFile(**(values | fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("foreign", "belongs to generator"),
        ("rows", "holds codes 5x32 in W+, expected 8x32 in W+"),
        ("z", "holds codes 1x32 in Z, expected 8x32 in W+"),
        ("offset", "expected 8x32 in W+"),
        ("weights", "holds no codes of this version"),
        ("broken", "is not a safetensors file of codes"),
        ("absent", "does not exist"),
        ("wide", "without alignment it must be square"),
    ],
)
def test_a_content_that_cannot_be_used_ends_the_run(
    real: Call, folder: Path, task_zoo: Path, faces: dict[str, np.ndarray], kind: str, message: str
) -> None:
    path = folder / "content.safetensors"
    if kind == "foreign":
        foreign_latent(real, path)
    elif kind == "rows":
        save_codes(path, codes=np.zeros((5, 32), np.float32))
    elif kind == "z":
        save_codes(path, codes=np.zeros((1, 32), np.float32), space="Z")
    elif kind == "offset":
        save_codes(path, latent_avg_included=False)
    elif kind == "weights":
        shutil.copy(task_zoo / "tiny-invert" / "encoder.safetensors", path)
    elif kind == "broken":
        path.write_bytes(b"no tensors")
    elif kind == "wide":
        path = folder / "content.png"
        Image.new("RGB", (30, 20)).save(path)
    before = contents(folder)
    result = real("mix", path.name, "b.png", *NEVER, "-o", "out", "-q")
    assert result.code == 3
    ((error, _),) = result.problems
    assert message in error and "content" in error
    assert contents(folder) == before


def test_one_row_of_w_stands_for_all(real: Call, folder: Path, faces: dict[str, np.ndarray]) -> None:
    row = faces["b"][:1]
    save_codes(folder / "w.safetensors", codes=row, space="W")
    assert real("mix", "a.png", "w.safetensors", *NEVER, "-o", "x.png", "--save-latents").code == 0
    assert np.array_equal(load_latents(folder / "x.safetensors").codes[4:], row.repeat(4, axis=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mix", "a.png"], "there is no style to mix in"),
        (["mix", "a.png", "--mix-layers", "4-"], "there is no style to mix in"),
        (["mix", "a.png", "b.png", "--mix-seed", "1"], "styles were given and --mix-seed as well"),
        (["mix", "a.png", "b.png", "--mix-truncation", "0.5"], "--mix-truncation is for random styles"),
        (["mix", "in", "b.png"], "the content is one picture or latent, not in"),
        (["mix", "in", "--mix-seed", "1"], "the content is one picture or latent, not in"),
        (["mix", "*.png", "b.png"], "the content is one picture or latent, not *.png"),
        (["mix", "-", "b.png"], "the content is one picture or latent, not -"),
        (["mix", "@list.txt", "b.png"], "the content is one picture or latent, not @list.txt"),
        (["mix", "a.png", "b.png", "-o", "a.png", "--overwrite"], "the output a.png is an input"),
        (
            ["mix", "a.png", "in/a.png", "-o", ".", "--overwrite", "--name", "{stem}"],
            "the output ./a.png is the input a.png",
        ),
        (["invert", "a.png", "--mix-layers", "4-"], "--mix-layers without a style to mix in"),
        (["seg2face", "a.png", "--mix-alpha", "0.5"], "--mix-alpha without a style to mix in"),
        (["superres", "a.png", "--mix-truncation", "0.5", "--mix-alpha", "0"], "--mix-alpha and --mix-truncation with"),
        (
            ["invert", "a.png", "--mix-seed", "1", "--mix-alpha", "2"],
            "--mix-alpha is '2', expected a number from 0 to 1",
        ),
        (["toonify", "a.png", "--mix-seed", "x"], "the seed 'x' is not a whole number"),
        (["toonify", "a.png", "--mix-seed", "5-1"], "the seeds 5-1 are not a valid range"),
        (["toonify", "a.png", "--mix-seed", "0-99999"], "0-99999 asks for more than 10000 styles"),
        (["toonify", "a.png", "--mix-seed", "9" * 5000], f"the seed '{'9' * 5000}' is not"),
    ],
)
def test_what_cannot_be_mixed_is_refused_before_the_model_loads(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    def load(*_: object) -> None:
        raise AssertionError("the model was loaded")

    write_photos(folder, ["a.png", "b.png", "in/a.png"])
    monkeypatch.setattr(loading, "load_model", load)
    before, written = contents(folder), times(folder)
    result = real(*arguments, "-q")
    assert result.code == 2
    ((error, _),) = result.problems
    assert error.startswith(message)
    assert contents(folder) == before and times(folder) == written


@pytest.mark.parametrize("text", ["8-17", "fine,8", "", "nine", "5-4"])
@pytest.mark.parametrize("rest", [["invert", "a.png", "--mix-seed", "0"], ["mix", "a.png", "b.png"]])
def test_rows_beyond_the_models_are_refused_before_anything_is_written(
    real: Call, folder: Path, text: str, rest: list[str]
) -> None:
    write_photos(folder, ["a.png", "b.png"])
    before = contents(folder)
    result = real(*rest, *NEVER, "--mix-layers", text, "-q")
    assert result.code == 2 and contents(folder) == before
    ((error, hint),) = result.problems
    assert error.startswith("the layers ") and hint
    assert "8 rows" in error or text not in ("8-17", "fine,8")


def test_seeds_from_variables_and_files(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(folder, ["a.png"])
    (folder / "p2s2p.toml").write_text('[invert]\nmix-seed = ["0-1", "7"]\nmix-alpha = 0.5\n')
    assert real("invert", "a.png", *NEVER, "-o", "file").code == 0
    assert set(contents(folder / "file")) == {"a_mix0.png", "a_mix1.png", "a_mix7.png"}
    monkeypatch.setenv("P2S2P_INVERT_MIX_SEED", "3")
    assert real("invert", "a.png", *NEVER, "-o", "variable").code == 0
    assert set(contents(folder / "variable")) == {"a_mix3.png"}


def test_faces_are_found_in_content_and_style(real: Call, folder: Path) -> None:
    two_faces().save(folder / "two.png")
    Image.new("RGB", (80, 80), (90, 120, 90)).save(folder / "none.png")
    result = real("mix", FACES[0], "two.png", "none.png", "-o", "out", "--face", "all", "--json")
    assert result.code == 3 and [row["status"] for row in result.rows[:-1]] == ["ok", "ok", "no_face"]
    assert set(contents(folder / "out")) == {f"{FACES[0].stem}_x_two_face{n}.png" for n in (0, 1)}
    empty = real("mix", "none.png", FACES[0], "-o", "other", "-q")
    assert empty.code == 3 and not (folder / "other").exists()
