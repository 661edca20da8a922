"""``p2s2p invert`` on real files with a real, tiny model: what is written, what stays the same, what is reported."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import FACES, Call, contents, pixels, times, two_faces, write_photos
from tiny_zoo import GENERATOR, SIDE, tiny_model, write_published

from pixel2style2pixel_cli.files import sheet
from pixel2style2pixel_cli.jobs.pages import Page
from pixel2style2pixel_cli.jobs.write import Writer
from pixel2style2pixel_cli.weights.latents import load_latents

SEVEN = [f"{number}.png" for number in range(7)]


def test_one_photograph(real: Call, folder: Path) -> None:
    result = real("invert", FACES[0], "-o", "me.png")
    assert result.code == 0
    assert result.err.splitlines()[:2] == ["model: tiny-invert (bundled, 32 px)", "device: cpu"]
    assert result.err.splitlines()[-1].startswith("1 written, 0 failed in ")
    assert Image.open("me.png").size == (SIDE, SIDE)
    assert list(contents(folder)) == ["me.png"]


def test_batches_lose_nothing_and_change_nothing(real: Call, folder: Path) -> None:
    write_photos(folder / "in", SEVEN)
    assert real("invert", "in", "-o", "4", "--batch-size", "4", "--save-latents").code == 0
    expected = contents(folder / "4")
    assert set(expected) == {f"{n}{end}" for n in range(7) for end in (".png", ".safetensors")}
    assert len({data for name, data in expected.items() if name.endswith(".png")}) == 7
    for size in ("1", "3"):
        assert real("invert", "in", "-o", size, "--batch-size", size, "--save-latents").code == 0
        assert contents(folder / size) == expected
    backwards = [folder / "in" / name for name in reversed(SEVEN)]
    assert real("invert", *backwards, "-o", "reversed", "--batch-size", "4", "--save-latents").code == 0
    assert contents(folder / "reversed") == expected


def test_shards_together_are_one_run(real: Call, folder: Path) -> None:
    write_photos(folder / "in", SEVEN)
    options = ("in", "--noise", "random", "--seed", "5")
    assert real("invert", *options, "-o", "whole", "--batch-size", "3").code == 0
    counts = []
    for shard in ("0/2", "1/2"):
        rows = real("invert", *options, "-o", "parts", "--shard", shard, "--json").rows
        counts.append(rows[-1]["ok"])
    assert sum(counts) == 7 and min(counts) > 0
    assert contents(folder / "parts") == contents(folder / "whole")


def test_folders_are_mirrored(real: Call, folder: Path) -> None:
    write_photos(folder / "in", ["a/x.png", "b/x.png", "x.png", "b/ö ü/x y.png"])
    (folder / "in" / "notes.txt").write_text("not a picture")
    result = real("invert", "in", "-r", "-o", "out", "--format", "webp", "--json")
    assert result.code == 0
    assert set(contents(folder / "out")) == {"a/x.webp", "b/x.webp", "x.webp", "b/ö ü/x y.webp"}
    assert result.rows[-1] | {"ok": 4, "failed": 0, "no_face": 0, "skipped": 0, "ignored": 1} == result.rows[-1]


def test_second_run_is_refused_or_skipped(real: Call, folder: Path) -> None:
    write_photos(folder / "in", SEVEN[:3])
    assert real("invert", "in", "-o", "out").code == 0
    before, written = contents(folder / "out"), times(folder / "out")
    again = real("invert", "in", "-o", "out", "-q")
    assert again.code == 2 and again.problems[0][0].startswith("3 outputs exist already: out/0.png")
    (folder / "out" / "1.png").unlink()
    resumed = real("invert", "in", "-o", "out", "--skip-existing", "--json")
    assert (resumed.code, resumed.rows[-1]["ok"], resumed.rows[-1]["skipped"]) == (0, 1, 2)
    assert contents(folder / "out") == before
    assert {name: when for name, when in times(folder / "out").items() if name in ("0.png", "2.png")} == {
        name: written[name] for name in ("0.png", "2.png")
    }
    nothing = real("invert", "in", "-o", "out", "--skip-existing")
    assert nothing.code == 0 and "0 written, 3 skipped" in nothing.err
    other = real("invert", "in", "-o", "out", "--skip-existing", "--seed", "9")
    assert other.err.count("kept, but made with other options") == 3
    assert real("invert", "in", "-o", "out", "--existing", "rename").code == 0
    assert {"0-1.png", "1-1.png", "2-1.png"} < set(contents(folder / "out"))
    assert real("invert", "in", "-o", "out", "--overwrite", "--noise", "off").code == 0
    assert contents(folder / "out")["0.png"] != before["0.png"]


def test_standard_input_and_output(real: Call, folder: Path) -> None:
    shutil.copy(FACES[0], folder / "a.webp")
    assert real("invert", "a.webp", "-o", "file.png").code == 0
    piped = real("invert", "-", "-o", "-", stdin=FACES[0].read_bytes())
    assert piped.code == 0 and "1 written" in piped.err
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(piped.out))), np.asarray(Image.open("file.png")))
    assert sorted(contents(folder)) == ["a.webp", "file.png"]
    assert real("invert", "-", "-o", "kept.png", stdin=FACES[0].read_bytes()).code == 0
    assert np.array_equal(pixels(folder / "kept.png"), pixels(folder / "file.png"))


def test_json_counts_every_outcome(real: Call, folder: Path) -> None:
    write_photos(folder / "in", ["1.png", "2.png", "5.png"])
    Image.new("RGB", (80, 80), (90, 120, 90)).save(folder / "in" / "3.png")
    (folder / "in" / "4.png").write_bytes(b"")
    (folder / "in" / "list.txt").write_text("text")
    result = real("invert", "in", "missing.jpg", "--json")
    assert result.code == 3
    by_input = {row["input"]: row["status"] for row in result.rows if row["event"] == "image"}
    assert by_input == {
        "in/1.png": "ok",
        "in/2.png": "ok",
        "in/3.png": "no_face",
        "in/4.png": "failed",
        "in/5.png": "ok",
        "missing.jpg": "failed",
    }
    last = result.rows[-1]
    assert [last[key] for key in ("ok", "no_face", "failed", "skipped", "ignored", "exit")] == [3, 1, 2, 0, 1, 3]
    assert last["model"].startswith("tiny-invert@") and (last["device"], last["dtype"]) == ("cpu", "float32")
    assert set(contents(folder / "p2s2p-out" / "invert")) == {"1.png", "2.png", "5.png"}
    assert real("invert", "in", "-o", "other", "--ignore-failures").code == 0


def test_latents_match_their_pictures(real: Call, folder: Path, tiny_zoo: Path) -> None:
    import torch

    from pixel2style2pixel_cli.engine.loading import load_generator
    from pixel2style2pixel_cli.files.pixels import to_uint8
    from pixel2style2pixel_cli.zoo.find import find_card
    from pixel2style2pixel_cli.zoo.resolve import resolve

    assert real("invert", FACES[0], "-o", "a.png", "--save-latents").code == 0
    generator, digest = load_generator(resolve(find_card("tiny-generator")), torch.device("cpu"), torch.float32)
    latent = load_latents(folder / "a.safetensors", expect_generator=digest)
    assert latent.codes.shape == (GENERATOR.n_styles, GENERATOR.style_dim)
    drawn = to_uint8(generator(torch.from_numpy(latent.codes)[None], "fixed"))[0]
    assert np.abs(drawn.astype(int) - pixels(folder / "a.png")).max() <= 1
    recipe = json.loads(latent.recipe or "")
    assert recipe["matrix"] == latent.matrix and recipe["synthetic"] is True


def test_comparisons(real: Call, folder: Path) -> None:
    write_photos(folder / "in", SEVEN[:3])
    assert real("invert", "in", "-o", "out", "--grid", "pair", "--debug-align").code == 0
    endings = ("", "_pair", "_crop", "_landmarks")
    assert set(contents(folder / "out")) == {f"{n}{ending}.png" for n in range(3) for ending in endings}
    assert Image.open("out/0_pair.png").width > 2 * SIDE
    assert Image.open("out/0_crop.png").size == (SIDE, SIDE)
    assert Image.open("out/0_landmarks.png").size == (128, 128)
    assert real("invert", "in", "-o", "sheet", "--grid", "sheet").code == 0
    before = contents(folder / "sheet")
    assert set(before) == {"0.png", "1.png", "2.png", "sheet.png"}
    write_photos(folder / "in", SEVEN[:4])
    more = real("invert", "in", "-o", "sheet", "--grid", "sheet", "--skip-existing")
    assert more.code == 0 and "no sheet is drawn, because 3 pictures were skipped" in more.err
    after = contents(folder / "sheet")
    assert set(after) - set(before) == {"3.png"} and before.items() < after.items()


def test_a_sheet_has_as_many_pages_as_it_needs(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "_PAGE_PIXELS", 200_000)  # two inputs
    write_photos(folder / "in", SEVEN[:5])
    line = ("invert", "in", "-o", "out", "--grid", "sheet", "--align", "never", "--batch-size", "3")
    assert real(*line).code == 0
    before = contents(folder / "out")
    pages = {"sheet.png", "sheet_2.png", "sheet_3.png"}
    assert set(before) == {*SEVEN[:5], *pages}
    assert len({Image.open(folder / "out" / name).size for name in ("sheet.png", "sheet_2.png")}) == 1
    assert real(*line, "--overwrite").code == 0 and contents(folder / "out") == before
    assert real(*line, "--existing", "rename").code == 0
    assert {"sheet-1.png", "sheet-1_2.png", "sheet-1_3.png"} < set(contents(folder / "out"))
    for name in SEVEN[:5]:
        (folder / "out" / name).unlink()
    again = real(*line, "-q")
    assert again.code == 2 and "3 outputs exist already: out/sheet.png" in again.err
    assert real(*line, "--skip-existing").code == 0 and before.items() <= contents(folder / "out").items()
    write = Writer.write_page

    def slow(self: Writer, page: Page) -> None:
        (folder / "late" / f"sheet_{page.number}.png").write_bytes(b"of another run")
        write(self, page)

    monkeypatch.setattr(Writer, "write_page", slow)
    late = real(*line[:2], "-o", "late", *line[4:], "--json")
    assert late.code == 3 and [row["input"] for row in late.rows if row.get("status") == "failed"] == [
        "late/sheet_2.png", "late/sheet_3.png",
    ]  # fmt: skip
    assert contents(folder / "late")["sheet_2.png"] == b"of another run"


def test_paste_changes_the_face_only(real: Call, folder: Path) -> None:
    two_faces().save(folder / "two.png")
    assert real("invert", "two.png", "-o", "back.png", "--paste").code == 0
    before, after = pixels(folder / "two.png"), pixels(folder / "back.png")
    assert after.shape == before.shape
    changed = (after != before).any(axis=2)
    assert changed[60:150, 230:300].mean() > 0.5  # the larger face, on the right
    assert not changed[:, :100].any()


def test_several_faces(real: Call, folder: Path) -> None:
    two_faces().save(folder / "two.png")
    listed = real("invert", "two.png", "--list-faces", "--json")
    assert [(row["event"], row["face"]) for row in listed.rows] == [("face", 0), ("face", 1)]
    assert listed.rows[0]["box"][0] > 180 > listed.rows[1]["box"][2]
    assert real("invert", "two.png", "--list-faces").out.decode().splitlines()[1].split()[:2] == ["two.png", "0"]
    assert real("invert", "two.png", "-o", "all", "--face", "all", "--save-latents").code == 0
    assert set(contents(folder / "all")) == {f"two_face{n}{end}" for n in (0, 1) for end in (".png", ".safetensors")}
    assert real("invert", "two.png", "-o", "best.png").code == 0
    assert real("invert", "two.png", "-o", "second.png", "--face", "1").code == 0
    assert np.array_equal(pixels(folder / "best.png"), pixels(folder / "all" / "two_face0.png"))
    assert np.array_equal(pixels(folder / "second.png"), pixels(folder / "all" / "two_face1.png"))
    third = real("invert", "two.png", "-o", "third.png", "--face", "2")
    assert third.code == 3 and "there is no face 2: 2 faces were found" in third.err


def test_every_face_goes_back_into_one_photograph(real: Call, folder: Path) -> None:
    two_faces().save(folder / "two.png")
    line = ("invert", "two.png", "--paste", "--face", "all", "--save-latents", "--grid", "pair")
    result = real(*line, "-o", "all", "--json")
    assert result.code == 0, result.err
    beside = {f"two_face{n}{end}" for n in (0, 1) for end in (".safetensors", "_pair.png")}
    assert set(contents(folder / "all")) == {"two.png", *beside}
    assert [(r["face"], r["output"], r["latent"]) for r in result.rows[:-1]] == [
        (n, "all/two.png", f"all/two_face{n}.safetensors") for n in (0, 1)
    ]
    for number in (0, 1):
        assert real("invert", "two.png", "--paste", "--face", str(number), "-o", f"{number}.png").code == 0
    both, first, second = (pixels(folder / name) for name in ("all/two.png", "0.png", "1.png"))
    assert np.array_equal(both[:, 180:], first[:, 180:]) and np.array_equal(both[:, :130], second[:, :130])
    recipe = real("show", "all/two.png", "--json").rows[0]
    assert (recipe["face"], recipe["matrix"], [face["face"] for face in recipe["faces"]]) == (None, None, [0, 1])
    alone = [real("show", f"{n}.png", "--json").rows[0] for n in (0, 1)]
    assert [face["matrix"] for face in recipe["faces"]] == [each["matrix"] for each in alone]
    assert real(*line, "-o", "all", "-q").code == 2
    human = real("invert", "two.png", "--paste", "--face", "left-to-right", "-o", "one.png")
    assert "2 faces written into 1 picture" in human.err
    assert np.array_equal(pixels(folder / "one.png"), both)
    piped = real("invert", "two.png", "--paste", "--face", "all", "-o", "-")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(piped.out))).astype(int), both)
    named = real("invert", "two.png", "--paste", "--face", "all", "--name", "{stem}_{face}", "-q")
    assert named.code == 2 and "all faces are put into one picture" in named.problems[0][0]


def test_one_photograph_for_each_style_and_resumed(real: Call, folder: Path) -> None:
    for name in ("a.png", "b.png"):
        two_faces().save(folder / name)
    line = ("invert", "a.png", "b.png", "--paste", "--face", "all", "--mix-seed", "1-3", "--save-latents")
    for size in ("1", "4", "64"):
        assert real(*line, "-o", size, "--batch-size", size).code == 0
    pictures = {f"{name}_mix{seed}.png" for name in "ab" for seed in (1, 2, 3)}
    codes = {f"{name}_face{face}_mix{seed}.safetensors" for name in "ab" for face in (0, 1) for seed in (1, 2, 3)}
    whole = contents(folder / "1")
    assert set(whole) == pictures | codes
    assert whole == contents(folder / "4") == contents(folder / "64")
    for name in ("a_mix2.png", "b_face0_mix1.safetensors", "b_face1_mix3.safetensors"):
        (folder / "1" / name).unlink()
    resumed = real(*line, "-o", "1", "--skip-existing", "--json")
    assert resumed.code == 0, resumed.err
    assert contents(folder / "1") == whole
    nothing = real(*line, "-o", "1", "--skip-existing", "--json")
    assert nothing.code == 0 and nothing.rows[-1]["device"] == "none", "no model is loaded where all is there"


def test_what_is_hardly_a_face_is_left_out_of_all_of_them(real: Call, folder: Path) -> None:
    from skimage import data

    Image.fromarray(data.astronaut()).save(folder / "a.png")
    assert len(real("invert", "a.png", "--list-faces", "--json").rows) == 2
    result = real("invert", "a.png", "-o", "all", "--face", "all", "-v")
    assert result.code == 0 and set(contents(folder / "all")) == {"a_face0.png"}
    assert "a.png -> all/a_face0.png, left out as far weaker than the best: face 1 (score 0." in result.err
    assert "1 detection was left out as far weaker than the best face of the picture: -v says which" in result.err
    assert real("invert", "a.png", "-o", "every", "--face", "all", "--detector-threshold", "-0.01").code == 0
    assert {"a_face0.png", "a_face1.png"} <= set(contents(folder / "every"))
    assert real("invert", "a.png", "-o", "badge.png", "--face", "1").code == 0


def test_noise_comes_from_the_seed(real: Call, folder: Path) -> None:
    write_photos(folder / "in", SEVEN[:2])
    runs = {"a": ("random", "1"), "b": ("random", "1"), "c": ("random", "2"), "d": ("off", "1"), "e": ("fixed", "1")}
    for out, (noise, seed) in runs.items():
        assert real("invert", "in", "-o", out, "--noise", noise, "--seed", seed).code == 0
    assert contents(folder / "a") == contents(folder / "b")
    first = [pixels(folder / out / "0.png").tobytes() for out in "acde"]
    assert len(set(first)) == 4


def test_optimisation_comes_closer(real: Call, folder: Path) -> None:
    shutil.copy(FACES[0], folder / "a.webp")
    goal = np.asarray(Image.open(FACES[0]).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)).astype(int)
    errors = []
    for steps in ("0", "2", "12"):
        assert real("invert", "a.webp", "-o", f"{steps}.png", "--optimize", steps).code == 0
        errors.append(float(np.square(pixels(folder / f"{steps}.png") - goal).mean()))
    assert errors[0] > errors[1] > errors[2]


def test_dry_run_writes_nothing(real: Call, folder: Path) -> None:
    write_photos(folder / "in", SEVEN[:2])
    result = real("invert", "in", "-o", "out", "-n")
    assert result.code == 0
    assert result.out.decode().splitlines() == ["in/0.png -> out/0.png", "in/1.png -> out/1.png"]
    assert sorted(p.name for p in folder.iterdir()) == ["in"]


def test_half_precision_stays_close(real: Call, folder: Path) -> None:
    assert real("invert", FACES[0], "-o", "a.png").code == 0
    assert real("invert", FACES[0], "-o", "b.png", "--dtype", "bfloat16").code == 0
    assert np.abs(pixels(folder / "a.png") - pixels(folder / "b.png")).mean() < 8


def test_show_tells_every_kind_of_file(real: Call, folder: Path, tiny_zoo: Path) -> None:
    for ending in ("png", "jpg", "webp"):
        assert real("invert", FACES[0], "-o", f"a.{ending}", "--seed", "3", "--save-latents", "--overwrite").code == 0
        recipe = real("show", f"a.{ending}", "--json").rows[0]
        assert (recipe["event"], recipe["kind"], recipe["command"]) == ("show", "picture", "invert")
        assert (recipe["seed"], recipe["model"], recipe["input_name"]) == (3, "tiny-invert", FACES[0].name)
    assert "input_name" in real("show", "a.png").out.decode()
    latent = real("show", "a.safetensors", "--json").rows[0]
    assert (latent["kind"], latent["space"], latent["shape"]) == ("latent", "W+", [8, 32])
    weights = real("show", tiny_zoo / "tiny-generator" / "generator.safetensors", "--json").rows[0]
    assert (weights["kind"], weights["part"], weights["spec"]["resolution"]) == ("weights", "generator", SIDE)
    refused = real("show", FACES[0])
    assert refused.code == 3 and len(refused.problems) == 1


def test_models_are_listed_shown_and_verified(real: Call, tiny_zoo: Path) -> None:
    names = [row["name"] for row in real("models", "list", "--json").rows]
    assert names == ["tiny-generator", "tiny-invert"]
    assert "tiny-invert" in real("models", "list").out.decode()
    card = real("models", "show", "tiny-invert", "--json").rows[0]
    assert card["encoder"]["kind"] == "psp" and set(card["installed"]) == {"encoder", "generator"}
    assert "tiny-generator" in real("models", "show", "tiny-invert").out.decode()
    verified = real("models", "verify")
    assert verified.code == 0 and verified.out.decode().count(" ok ") == 2
    assert real("models", "verify", "nobody", "-q").code == 4


def test_imported_checkpoint_draws_the_same(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P2S2P_HOME", str(folder / "home"))
    write_published(folder / "published.pt", tiny_model())
    done = real("models", "import", "my-own", "published.pt", "--json")
    assert done.code == 0 and done.rows[0]["checked_by"] == "layout"
    assert real("invert", FACES[0], "-o", "mine.png", "--model", "my-own", "--align", "never").code == 0
    assert real("invert", FACES[0], "-o", "tiny.png", "--model", "tiny-invert", "--align", "never").code == 0
    assert np.array_equal(pixels(folder / "mine.png"), pixels(folder / "tiny.png"))
    assert "model: my-own (installed, 32 px)" in real("invert", FACES[0], "-o", "auto.png", "--align", "never").err
    assert real("models", "verify", "my-own").code == 0
    assert real("models", "list", "--json").rows[0]["name"] == "my-own"


def test_a_photograph_in_a_hundred_ways(real: Call, folder: Path) -> None:
    """Turned by EXIF, grey, with alpha, 16 bits, CMYK, a palette: each is one picture with one face."""
    face = Image.open(FACES[0]).convert("RGB").resize((160, 160))
    source = folder / "in"
    source.mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6
    face.rotate(90, expand=True).save(source / "turned.jpg", exif=turned, quality=95)
    face.convert("L").save(source / "grey.png")
    face.convert("RGBA").save(source / "alpha.png")
    face.convert("CMYK").save(source / "cmyk.jpg", quality=95)
    face.quantize(128).save(source / "palette.gif")
    Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 257).save(source / "deep.tif")
    result = real("invert", "in", "-o", "out", "--json")
    assert result.code == 0 and result.rows[-1]["ok"] == 6
    assert set(contents(folder / "out")) == {f"{n}.png" for n in ("turned", "grey", "alpha", "cmyk", "palette", "deep")}
