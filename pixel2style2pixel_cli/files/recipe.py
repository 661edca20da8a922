"""How an output was made, as JSON that is the same whenever the same thing is made again."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.strict_json import Json as Json
from pixel2style2pixel_cli.files.strict_json import parse_json
from pixel2style2pixel_cli.version import __version__

SCHEMA = 2  # 1 had mix_seed in the place of variant
_DISTRIBUTIONS = {"torch": ("torch",), "numpy": ("numpy",), "pillow": ("pillow",), "dlib": ("dlib-bin", "dlib")}
_SEPARATORS = re.compile(r"[/\\]")
_PLACE = re.compile(r"^(?:[/\\~]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|file:)")  # a path that says where, not a ratio or an id
_XMP = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/{kind}"
    xmp:CreatorTool="p2s2p"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def library_versions() -> dict[str, str]:
    """Versions of what shapes the pixels, from the installed distributions: nothing is imported for it."""
    return dict(_installed_versions())


@functools.cache
def _installed_versions() -> tuple[tuple[str, str], ...]:
    found = [("p2s2p", __version__)]
    for name, candidates in _DISTRIBUTIONS.items():
        for candidate in candidates:
            try:
                found.append((name, importlib.metadata.version(candidate)))
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Everything that decides an output's pixels; no time, no user, no folder.

    ``variant`` tells the pictures of one input apart: the seed of the style mixed in. ``matrix`` maps photograph pixels
    to pixels of a crop of ``crop_size``; of a photograph into which all its faces were put back, ``faces`` holds
    ``face``, ``matrix`` and ``crop_size`` of each. Places are cut down to base names on the way in, so that a recipe
    cannot tell where its maker keeps files.
    """

    command: str
    options: dict[str, Json]
    model: str
    weights_sha256: dict[str, str]
    seed: int
    input_name: str
    input_sha256: str
    variant: dict[str, Json] = field(default_factory=dict)
    face: int | None = None
    matrix: list[list[float]] | None = None
    crop_size: int | None = None
    faces: list[dict[str, Json]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=library_versions)
    synthetic: bool = True

    def __post_init__(self) -> None:
        name = _SEPARATORS.split(self.input_name)[-1]
        object.__setattr__(self, "input_name", name.encode("utf-8", "backslashreplace").decode("utf-8"))
        object.__setattr__(self, "model", _without_place(self.model))
        object.__setattr__(self, "options", {key: _without_place(value) for key, value in self.options.items()})
        if self.matrix is not None:
            object.__setattr__(self, "matrix", [[float(value) for value in row] for row in self.matrix])


def recipe_json(recipe: Recipe) -> str:
    """The recipe as compact ASCII JSON with sorted keys."""
    return json.dumps(
        {"schema": SCHEMA, **asdict(recipe)}, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def parse_recipe(text: str) -> Recipe:
    """Read a recipe again; keys of later versions are left out. Raises InputError when it is none of ours."""
    try:
        data: Any = parse_json(text)
    except ValueError as error:
        raise InputError(f"the recipe is not JSON: {error}", "the file was changed by another program") from error
    if not isinstance(data, dict) or not _is_kind(data.get("schema"), _NUMBER):
        raise InputError("the text is not a recipe of p2s2p", "only files written by p2s2p contain a recipe")
    if data["schema"] > SCHEMA:
        found = f"the recipe has schema {data['schema']}, and this version reads up to {SCHEMA}"
        raise InputError(found, "update p2s2p")
    missing = [name for name in _REQUIRED if name not in data]
    wrong = [name for name, kinds in _KINDS.items() if name in data and not _is_kind(data[name], kinds)]
    wrong += [name for name in ("weights_sha256", "versions") if not _holds_text(data.get(name, {}))]
    wrong += [] if _are_faces(data.get("faces", [])) else ["faces"]
    if missing or wrong:
        parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has a wrong {', '.join(wrong)}"] * bool(wrong)
        raise InputError(f"the recipe {' and '.join(parts)}", "the file was changed by another program")
    if data["schema"] == 1 and isinstance(data.get("mix_seed"), int):
        data["variant"] = {"mix_seed": data["mix_seed"]}
    return Recipe(**{name: data[name] for name in _KINDS if name in data}, faces=data.get("faces", []))


def xmp_packet(*, composite: bool = False) -> str:
    """XMP that marks generated media in the IPTC vocabulary; ``composite`` for a face put back into a photograph."""
    kind = "compositeWithTrainedAlgorithmicMedia" if composite else "trainedAlgorithmicMedia"
    return _XMP.format(kind=kind)


_TEXT, _NUMBER, _OPTIONAL_NUMBER = (str,), (int,), (int, type(None))
_KINDS: Mapping[str, tuple[type, ...]] = {
    "command": _TEXT,
    "options": (dict,),
    "model": _TEXT,
    "weights_sha256": (dict,),
    "seed": _NUMBER,
    "input_name": _TEXT,
    "input_sha256": _TEXT,
    "variant": (dict,),
    "face": _OPTIONAL_NUMBER,
    "matrix": (list, type(None)),
    "crop_size": _OPTIONAL_NUMBER,
    "versions": (dict,),
    "synthetic": (bool,),
}
_REQUIRED = ("command", "options", "model", "weights_sha256", "seed", "input_name", "input_sha256")


def _is_kind(value: object, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, list):
        return list in kinds and len(value) == 3 and all(_is_row(row) for row in value)
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _are_faces(value: object) -> bool:
    """Whether this lists faces: of each its number, and the matrix and size of its crop."""
    return isinstance(value, list) and all(
        isinstance(face, dict)
        and all(_is_kind(face.get(name), _KINDS[name]) for name in ("face", "matrix", "crop_size"))
        for face in value
    )


def _holds_text(value: object) -> bool:
    """Whether a dictionary has nothing but text in it; what is none is somebody else's to refuse."""
    return not isinstance(value, dict) or all(isinstance(item, str) for item in value.values())


def _is_row(row: object) -> bool:
    """Whether this is a row of a 3 x 3 matrix."""
    return isinstance(row, list) and len(row) == 3 and all(_is_kind(v, (int, float)) for v in row)


def _without_place(value: Json) -> Json:
    """Base names instead of paths that name a place on this machine, however deep; whole characters only."""
    if isinstance(value, str):
        base = _SEPARATORS.split(value.rstrip("/\\"))[-1] if _PLACE.match(value) else value
        return base.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_without_place(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_place(item) for key, item in value.items()}
    return value
