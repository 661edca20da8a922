"""Whatever can be wrong with inputs, outputs, options and weights: two lines, an exit code, and nothing else harmed."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import FACES, Call, contents, times, write_photos
from tiny_zoo import tiny_model, write_published

from pixel2style2pixel_cli.files import atomic
from pixel2style2pixel_cli.jobs import faces
from pixel2style2pixel_cli.tasks.photo import PhotoPreparer

GOOD = ["in/1.png", "in/9.png"]  # around the bad one, so that it is neither the first nor the last


def make_bad(folder: Path, name: str) -> Path:
    """One unusable input among good ones."""
    path = folder / "in" / name
    whole = FACES[0].read_bytes()
    data = {
        "zero.jpg": b"",
        "truncated.webp": whole[: len(whole) // 2],
        "header.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
        "text.png": b"this is no picture",
        "page.jpg": b"<!DOCTYPE html><html></html>",
        "noise.png": bytes(range(256)) * 4,
        "pointer.jpg": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    }
    if name == "dangling.png":
        path.symlink_to(folder / "nowhere.png")
    elif name == "large.png":
        Image.new("RGB", (300, 300)).save(path)
    elif name != "missing.png":
        path.write_bytes(data[name])
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.png", "does not exist"),
        ("zero.jpg", "is empty (0 bytes)"),
        ("truncated.webp", ""),
        ("header.png", ""),
        ("text.png", "is a text file"),
        ("page.jpg", "is a web page"),
        ("noise.png", "is not a picture of a known kind"),
        ("pointer.jpg", "is a Git LFS pointer"),
        ("dangling.png", "is a link to a file that does not exist"),
        ("large.png", "the limit is 0.05 million"),
    ],
)
def test_unusable_input_fails_alone(real: Call, folder: Path, name: str, message: str) -> None:
    write_photos(folder, GOOD)
    path = make_bad(folder, name)
    before = contents(folder)
    result = real("invert", GOOD[0], path, GOOD[1], "-o", "out", "-q", "--max-pixels", "50000")
    assert result.code == 3
    ((error, _),) = result.problems
    assert error.count(name) == 1 and message in error
    assert set(contents(folder / "out")) == {"1.png", "9.png"}
    assert {key: value for key, value in contents(folder).items() if not key.startswith("out/")} == before


def test_no_face(real: Call, folder: Path) -> None:
    write_photos(folder, GOOD)
    Image.new("RGB", (120, 90), (80, 130, 90)).save(folder / "in" / "5.png")
    result = real("invert", "in", "-o", "out", "-q")
    assert result.code == 3
    assert result.err.splitlines()[0] == "no face: in/5.png: no face found"
    assert result.err.splitlines()[1].startswith("hint: ") and len(result.err.splitlines()) == 2
    assert set(contents(folder / "out")) == {"1.png", "9.png"}


def test_a_picture_made_without_a_face_is_written_and_counts_as_one(real: Call, folder: Path) -> None:
    write_photos(folder, GOOD)
    Image.new("RGB", (120, 90), (80, 130, 90)).save(folder / "in" / "5.png")
    cropped = real("invert", "in", "-o", "crop", "--on-no-face", "crop", "--json")
    assert cropped.code == 3 and set(contents(folder / "crop")) == {"1.png", "5.png", "9.png"}
    assert [row["status"] for row in cropped.rows[:-1]] == ["ok", "no_face", "ok"]
    assert cropped.rows[1]["output"] == "crop/5.png" and "centred square" in cropped.rows[1]["message"]
    assert {name: cropped.rows[-1][name] for name in ("ok", "no_face", "no_face_written", "failed")} == {
        "ok": 2, "no_face": 1, "no_face_written": 1, "failed": 0,
    }  # fmt: skip
    told = real("invert", "in", "-o", "told", "--on-no-face", "crop", "--mix-seed", "1-2", "--fail-fast")
    assert told.code == 3 and "6 written, 2 of them without a face, 0 failed" in told.err
    assert told.err.count("no face: in/5.png: no face found: the centred square was taken") == 1
    assert "--on-no-face skip writes nothing" in told.err
    assert real("invert", "in", "-o", "fine", "--on-no-face", "crop", "--ignore-failures").code == 0


def test_inputs_that_a_stopped_run_did_not_come_to_are_reported(real: Call, folder: Path) -> None:
    write_photos(folder, [*GOOD, "in/99.png"])
    Image.new("RGB", (120, 90), (80, 130, 90)).save(folder / "in" / "5.png")
    stopped = real("invert", "in", "-o", "fail", "-v", "--on-no-face", "fail")
    assert stopped.code == 3 and set(contents(folder / "fail")) == {"1.png"}
    assert "in/9.png: not tried, because the run stopped at in/5.png" in stopped.err
    assert "1 written, 1 without a face, 0 failed, 2 not tried" in stopped.err
    rows = real("invert", "in", "-o", "json", "--json", "--on-no-face", "fail").rows
    assert [(row["input"], row["status"]) for row in rows[:-1]] == [
        ("in/1.png", "ok"), ("in/5.png", "no_face"), ("in/9.png", "not_tried"), ("in/99.png", "not_tried"),
    ]  # fmt: skip
    assert (rows[-1]["not_tried"], rows[-1]["exit"]) == (2, 3)
    fast = real("invert", "in", "-o", "fast", "--json", "--fail-fast", "--batch-size", "64")
    assert [row["status"] for row in fast.rows[:-1]] == ["ok", "no_face", "not_tried", "not_tried"]
    assert set(contents(folder / "fast")) == {"1.png"}


def test_fail_fast_stops_at_the_first(real: Call, folder: Path) -> None:
    write_photos(folder, GOOD)
    make_bad(folder, "zero.jpg").rename(folder / "in" / "5.png")
    result = real("invert", "in", "-o", "out", "--fail-fast", "--batch-size", "1", "-q")
    assert result.code == 3 and len(result.problems) == 1
    assert set(contents(folder / "out")) == {"1.png"}


def test_aligned_input_that_is_not_square(real: Call, folder: Path) -> None:
    Image.new("RGB", (60, 40)).save(folder / "wide.png")
    result = real("invert", "wide.png", FACES[0], "--align", "never", "-o", "out", "-q")
    assert result.code == 3 and "60 x 40" in result.problems[0][0]
    assert len(contents(folder / "out")) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["in/1.png", "-o", "in"], 2, "the output in/1.png is an input"),
        (["in/1.png", "-o", "in", "--overwrite"], 2, "the output in/1.png is an input"),
        (["in/1.png", "-o", "twin.png", "--overwrite"], 2, "the output twin.png is the input in/1.png"),
        (["in/1.png", "-o", "link", "--skip-existing"], 2, "the output link/1.png is the input in/1.png"),
        (["in/1.png", "other/1.png", "-o", "out"], 2, "in/1.png and other/1.png would both be written to out/1.png"),
        (["in", "-o", "one.png"], 2, "the output one.png is a file for one input, and there are 2"),
        (["in", "-o", "text.txt"], 2, "text.txt is a file, and a folder is needed"),
        (["in", "-o", "text.txt/out"], 2, "text.txt is not a folder, and one is needed there"),
        (["in", "-o", "taken"], 2, "taken/1.png is a folder, and a file is to be written there"),
        (["in/1.png", "-o", "a.bmp"], 2, "pictures of kind .bmp cannot be written"),
        (["in", "-o", "-"], 2, "standard output takes one input"),
        (["in/1.png", "-o", "-", "--save-latents"], 2, "standard output takes one picture"),
        (["empty"], 2, "no image in empty"),
        (["folder.png"], 2, "no image in folder.png"),
        ([""], 2, "an input is an empty text"),
        (["in/*.webp"], 2, "no file matches in/*.webp"),
        (["@empty.txt"], 2, "the list @empty.txt is empty"),
        (["@absent.txt"], 2, "the list absent.txt cannot be read: it does not exist"),
        (["@in"], 2, "the list in cannot be read: it is a folder"),
        (["in", "--shard", "4/4"], 2, "shard 4/4 does not exist"),
        (["in", "--name", "{nobody}"], 2, "unknown field {nobody}"),
        (["in", "--no-such-option"], 2, "no such option: --no-such-option"),
        (["in", "--model", "nobody"], 4, "no model is called 'nobody'"),
        (["in", "--model", "tiny-generator"], 2, "the model tiny-generator cannot invert"),
        (["in", "--detector", "nobody"], 2, "unknown detector 'nobody'"),
        (["in", "--device", "cuda:99"], 5, "there is no device cuda:99"),
        (["in", "--device", "toaster"], 2, "unknown device 'toaster'"),
        (["in", "--dtype", "float16", "--device", "cpu"], 2, "float16 is slow"),
    ],
)
def test_what_cannot_be_planned_changes_nothing(
    real: Call, folder: Path, arguments: list[str], code: int, message: str
) -> None:
    write_photos(folder, [*GOOD, "other/1.png"])
    (folder / "twin.png").hardlink_to(folder / "in" / "1.png")
    (folder / "link").symlink_to(folder / "in", target_is_directory=True)
    (folder / "text.txt").write_text("text")
    (folder / "empty.txt").write_text("\n")
    for name in ("empty", "folder.png", "taken/1.png"):
        (folder / name).mkdir(parents=True)
    before, written = contents(folder), times(folder)
    result = real("invert", *arguments, "-q")
    assert result.code == code
    ((error, _),) = result.problems
    assert error.removeprefix(f"{folder}/").startswith(message)
    assert contents(folder) == before and times(folder) == written


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left on the disk for out/5.png"),
        (errno.EACCES, "not permitted to write out/5.png"),
        (errno.EIO, "out/5.png could not be written"),
    ],
)
@pytest.mark.parametrize("existing", [False, True])
def test_disk_that_fails_at_one_file(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str, existing: bool
) -> None:
    write_photos(folder, [*GOOD, "in/5.png"])
    if existing:
        write_photos(folder, ["out/5.png"])
    before = contents(folder)
    whole = atomic._write_synced

    def fail_halfway(part: Path, data: bytes) -> None:
        if not part.name.startswith(".5.png"):
            return whole(part, data)
        whole(part, data[: len(data) // 2])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(atomic, "_write_synced", fail_halfway)
    result = real("invert", "in", "-o", "out", "-q", "--overwrite")
    assert result.code == 3
    ((error, _),) = result.problems
    assert message in error
    after = contents(folder)
    assert set(after) - set(before) == {"out/1.png", "out/9.png"}
    assert {key: after[key] for key in before} == before


def test_sheet_that_cannot_be_written(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(folder, GOOD)
    whole = atomic._write_synced

    def refuse(part: Path, data: bytes) -> None:
        if "sheet" in part.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(part, data)

    monkeypatch.setattr(atomic, "_write_synced", refuse)
    result = real("invert", "in", "-o", "out", "--grid", "sheet", "--json")
    assert result.code == 3
    assert result.rows[-1]["event"] == "summary" and result.rows[-1]["ok"] == 2
    assert "no space left on the disk for out/sheet.png" in result.err


def test_bug_in_one_picture_is_no_silent_loss(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photos(folder, GOOD)

    def crash(*_: object) -> None:
        raise ZeroDivisionError("of our own making")

    monkeypatch.setattr(PhotoPreparer, "prepare", crash)
    result = real("invert", "in", "-o", "out")
    assert result.code == 3 and "Traceback" not in result.err and "this is a bug in p2s2p" in result.err
    result = real("invert", "in", "-o", "out", "-vv")
    assert result.code == 3 and result.err.count("Traceback") == len(GOOD)
    assert not (folder / "out").exists()


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (damage, "has sha256"),
        (lambda path: path.unlink(), "no installed model can invert"),
        (lambda path: path.write_bytes(b""), "has sha256"),
    ],
)
@pytest.mark.parametrize("part", ["tiny-invert/encoder", "tiny-generator/generator"])
def test_spoilt_weights(
    real: Call,
    folder: Path,
    tiny_zoo: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    spoil: Callable[[Path], object],
    message: str,
) -> None:
    zoo = folder / "zoo"
    shutil.copytree(tiny_zoo, zoo)
    spoil(zoo / f"{part}.safetensors")
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    write_photos(folder, GOOD)
    result = real("invert", "in", "-o", "out", "-q")
    assert result.code == 4
    ((error, _),) = result.problems
    assert message in error
    assert not (folder / "out").exists()
    if message == "has sha256":
        verified = real("models", "verify")
        assert verified.code == 4 and b"failed" in verified.out


class Evil:
    """Unpickled, it would leave a file behind."""

    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.mkdir, ("ran",)


def write_wrong(path: Path, kind: str) -> None:
    """A file that is no checkpoint of the tiny model."""
    import torch

    if kind == "pickle":
        path.write_bytes(pickle.dumps(Evil()))
    elif kind == "pickle inside":
        torch.save({"state_dict": {"a": torch.zeros(1)}, "opts": Evil()}, path)
    elif kind == "no layout":
        torch.save({"weights": torch.zeros(3)}, path)
    elif kind == "page":
        path.write_bytes(b"<!doctype html><html><title>Quota exceeded</title></html>")
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        write_published(path, tiny_model())
        if kind == "truncated":
            path.write_bytes(path.read_bytes()[:5000])
        if kind == "no kind":
            content = torch.load(path, weights_only=True)
            torch.save(content | {"opts": {}}, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("pickle", "is a pickle that needs more than tensors: posix.mkdir"),
        ("pickle inside", "is a pickle that needs more than tensors: posix.mkdir"),
        ("no layout", "the file holds weights, which is no layout"),
        ("page", "is a web page"),
        ("empty", "is empty"),
        ("truncated", "is truncated"),
        ("no kind", "the file does not say whether its encoder is pSp's or e4e's"),
        ("absent", "does not exist"),
    ],
)
def test_wrong_checkpoint_is_not_installed(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str, message: str
) -> None:
    home = folder / "home"
    monkeypatch.setenv("P2S2P_HOME", str(home))
    if kind != "absent":
        write_wrong(folder / "file.pt", kind)
    result = real("models", "import", "mine", "file.pt", "-q")
    assert result.code == 4
    ((error, _),) = result.problems
    assert message.replace("posix", os.mkdir.__module__) in error
    assert not (folder / "ran").exists() and not (home / "models").exists()


def test_checkpoint_with_another_hash_or_another_size(
    real: Call, folder: Path, tiny_zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = folder / "zoo"
    shutil.copytree(tiny_zoo, zoo)
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    monkeypatch.setenv("P2S2P_HOME", str(folder / "home"))
    encoder = (zoo / "tiny-invert" / "model.toml").read_text().split("[spec.encoder]")[1].split("[[")[0]
    generator = (zoo / "tiny-generator" / "model.toml").read_text().split("[spec.generator]")[1].split("[[")[0]
    card = zoo / "published" / "model.toml"
    card.parent.mkdir()
    text = (
        'name = "published"\ntasks = ["invert"]\nlicence = "MIT"\n'
        f"[spec.encoder]{encoder}[spec.generator]{generator}"
        f'[[weights]]\nrole = "checkpoint"\nfile = "x.pt"\ncontainer = "psp-pt"\nsha256 = "{"0" * 64}"\n'
    )
    card.write_text(text)
    write_published(folder / "x.pt", tiny_model())
    hashed = real("models", "import", "published", "x.pt", "-q")
    assert hashed.code == 4 and "expected " + "0" * 64 in hashed.problems[0][0]
    card.write_text(text.replace("mapping_layers = 2", "mapping_layers = 3"))
    sized = real("models", "import", "published", "x.pt", "-q")
    assert sized.code == 4 and "expected" in sized.problems[0][0]
    assert real("models", "import", "tiny-invert", "x.pt", "-q").code == 2
    assert not (folder / "home" / "models").exists()
    missing = real("invert", FACES[0], "--model", "published", "-q")
    assert missing.code == 4 and "is not installed" in missing.problems[0][0]


def test_one_input_that_cannot_be_searched_costs_no_list_of_faces(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Greedy:
        def detect(self, pixels: np.ndarray) -> list[object]:
            if pixels[0, 0, 0] == 9:
                raise MemoryError
            return []

    monkeypatch.setattr(faces, "load_detector", lambda *_, **__: Greedy())
    for name, level in (("a.png", 9), ("b.png", 8)):
        Image.new("RGB", (64, 64), (level, 0, 0)).save(folder / name)
    listed = real("invert", "a.png", "b.png", "--list-faces", "-vv")
    assert listed.code == 3 and "Traceback" in listed.err
    assert "error: not enough memory for a.png" in listed.err and "no face: b.png" in listed.err
