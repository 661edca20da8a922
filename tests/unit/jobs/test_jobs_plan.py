"""Where a run writes: targets, names, shards, and the cost of planning."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from planning import outs, plan, posix_only, refused, touch

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.files import paths
from pixel2style2pixel_cli.jobs.plan import in_shard, parse_shard
from pixel2style2pixel_cli.variants import style_variants


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# where it goes


def test_default_folder_and_root() -> None:
    touch("a.jpg")
    made = plan("a.jpg")
    assert outs(made) == ["p2s2p-out/invert/a.png"]
    assert made.root == Path("p2s2p-out/invert")
    assert (made.format, made.to_stdout) == ("png", False)


@pytest.mark.parametrize(
    ("out", "format"), [("x.png", "png"), ("d/x.jpg", "jpg"), ("x.JPEG", "jpg"), ("x.webp", "webp")]
)
def test_one_file(out: str, format: str) -> None:
    touch("in/a.tiff")
    made = plan("in/a.tiff", out=out, name="{index}", latents=True)
    assert outs(made) == [out]
    assert made.format == format
    assert made.items[0].latent == Path(out).with_suffix(".safetensors")
    assert made.root == Path(out).parent


@pytest.mark.parametrize("out", ["x.bmp", "d/x.TIFF", ""])
def test_outputs_that_cannot_be_written(out: str) -> None:
    touch("a.png")
    refused("a.png", out=out)


def test_suffix_of_an_existing_folder_or_a_slash_means_a_folder() -> None:
    touch("a.png")
    Path("shots.png").mkdir()
    assert outs(plan("a.png", out="shots.png")) == ["shots.png/a.png"]
    assert outs(plan("a.png", out="new.png/")) == ["new.png/a.png"]
    assert outs(plan("a.png", out="v1.2")) == ["v1.2/a.png"]


def test_one_file_for_several_inputs() -> None:
    touch("in/1.png", "in/2.png")
    assert "there are 2" in refused("in", out="x.png").message
    assert "there are 2" in refused("in", out="-").message


def test_standard_output() -> None:
    touch("a.png")
    made = plan("a.png", out="-")
    assert made.to_stdout
    assert made.root is None
    assert made.items[0].face_output(0) == made.items[0].output == Path("-")
    for options in (
        {"many_faces": True},
        {"latents": True},
        {"variants": style_variants((1, 2))},
        {"shared": ("sheet",)},
    ):
        refused("a.png", out="-", **options)


def test_file_where_the_folder_should_be() -> None:
    touch("a.png", "notes", "out/sub")
    assert "is a file" in refused("a.png", out="notes").message
    touch("in/sub/1.png")
    assert "not a folder" in refused("in", out="out", recursive=True).message
    assert "not a folder" in refused("a.png", out="notes/deeper/x.png").message


def test_folder_where_the_file_should_be() -> None:
    touch("a.png")
    Path("out/a.png").mkdir(parents=True)
    for existing in ("error", "skip", "overwrite"):
        assert "is a folder" in refused("a.png", out="out", existing=existing).message
    assert outs(plan("a.png", out="out", existing="rename")) == ["out/a-1.png"]


def test_folder_without_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("a.png")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    error = refused("a.png", out="closed/deeper")
    assert (error.exit_code, error.message) == (2, "not permitted to write into closed/deeper")
    plan("a.png", out="-")


@posix_only
@pytest.mark.skipif(sys.platform != "win32" and os.geteuid() == 0, reason="the administrator may write anywhere")
def test_real_folder_without_permission() -> None:
    touch("a.png")
    Path("closed").mkdir(mode=0o500)
    assert "not permitted" in refused("a.png", out="closed/x").message


def test_formats() -> None:
    touch("a.png")
    assert outs(plan("a.png", format="webp", out="o")) == ["o/a.webp"]
    assert "unknown format" in refused("a.png", format="bmp").message


# names


def test_template_fields() -> None:
    touch("in/a.b.png", "in/c.png")
    template = "{index:03d}_{stem}_{command}_{model}_{seed}_{mix_seed}_{face}"
    made = plan("in", out="o", name=template, model="zoo/mini", seed=5, face=2)
    assert outs(made) == ["o/000_a.b_invert_zoo_mini_5_none_2.png", "o/001_c_invert_zoo_mini_5_none_2.png"]
    assert outs(plan("in", out="o", name="{model}/{stem}.png", model="m")) == ["o/m/a.b.png", "o/m/c.png"]
    assert outs(plan("in", out="o", name="{{{stem}}}"))[1] == "o/{c}.png"


def test_template_in_folders() -> None:
    touch("in/a/1.png", "in/b/1.png")
    assert outs(plan("in", out="o", recursive=True, name="x_{stem}")) == ["o/a/x_1.png", "o/b/x_1.png"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("{stem}_{foo}_{bar}", "unknown field {bar}, {foo}"),
        ("{stem.__class__}", "unknown field {stem.__class__}"),
        ("{}", "unknown field {}"),
        ("{0}", "unknown field {0}"),
        ("{stem", "cannot be read"),
        ("{stem:{index}}", "field inside a field"),
        ("{stem:04d}", "cannot be filled in"),
        ("{stem!x}", "cannot be filled in"),
        ("../{stem}", "below the output folder"),
        ("/tmp/{stem}", "below the output folder"),
        ("", "below the output folder"),
        ("a//{stem}", "below the output folder"),
        ("{stem}.jpg", "ends in .jpg"),
        ("{stem}{face}", "touches"),
        ("{face}1{stem}", "touches"),
    ],
)
def test_bad_templates(name: str, said: str) -> None:
    touch("a.png")
    error = refused("a.png", name=name)
    assert said in error.message
    if "unknown" in said:
        assert error.hint == "known fields: {stem} {command} {model} {seed} {mix_seed} {index} {face}"


def test_many_faces_and_style_samples() -> None:
    touch("a.png")
    made = plan(
        "a.png", out="o", many_faces=True, latents=True, variants=style_variants((3, 10)), companions=("_pair",)
    )
    (item,) = made.items
    assert item.output.as_posix() == "o/a_face0_mix3.png"
    assert item.face_output(2, variant=made.variants[1]).as_posix() == "o/a_face2_mix10.png"
    assert item.face_latent(1, variant=made.variants[0]).as_posix() == "o/a_face1_mix3.safetensors"
    assert item.companion("_pair", 1, variant=made.variants[0]).as_posix() == "o/a_face1_mix3_pair.png"
    (item,) = plan("a.png", out="o/x.jpg", many_faces=True).items
    assert item.face_output(1).as_posix() == "o/x_face1.jpg"
    (item,) = plan("a.png", out="o", many_faces=True, name="{face:02d}-{stem}").items
    assert item.face_output(1).as_posix() == "o/01-a.png"


def test_one_face_is_never_numbered() -> None:
    touch("a.png")
    (item,) = plan("a.png", out="o").items
    assert item.face_output(3) == item.output == Path("o/a.png")


# shards


def test_shards_partition_and_keep_names() -> None:
    touch(*(f"in/{n // 10}/{n}.jpg" for n in range(60)))
    whole = plan("in", recursive=True, name="{index}_{stem}")
    parts = [plan("in", recursive=True, name="{index}_{stem}", shard=(i, 4)) for i in range(4)]
    together = sorted((item for part in parts for item in part.items), key=lambda item: item.index)
    assert tuple(together) == whole.items
    assert all(len(part.items) > 3 for part in parts)


def test_shard_of_a_path_is_fixed() -> None:
    numbers = [next(i for i in range(4) if in_shard(f"{n}.png", i, 4)) for n in range(8)]
    assert numbers == [2, 2, 0, 2, 3, 3, 1, 1]


def test_shard_checks_only_its_own_outputs() -> None:
    touch(*(f"in/{n}.jpg" for n in range(20)))
    first = plan("in", out="out", shard=(0, 2), shared=("sheet",))
    touch(*outs(first), "out/sheet_0of2.png")
    second = plan("in", out="out", shard=(1, 2), shared=("sheet",))
    assert len(first.items) + len(second.items) == 20
    assert second.shared == (Path("out/sheet_1of2.png"),)
    refused("in", out="out", shard=(0, 2))


def test_collisions_are_found_in_every_shard() -> None:
    touch("in/a.png", "in/a.jpg")
    for number in range(3):
        refused("in", shard=(number, 3))


def test_empty_shard_is_no_error() -> None:
    touch("1.png")
    assert sum(len(plan("1.png", shard=(i, 50)).items) for i in range(50)) == 1


@pytest.mark.parametrize("shard", [(4, 4), (5, 4), (-1, 4), (0, 0), (0, -1)])
def test_shards_that_do_not_exist(shard: tuple[int, int]) -> None:
    touch("1.png")
    assert "count from 0" in refused("1.png", shard=shard).message


@pytest.mark.parametrize("text", ["", "1", "/", "a/4", "1/4/2", "-1/4", "1.5/4", "4/4", "0/0"])
def test_shard_texts_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_shard(text)


def test_shard_text() -> None:
    assert parse_shard("3/4") == (3, 4)


# cost


def test_twenty_thousand_files_in_no_time() -> None:
    for folder in range(20):
        Path(f"in/{folder}").mkdir(parents=True)
        for number in range(1000):
            Path(f"in/{folder}/{number}.jpg").touch()
    start = time.perf_counter()
    made = plan("in", out="out", recursive=True, latents=True)
    assert len(made.items) == 20_000
    assert time.perf_counter() - start < 10  # about 0.8 s; anything quadratic takes minutes


def test_listing_a_crowded_output_folder_once(monkeypatch: pytest.MonkeyPatch) -> None:
    touch(*(f"in/{n}.jpg" for n in range(50)), "out/x.png")
    asked: list[str] = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: asked.append(path) or real(path))
    plan("in", out="out", latents=True, many_faces=True)
    assert asked == ["out"]


def test_planning_needs_no_imaging_library() -> None:
    code = (
        "import sys; from pixel2style2pixel_cli.jobs import plan;"
        "sys.exit(bool({'torch', 'PIL', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0


def test_natural_order() -> None:
    names = ["a10", "a9", "a.x", "a/2", "a/10", "B1", "b1", "007", "7", "é", "a b", ""]
    expected = ["", "007", "7", "a/2", "a/10", "a b", "a.x", "a9", "a10", "B1", "b1", "é"]
    assert sorted(names, key=paths.natural_key) == expected
