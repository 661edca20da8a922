"""Defaults from the environment and from TOML files: who wins, where each came from, unknown keys refused at once."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pixel2style2pixel_cli.errors import UsageError

PROJECT_FILE = "p2s2p.toml"
PREFIX = "P2S2P_"

Kind = Literal["value", "flag", "count", "list", "pairs"]
Scalar = str | bool | int | list[str]

OFFLINE_VARIABLES = ("P2S2P_OFFLINE", "HF_HUB_OFFLINE")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """What the configuration needs to know of one option; ``key`` is its long name with underscores."""

    key: str
    kind: Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A default and where it was found."""

    value: Scalar
    origin: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A key nobody knows, or a value of the wrong type; ``near`` is what was probably meant."""

    what: str
    origin: str
    near: str = ""


@dataclass(slots=True)
class _Reader:
    """Collects values, first come first kept, and problems, so that all of them are told at once."""

    values: dict[str, Value] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def take(self, option: Option, raw: object, origin: str, name: str) -> None:
        try:
            value = _convert(option, raw)
        except ValueError as error:
            self.problems.append(Problem(what=f"{name} {error}", origin=origin))
            return
        self.values.setdefault(option.key, Value(value=value, origin=f"{name} in {origin}"))


Commands = Mapping[str, Sequence[Option]]


def config_files(explicit: str | None, folder: Path) -> list[Path]:
    """The files that count, the strongest first: the explicit one alone, else the project's and the user's."""
    if explicit is not None:
        return [Path(explicit)]
    import platformdirs

    user = platformdirs.user_config_path("p2s2p") / PROJECT_FILE
    return [path for path in (folder / PROJECT_FILE, user) if path.is_file()]


def load_defaults(
    command: str, commands: Commands, *, files: Sequence[Path], environment: Mapping[str, str]
) -> dict[str, Value]:
    """Values for the options of ``command`` (``train.generator``): the environment first, then each file in turn.

    Every file is checked whole, also the sections of other commands. UsageError names all problems.
    """
    reader = _Reader()
    _read_environment(reader, command, commands[command], environment)
    for path in files:
        _read_file(reader, path, command, commands)
    if reader.problems:
        raise _problem_error(reader.problems)
    return reader.values


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a TOML file; UsageError when it is absent or not TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", "give --config the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is not TOML: {error}", 'write sections and values: [invert] then device = "cpu"'
        ) from error


def _read_environment(reader: _Reader, command: str, options: Sequence[Option], environment: Mapping[str, str]) -> None:
    own = PREFIX + command.replace(".", "_").upper() + "_"
    by_key = {option.key: option for option in options}
    for variable in sorted(name for name, text in environment.items() if name.startswith(own) and text):
        option = by_key.get(variable.removeprefix(own).lower())
        if option is None:
            known = [own + key.upper() for key in by_key]
            reader.problems.append(Problem(what=variable, origin="the environment", near=_nearest(variable, known)))
        else:
            reader.take(option, _split(option, environment[variable]), "the environment", variable)
    for variable, key in _shared_variables(command):
        if environment.get(variable) and key in by_key:
            reader.take(by_key[key], environment[variable], "the environment", variable)
    shard = _slurm_shard(environment)
    if shard is not None and "shard" in by_key:
        reader.take(by_key["shard"], shard, "the environment", "SLURM_PROCID")


def is_offline() -> bool:
    """Whether a variable forbids connections: for Python callers, whose options no variable fills in."""
    return any(os.environ.get(name, "").lower() in _TRUE for name in OFFLINE_VARIABLES)


def _split(option: Option, text: str) -> str | list[str]:
    """Lists in a variable: folders as in PATH, ``key=value`` pairs by spaces."""
    if option.kind == "list":
        return text.split(os.pathsep)
    return text.split() if option.kind == "pairs" else text


def _shared_variables(command: str) -> Iterator[tuple[str, str]]:
    """Variables that stand for one option of any command, and the option."""
    yield "P2S2P_DEVICE", "device"
    yield "P2S2P_DTYPE", "dtype"
    for name in OFFLINE_VARIABLES:
        yield name, "offline"
    yield f"P2S2P_MODEL_{command.upper()}", "model"


def _slurm_shard(environment: Mapping[str, str]) -> str | None:
    """The share of one task of a parallel SLURM job; nothing in a job of one task."""
    rank, tasks = environment.get("SLURM_PROCID", ""), environment.get("SLURM_NTASKS", "")
    return f"{rank}/{tasks}" if rank.isdecimal() and tasks.isdecimal() and int(tasks) > 1 else None


def _read_file(reader: _Reader, path: Path, command: str, commands: Commands) -> None:
    for section, key, raw in _entries(read_toml(path), commands):
        name = f"{section}.{key}" if section and key else section or key
        if section not in commands:
            where = (
                [*commands, *(f"{c}.{o.key}" for c in commands for o in commands[c])] if not section else [*commands]
            )
            reader.problems.append(Problem(what=name, origin=str(path), near=_nearest(name, where)))
            continue
        by_key = {option.key: option for option in commands[section]}
        option = by_key.get(key.replace("-", "_"))
        if option is None:
            near = _nearest(key.replace("-", "_"), list(by_key))
            reader.problems.append(Problem(what=name, origin=str(path), near=f"{section}.{near}" if near else ""))
            continue
        target = reader if section == command else _Reader(problems=reader.problems)
        target.take(option, raw, str(path), name)


def _entries(table: Mapping[str, object], commands: Commands, section: str = "") -> Iterator[tuple[str, str, object]]:
    """Every (section, key, value); a section without a value that names no command is reported with an empty key."""
    for key, value in table.items():
        inner = f"{section}.{key}" if section else key
        is_group = any(name == inner or name.startswith(inner + ".") for name in commands)
        if isinstance(value, Mapping) and is_group:
            yield from _entries(value, commands, inner)
        elif isinstance(value, Mapping) and section not in commands:
            yield inner, "", value
        else:
            yield section, key, value


def _convert(option: Option, raw: object) -> Scalar:
    """The value as the command line would give it; ValueError says what was expected."""
    if option.kind == "flag":
        text = str(raw).lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise ValueError(f"is {raw!r}, expected true or false")
    if option.kind == "count":
        if isinstance(raw, bool) or not str(raw).isdecimal():
            raise ValueError(f"is {raw!r}, expected a whole number")
        return int(str(raw))
    if option.kind == "pairs" and isinstance(raw, Mapping):
        return [f"{key}={_scalar_text(value)}" for key, value in raw.items()]
    if option.kind in ("list", "pairs"):
        items = [raw] if isinstance(raw, str) else raw
        if not isinstance(items, list):
            raise ValueError(f"is {raw!r}, expected a list")
        return [_scalar_text(item) for item in items]
    return _scalar_text(raw)


def _scalar_text(raw: object) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, (str, int, float)):
        return str(raw)
    raise ValueError(f"is {raw!r}, expected one value")


def _nearest(name: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def _problem_error(problems: Sequence[Problem]) -> UsageError:
    by_origin: dict[str, list[str]] = {}
    for problem in problems:
        by_origin.setdefault(problem.origin, []).append(problem.what)
    found = "; ".join(f"{', '.join(names)} in {origin}" for origin, names in by_origin.items())
    near = [problem.near for problem in problems if problem.near]
    hint = f"did you mean {', '.join(near)}?" if near else "docs/commands.md lists every command and option"
    return UsageError(f"configuration not understood: {found}", hint)
