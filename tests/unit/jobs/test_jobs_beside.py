"""Outputs between the inputs: an output folder that is the input folder, or lies in it, works the second time too."""

from pathlib import Path

import pytest
from planning import labels, outs, plan, posix_only, refused, touch, write_outputs


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(*names: str) -> None:
    write_outputs(*names, faces="0")


@pytest.mark.parametrize("out", ["photos", "photos/", "./photos/../photos"])
def test_the_folder_itself(out: str) -> None:
    touch("photos/a.jpg", "photos/b.jpg")
    assert len(plan("photos", out=out).items) == 2
    make("photos/a.png", "photos/b.png", "photos/sheet.png", "photos/a_pair.png")
    assert "2 outputs exist already" in refused("photos", out=out).message
    made = plan("photos", out=out, existing="skip")
    assert [(item.label, item.status) for item in made.items] == [("photos/a.jpg", "skip"), ("photos/b.jpg", "skip")]
    assert made.ignored == 4
    touch("photos/c.jpg")
    assert [item.label for item in plan("photos", out=out, existing="skip").todo] == ["photos/c.jpg"]
    assert [Path(path).name for path in outs(plan("photos/*.*", out=out, existing="rename"))] == [
        "a-1.png", "b-1.png", "c.png",
    ]  # fmt: skip


@pytest.mark.parametrize("recursive", [False, True])
def test_a_folder_inside(recursive: bool) -> None:
    touch("photos/a.jpg", "photos/sub/b.jpg")
    first = labels(plan("photos", out="photos/out", recursive=recursive))
    make("photos/out/a.png", "photos/out/sub/b.png")
    made = plan("photos", out="photos/out", recursive=recursive, existing="skip")
    assert labels(made) == first and not made.todo


def test_every_folder_below_the_one_that_is_both() -> None:
    touch("photos/a.jpg", "photos/sub/b.jpg", "photos/sub/c.png")
    assert "is an input" in refused("photos", out="photos", recursive=True, existing="overwrite").message
    Path("photos/sub/c.png").unlink()
    make("photos/a.png", "photos/sub/b.png")
    assert len(plan("photos", out="photos", recursive=True, existing="skip").skipped) == 2


def test_one_file_beside_its_input() -> None:
    touch("photos/a.jpg")
    make("photos/x.png")
    assert outs(plan("photos", out="photos/x.png", existing="overwrite")) == ["photos/x.png"]
    touch("a.jpg")
    make("x.png")
    assert outs(plan(".", out="x.png", existing="overwrite")) == ["x.png"]


def test_pictures_of_others_are_inputs_wherever_they_are() -> None:
    touch("photos/a.jpg")
    write_outputs("photos/b.png")
    assert "photos/b.png is an input" in refused("photos", out="photos").message  # as the first time
    make("other/c.png")
    assert labels(plan("other", out="photos/out")) == ["other/c.png"]  # made by p2s2p, but not in the output's folder
    make("photos/d.png")
    assert labels(plan("photos/d.png", out="photos", name="{stem}_2")) == ["photos/d.png"]  # named itself


def test_nothing_but_outputs() -> None:
    make("photos/a.png", "photos/b.png")
    error = refused("photos", out="photos")
    assert error.message == "no image in photos, except 2 that p2s2p has written there"
    assert "another folder after -o" in error.hint


def test_codes_are_inputs_of_other_commands() -> None:
    for name, command in (("a", "invert"), ("b", "mix")):
        header = f'{{"__metadata__":{{"p2s2p":"latent 1","recipe":"{{\\"command\\":\\"{command}\\"}}"}}}}'.encode()
        touch(f"codes/{name}.safetensors")
        Path(f"codes/{name}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    suffixes = frozenset({".png", ".safetensors"})
    assert labels(plan("codes", out="codes", suffixes=suffixes)) == ["codes/b.safetensors"]


def test_only_files_that_may_be_outputs_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    from pixel2style2pixel_cli.jobs import expand

    touch("photos/a.tif", "photos/b.jpg", "photos/notes.txt", "other/c.png")
    opened: list[str] = []
    glance = expand.glance
    monkeypatch.setattr(expand, "glance", lambda path: opened.append(path.as_posix()) or glance(path))
    plan("photos", "other", out="photos")
    assert opened == ["photos/b.jpg"]
    plan("photos", "other", out="elsewhere")
    assert opened == ["photos/b.jpg"]


@posix_only
def test_the_folder_by_another_name() -> None:
    touch("photos/a.jpg")
    make("photos/a.png")
    Path("linked").symlink_to("photos")
    assert labels(plan("photos", out="linked", existing="skip")) == ["photos/a.jpg"]
    assert labels(plan("linked", out="photos", existing="skip")) == ["linked/a.jpg"]
