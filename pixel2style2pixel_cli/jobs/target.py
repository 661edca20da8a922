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
from pixel2style2pixel_cli.options.shared import ImageFormat
from pixel2style2pixel_cli.variants import Variant

Format = Literal["png", "jpg", "webp", "gif", "mp4"]

_FORMATS: dict[str, Format] = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}
_MOVING: dict[str, Format] = {".gif": "gif", ".mp4": "mp4"}


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
        return (_FORMATS | _MOVING)[self.suffix.lower()]


def choose_target(out: str | None, command: str, format: str, *, animates: bool = False) -> Target:
    """Decide what ``-o`` names; raises UsageError for what cannot be written. ``animates``: animations can."""
    known = _FORMATS | _MOVING if animates else _FORMATS
    if format not in known.values():
        raise UsageError(f"unknown format {format!r}", f"use --format {_listed(list(dict.fromkeys(known.values())))}")
    if out is None:
        return _folder(os.path.join(DEFAULT_FOLDER, command), format)
    if not out.strip() or "\0" in out:
        raise UsageError("the output is an empty name", "name a folder or a file after -o")
    if out == "-":
        return Target(kind="stdout", folder="", stem="-", suffix=".png")
    stem, suffix = os.path.splitext(os.path.basename(out))
    if (
        out.endswith(("/", os.sep))
        or os.path.isdir(out)
        or suffix.lower() not in {*_FORMATS, *_MOVING, *IMAGE_SUFFIXES}
    ):
        return _folder(out, format)
    if suffix.lower() not in known:
        what = f"{command} draws no animation, so {display(out)}" if suffix.lower() in _MOVING else display(out)
        listed = _listed([ending for ending in known if ending != ".jpeg"])
        raise UsageError(f"pictures of kind {suffix} cannot be written: {what}", f"use {listed}")
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


def still(format: Format) -> ImageFormat:
    """The format as that of a single picture."""
    if format == "gif" or format == "mp4":
        raise TypeError(f"a single picture is not written as {format}")
    return format


def frames_of(target: Target, variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """The variants that become one animation: where the format only moves, or can and there are several."""
    moves = target.suffix.lower() in _MOVING or (target.format == "webp" and len(variants) > 1)
    return tuple(variants) if moves else ()


def check_animation(target: Target, *, latents: bool, joined: bool, companions: Sequence[str]) -> None:
    """Raise UsageError for what an animation does not go with, MissingError where a video cannot be written."""
    if latents:
        raise UsageError("an animation has no one code to save", "save the frames with their codes: --format png")
    if joined:
        raise UsageError(
            "several faces cannot be animated in one photograph", "choose one with --face, or --format png"
        )
    if companions:
        raise UsageError(
            "comparisons and other pictures beside each output are not made of an animation",
            "use --format png or jpg, or leave out --grid, --preview-input and --debug-align",
        )
    if target.format == "mp4":
        from pixel2style2pixel_cli.files.animation import require_video

        require_video()


def shared_paths(target: Target, stems: Sequence[str], shard: tuple[int, int] | None) -> list[str]:
    """Paths of files made once for the run; shards must not write the same one."""
    before = f"{target.stem}_" if target.kind == "file" else ""
    after = "" if shard is None else f"_{shard[0]}of{shard[1]}"
    return [os.path.join(target.folder, f"{before}{stem}{after}{target.suffix}") for stem in stems]


def _folder(out: str, format: str) -> Target:
    if os.path.lexists(out) and not os.path.isdir(out):
        raise UsageError(f"{display(out)} is a file, and a folder is needed", "name another folder after -o")
    return Target(kind="folder", folder=out, stem="", suffix=f".{format}")


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
