"""What a run reads: files, folders, patterns, lists, standard input, and what it leaves alone."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from planning import labels, outs, plan, posix_only, refused, touch

from pixel2style2pixel_cli.jobs.plan import in_shard


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# what is read


def test_folder_gives_its_first_level_in_natural_order() -> None:
    touch("in/10.png", "in/9.png", "in/B.JPG", "in/a.webp", "in/notes.txt", "in/deep/x.png")
    made = plan("in")
    assert labels(made) == ["in/9.png", "in/10.png", "in/a.webp", "in/B.JPG"]
    assert made.ignored == 1
    assert [item.index for item in made.items] == [0, 1, 2, 3]
    assert [item.relative for item in made.items] == ["9.png", "10.png", "a.webp", "B.JPG"]


def test_recursive_tree_is_mirrored() -> None:
    touch("in/b/2.jpg", "in/a/1.png", "in/a/c/1.png", "in/1.png")
    made = plan("in/", out="out", recursive=True)
    assert outs(made) == ["out/1.png", "out/a/1.png", "out/a/c/1.png", "out/b/2.png"]
    assert [item.relative for item in made.items] == ["1.png", "a/1.png", "a/c/1.png", "b/2.jpg"]
    assert labels(made)[1] == "in/a/1.png"
    assert not Path("out").exists()


def test_nothing_is_created() -> None:
    touch("in/1.png")
    plan("in", latents=True)
    assert sorted(path.as_posix() for path in Path().rglob("*")) == ["in", "in/1.png"]


def test_hidden_files_and_our_own_parts_are_left_out() -> None:
    touch("in/.secret.png", "in/.x.png.123-ab.part", "in/.git/x.png", "in/1.png")
    made = plan("in", recursive=True)
    assert labels(made) == ["in/1.png"]
    assert made.ignored == 0


def test_order_of_arguments_is_kept_and_files_named_twice_count_once() -> None:
    touch("b.png", "a.png", "in/1.png")
    assert labels(plan("b.png", "in", "./b.png", "a.png", "in/1.png")) == ["b.png", "in/1.png", "a.png"]


def test_dot_as_folder() -> None:
    touch("1.png", "sub/2.png")
    assert labels(plan(".", recursive=True)) == ["1.png", "sub/2.png"]


def test_quoted_patterns() -> None:
    touch("in/a/1.jpg", "in/b/1.jpg", "in/b/2.png", "in/b/notes.txt", "in/top.jpg", "in/b/deep/9.jpg")
    made = plan("in/*/*", out="o")
    assert outs(made) == ["o/a/1.png", "o/b/1.png", "o/b/2.png", "o/b/deep/9.png"]
    assert made.ignored == 1
    assert outs(plan("in/**/*.jpg", out="o")) == ["o/a/1.png", "o/b/1.png", "o/b/deep/9.png", "o/top.png"]
    assert outs(plan("*/top.jpg", out="o")) == ["o/in/top.png"]
    assert outs(plan(str(Path("in").resolve() / "*.jpg"), out="o")) == ["o/top.png"]


def test_brackets_in_a_real_name_are_no_pattern() -> None:
    touch("me[1].png", "me1.png")
    assert labels(plan("me[1].png")) == ["me[1].png"]
    assert labels(plan("me[0-9].png")) == ["me1.png"]


def test_list_mirrors_below_the_working_directory() -> None:
    touch("in/a/x.png", "in/b/x.png", "in/c[1].png", "folder/f.png")
    Path("list.txt").write_bytes("\ufeffin/b/x.png\r\n\r\nin/a/x.png\nin/c[1].png\nfolder\nmissing.png".encode())
    made = plan("@list.txt", out="o")
    assert outs(made) == ["o/in/b/x.png", "o/in/a/x.png", "o/in/c[1].png", "o/folder/f.png", "o/missing.png"]
    assert [item.problem is None for item in made.items] == [True, True, True, True, False]


def test_absolute_entries_below_the_working_directory_are_mirrored_too(tmp_path: Path) -> None:
    touch("in/a/x.png")
    made = plan("@-", stdin=lambda: os.fsencode(tmp_path / "in/a/x.png"))
    assert outs(made) == ["p2s2p-out/invert/in/a/x.png"]


@pytest.mark.parametrize(
    "data",
    [
        "grüße.png\na.png".encode(),
        "grüße.png\r\na.png\r\n".encode("utf-16"),
        "grüße.png\0a.png\0".encode(),
    ],
)
def test_encodings_of_lists(data: bytes) -> None:
    touch("grüße.png", "a.png")
    assert labels(plan("@-", stdin=lambda: data)) == ["grüße.png", "a.png"]


def test_file_whose_name_starts_with_at() -> None:
    touch("@me.png")
    assert labels(plan("@me.png")) == ["@me.png"]


def test_standard_input() -> None:
    made = plan("-")
    (item,) = made.items
    assert (item.source, item.label, item.relative, item.output.as_posix()) == (
        None,
        "-",
        "-",
        "p2s2p-out/invert/stdin.png",
    )


@pytest.mark.parametrize(
    ("inputs", "stdin", "said"),
    [
        ((), b"", "no input"),
        (("",), b"", "empty text"),
        (("*.gif",), b"", "no file matches"),
        (("@none.txt",), b"", "list none.txt cannot be read"),
        (("@-",), b"\n \n", "list @- is empty"),
        (("@-",), b"\xff\xd8\xff\xe0 rest", "is a picture"),
        (("-", "@-"), b"a", "both - and @-"),
        (("empty",), b"", "no image in empty"),
    ],
)
def test_selections_of_nothing(inputs: tuple[str, ...], stdin: bytes, said: str) -> None:
    Path("empty").mkdir()
    assert said in refused(*inputs, stdin=lambda: stdin).message


def test_folder_with_pictures_only_further_down_says_how() -> None:
    touch("in/sub/1.png", "in/notes.txt")
    error = refused("in")
    assert "1 other files" in error.message
    assert "-r" in error.hint


def test_missing_input_fails_alone() -> None:
    touch("a.png", "b.png")
    made = plan("a.png", "none.png", "b.png", "a.png/x.png", "n" * 300 + ".png", "nul\0.png")
    assert len(made.todo) == 2
    assert [item.index for item in made.problems] == [1, 3, 4, 5]
    assert made.items[1].problem == "none.png does not exist"
    assert all(item.hint for item in made.problems)


def test_text_file_named_explicitly_is_tried() -> None:
    touch("notes.txt")
    assert labels(plan("notes.txt")) == ["notes.txt"]


@posix_only
def test_links() -> None:
    touch("real/1.png")
    Path("in").mkdir()
    Path("in/folder").symlink_to("../real")
    Path("in/file.png").symlink_to("../real/1.png")
    Path("in/broken.png").symlink_to("nowhere.png")
    Path("in/broken.txt").symlink_to("nowhere.txt")
    Path("in/loop").symlink_to(".")
    Path("real/back").symlink_to("../in")
    made = plan("in", recursive=True)
    assert labels(made) == ["in/broken.png", "in/file.png", "in/folder/1.png"]
    assert [item.label for item in made.problems] == ["in/broken.png"]
    assert "link" in (made.problems[0].problem or "")
    assert made.ignored == 1


@posix_only
def test_pipe_in_a_folder_is_not_opened() -> None:
    touch("in/1.png")
    os.mkfifo("in/pipe.png")
    assert labels(plan("in")) == ["in/1.png"]
    assert labels(plan("in/*.png")) == ["in/1.png"]


def test_unreadable_folder_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("in/1.png", "in/closed/2.png", "in/open/3.png")
    real = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    made = plan("in", recursive=True)
    assert labels(made) == ["in/1.png", "in/closed", "in/open/3.png"]
    assert [item.problem for item in made.problems] == ["the folder in/closed cannot be read: permission denied"]


@posix_only
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS takes UTF-8 names only")
def test_name_that_is_not_unicode() -> None:
    name = os.fsdecode(b"caf\xe9.png")
    touch(f"in/{name}")
    (item,) = plan("in", out="out").items
    assert os.fsencode(item.output) == b"out/caf\xe9.png"
    assert item.source == Path("in") / name
    item.label.encode("utf-8")
    assert in_shard(item.relative, 0, 1)
    again = plan("@-", stdin=lambda: b"in/caf\xe9.png")
    assert again.items[0].problem is None


@posix_only
def test_name_too_long_for_its_output_fails_alone() -> None:
    longest = "n" * 251
    touch(f"in/{longest}.png", "in/1.png")
    assert [item.problem for item in plan("in", out="o").problems] == []
    made = plan("in", out="o", latents=True)
    assert len(made.problems) == 1
    assert "263 bytes" in (made.problems[0].problem or "")
    assert len(made.todo) == 1


# earlier outputs are not inputs


def test_second_run_does_not_read_what_the_first_one_wrote() -> None:
    touch("1.png", "p2s2p-out/frontalize/1.png", "sub/p2s2p-out/invert/2.png")
    assert labels(plan(".", recursive=True)) == ["1.png"]
    assert labels(plan("**/*.png")) == ["1.png"]
    touch("in/1.png", "in/results/1.png")
    assert labels(plan("in", out="in/results", recursive=True, existing="skip")) == ["in/1.png"]
    assert labels(plan("in/**/*.png", out="./in/results/", existing="skip")) == ["in/1.png"]
    assert labels(plan("in", out="elsewhere", recursive=True)) == ["in/1.png", "in/results/1.png"]
    assert labels(plan("p2s2p-out/frontalize", out="elsewhere")) == ["p2s2p-out/frontalize/1.png"]
