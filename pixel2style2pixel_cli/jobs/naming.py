"""Names of output files: the ``--name`` template, and what faces, variants and renaming append to it."""

# Strings and os.path: a plan may hold 100 000 paths, and a Path for each step would cost seconds.
# ruff: noqa: PTH117, PTH118, PTH122

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.variants import SINGLE, Variant

ROW = "_row"  # ends the name of what shows all pictures of a face

FIELDS = ("stem", "command", "model", "seed", "mix_seed", "index", "face")
_NUMBERS = ("seed", "index", "face")
_ABSENT: dict[str, str | int] = {"mix_seed": "none"}  # what a field shows that this variant has no value for
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".mp4"}
_UNSAFE = re.compile(r"[/\\\0]")


@dataclass(frozen=True, slots=True)
class NameTemplate:
    """A checked template; ``text`` has the form of ``str.format``."""

    text: str
    fields: frozenset[str]

    def render(self, values: Mapping[str, str | int | float]) -> str:
        """The name without suffix for these values; text values must not cross folders."""
        if self.text == "{stem}":
            return str(values["stem"])
        return self.text.format_map({name: _safe(value) for name, value in values.items()})


def parse_template(text: str, suffix: str, own: Sequence[str] = ()) -> NameTemplate:
    """Check a template; a suffix equal to the output's own is dropped. ``own`` are fields that only this task has.

    Raises UsageError naming what is wrong.
    """
    ending = os.path.splitext(text)[1].lower()
    if ending in _PICTURES:
        if ending != suffix and {ending, suffix} != {".jpg", ".jpeg"}:
            hint = f"leave the suffix out and say --format {ending[1:].replace('jpeg', 'jpg')}"
            raise UsageError(f"the name {text!r} ends in {ending}, but the outputs are {suffix[1:]}", hint)
        text = text[: -len(ending)]
    parts = _split(text)
    fields = [name for _, name, _ in parts if name is not None]
    names = (*FIELDS, *own)
    unknown = sorted({name for name in fields if name not in names})
    known = " ".join(f"{{{name}}}" for name in names)
    if unknown:
        named = ", ".join(f"{{{name}}}" for name in unknown)
        raise UsageError(f"unknown field {named} in the name {text!r}", f"known fields: {known}")
    _check_face_stands_apart(text, parts)
    template = NameTemplate(text, frozenset(fields))
    _check_rendering(template, names, known)
    return template


def _safe(value: str | int | float) -> str | int | float:
    return _UNSAFE.sub("_", value) if isinstance(value, str) and _UNSAFE.search(value) else value


def _split(text: str) -> list[tuple[str, str | None, str]]:
    """Literal text, field name, format of each part."""
    try:
        parts = [(literal, name, spec or "") for literal, name, spec, _ in string.Formatter().parse(text)]
    except ValueError as error:
        raise UsageError(f"the name {text!r} cannot be read: {error}", "write a brace itself as {{ or }}") from error
    if any("{" in spec for _, _, spec in parts):
        raise UsageError(f"the name {text!r} has a field inside a field", "use plain fields such as {index:04d}")
    return parts


def _check_face_stands_apart(text: str, parts: list[tuple[str, str | None, str]]) -> None:
    """Without a separator face 1 of ``a1`` and face 11 of ``a`` would be one file, which no plan could foresee."""
    for i, (before, name, _) in enumerate(parts):
        if name != "face":
            continue
        left = before[-1:] or ("{" if i else "")
        right = (parts[i + 1][0][:1] or "{") if i + 1 < len(parts) else ""
        if any(side == "{" or side.isdigit() for side in (left, right) if side):
            raise UsageError(f"the field {{face}} touches a number or another field in {text!r}", "try {stem}_{face}")


def _check_rendering(template: NameTemplate, names: Sequence[str], known: str) -> None:
    sample: dict[str, str | int] = {name: 1 if name in _NUMBERS else "a" for name in names}
    try:
        name = template.render(sample)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"the name {template.text!r} cannot be filled in: {error}", f"known fields: {known}"
        ) from error
    pieces = name.replace("\\", "/").split("/")
    if os.path.isabs(name) or any(piece.strip() in ("", ".", "..") for piece in pieces) or "\0" in name:
        raise UsageError(f"the name {template.text!r} does not give a file below the output folder", "try {stem}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputNames:
    """Every output path of one input; ``number`` is what ``--existing rename`` appends, 0 for nothing.

    ``joined``: all faces are in one picture, and only the files beside it are of one face each.
    """

    folder: str
    template: NameTemplate
    values: dict[str, str | int]
    suffix: str
    many_faces: bool
    face: int
    number: int = 0
    joined: bool = False

    def numbered(self, number: int) -> OutputNames:
        """The same names with ``-number`` appended."""
        return replace(self, number=number)

    def base(self, *, face: int | None = None, variant: Variant = SINGLE, joined: bool = False) -> str:
        """Path without any ending, which the files of one picture have in common; ``joined`` of all faces."""
        number = self.face if face is None or not self.many_faces else face
        fields = self.template.fields
        if fields == {"stem"}:
            name = self.template.render(self.values)
        else:
            name = self.template.render({**self.values, "face": number, **_ABSENT, **variant.values})
        if self.number:
            name += f"-{self.number}"
        if self.many_faces and "face" not in fields and not joined:
            name += f"_face{number}"
        if variant.key and fields.isdisjoint(variant.values):
            name += f"_{variant.key}"
        return os.path.join(self.folder, name)

    def path(self, ending: str, *, face: int | None = None, variant: Variant = SINGLE) -> str:
        """Path of one file; ``ending`` is a suffix such as ``.safetensors`` or ``_pair.png``."""
        return self.base(face=face, variant=variant, joined=self.joins(ending)) + ending

    def joins(self, ending: str) -> bool:
        """Whether a file with this ending is of all faces."""
        return self.joined and ending == self.suffix

    def files(
        self, variants: Sequence[Variant], endings: Sequence[str], once: Sequence[str], *, face: int | None = None
    ) -> list[str]:
        """Paths of all files of one face: these endings of each picture, and those that there are once."""
        if self.joined:
            paths = [self.path(end, face=face, variant=variant) for variant in variants for end in endings]
            return paths + [self.path(end, face=face) for end in once]
        bases = [self.base(face=face, variant=variant) for variant in variants]
        return [base + end for base in bases for end in endings] + [self.base(face=face) + end for end in once]

    def picture(self, *, face: int | None = None, variant: Variant = SINGLE) -> Path:
        """Path of the picture itself."""
        return Path(self.path(self.suffix, face=face, variant=variant))
