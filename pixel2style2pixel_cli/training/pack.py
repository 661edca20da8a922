"""Packing: folders of pictures, and of what belongs to them, into a few ``.npz`` shards that training reads fast.

The same data give the same bytes. A shard is there in full or not at all, and what is there already is not made again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent, Progress
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.image import encode_image, read_image
from pixel2style2pixel_cli.files.source import most_bytes, read_bytes
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK_19, LabelSchema, find_schema, resize_labels
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.training.gather import PartnerFolders, gather
from pixel2style2pixel_cli.training.partners import (
    PARTNERS,
    PartnerKind,
    Pixels,
    cut_square,
    read_hole,
    read_label_map,
    square,
)
from pixel2style2pixel_cli.training.shards import Entry, read_packed, shard_bytes

MOST_PIXELS = 200_000_000
TRIED_AT = 128  # pixels at which drawings and masks are tried where no size is asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Packing:
    """How pictures are packed.

    ``size``: the side they are brought to, None leaves them as they are. ``crop``: what is not square is cut to the
    square in its middle. ``shard``: pictures a file.
    """

    size: int | None = None
    crop: bool = False
    shard: int = 1000


@dataclass(frozen=True, slots=True)
class _Shard:
    path: Path
    entries: Sequence[Entry]


def partner_folders(schema: str | None, **named: Sequence[str | Path] | None) -> list[PartnerFolders]:
    """The folders of partners that are named, by their kinds; label maps without a ``schema`` are CelebAMask-HQ's."""
    if schema is not None and not named.get("labels"):
        raise UsageError("--labels names the schema of label maps, and there are none", "add --label-maps DIR")
    meant = CELEBAMASK_19 if schema is None else find_schema(schema)
    found = []
    for kind in PARTNERS:
        if folders := named.get(kind):
            found.append(PartnerFolders(kind=kind, folders=tuple(map(Path, folders)), schema=meant))
    return found


def pack(
    data: Sequence[Path],
    out: Path,
    *,
    partners: Sequence[PartnerFolders],
    packing: Packing,
    overwrite: bool,
    on_event: OnEvent,
) -> dict[str, Any]:
    """Write the shards that are not there yet; how many pictures they hold, and how many could not be used.

    Raises UsageError where a shard in the folder was packed from other data, unless it may be overwritten.
    """
    if any(out.resolve() == folder.resolve() for folder in data):
        raise UsageError(f"{out} holds the pictures, and the shards would lie among them", "choose another --out")
    inside = any(folder.resolve() in out.resolve().parents for folder in data)
    found = gather(data, out if inside else None, partners)
    for sentence in found.left_out:
        on_event(Notice(message=sentence, level="warning"))
    packed = [entry.name for entry in found.entries if not isinstance(entry.content, Path)]
    if packed:
        raise UsageError(f"{packed[0].split('.npz')[0]}.npz is a packed shard already", "give folders of pictures")
    step, schema = packing.shard, _schema(partners)
    shards = [
        _Shard(out / f"shard-{number:05d}.npz", found.entries[first : first + step])
        for number, first in enumerate(range(0, len(found.entries), step))
    ]
    _refuse_others(out, shards, overwrite)
    pictures, done, made = 0, 0, 0
    left_out: list[str] = []
    for shard in shards:
        stamp = _stamp(shard.entries, packing, schema)
        there = read_packed(shard.path)
        if there is None or there.made_from != stamp:
            if shard.path.exists() and not overwrite:
                raise UsageError(
                    f"{shard.path} was packed from other data, or in another way",
                    "choose another --out, or type --overwrite",
                )
            count, problems = _write(shard, packing, schema, stamp, on_event)
            made += 1
        else:
            count, problems = there.pictures, list(there.left_out)
            for problem in problems:
                on_event(Notice(message=f"left out, cannot be used: {problem}", level="warning"))
        pictures, left_out, done = pictures + count, left_out + problems, done + len(shard.entries)
        on_event(Progress(done=done, total=len(found.entries), label="packing"))
    if not pictures:
        raise UsageError(f"none of the {done} pictures can be used: {left_out[0]}", "correct them, or add --crop")
    return {
        "pictures": pictures,
        "left_out": len(left_out),
        "unpaired": found.unpaired,
        "beside": [PARTNERS[rows.kind].several for rows in partners],
        "shards": len(shards),
        "written": made,
        "bytes": sum(shard.path.stat().st_size for shard in shards),
        "folder": str(out),
    }


def _schema(partners: Sequence[PartnerFolders]) -> LabelSchema:
    return next((rows.schema for rows in partners if rows.kind == "labels"), CELEBAMASK_19)


def _refuse_others(out: Path, shards: Sequence[_Shard], overwrite: bool) -> None:
    """Raise UsageError for shards beyond those that will be written; they are removed where that is allowed."""
    spare = sorted(set(out.glob("shard-*.npz")) - {shard.path for shard in shards})
    if spare and not overwrite:
        raise UsageError(
            f"{out} holds {spare[0].name}, which these data do not fill", "choose another --out, or type --overwrite"
        )
    for path in spare:
        path.unlink()


def _stamp(entries: Sequence[Entry], packing: Packing, schema: LabelSchema) -> str:
    """Names what a shard is packed from: names and contents of the files, and how they are packed."""
    rows = [[e.key, _digest(e.content), {kind: _digest(c) for kind, c in sorted(e.partners.items())}] for e in entries]
    text = json.dumps([{**asdict(packing), "shard": 0}, schema.name, rows], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(content: Path | Any) -> str:
    assert isinstance(content, Path)  # packed shards are not packed again
    try:
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # reading it will name it


def _write(
    shard: _Shard, packing: Packing, schema: LabelSchema, stamp: str, on_event: OnEvent
) -> tuple[int, list[str]]:
    """One shard: how many pictures it holds, and what was wrong with the others."""
    pictures: list[bytes] = []
    names: list[str] = []
    kinds = tuple(shard.entries[0].partners)
    beside: dict[PartnerKind, list[bytes]] = {kind: [] for kind in kinds}
    problems: list[str] = []
    for entry in shard.entries:
        try:
            picture, partners = _packed(entry, packing, schema)
        except InputError as error:
            problems.append(error.message)
            on_event(Notice(message=f"left out, cannot be used: {error.message}", level="warning"))
            continue
        pictures.append(picture)
        names.append(entry.key)
        for kind in kinds:
            beside[kind].append(partners[kind])
    write_atomic(shard.path, shard_bytes(pictures, names, beside, made_from=stamp, left_out=problems))
    return len(pictures), problems


def _packed(entry: Entry, packing: Packing, schema: LabelSchema) -> tuple[bytes, Mapping[PartnerKind, bytes]]:
    """The bytes of a picture and of what belongs to it; InputError where one of them cannot be used."""
    assert isinstance(entry.content, Path)
    partners: dict[PartnerKind, bytes] = {}
    for kind, content in entry.partners.items():
        assert isinstance(content, Path)
        name = str(content)
        if kind == "labels":
            partners[kind] = _map_bytes(read_label_map(content, name, schema), packing, name)
        elif kind == "mask":
            partners[kind] = _map_bytes(read_hole(content, name) * np.uint8(255), packing, name)
        else:  # a small picture stays as small as it is: it is made large for the encoder
            partners[kind] = _picture_bytes(content, None if kind == "small" else packing.size, packing.crop)
        PARTNERS[kind].read(partners[kind], name, packing.size or TRIED_AT)
    return _picture_bytes(entry.content, packing.size, packing.crop), partners


def _picture_bytes(path: Path, size: int | None, crop: bool) -> bytes:
    """A picture as it is where nothing about it changes, else as PNG."""
    name = str(path)
    data = read_bytes(path, name, most=most_bytes(MOST_PIXELS))
    pixels = read_image(data, name=name).pixels
    cut = cut_square(pixels) if crop else square(pixels, name)
    if cut is pixels and size in (None, len(cut)):
        return data
    return encode_image(resize_photo(cut, size or len(cut)), "png")


def _map_bytes(map_HW: Pixels, packing: Packing, name: str) -> bytes:
    """A map of one channel as PNG, enlarged or reduced without new values."""
    cut = cut_square(map_HW) if packing.crop else square(map_HW, name)
    stream = io.BytesIO()
    Image.fromarray(resize_labels(cut, packing.size or len(cut), name=name)).save(stream, "PNG")
    return stream.getvalue()
