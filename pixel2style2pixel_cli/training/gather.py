"""Which files below some folders are training pictures, and which files of two folders belong together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.files.image import looks_like_image
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK_19, LabelSchema
from pixel2style2pixel_cli.training.log import LOG_FILE
from pixel2style2pixel_cli.training.partners import PARTNERS, PartnerKind
from pixel2style2pixel_cli.training.shards import DATA_HINT, SHARD_SUFFIX, Entry, read_shard

T = TypeVar("T")

RUN_MARKS = frozenset({"checkpoint.safetensors", LOG_FILE})  # in every folder that a training has begun to fill
NAMED = 5  # of files that are left out
PAIR_HINT = "partners have the same path below their folder, with any suffix: photos/a/1.jpg and maps/a/1.png"


@dataclass(frozen=True, kw_only=True, slots=True)
class PartnerFolders:
    """Folders of one kind of partner, the first for the first folder of pictures, and so on.

    ``schema``: what the numbers in label maps mean.
    """

    kind: PartnerKind
    folders: tuple[Path, ...]
    schema: LabelSchema = CELEBAMASK_19


@dataclass(frozen=True, slots=True)
class Gathered:
    """The pictures that can be used, and a sentence on each group of files that were left out."""

    entries: list[Entry]
    left_out: list[str]
    unpaired: int = 0


def gather(paths: Sequence[Path], out: Path | None, partners: Sequence[PartnerFolders] = ()) -> Gathered:
    """Every picture below some paths, with its partners; UsageError where there are none, or no pairs.

    A picture without one of its partners is left out, and so is a partner without a picture.
    """
    entries: list[Entry] = []
    left_out: list[str] = []
    unpaired = 0
    for rows in partners:
        _check_folders(paths, rows)
    for number, path in enumerate(paths):
        found = _entries(path, out, [rows.folders[number] for rows in partners])
        for rows in partners:
            matched = _matched(found, path, rows.folders[number], rows.kind, out)
            found = matched.entries
            left_out += matched.left_out
            unpaired += matched.unpaired
        entries += found
    if not entries:
        raise UsageError(f"no pictures in {', '.join(map(str, paths))}", DATA_HINT)
    return Gathered(entries, left_out, unpaired)


def name_some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _entries(path: Path, out: Path | None, not_below: Sequence[Path]) -> list[Entry]:
    if not path.exists():
        raise UsageError(f"no training data at {path}", DATA_HINT)
    found: list[Entry] = []
    for file in files_below(path, out, not_below) if path.is_dir() else [path]:
        key = file.relative_to(path).as_posix() if path.is_dir() else file.name
        if file.suffix == SHARD_SUFFIX:
            if not_below:
                raise UsageError(
                    f"{file} is a packed shard, which holds the partners of its pictures itself",
                    "leave out the folder of partners, or give a folder of pictures",
                )
            found += read_shard(file, key)
        elif looks_like_image(file):
            found.append(Entry(str(file), key, file))
    return found


def _matched(found: Sequence[Entry], data: Path, folder: Path, kind: PartnerKind, out: Path | None) -> Gathered:
    """The pictures that have a partner in the folder."""
    row = PARTNERS[kind]
    if not folder.is_dir():
        raise UsageError(f"no folder of {row.several} at {folder}", "check the spelling of the path")
    files = [file for file in files_below(folder, out, [data]) if looks_like_image(file)]
    beside = _by_stem({file.relative_to(folder).as_posix(): file for file in files}, folder)
    pictures = _by_stem({entry.key: entry for entry in found}, data)
    paired = [
        replace(entry, partners={**entry.partners, kind: beside[stem]})
        for stem, entry in pictures.items()
        if stem in beside
    ]
    alone = [entry.key for stem, entry in pictures.items() if stem not in beside]
    spare = [file.relative_to(folder).as_posix() for stem, file in beside.items() if stem not in pictures]
    left_out = []
    if alone:
        left_out.append(f"without a {row.one} in {folder}: {_counted(alone, 'picture', 'pictures')}")
    if spare:
        left_out.append(f"without a picture in {data}: {_counted(spare, row.one, row.several)}")
    if not paired:
        raise UsageError(f"no picture has a {row.one}; {'; '.join(left_out) or f'{data} is empty'}", PAIR_HINT)
    return Gathered(paired, [f"left out, {sentence}" for sentence in left_out], len(alone) + len(spare))


def _counted(names: Sequence[str], one: str, several: str) -> str:
    return f"{len(names)} {one if len(names) == 1 else several} ({name_some(names)})"


def _by_stem(named: dict[str, T], folder: Path) -> dict[str, T]:
    """Files by their path below the folder without the suffix; UsageError where two share one."""
    found: dict[str, T] = {}
    first: dict[str, str] = {}
    for key, value in named.items():
        stem = key[: len(key) - len(Path(key).suffix)]
        if stem in found:
            raise UsageError(
                f"{first[stem]} and {key} in {folder} differ in nothing but their suffix, so pairs are not clear",
                "remove or rename one of them",
            )
        found[stem], first[stem] = value, key
    return found


def _check_folders(paths: Sequence[Path], rows: PartnerFolders) -> None:
    several = PARTNERS[rows.kind].several
    if len(rows.folders) != len(paths):
        raise UsageError(
            f"{len(paths)} folders of pictures and {len(rows.folders)} of {several}, expected one for each",
            "name both in the same order",
        )
    for data, folder in zip(paths, rows.folders, strict=True):
        if data.resolve() == folder.resolve():
            raise UsageError(f"{folder} is the folder of the pictures itself", f"name the folder of the {several}")


def files_below(folder: Path, out: Path | None, not_below: Sequence[Path] = ()) -> list[Path]:
    """The files of a folder of data, sorted; UsageError where it is the run folder, or cannot be read.

    Hidden files and folders are left out, and so are run folders, ``out`` and what lies below ``not_below``.
    """
    left_out = None if out is None else out.resolve()
    if left_out is not None and (folder.resolve() == left_out or left_out in folder.resolve().parents):
        raise UsageError(
            f"{folder} is the run folder: its sample sheets would become data", "choose another --out, or other data"
        )
    others = {left_out, *(path.resolve() for path in not_below)}

    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename} cannot be read: {error.strerror}", DATA_HINT) from error

    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        here = Path(place)
        if here != folder and (here.resolve() in others or not RUN_MARKS.isdisjoint(names)):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [here / name for name in names if not name.startswith(".")]
    return sorted(found)
