"""Whether a task tells the truth about a folder of whole, broken and foreign files.

    python benchmarks/mixed_folder.py --shard shard_015.npz --task seg2face

Six of ten files are pictures of the kind the task takes, in nested folders, equal names in different ones; the
others are damaged, cut short, empty, or no pictures at all. Prints one line for each check; ends with 1 if one fails.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from command import PHOTO_TASKS, Finished, check_available, run_command
from heldout import Faces, Unavailable, read_faces
from numpy.typing import NDArray
from PIL import Image
from translations import LABELS, MIXED_FACTOR, find_input

Pixels = NDArray[np.uint8]
Checks = list[tuple[str, object, object]]  # name, found, expected
FOLDERS = ("", "a", "b", "a/deep/deeper", "name with spaces", "ümläut")
SUFFIXES = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "bmp": "BMP"}
BROKEN = ("text", "empty", "cut", "header", "noise", "page")
FOREIGN = ("notes.txt", "table.csv", "meta.json", "README", "archive.zip")


@dataclass(kw_only=True, slots=True)
class Mixed:
    """What was written: whole pictures, image-like files that cannot be read, and files that are no images."""

    root: Path
    whole: set[Path] = field(default_factory=set)
    broken: set[Path] = field(default_factory=set)
    foreign: set[Path] = field(default_factory=set)

    @property
    def image_like(self) -> set[Path]:
        return self.whole | self.broken


def make_folder(root: Path, masks: Path, pictures: list[Pixels], task: str, count: int) -> Mixed:
    """Fill the folder: of ten files six are whole, two broken, two foreign; inpainting gets a mask for each picture."""
    mixed = Mixed(root=root)
    generator = np.random.default_rng(0)
    for number in range(count):
        # the same names in every folder, so that equal ones meet in different folders
        folder = root / FOLDERS[number % len(FOLDERS)]
        folder.mkdir(parents=True, exist_ok=True)
        stem, kind = f"{number // len(FOLDERS):04d}", number * 7 % 10
        picture = pictures[number % len(pictures)]
        if kind < 6:
            mixed.whole.add(_write_whole(folder, stem, picture, number, task))
        elif kind < 8:
            way = BROKEN[number // 10 % len(BROKEN)]
            mixed.broken.add(_write_broken(folder, stem, picture, way, generator))
        else:
            path = folder / f"{stem}_{FOREIGN[number // 10 % len(FOREIGN)]}"
            path.write_bytes(b"no picture\n" * 20)
            mixed.foreign.add(path)
    (root / ".hidden.png").write_bytes(b"")  # neither counted nor read
    if task == "inpaint":
        write_masks(mixed.image_like, root, masks, pictures[0].shape[0])
    return mixed


def _write_whole(folder: Path, stem: str, picture: Pixels, number: int, task: str) -> Path:
    # class numbers and drawings are kept as they are; photographs come in any kind
    suffix = list(SUFFIXES)[number % len(SUFFIXES)] if task in PHOTO_TASKS else "png"
    path = folder / f"{stem}.{suffix.upper() if number % 11 == 0 else suffix}"
    path.write_bytes(encoded(picture, SUFFIXES[suffix]))
    return path


def _write_broken(folder: Path, stem: str, picture: Pixels, way: str, generator: np.random.Generator) -> Path:
    suffix = "jpg" if way in ("text", "page") else "png"
    whole = encoded(picture, SUFFIXES[suffix])
    content = {
        "text": b"this is a text with the name of a picture\n",
        "page": b"<!DOCTYPE html><html><body>404</body></html>",
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "header": whole[:20],
        "noise": generator.integers(0, 256, 4000, dtype=np.uint8).tobytes(),
    }[way]
    path = folder / f"{stem}.{suffix}"
    path.write_bytes(content)
    return path


def write_masks(pictures: Iterable[Path], root: Path, masks: Path, size: int) -> None:
    """A white rectangle for each picture below ``root``, under its name."""
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[size // 2 : 3 * size // 4, size // 3 : 2 * size // 3] = 255
    for path in pictures:
        place = masks / path.relative_to(root).with_suffix(".png")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encoded(mask, "PNG"))


def encoded(picture: Pixels, format: str) -> bytes:
    """A picture as the bytes of a file."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(out, format)
    return out.getvalue()


def checks(mixed: Mixed, out: Path, done: Finished) -> Checks:
    """Name, what was found and what was expected of each check after the first run."""
    summary, images = done.summary, done.images
    outputs = [Path(event["output"]) for event in images if event["status"] == "ok"]
    wanted = {out / path.relative_to(mixed.root).with_suffix(".png") for path in mixed.whole}
    there = {path for path in out.rglob("*") if path.is_file()}
    named = Counter(event["input"] for event in images)
    statuses = Counter(event["status"] for event in images)
    counted = {name: int(summary.get(name, -1)) for name in ("ok", "skipped", "no_face", "failed")}
    return [
        ("exit code", done.code, 3),
        ("exit code in the summary", summary.get("exit"), 3),
        ("ok + skipped + no_face + failed", sum(counted.values()), len(mixed.image_like)),
        ("ignored", summary.get("ignored"), len(mixed.foreign)),
        ("ok and without a face", counted["ok"] + counted["no_face"], len(mixed.whole)),
        ("failed", counted["failed"], len(mixed.broken)),
        ("counts that differ from the lines", sum(statuses[name] != n for name, n in counted.items()), 0),
        ("inputs named once", sum(n == 1 for n in named.values()), len(mixed.image_like)),
        ("outputs named twice", len(outputs) - len(set(outputs)), 0),
        ("outputs that are missing", len(set(outputs) - there), 0),
        ("outputs that cannot be decoded", sum(not decodes(path) for path in outputs), 0),
        ("outputs in an unexpected place", len(set(outputs) - wanted), 0),
        ("files nobody named", len(there - set(outputs)), 0),
        ("failures without a message", sum(e["status"] == "failed" and not e.get("message") for e in images), 0),
        ("tracebacks", done.errors.count("Traceback"), 0),
    ]


def checks_again(done: Finished, first: Finished, out: Path, before: dict[Path, bytes]) -> Checks:
    """The same run with --skip-existing: nothing is made twice, failures stay failures."""
    summary = done.summary
    return [
        ("again: exit code", done.code, 3),
        ("again: ok", summary.get("ok"), 0),
        ("again: skipped", summary.get("skipped"), first.summary.get("ok")),
        ("again: failed", summary.get("failed"), first.summary.get("failed")),
        ("again: files changed", int(_contents(out) != before), 0),
    ]


def _contents(out: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def decodes(path: Path) -> bool:
    """Whether a picture is whole."""
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True


def task_options(task: str, align: str, masks: Path) -> list[str]:
    """What the task needs besides inputs."""
    options = ["--align", align] if task in PHOTO_TASKS else []
    own: dict[str, Callable[[], list[str]]] = {
        "seg2face": lambda: list(LABELS),
        "superres": lambda: ["--factor", str(MIXED_FACTOR)],
        "inpaint": lambda: ["--mask", str(masks)],
        "mix": lambda: ["--name", "{stem}"],  # so that the outputs are called like the inputs
    }
    return options + own.get(task, list)()


def try_folder(faces: Faces, task: str, align: str, count: int, options: list[str]) -> Checks:
    """All checks of one task."""
    pictures = find_input(task)(faces)
    with tempfile.TemporaryDirectory() as name:
        root, masks, out = Path(name) / "in", Path(name) / "masks", Path(name) / "out"
        mixed = make_folder(root, masks, pictures, task, count)
        content = Path(name) / "content.png"  # mix puts the styles of the folder into one face
        content.write_bytes(encoded(pictures[0], "PNG"))
        subjects = [str(content), str(root)] if task == "mix" else [str(root)]
        arguments = [*subjects, "-r", "-o", str(out), *task_options(task, align, masks), *options]
        first = run_command(task, arguments)
        check_available(first)
        rows = checks(mixed, out, first)
        before = _contents(out)
        again = run_command(task, [*arguments, "--skip-existing"])
        return rows + checks_again(again, first, out, before)


def print_checks(task: str, rows: Checks) -> int:
    """One line for each; 1 if one fails."""
    for name, found, expected in rows:
        print(f"{'ok  ' if found == expected else 'FAIL'}  {name:42}  {found!s:>6}  expected {expected}")
    failed = sum(found != expected for _, found, expected in rows)
    print(f"{task}: {len(rows) - failed} of {len(rows)} checks hold")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shard", type=Path, required=True, help="a packed shard with pictures and label maps")
    parser.add_argument("--task", default="invert")
    parser.add_argument("--count", type=int, default=500, help="how many files")
    parser.add_argument("--align", choices=("auto", "always", "never"), default="never", help="of tasks on photographs")
    parser.add_argument("--option", action="append", default=[], help="a further option of the task; repeats")
    options = parser.parse_args()
    try:
        rows = try_folder(read_faces(options.shard, 40), options.task, options.align, options.count, options.option)
    except Unavailable as error:
        print(f"{options.task}: not available, {error}", file=sys.stderr)
        return 4
    return print_checks(options.task, rows)


if __name__ == "__main__":
    sys.exit(main())
