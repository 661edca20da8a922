"""Inputs as typed become a list of sources: files, folders, patterns, ``-``, ``@list.txt``."""

# Strings and os.path: a plan may hold 100 000 paths, and a Path for each step would cost seconds.
# ruff: noqa: PTH100, PTH109, PTH114, PTH116, PTH118, PTH119, PTH120, PTH122, PTH207

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.files.glance import glance
from pixel2style2pixel_cli.files.paths import display, natural_key
from pixel2style2pixel_cli.files.source import read_bytes
from pixel2style2pixel_cli.files.suffixes import IMAGE_SUFFIXES
from pixel2style2pixel_cli.weights.latents import LATENT_SUFFIX

DEFAULT_FOLDER = "p2s2p-out"
LONGEST_LIST = 64_000_000  # bytes
_MAGIC = re.compile(r"[*?\[]")
_WRITTEN = {".png", ".jpg", ".jpeg", ".webp", ".gif", LATENT_SUFFIX}  # what a run writes
_CIRCLE = "the links in this path lead in a circle: mend them"
_SPELLING = "check the spelling; put patterns such as 'photos/*.jpg' in quotes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One input: a file, or standard input when ``path`` is None; ``problem`` says why it cannot be read."""

    path: str | None
    label: str
    relative: str
    problem: str | None = None
    hint: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """What the disk says about one path."""

    is_folder: bool = False
    is_file: bool = False
    problem: str | None = None
    hint: str = ""


_FILE, _FOLDER = _Look(is_file=True), _Look(is_folder=True)


@dataclass(kw_only=True, slots=True)
class Expansion:
    """Collects the sources in the order typed, each expansion in natural order.

    ``output_root`` is the folder that outputs go to, which is entered only where it is named as an input; ``beside`` is
    the one in which they may lie between inputs, and are known by what is in them.
    """

    recursive: bool
    suffixes: frozenset[str]
    output_root: str | None
    beside: str | None = None
    command: str = ""
    sources: list[Source] = field(default_factory=list)
    ignored: int = 0
    outputs: int = 0
    subfolders: bool = False
    _seen: set[str] = field(default_factory=set)
    _outside: dict[str, bool] = field(default_factory=dict)
    _among: dict[str, bool] = field(default_factory=dict)

    def add_stdin(self) -> None:
        """One image on standard input."""
        if self._is_new("-"):
            self.sources.append(Source(path=None, label="-", relative="-"))

    def add_path(self, path: str, relative: str | None = None) -> None:
        """A file or folder named by the user; when it cannot be found, a source with a problem."""
        look = _look_at(path)
        if look.is_folder:
            self.add_folder(path, relative or "")
        elif self._is_new(os.path.abspath(path)):
            name = relative or os.path.basename(path.rstrip("/" + os.sep)) or path
            self.sources.append(_source(path, name.replace(os.sep, "/"), look))

    def add_folder(self, folder: str, base: str = "") -> None:
        """Images of a folder, and with ``recursive`` of the folders below; ``base`` is its place in the output tree."""
        found: list[Source] = []
        self._scan(folder, base, found)
        self._extend(found)

    def add_pattern(self, pattern: str) -> None:
        """Images that match a pattern; the tree starts at the last folder before the first wildcard."""
        matches = glob.glob(pattern, recursive=True)
        if not matches:
            raise UsageError(f"no file matches {display(pattern)}", "check the pattern; '**' crosses folders")
        base = _pattern_base(pattern)
        found: list[Source] = []
        for match in matches:
            look = _look_at(match)
            relative = (os.path.relpath(match, base) if base else match).replace(os.sep, "/")
            if look.is_folder:
                if "**" not in pattern and not self._is_output(match):
                    self._scan(match, relative, found)
            elif not self._lies_in_output(os.path.dirname(match), base):
                self._add_found(match, relative, look, found)
        self._extend(found)

    def add_list(self, data: bytes) -> None:
        """Files and folders of a list, one path a line; each mirrors its place below the working directory."""
        working = os.path.join(os.getcwd(), "")
        for line in _decode_list(data):
            absolute = os.path.abspath(line)
            inside = os.path.join(absolute, "").startswith(working)
            self.add_path(line, absolute[len(working) :] if inside else os.path.basename(absolute))

    def _scan(self, folder: str, base: str, found: list[Source]) -> None:
        pending: list[tuple[str, str, tuple[str, ...]]] = [(folder, base, (os.path.realpath(folder),))]
        while pending:
            current, below, trail = pending.pop()
            try:
                with os.scandir(current) as entries:
                    listing = [entry for entry in entries if not entry.name.startswith(".")]
            except OSError as error:
                reason = f"the folder {_label(current)} cannot be read: {(error.strerror or 'error').lower()}"
                found.append(_source(current, below or ".", _Look(problem=reason, hint="check its permissions")))
                continue
            for entry in listing:
                relative = f"{below}/{entry.name}" if below else entry.name
                look = _look_at_entry(entry)
                if not look.is_folder:
                    self._add_found(entry.path, relative, look, found)
                elif not self._is_output(entry.path):
                    self.subfolders = True
                    if self.recursive and (onward := _follow(entry, trail)):
                        pending.append((entry.path, relative, onward))

    def _add_found(self, path: str, relative: str, look: _Look, found: list[Source]) -> None:
        """Take a file that was met, not named: pictures, and links that claim to be one; count the rest."""
        if not self._is_new(os.path.abspath(path)):
            return
        suffix = os.path.splitext(path)[1].lower()
        is_image = suffix in self.suffixes
        if is_image and look.is_file and self._is_made(path, suffix):
            self.outputs += 1
            self.ignored += 1
        elif is_image and (look.is_file or look.problem):
            found.append(_source(path, relative, look))
        else:
            self.ignored += 1

    def _extend(self, found: list[Source]) -> None:
        self.sources.extend(sorted(found, key=lambda source: natural_key(source.relative)))

    def _is_new(self, key: str) -> bool:
        """The same file named twice is one input, not a collision."""
        known = key in self._seen
        self._seen.add(key)
        return not known

    def _is_output(self, folder: str) -> bool:
        """What an earlier run wrote is no input of the next one."""
        if os.path.basename(folder) == DEFAULT_FOLDER:
            return True
        return self.output_root is not None and os.path.realpath(folder) == self.output_root

    def _is_made(self, path: str, suffix: str) -> bool:
        """Whether a file in the folder of the outputs is one: of an earlier run, which says so inside it."""
        if self.beside is None or suffix not in _WRITTEN:
            return False
        folder = os.path.dirname(path)
        if folder not in self._among:
            inside = os.path.join(os.path.realpath(folder), "")
            self._among[folder] = inside.startswith(os.path.join(self.beside, ""))
        if not self._among[folder]:
            return False
        found = glance(Path(path))
        # Codes are made to be inputs of other commands.
        return found.ours and (suffix != LATENT_SUFFIX or f'"command":"{self.command}"' in (found.recipe or ""))

    def _lies_in_output(self, folder: str, base: str) -> bool:
        """Whether a folder from ``base`` down to this one is one that ``_is_output`` would not have entered."""
        if len(folder) <= len(base):
            return False
        if folder not in self._outside:
            self._outside[folder] = self._is_output(folder) or self._lies_in_output(os.path.dirname(folder), base)
        return self._outside[folder]


def expand_inputs(
    inputs: Sequence[str],
    *,
    recursive: bool,
    output_root: str | None,
    stdin: Callable[[], bytes],
    suffixes: frozenset[str] | None = None,
    beside: str | None = None,
    command: str = "",
) -> Expansion:
    """Expand every input; ``output_root`` is left out when it lies inside one of the folders.

    So is what an earlier run has written into the folder ``beside``: pictures of any command, codes of this one.
    ``suffixes`` are the files taken from folders and patterns, by default those of pictures.

    Raises UsageError when nothing remains, or when a pattern or list names nothing.
    """
    real_root = None if output_root is None else os.path.realpath(output_root)
    expansion = Expansion(
        recursive=recursive,
        suffixes=suffixes or IMAGE_SUFFIXES,
        output_root=real_root,
        beside=None if beside is None else os.path.realpath(beside),
        command=command,
    )
    if not inputs:
        raise UsageError("no input given", "name files, folders or patterns; - reads one image from stdin")
    if "-" in inputs and "@-" in inputs:
        raise UsageError("both - and @- want standard input", "put the list into a file: @list.txt")
    for text in inputs:
        if text == "":
            raise UsageError("an input is an empty text", "check the quotes and variables of the command")
        if text == "-":
            expansion.add_stdin()
        elif text.startswith("@") and not os.path.lexists(text):
            expansion.add_list(_read_list(text, stdin))
        elif _MAGIC.search(text) and not os.path.lexists(text):
            expansion.add_pattern(text)
        else:
            expansion.add_path(text)
    if not expansion.sources:
        raise _nothing_found(inputs, expansion)
    return expansion


def made_up_inputs(names: Sequence[str]) -> Expansion:
    """Inputs that are no files: what a task makes pictures of by itself."""
    made = Expansion(recursive=False, suffixes=frozenset(), output_root=None)
    made.sources.extend(Source(path=None, label=name, relative=name) for name in names)
    return made


def _look_at(path: str) -> _Look:
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):
            return _Look(problem=f"{_label(path)} is a link to a file that does not exist", hint="mend the link")
        return _Look(problem=f"{_label(path)} does not exist", hint=_SPELLING)
    except PermissionError:
        return _Look(problem=f"not permitted to read {_label(path)}", hint="check the permissions of its folders")
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or str(error)
        hint = _CIRCLE if getattr(error, "errno", None) == errno.ELOOP else _SPELLING
        return _Look(problem=f"{_label(path)} cannot be read: {reason.lower()}", hint=hint)
    return _Look(is_folder=stat.S_ISDIR(mode), is_file=stat.S_ISREG(mode))


def _look_at_entry(entry: os.DirEntry[str]) -> _Look:
    """The same of an entry of a folder, mostly without asking the disk again; a link in a circle cannot be asked."""
    with contextlib.suppress(OSError):
        if entry.is_dir():
            return _FOLDER
        if entry.is_file():
            return _FILE
    return _look_at(entry.path)


def _source(path: str, relative: str, look: _Look) -> Source:
    return Source(path=path, label=_label(path), relative=relative, problem=look.problem, hint=look.hint)


def _follow(entry: os.DirEntry[str], trail: tuple[str, ...]) -> tuple[str, ...]:
    """The trail of real folders that led here, or nothing when a link would lead back into it."""
    if not entry.is_symlink():
        return trail
    here = os.path.realpath(os.path.dirname(entry.path))
    target = os.path.realpath(entry.path)
    inside = os.path.join(target, "")
    if any(os.path.join(passed, "").startswith(inside) for passed in (*trail, here)):
        return ()
    return (*trail, here, target)


def _label(path: str) -> str:
    shown = display(path)
    return shown[2:] if shown.startswith("./") and len(shown) > 2 else shown


def _pattern_base(pattern: str) -> str:
    """The part of a pattern before its first wildcard, cut at a folder."""
    return os.path.dirname(_MAGIC.split(pattern, maxsplit=1)[0])


def _read_list(text: str, stdin: Callable[[], bytes]) -> bytes:
    if text == "@-":
        data = stdin()
    else:
        path = Path(text[1:])
        expected = f"expected a text of at most {LONGEST_LIST / 1e6:.0f} MB with one path a line"
        try:
            data = read_bytes(path, "it", most=LONGEST_LIST, expected=expected)
        except InputError as error:
            hint = f"for a file whose own name starts with @ write ./{display(text)}"
            raise UsageError(f"the list {display(path)} cannot be read: {error.message}", hint) from error
    if b"\xff\xd8\xff" in data[:4] or b"PNG\r\n" in data[:8] or b"WEBP" in data[:16]:
        raise UsageError(f"{display(text)} is a picture, not a list", "after @ comes a text file with one path a line")
    if not data.strip(b"\r\n\t \0"):
        raise UsageError(f"the list {display(text)} is empty", "write one path a line")
    return data


def _decode_list(data: bytes) -> list[str]:
    """Paths of a list: UTF-8 or UTF-16 with a mark, else the file system's encoding; null characters may separate."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # written by PowerShell
        lines = [line.rstrip("\r") for line in data.decode("utf-16", "replace").split("\n")]
    else:
        plain = data.removeprefix(b"\xef\xbb\xbf")
        separator = b"\0" if b"\0" in plain else b"\n"
        lines = [os.fsdecode(line.rstrip(b"\r")) for line in plain.split(separator)]
    return [line for line in lines if line.strip()]


def _nothing_found(inputs: Sequence[str], expansion: Expansion) -> UsageError:
    shown = ", ".join(display(text) for text in inputs[:3]) + (" ..." if len(inputs) > 3 else "")
    ignored = f" ({expansion.ignored} other files were ignored)" if expansion.ignored else ""
    if expansion.outputs:
        return UsageError(
            f"no image in {shown}, except {expansion.outputs} that p2s2p has written there",
            "to use these as inputs, name another folder after -o",
        )
    if expansion.subfolders and not expansion.recursive:
        return UsageError(f"no image in {shown}{ignored}", "add -r to look into its subfolders")
    known = " ".join(sorted(suffix.lstrip(".") for suffix in expansion.suffixes))
    return UsageError(f"no image in {shown}{ignored}", f"known kinds: {known}")
