"""Planned outputs against each other, against the inputs, and against what is on the disk."""

# Strings and os.path: a plan may hold 100 000 paths, and a Path for each step would cost seconds.
# ruff: noqa: PTH112, PTH116, PTH118, PTH122, PTH208

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.files.paths import display, fold, ignores_case, nearest_existing
from pixel2style2pixel_cli.jobs.expand import Source
from pixel2style2pixel_cli.jobs.finished import Finished
from pixel2style2pixel_cli.jobs.naming import OutputNames
from pixel2style2pixel_cli.options.task import Existing
from pixel2style2pixel_cli.variants import Variant

_PROBE = 987654321  # stands for any face number while existing outputs are looked for
_DIGITS = re.compile(r"[0-9]+")


@dataclass(kw_only=True, slots=True)
class Draft:
    """A plan item while its names may still change.

    ``endings`` are the files that each picture consists of, ``once`` those that the input has once. ``present`` are
    the existing files of one that is to be completed.
    """

    index: int
    source: Source
    names: OutputNames
    endings: tuple[str, ...]
    once: tuple[str, ...]
    variants: tuple[Variant, ...]
    problem: str | None
    hint: str
    done: bool = False
    present: Sequence[str] = ()

    files: list[str] = field(default_factory=list)  # planned for the first face

    def __post_init__(self) -> None:
        self.take(self.names)

    def take(self, names: OutputNames) -> None:
        """Go by these names from now on."""
        self.names = names
        self.files = names.files(self.variants, self.endings, self.once)


@dataclass(slots=True)
class Disk:
    """Existing files, one listing a folder: asking for each path by itself would take minutes on a network disk."""

    _names: dict[str, set[str] | None] = field(default_factory=dict)
    _faces: dict[str, dict[tuple[str, str], list[str]]] = field(default_factory=dict)

    def has(self, path: str) -> bool:
        """Whether something is there under this name, whatever spelling the file system takes for the same."""
        folder, name = os.path.split(path)
        names = self._listing(folder)
        return (names is None or fold(name) in names) and os.path.lexists(path)

    def faces(self, draft: Draft) -> dict[int, str]:
        """A file of each face of this input that has one, by the number of the face: its picture, if it has its own."""
        names, endings = draft.names, (draft.names.suffix, *draft.endings, *draft.once)
        ending = next((ending for ending in endings if not names.joins(ending)), None)
        if ending is None:
            return {}
        path = names.path(ending, face=_PROBE, variant=draft.variants[0])
        folder, name = os.path.split(path)
        before, found, after = fold(name).partition(str(_PROBE))
        if not found:
            return {}
        if folder not in self._faces:
            self._faces[folder] = {}
            for listed in self._listing(folder) or ():
                for match in _DIGITS.finditer(listed):
                    around = listed[: match.start()], listed[match.end() :]
                    self._faces[folder].setdefault(around, []).append(match[0])
        numbers = self._faces[folder].get((before, after), [])
        return {int(number): os.path.join(folder, before + number + after) for number in numbers}

    def _listing(self, folder: str) -> set[str] | None:
        """Folded names in a folder; None when it cannot be listed and each path must be asked for."""
        if folder not in self._names:
            try:
                self._names[folder] = {fold(name) for name in os.listdir(folder or ".")}
            except (FileNotFoundError, NotADirectoryError):
                self._names[folder] = set()
            except OSError:
                self._names[folder] = None
        return self._names[folder]


def refuse_collisions(drafts: Sequence[Draft], common: Sequence[str], folder: str) -> set[str]:
    """Refuse two inputs on one output; returns all paths taken, folded."""
    owners = dict.fromkeys(common, "the sheet of this run")
    folded = {fold(path): path for path in common}
    sheet = _any_page(common[0]) if common else None
    caseless: bool | None = None
    clashes: list[tuple[str, str, str]] = []
    for draft in drafts:
        if draft.problem is not None:
            continue
        for path in draft.files:
            key = fold(path)
            twin = path if path in owners else folded.get(key)
            if twin is None and sheet is not None and sheet.fullmatch(key):
                twin = common[0]
            if twin is not None and twin not in (path, *common) and caseless is None:
                caseless = ignores_case(folder)
            if twin is not None and (twin in (path, *common) or caseless):
                clashes.append((path, owners[twin], draft.source.label))
                break
            owners[path] = draft.source.label
            folded[key] = path
    if clashes:
        path, first, second = clashes[0]
        more = f", and {len(clashes) - 1} more such cases" if len(clashes) > 1 else ""
        hint = "tell them apart with --name '{stem}_{index}', or run them separately with another -o each"
        raise UsageError(f"{first} and {second} would both be written to {display(path)}{more}", hint)
    return set(folded)


def _any_page(first: str) -> re.Pattern[str]:
    """The folded paths of all pages of a sheet but the first, however many there will be."""
    stem, suffix = os.path.splitext(fold(first))
    return re.compile(rf"{re.escape(stem)}_[0-9]+{re.escape(suffix)}")


def settle_existing(
    drafts: Sequence[Draft],
    common: list[str],
    existing: Existing,
    claimed: set[str],
    inputs: Iterable[str | None],
    finished: Finished,
) -> list[str]:
    """Apply ``--existing`` to drafts and to the shared files; returns the latter, perhaps renamed."""
    disk = Disk()
    present: list[str] = []
    for draft in drafts:
        if draft.problem is not None:
            continue
        there = [path for path in draft.files if disk.has(path)]
        faces = disk.faces(draft) if draft.names.many_faces else {}
        if existing == "rename" and (there or faces):
            _rename(draft, disk, claimed)
            continue
        if existing == "skip" and (there or faces):
            there = [*there, *_files_of_faces(draft, disk, faces)]
            draft.done = finished.has_all(draft.names, there, faces)
            draft.present = () if draft.done else there
        present += there or list(faces.values())[:1]
    if existing == "rename":
        return [_free_path(path, disk, claimed) if _pages(path, disk) else path for path in common]
    pages = [path for first in common for path in _pages(first, disk)]
    if existing == "skip":
        finished.replaced += pages
    present += pages
    _refuse_inputs(present, inputs)
    if existing == "error" and present:
        shown = ", ".join(display(path) for path in present[:3])
        count = "1 output exists" if len(present) == 1 else f"{len(present)} outputs exist"
        more = " ..." if len(present) > 3 else ""
        hint = "choose --skip-existing (resume), --overwrite, --existing rename, or another -o"
        raise UsageError(f"{count} already: {shown}{more}", hint)
    return common


def refuse_unwritable(folders: Iterable[str]) -> None:
    """Raise UsageError unless every folder can be made and written to."""
    checked: set[str] = set()
    for folder in folders:
        place = nearest_existing(folder or ".")
        if place in checked:
            continue
        checked.add(place)
        if not os.path.isdir(place):
            raise UsageError(f"{display(place)} is not a folder, and one is needed there", "name another one after -o")
        if not os.access(place, os.W_OK | os.X_OK):
            shown = display(folder or ".")
            raise UsageError(f"not permitted to write into {shown}", "name a folder you may write to after -o")


def _files_of_faces(draft: Draft, disk: Disk, faces: Iterable[int]) -> list[str]:
    """The existing files of these faces of an input, but for those of the first one."""
    planned = [draft.names.files(draft.variants, draft.endings, draft.once, face=face) for face in faces if face]
    return [path for files in planned for path in files if disk.has(path)]


def _rename(draft: Draft, disk: Disk, claimed: set[str]) -> None:
    original, number = draft.names, 0
    while True:
        number += 1
        draft.take(original.numbered(number))
        free = not any(fold(path) in claimed or disk.has(path) for path in draft.files)
        if free and not (original.many_faces and disk.faces(draft)):
            claimed.update(fold(path) for path in draft.files)
            return


def _pages(first: str, disk: Disk) -> list[str]:
    """The existing ones of ``sheet.png``, ``sheet_2.png`` and so on: of a run that had more to show than fits one."""
    stem, suffix = os.path.splitext(first)
    later = itertools.takewhile(disk.has, (f"{stem}_{number}{suffix}" for number in itertools.count(2)))
    return [*([first] if disk.has(first) else []), *later]


def _free_path(path: str, disk: Disk, claimed: set[str]) -> str:
    stem, suffix = os.path.splitext(path)
    number = 1
    while fold(candidate := f"{stem}-{number}{suffix}") in claimed or _pages(candidate, disk):
        number += 1
    claimed.add(fold(candidate))
    return candidate


def _refuse_inputs(present: Sequence[str], inputs: Iterable[str | None]) -> None:
    """An output that is an input, by whatever path, link or spelling, must exist: so only those are compared."""
    if not present:
        return
    known: dict[tuple[int, int] | str, str] = {}
    for path in inputs:
        if path is not None and (look := _identity(path)) is not None:
            known[look[0]] = path
    for path in present:
        look = _identity(path)
        if look is None:
            continue
        if look[1]:
            raise UsageError(f"{display(path)} is a folder, and a file is to be written there", "choose another -o")
        if look[0] in known:
            same = display(known[look[0]])
            which = "an input" if same == display(path) else f"the input {same}"
            raise UsageError(f"the output {display(path)} is {which}", "inputs are never changed: choose another -o")


def _identity(path: str) -> tuple[tuple[int, int] | str, bool] | None:
    """What two spellings of one file have in common, and whether it is a folder; None when it cannot be reached."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    is_folder = stat.S_ISDIR(found.st_mode)
    if found.st_ino == 0:  # some Windows file systems number nothing
        return os.path.normcase(os.path.realpath(path)), is_folder
    return (found.st_dev, found.st_ino), is_folder
