"""Conflicts found before work begins: collisions, outputs that are inputs, outputs that exist."""

import os
from pathlib import Path

import pytest
from planning import outs, plan, posix_only, refused, touch, write_outputs

from pixel2style2pixel_cli.files import paths
from pixel2style2pixel_cli.jobs import outputs
from pixel2style2pixel_cli.variants import style_variants


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# collisions


def test_same_stem_twice_names_both() -> None:
    touch("in/a.jpg", "in/a.png", "in/b.jpg", "in/b.png")
    error = refused("in", out="out")
    assert "in/a.jpg and in/a.png would both be written to out/a.png, and 1 more" in error.message
    assert "--name" in error.hint
    assert len(plan("in", out="out", name="{stem}_{index}").items) == 4


def test_two_folders_with_the_same_names() -> None:
    touch("a/x.png", "b/x.png", "b/y.png")
    assert "a/x.png and b/x.png" in refused("a", "b").message
    assert "a/x.png and b/x.png" in refused("a/x.png", "b/x.png").message
    assert outs(plan("a", "b/y.png", out="o")) == ["o/x.png", "o/y.png"]


def test_constant_template() -> None:
    touch("in/a.png", "in/b.png")
    assert "would both" in refused("in", name="x").message


def test_companions_latents_and_sheets_collide_too() -> None:
    touch("in/a.png", "in/a_pair.png")
    assert "a_pair" in refused("in", companions=("_pair",)).message
    touch("other/sheet.png")
    assert "the sheet of this run" in refused("other", shared=("sheet",)).message


def test_letters_of_either_case(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("one/A.png", "two/a.png")
    monkeypatch.setattr(outputs, "ignores_case", lambda folder: True)
    assert "one/A.png and two/a.png" in refused("one", "two").message
    monkeypatch.setattr(outputs, "ignores_case", lambda folder: False)
    assert len(plan("one", "two").items) == 2
    touch("three/a.png")
    assert "two/a.png and three/a.png" in refused("one", "two", "three").message


def test_case_of_this_file_system_is_found_without_writing(tmp_path: Path) -> None:
    (tmp_path / "Probe").mkdir()
    truth = (tmp_path / "pROBE").exists()
    assert paths.ignores_case(str(tmp_path / "Probe" / "not" / "there")) == truth


# outputs that are inputs


@posix_only
@pytest.mark.parametrize("existing", ["error", "skip", "overwrite"])
def test_output_equal_to_an_input_in_any_spelling(tmp_path: Path, existing: str) -> None:
    touch("in/a.png", "out/other.png", "in/b.jpg")
    os.link("in/a.png", "hard.png")
    Path("soft.png").symlink_to("in/a.png")
    Path("linked").symlink_to("in")
    for out in ("in", "./in/../in", str(tmp_path / "in"), "linked", "in/a.png", "hard.png", "soft.png"):
        error = refused("in/a.png", out=out, existing=existing)
        assert "input" in error.message
    assert "input" in refused("in/b.jpg", "in/a.png", out="in", existing=existing).message


def test_output_onto_another_input() -> None:
    touch("x.png", "0.png")
    error = refused("x.png", "0.png", out=".", name="{index}", existing="overwrite")
    assert error.message == "the output ./0.png is the input 0.png"


def test_latent_and_sheet_onto_an_input() -> None:
    touch("in/a.png", "in/sheet.webp")
    error = refused("in/a.png", "in/sheet.webp", out="in", name="{index}", shared=("sheet",), format="webp")
    assert "in/sheet.webp is an input" in error.message


# existing outputs


def test_error_lists_three_and_changes_nothing() -> None:
    touch(*(f"in/{n}.jpg" for n in range(6)), *(f"out/{n}.png" for n in range(5)))
    error = refused("in", out="out")
    assert error.message == "5 outputs exist already: out/0.png, out/1.png, out/2.png ..."
    assert "--skip-existing" in error.hint
    assert refused("in/0.jpg", out="out").message == "1 output exists already: out/0.png"


def test_skip_resumes() -> None:
    touch("in/1.jpg", "in/2.jpg")
    write_outputs("out/1.png")
    made = plan("in", out="out", existing="skip")
    assert [item.status for item in made.items] == ["skip", "todo"]
    assert [item.label for item in made.skipped] == ["in/1.jpg"]
    assert [item.label for item in made.todo] == ["in/2.jpg"]


def test_skip_needs_every_file_that_was_asked_for() -> None:
    touch("in/1.jpg", "in/2.jpg")
    write_outputs("out/1.png", "out/1.safetensors", "out/2.png")
    made = plan("in", out="out", existing="skip", latents=True)
    assert [item.status for item in made.items] == ["skip", "todo"]
    write_outputs("out/1_mix3.png")
    assert len(plan("in/1.jpg", out="out", existing="skip", variants=style_variants((3, 4))).todo) == 1
    write_outputs("out/1_mix4.png")
    assert len(plan("in/1.jpg", out="out", existing="skip", variants=style_variants((3, 4))).todo) == 0


@posix_only
def test_broken_link_is_no_finished_output() -> None:
    touch("a.jpg")
    Path("out").mkdir()
    Path("out/a.png").symlink_to("gone")
    assert "exists" in refused("a.jpg", out="out").message
    assert len(plan("a.jpg", out="out", existing="skip").todo) == 1


def test_overwrite() -> None:
    touch("a.jpg", "out/a.png")
    assert [item.status for item in plan("a.jpg", out="out", existing="overwrite").items] == ["todo"]


def test_rename_takes_the_first_free_number_for_all_files_of_an_input() -> None:
    touch("in/a.jpg", "in/b.jpg", "in/c.jpg", "out/a.png", "out/b.png", "out/b-1.safetensors", "out/sheet.png")
    made = plan("in", out="out", existing="rename", latents=True, shared=("sheet",))
    assert outs(made) == ["out/a-1.png", "out/b-2.png", "out/c.png"]
    assert [item.latent for item in made.items] == [Path(f"out/{n}.safetensors") for n in ("a-1", "b-2", "c")]
    assert made.shared == (Path("out/sheet-1.png"),)
    (item,) = plan("in/a.jpg", out="out/a.png", existing="rename").items
    assert item.output == Path("out/a-1.png")


def test_rename_leaves_names_of_other_inputs_alone() -> None:
    touch("in/a.jpg", "in/a-1.jpg", "out/a.png")
    assert sorted(outs(plan("in", out="out", existing="rename"))) == ["out/a-1.png", "out/a-2.png"]
    touch("out/a-1.png")
    assert sorted(outs(plan("in", out="out", existing="rename"))) == ["out/a-1-1.png", "out/a-2.png"]


def test_rename_beside_the_input_itself() -> None:
    touch("a.png")
    assert outs(plan("a.png", out=".", existing="rename")) == ["a-1.png"]


def test_any_existing_face_counts() -> None:
    touch("in/a.jpg", "in/a1.jpg", "out/a_face3.png")
    assert "out/a_face3.png" in refused("in", out="out", many_faces=True).message
    assert [i.status for i in plan("in", out="out", many_faces=True, existing="skip").items] == ["todo", "todo"]
    made = plan("in", out="out", many_faces=True, existing="rename")
    assert [item.face_output(3).as_posix() for item in made.items] == ["out/a-1_face3.png", "out/a1_face3.png"]
    touch("more/07-a.png")
    assert "07-a" in refused("in", out="more", many_faces=True, name="{face:02d}-{stem}").message


def statuses(*inputs: str, **options: object) -> list[str]:
    return [item.status for item in plan(*inputs, out="out", existing="skip", **options).items]


def test_every_face_that_the_others_know_of_is_needed() -> None:
    touch("in/a.jpg", "in/a1.jpg", "in/b.jpg")
    write_outputs("out/a_face0.png", "out/a_face1.png", "out/a_face12.png", "out/b_face0.png", faces="0,1,12")
    assert statuses("in", many_faces=True) == ["skip", "todo", "todo"]
    Path("out/a_face1.png").write_bytes(b"")
    made = plan("in/a.jpg", out="out", existing="skip", many_faces=True)
    assert made.items[0].status == "todo" and made.damaged == ("out/a_face1.png is empty and is made again",)
    assert made.items[0].present == {Path(f"out/a_face{n}.png") for n in (0, 1, 12)}
    for gone in (1, 0):
        Path(f"out/a_face{gone}.png").unlink()
        assert statuses("in/a.jpg", many_faces=True) == ["todo"]


def test_pictures_that_do_not_say_how_many_faces_there_were_are_looked_at_again() -> None:
    touch("in/a.jpg", "in/b.jpg")
    write_outputs("out/a_face0.png")
    write_outputs("out/b_face0.png", faces="many")
    assert statuses("in", many_faces=True) == ["todo", "todo"]


def test_damaged_outputs_are_named_and_made_again() -> None:
    touch("in/1.jpg", "in/2.jpg", "in/3.jpg", "in/4.jpg", "out/3.png")
    write_outputs("out/1.png", "out/2.png", "out/4.png", *(f"out/{n}.safetensors" for n in (1, 2, 3, 4)))
    Path("out/1.png").write_bytes(Path("out/1.png").read_bytes()[:-5])
    Path("out/2.safetensors").write_bytes(b"")
    made = plan("in", out="out", existing="skip", latents=True)
    assert [item.status for item in made.items] == ["todo", "todo", "todo", "skip"]
    assert made.damaged == (
        "out/1.png ends too early and is made again",
        "out/2.safetensors is empty and is made again",
        "out/3.png is no picture and is made again",
    )
    assert made.items[1].present == {Path("out/2.png"), Path("out/2.safetensors")}


def test_folder_that_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("a.jpg", "out/a.png")
    real = os.listdir

    def listdir(path: str) -> list[str]:
        if path == "out":
            raise PermissionError(13, "no")
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert "exists" in refused("a.jpg", out="out").message


def test_problems_claim_no_output() -> None:
    touch("out/none.png", "a/x.png")
    made = plan("none.jpg", "b/x.png", "a/x.png", out="out")
    assert [item.problem is None for item in made.items] == [False, False, True]
