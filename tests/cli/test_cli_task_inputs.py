"""What each task accepts and refuses of its inputs: a sentence, a hint, an exit code, and the others go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import FACES, Call, contents, pixels, times, write_photos
from task_inputs import COMMANDS, MAGENTA, bisenet, drawing, label_map, write_inputs, write_mask
from tiny_zoo import SIDE

from pixel2style2pixel_cli.engine import loading
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK_19, colour_map
from pixel2style2pixel_cli.inputs.lowres import degrade
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.inputs.sketch import sketchify

NEVER = ("--align", "never")


@pytest.fixture
def tiny_zoo(task_zoo: Path) -> Path:
    return task_zoo


def photo(size: int = 128) -> Image.Image:
    return Image.open(FACES[0]).convert("RGB").resize((size, size))


def fails_alone(real: Call, folder: Path, command: str, *options: str) -> tuple[str, str]:
    """Run a command on ``in`` with one bad input among two good ones; returns error and hint."""
    write_inputs(command, folder / "in", ["1.png", "9.png"])
    result = real(command, "in", *COMMANDS[command], *options, "-o", "out", "-q")
    assert result.code == 3 and set(contents(folder / "out")) == {"1.png", "9.png"}
    ((error, hint),) = result.problems
    assert error.count("bad.png") == 1, error
    return error, hint


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (photo, "is not a sketch: ", "--sketchify makes one from a photograph"),
        (lambda: photo().convert("L"), "is not a sketch: ", "--sketchify makes one from a photograph"),
        (lambda: Image.eval(drawing(), lambda v: 255 - v), "has light lines on dark paper", "use --invert-sketch"),
        (lambda: Image.new("RGB", (96, 96), "white"), "is empty: no lines", "draw darker lines"),
        (lambda: drawing().resize((96, 64)), "is 96 x 64, expected a square sketch", "crop it"),
    ],
)
def test_what_is_no_sketch(real: Call, folder: Path, make: Callable[[], Image.Image], message: str, hint: str) -> None:
    (folder / "in").mkdir()
    make().save(folder / "in" / "bad.png")
    error, advice = fails_alone(real, folder, "sketch2face")
    assert message in error and hint in advice


def test_light_lines_on_dark_paper_are_the_same_drawing(real: Call, folder: Path) -> None:
    drawing().save(folder / "a.png")
    Image.eval(drawing(), lambda v: 255 - v).save(folder / "b.png")
    assert real("sketch2face", "a.png", "-o", "out").code == 0
    assert real("sketch2face", "b.png", "--invert-sketch", "-o", "out").code == 0
    assert np.array_equal(pixels(folder / "out" / "a.png"), pixels(folder / "out" / "b.png"))
    both = real("sketch2face", "b.png", "--invert-sketch", "--sketchify", "-q")
    assert both.code == 2 and "--sketchify and --invert-sketch were both given" in both.problems[0][0]


def test_the_preview_of_a_made_sketch_is_what_the_encoder_is_fed(real: Call, folder: Path) -> None:
    """The face is found and cut out as for inversion; the drawing is made of the crop."""
    shutil.copy(FACES[0], folder / "face.webp")
    Image.new("RGB", (64, 64), (90, 120, 90)).save(folder / "none.png")
    result = real("sketch2face", "face.webp", "none.png", "--sketchify", "--preview-input", "-o", "out", "--json")
    assert result.code == 3 and result.rows[1]["status"] == "no_face"
    assert "centred square" in result.rows[1]["message"] and "crop the picture to the face" in result.rows[1]["hint"]
    whole = np.asarray(Image.open(FACES[0]).convert("RGB"))  # a crop already
    wanted = resize_photo(sketchify(resize_photo(whole, SIDE))[..., None].repeat(3, axis=2), SIDE)
    shown = pixels(folder / "out" / "face_input.png")
    assert np.array_equal(shown, wanted) and shown.min() < 128 < shown.max()


def save_map(path: Path, labels: np.ndarray) -> None:
    Image.fromarray(labels).save(path)


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda: np.where(label_map() == 4, 255, label_map()), "255 (12 pixels); expected 0 to 18", "'ignore'"),
        (lambda: np.where(label_map() == 4, np.uint16(700), label_map()), "700 (12 pixels)", "check the schema"),
        (lambda: label_map()[:20], "is 32 x 20, expected a square label map", "crop it"),
        (lambda: np.asarray(photo()), "is not a label map: it has ", "give the label map itself"),
        (lambda: np.zeros((32, 32, 4), np.uint8), "is partly transparent", "save it without transparency"),
    ],
)
def test_what_is_no_label_map(
    real: Call, folder: Path, make: Callable[[], np.ndarray], message: str, hint: str
) -> None:
    (folder / "in").mkdir()
    values = make()
    save_map(folder / "in" / "bad.png", values)
    error, advice = fails_alone(real, folder, "seg2face")
    assert message in error and hint in advice


def test_one_map_in_many_forms_gives_one_picture(real: Call, folder: Path) -> None:
    labels = label_map()
    forms = {
        "plain": labels,
        "deep": labels.astype(np.uint16),
        "grey": labels[..., None].repeat(3, axis=2),
        "colours": colour_map(labels, CELEBAMASK_19),
        "large": labels.repeat(3, axis=0).repeat(3, axis=1),
    }
    (folder / "in").mkdir()
    for name, values in forms.items():
        save_map(folder / "in" / f"{name}.png", values)
    palette = Image.fromarray(labels).convert("P")
    palette.putpalette([n * 7 % 256 for n in range(768)])
    palette.save(folder / "in" / "palette.png")
    assert real("seg2face", "in", "-o", "out", "--labels", "celebamask-19").code == 0
    save_map(folder / "other.png", bisenet(labels))
    assert real("seg2face", "other.png", "-o", "out", "--labels", "bisenet-19").code == 0
    assert real("seg2face", "other.png", "-o", "wrong.png").code == 0
    drawn = {path.stem: pixels(path) for path in (folder / "out").iterdir()}
    assert drawn.keys() == {*forms, "palette", "other"}
    assert all(np.array_equal(image, drawn["plain"]) for image in drawn.values())
    assert not np.array_equal(pixels(folder / "wrong.png"), drawn["plain"])
    assert real("show", "out/other.png", "--json").rows[0]["options"]["labels"] == "bisenet-19"


def painted(folder: Path, name: str, mask: Path) -> Path:
    """The photograph of that name with magenta where the mask is white."""
    values = np.asarray(Image.open(folder / name).convert("RGB")).copy()
    values[np.asarray(Image.open(mask)) > 127] = MAGENTA
    Image.fromarray(values).save(folder / f"painted_{Path(name).name}")
    return folder / f"painted_{Path(name).name}"


def test_what_is_outside_the_mask_stays(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    mask = write_mask(folder / "mask.png")
    line = ("inpaint", "a.png", *NEVER, "--mask", "mask.png", "--debug-align", "--preview-input")
    assert real(*line, "-o", "kept", "--mix-seed", "1-2").code == 0
    assert real(*line, "-o", "drawn", "--no-keep", "--mix-seed", "1-2").code == 0
    hole = np.asarray(Image.open(mask).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))[..., 0] > 127
    crop = pixels(folder / "kept" / "a_crop.png")
    assert np.array_equal(crop, resize_photo(pixels(folder / "a.png").astype(np.uint8), SIDE))
    shown = pixels(folder / "kept" / "a_input.png")
    assert np.array_equal(shown[~hole], crop[~hole]) and (shown[hole] == 127).all()
    for seed in (1, 2):
        kept, drawn = (pixels(folder / out / f"a_mix{seed}.png") for out in ("kept", "drawn"))
        assert np.array_equal(kept[~hole], crop[~hole])
        assert not np.array_equal(kept[hole], crop[hole]) and not np.array_equal(drawn[~hole], crop[~hole])


def test_a_painted_colour_is_a_mask(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    mask = write_mask(folder / "mask.png")
    picture = painted(folder, "a.png", mask)
    write_mask(folder / "wider.png", box=(39, 55, 101, 105))  # what a soft brush leaves around the colour counts
    assert real("inpaint", picture, *NEVER, "--mask-colour", "#ff00ff", "-o", "one").code == 0
    assert real("inpaint", picture, *NEVER, "--mask-color", "magenta", "-o", "two").code == 0
    assert real("inpaint", picture, *NEVER, "--mask", "wider.png", "-o", "three").code == 0
    name = picture.name
    same = [pixels(folder / out / name) for out in ("one", "two", "three")]
    assert np.array_equal(same[0], same[1]) and np.array_equal(same[0], same[2])
    differs = real("inpaint", picture, *NEVER, "--mask-colour", "magenta", "--mask-tolerance", "9", "-o", "two",
                   "--skip-existing")  # fmt: skip
    assert "kept, but made with other options" in differs.err
    (folder / "in").mkdir()
    shutil.copy(picture, folder / "in" / "1.png")
    shutil.copy(folder / "a.png", folder / "in" / "bad.png")
    bare = real("inpaint", "in", *NEVER, "--mask-colour", "magenta", "-o", "four", "-q")
    assert bare.code == 3 and bare.problems[0][0] == "nothing in in/bad.png has the colour #ff00ff"
    assert set(contents(folder / "four")) == {"1.png"}


@pytest.mark.parametrize(
    ("box", "side", "message"),
    [
        ((200, 200, 210, 210), 128, "covers nothing"),
        ((0, 0, 127, 127), 128, "covers the whole picture"),
        ((4, 4, 30, 30), 64, "is 64 x 64, the photograph in/bad.png is 128 x 128"),
        (None, 128, "no mask for in/bad.png in masks"),
        ("grey", 128, "is not a mask: 100% of its pixels are neither black nor white"),
    ],
)
def test_a_mask_that_does_not_fit(
    real: Call, folder: Path, box: tuple[int, int, int, int] | str | None, side: int, message: str
) -> None:
    write_photos(folder / "in", ["1.png", "bad.png", "9.png"])
    (folder / "masks").mkdir()
    for name in ("1.png", "9.webp"):  # another kind of picture will do
        write_mask(folder / "masks" / name)
    (folder / "masks" / "9.txt").write_text("no mask")
    if box == "grey":
        Image.new("L", (side, side), 120).save(folder / "masks" / "bad.png")
    elif not isinstance(box, str) and box is not None:
        write_mask(folder / "masks" / "bad.png", side=side, box=box)
    result = real("inpaint", "in", *NEVER, "--mask", "masks", "-o", "out", "-q")
    assert result.code == 3 and set(contents(folder / "out")) == {"1.png", "9.png"}
    ((error, hint),) = result.problems
    assert message in error and "bad.png" in error and hint


def test_masks_are_found_beside_pictures_of_odd_names(real: Call, folder: Path) -> None:
    write_photos(folder / "in", ["b/[1].png"])
    (folder / "masks" / "b").mkdir(parents=True)
    write_mask(folder / "masks" / "b" / "[1].webp")
    assert real("inpaint", "in", "-r", *NEVER, "--mask", "masks", "-o", "out").code == 0
    assert set(contents(folder / "out")) == {"b/[1].png"}


def test_a_mask_that_misses_the_face(real: Call, folder: Path) -> None:
    canvas = Image.new("RGB", (400, 260), (96, 110, 124))
    canvas.paste(photo(200), (190, 30))
    canvas.save(folder / "wide.png")
    mask = Image.new("L", canvas.size)
    mask.paste(255, (0, 0, 20, 20))
    mask.save(folder / "mask.png")
    result = real("inpaint", "wide.png", "--mask", "mask.png", "-o", "out", "-q")
    assert result.code == 3 and "the mask on the face of wide.png covers nothing" in result.problems[0][0]
    mask.paste(255, (260, 100, 300, 160))
    mask.save(folder / "mask.png")
    assert real("inpaint", "wide.png", "--mask", "mask.png", "-o", "x.png", "--paste", "--debug-align").code == 0
    before, after = pixels(folder / "wide.png"), pixels(folder / "x.png")
    changed = np.abs(before - after).max(axis=2)
    assert changed[100:160, 260:300].mean() > 20 and changed[:, :150].max() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["seg2face", "map.png", "--labels", "coco"], 2, "unknown label schema 'coco'"),
        (["inpaint", "a.png"], 2, "no mask was given"),
        (["inpaint", "a.png", "--mask", "mask.png", "--mask-colour", "red"], 2, "--mask and --mask-colour were both"),
        (["inpaint", "a.png", "--mask", "nowhere.png"], 2, "the mask nowhere.png does not exist"),
        (["inpaint", "a.png", "--mask-colour", "pinkish"], 2, "'pinkish' is not a colour"),
        (
            ["inpaint", "a.png", "--mask-colour", "red", "--mask-tolerance", "999"],
            2,
            "--mask-tolerance is '999', expected a whole",
        ),
        (["inpaint", "a.png", "--mask", "mask.png", "-o", "mask.png", "--overwrite"], 2, "the output mask.png is an"),
        (["inpaint", "a.png", "--mask", "masks", "-o", "masks", "--overwrite"], 2, "the output masks/a.png is an"),
        (["superres", "a.png", "--factor", "0"], 2, "--factor is '0', expected a whole number from 1 to 32"),
        (["superres", "a.png", "--factor", "33"], 2, "--factor is '33', expected a whole number from 1 to 32"),
        (["superres", "a.png", "--factor", "two"], 2, "--factor is 'two', expected a whole number from 1 to 32"),
        (["frontalize", "a.png", "--strength", "2"], 2, "--strength is '2', expected a number from 0 to 1"),
        (["frontalize", "a.png", "--strength", "-0.1"], 2, "--strength is '-0.1', expected a number from 0 to 1"),
        (["sketch2face", "a.png", "--align", "never"], 2, "no such option: --align"),
        (["invert", "a.png", "--model", "tiny-seg2face"], 2, "the model tiny-seg2face cannot invert"),
    ],
)
@pytest.mark.parametrize("installed", [True, False])
def test_options_are_refused_before_a_model_is_looked_for(
    real: Call,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
    installed: bool,
) -> None:
    def load(*_: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(loading, "load_model", load)
    write_photos(folder, ["a.png", "masks/a.png"])
    save_map(folder / "map.png", label_map())
    write_mask(folder / "mask.png")
    needs_model = "--model" in arguments or "-o" in arguments
    if not installed and not needs_model:
        (folder / "zoo").mkdir()
        monkeypatch.setenv("P2S2P_ZOO", str(folder / "zoo"))
    before, written = contents(folder), times(folder)
    result = real(*arguments, "-q")
    assert result.code == code
    ((error, _),) = result.problems
    assert error.startswith(message)
    assert contents(folder) == before and times(folder) == written


def test_a_card_of_another_kind_of_input_is_refused(
    real: Call, folder: Path, task_zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = folder / "zoo"
    shutil.copytree(task_zoo, zoo)
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    write_inputs("seg2face", folder / "in", ["a.png"])
    for command, old, new, message in (
        ("seg2face", 'kind = "labels"', 'kind = "photo"', "reads photo by its card, seg2face gives labels"),
        ("seg2face", 'schema = "celebamask-19"', "", "the card tiny-seg2face names no schema of labels"),
        ("seg2face", '"celebamask-19"', '"coco"', "unknown label schema 'coco'"),
    ):
        card = zoo / f"tiny-{command}" / "model.toml"
        text = card.read_text()
        card.write_text(text.replace(old, new))
        result = real(command, "in", "-o", "out", "-q")
        card.write_text(text)
        assert result.code == 2 and message in result.problems[0][0]
    assert not (folder / "out").exists()


def test_a_degraded_photograph_is_an_ordinary_input(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png"])
    whole = resize_photo(pixels(folder / "a.png").astype(np.uint8), SIDE)
    Image.fromarray(degrade(whole, 8)).save(folder / "degraded.png")
    first = ("superres", "a.png", *NEVER, "--factor", "8", "-o", "out", "--preview-input", "--debug-align")
    assert real(*first).code == 0
    assert real("superres", "degraded.png", *NEVER, "-o", "out").code == 0
    assert np.array_equal(pixels(folder / "out" / "a.png"), pixels(folder / "out" / "degraded.png"))
    for name in ("a_input.png", "a_crop.png"):  # comparisons show what was degraded, too
        assert np.array_equal(pixels(folder / "out" / name), pixels(folder / "degraded.png"))
    assert real("superres", "a.png", *NEVER, "-o", "plain.png").code == 0
    assert not np.array_equal(pixels(folder / "plain.png"), pixels(folder / "out" / "a.png"))


def test_a_face_too_small_to_be_found_is_taken_from_the_middle(real: Call, folder: Path) -> None:
    photo(16).save(folder / "tiny.png")
    result = real("superres", "tiny.png", "-o", "x.png", "--json")
    assert result.code == 3 and "centred square" in result.rows[0]["message"]
    assert (result.rows[0]["status"], result.rows[0]["output"]) == ("no_face", "x.png") and Path("x.png").is_file()
    assert real("superres", "tiny.png", "-o", "y.png", "--on-no-face", "skip").code == 3


def test_part_of_the_turn_lies_between_face_and_front(real: Call, folder: Path) -> None:
    write_photos(folder, ["a.png", "b.png"])
    inputs = ("a.png", "b.png", *NEVER)
    assert real("invert", *inputs, "-o", "plain", "--no-metadata").code == 0
    turns = {"front": (), "all": ("--layers", "0-7"), "still": ("--strength", "0"), "half": ("--strength", "0.5"),
             "rows": ("--layers", "coarse")}  # fmt: skip
    for out, options in turns.items():
        assert real("frontalize", *inputs, *options, "-o", out, "--no-metadata", "--save-latents").code == 0
    for name in ("a.png", "b.png"):
        assert np.array_equal(pixels(folder / "still" / name), pixels(folder / "plain" / name))
        assert np.array_equal(pixels(folder / "all" / name), pixels(folder / "front" / name))
        assert not np.array_equal(pixels(folder / "front" / name), pixels(folder / "plain" / name))
    from pixel2style2pixel_cli.weights.latents import load_latents

    codes = {out: load_latents(folder / out / "b.safetensors").codes for out in turns}
    np.testing.assert_allclose(codes["half"], (codes["front"] + codes["still"]) / 2, rtol=1e-4, atol=1e-5)
    assert np.array_equal(codes["rows"][:3], codes["front"][:3])
    assert np.array_equal(codes["rows"][3:], codes["still"][3:])
    for rows in ("--layers", "99"), ("--mix-seed", "0", "--mix-layers", "4-99"):
        # a dry run loads no weights
        beyond = real("frontalize", *inputs, *rows, "-o", "none", "-q", "--dry-run")
        assert beyond.code == 2 and f"the layers {rows[-1]} go beyond the model's 8 rows" in beyond.problems[0][0]
    assert not (folder / "none").exists()


def test_part_of_the_turn_needs_an_inversion_model(
    real: Call, folder: Path, task_zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = folder / "zoo"
    for name in ("tiny-frontalize", "tiny-generator", "tiny-toon-generator", "tiny-invert"):
        shutil.copytree(task_zoo / name, zoo / name)
    card = zoo / "tiny-invert" / "model.toml"  # of another generator
    card.write_text(card.read_text().replace('"tiny-generator"', '"tiny-toon-generator"'))
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    write_photos(folder, ["a.png"])
    missing = real("frontalize", "a.png", *NEVER, "--strength", "0.5", "-o", "out", "-q")
    assert missing.code == 4 and not (folder / "out").exists()
    assert missing.problems[0][0] == (
        "--strength and --layers need an inversion model for the generator of tiny-frontalize"
    )
    assert real("frontalize", "a.png", *NEVER, "-o", "out").code == 0


def test_the_cartoon_is_the_code_of_the_face_in_another_look(real: Call, folder: Path, task_zoo: Path) -> None:
    import torch

    from pixel2style2pixel_cli.engine.loading import load_generator
    from pixel2style2pixel_cli.files.pixels import to_uint8
    from pixel2style2pixel_cli.weights.latents import load_latents
    from pixel2style2pixel_cli.zoo.find import find_card
    from pixel2style2pixel_cli.zoo.resolve import resolve

    write_photos(folder, ["a.png"])
    assert real("invert", "a.png", *NEVER, "-o", "face", "--save-latents").code == 0
    assert real("toonify", "a.png", *NEVER, "-o", "toon", "--save-latents").code == 0
    face, toon = (load_latents(folder / out / "a.safetensors") for out in ("face", "toon"))
    assert np.array_equal(face.codes, toon.codes) and face.generator != toon.generator
    generator, digest = load_generator(resolve(find_card("tiny-toon-generator")), torch.device("cpu"), torch.float32)
    drawn = to_uint8(generator(torch.from_numpy(toon.codes)[None], "fixed"))[0]
    assert digest == toon.generator and np.abs(drawn.astype(int) - pixels(folder / "toon" / "a.png")).max() <= 1
