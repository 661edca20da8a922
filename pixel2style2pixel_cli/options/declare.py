"""Declaring an option: once, where its field stands, for command line, configuration, Python interface and checks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from pixel2style2pixel_cli.options.kinds import Kind, kind_of, read_configured

T = TypeVar("T")

# The default of an option that must be given.
REQUIRED: Any = dataclasses.MISSING

OWN = "This task"
DATA = "Data and run folder"
OUTPUT = "Output"
FACES = "Faces"
MODEL = "Model and device"
STYLES = "Styles mixed in"
RUN = "Run"
MESSAGES = "Messages and configuration"
# In the help, what is a command's own stands first.
SECTIONS = (OWN, DATA, OUTPUT, FACES, MODEL, STYLES, RUN, MESSAGES)

PLAIN = Kind(base="text")

_WRITTEN = "p2s2p"
_FOUND: dict[type, tuple[Declaration, ...]] = {}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Shortcut:
    """A flag that stands for one value of an option."""

    flag: str
    value: str
    help: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Declaration:
    """All there is to know about one option.

    ``flags`` are its spellings, the longest of which names it; a flag written as ``--x/--no-x`` can be taken back. An
    option without flags is an argument, known by its place. ``default_means`` says in the help what None stands for.
    ``counted``: the option is a flag that counts how often it is given. ``configured``: files and variables may set it.
    """

    name: str = ""
    kind: Kind = PLAIN
    default: Any
    flags: tuple[str, ...]
    help: str
    section: str
    metavar: str
    default_means: str
    shortcuts: tuple[Shortcut, ...]
    counted: bool
    configured: bool

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED

    @property
    def spelling(self) -> str:
        """How people write it: the long flag, or the name of an argument."""
        return max((flag.split("/")[0] for flag in self.flags), key=len, default=self.metavar)

    @property
    def key(self) -> str:
        """Its name in configuration files: ``--batch-size`` is ``batch_size``."""
        return self.spelling.lstrip("-").replace("-", "_")

    def read_configured(self, raw: object) -> object:
        """The value that a configuration file gives; Unexpected where it is none."""
        return read_configured(self.kind, raw, count=self.counted)


def declare(
    default: T,
    *flags: str,
    help: str,
    section: str = OWN,
    metavar: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str | None = None,
    pattern_means: str = "",
    path: bool = False,
    default_means: str = "",
    shortcuts: tuple[Shortcut, ...] = (),
    counted: bool = False,
    configured: bool = True,
) -> T:
    """The field of a dataclass that is an option; its type is the annotation's.

    ``choices`` are words beside what the annotation names; ``minimum`` and ``maximum`` include themselves.
    ``pattern`` is the regular expression of a text, which ``pattern_means`` puts in words.
    """
    limits = {
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "pattern": None if pattern is None else re.compile(pattern, re.ASCII),
        "pattern_means": pattern_means,
        "path": path,
    }
    written = Declaration(
        default=default, flags=flags, help=help, section=section, metavar=metavar, default_means=default_means,
        shortcuts=shortcuts, counted=counted, configured=configured,
    )  # fmt: skip
    made: T = dataclasses.field(default=default, metadata={_WRITTEN: (written, limits)})
    return made


def declarations_of(options: type) -> tuple[Declaration, ...]:
    """The options of a dataclass in the order of its fields; fields that declare none connect a run to its caller.

    A class that gives a field of its parent another default keeps the rest of what the parent declared.
    """
    if options not in _FOUND:
        hints = get_type_hints(options)
        _FOUND[options] = tuple(
            _finished(*written, field, hints[field.name])
            for field in dataclasses.fields(options)
            if (written := _written(options, field.name)) is not None
        )
    return _FOUND[options]


def _written(options: type, name: str) -> tuple[Declaration, Mapping[str, Any]] | None:
    for parent in options.__mro__:
        field = parent.__dict__.get("__dataclass_fields__", {}).get(name)
        if field is not None and _WRITTEN in field.metadata:
            found: tuple[Declaration, Mapping[str, Any]] = field.metadata[_WRITTEN]
            return found
    return None


def _finished(
    written: Declaration, limits: Mapping[str, Any], field: dataclasses.Field[Any], annotation: object
) -> Declaration:
    kind = kind_of(annotation)
    added = {**limits, "choices": (*kind.choices, *limits["choices"]), "path": kind.path or limits["path"]}
    return dataclasses.replace(
        written, name=field.name, default=field.default, kind=dataclasses.replace(kind, **added)
    )  # fmt: skip
