"""What ``-o`` means: a folder, one file, or standard output."""

# Strings and os.path: a plan may hold 100 000 paths, and a Path for each step would cost seconds.
# ruff: noqa: PTH112, PTH118, PTH119, PTH120, PTH122

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.suffixes import IMAGE_SUFFIXES
from pixel2style2pixel_cli.jobs.expand import DEFAULT_FOLDER

Format = Literal["png", "jpg", "webp"]

_FORMATS: dict[str, Format] = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where pictures go; ``stem`` names the one file, ``suffix`` is as typed."""

    kind: Literal["folder", "file", "stdout"]
    folder: str
    stem: str
    suffix: str

    @property
    def format(self) -> Format:
        """The encoding that the suffix asks for."""
        return _FORMATS[self.suffix.lower()]


def choose_target(out: str | None, command: str, format: str) -> Target:
    """Decide what ``-o`` names; raises UsageError for what cannot be written."""
    if format not in _FORMATS.values():
        raise UsageError(f"unknown format {format!r}", "use --format png, jpg or webp")
    if out is None:
        return _folder(os.path.join(DEFAULT_FOLDER, command), format)
    if not out.strip() or "\0" in out:
        raise UsageError("the output is an empty name", "name a folder or a file after -o")
    if out == "-":
        return Target(kind="stdout", folder="", stem="-", suffix=".png")
    stem, suffix = os.path.splitext(os.path.basename(out))
    if out.endswith(("/", os.sep)) or os.path.isdir(out) or suffix.lower() not in {*_FORMATS, *IMAGE_SUFFIXES}:
        return _folder(out, format)
    if suffix.lower() not in _FORMATS:
        raise UsageError(f"pictures of kind {suffix} cannot be written: {display(out)}", "use .png, .jpg or .webp")
    return Target(kind="file", folder=os.path.dirname(out), stem=stem, suffix=suffix)


def check_single(target: Target, count: int, *, many: bool, beside: bool) -> None:
    """One file or standard output takes one input; standard output one picture, and no file ``beside`` it."""
    if target.kind == "folder":
        return
    if count != 1:
        name = display(os.path.join(target.folder, target.stem + target.suffix))
        what = "standard output takes" if target.kind == "stdout" else f"the output {name} is a file for"
        raise UsageError(f"{what} one input, and there are {count}", "name a folder after -o")
    if target.kind == "stdout" and (many or beside):
        what = "several of them" if many else "further files"
        raise UsageError(f"standard output takes one picture, not {what}", "name a folder after -o")


def shared_paths(target: Target, stems: Sequence[str], shard: tuple[int, int] | None) -> list[str]:
    """Paths of files made once for the run; shards must not write the same one."""
    before = f"{target.stem}_" if target.kind == "file" else ""
    after = "" if shard is None else f"_{shard[0]}of{shard[1]}"
    return [os.path.join(target.folder, f"{before}{stem}{after}{target.suffix}") for stem in stems]


def _folder(out: str, format: str) -> Target:
    if os.path.lexists(out) and not os.path.isdir(out):
        raise UsageError(f"{display(out)} is a file, and a folder is needed", "name another folder after -o")
    return Target(kind="folder", folder=out, stem="", suffix=f".{format}")
