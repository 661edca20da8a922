"""Defaults from the environment and from TOML files: who wins, where each came from, all that is wrong at once."""

from __future__ import annotations

import contextlib
import difflib
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pixel2style2pixel_cli.config import OFFLINE_VARIABLES
from pixel2style2pixel_cli.errors import SHOWN, UsageError, in_one_line, listed
from pixel2style2pixel_cli.options.declare import Declaration
from pixel2style2pixel_cli.options.kinds import Unexpected
from pixel2style2pixel_cli.options.refusal import nearest
from pixel2style2pixel_cli.options.schedulers import scheduled_share

PROJECT_FILE = "p2s2p.toml"
PREFIX = "P2S2P_"
LARGEST_FILE = 1_000_000  # bytes; the largest file of defaults that makes sense has some ten thousand


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A key nobody knows, or a value that its option does not take; ``near`` is what was probably meant."""

    name: str
    origin: str
    wrong: str = ""
    near: str = ""


@dataclass(slots=True)
class _Reader:
    """Collects values, first come first kept, and problems, so that all of them are told at once."""

    values: dict[str, object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def take(self, option: Declaration, raw: object, origin: str, name: str) -> None:
        try:
            value = option.read_configured(raw)
        except Unexpected as error:
            problem = Problem(name=name, origin=origin, wrong=str(error), near=nearest(error, option.kind))
            self.problems.append(problem)
            return
        self.values.setdefault(option.key, value)


Commands = Mapping[str, Sequence[Declaration]]


def config_files(explicit: str | None, folder: Path) -> list[Path]:
    """The files that count, the strongest first: the explicit one alone, else the project's and the user's.

    One that may not be read counts as absent: it may be another user's, as under sudo.
    """
    if explicit is not None:
        return [Path(explicit)]
    import platformdirs

    project, user = folder / PROJECT_FILE, None
    with contextlib.suppress(RuntimeError):  # a user without a home folder
        user = platformdirs.user_config_path("p2s2p") / PROJECT_FILE
    found = [project] if os.path.lexists(project) and os.access(project, os.R_OK) else []
    if user is not None and os.path.isfile(user) and os.access(user, os.R_OK):  # noqa: PTH113 - raises nothing
        found.append(user)
    return found


def load_defaults(
    command: str, commands: Commands, *, files: Sequence[Path], environment: Mapping[str, str]
) -> dict[str, object]:
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
    hint = "give --config the path of a TOML file"
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is not a file", hint)
        if found.st_size > LARGEST_FILE:
            raise UsageError(f"{path} has {found.st_size} bytes, and options take at most {LARGEST_FILE}", hint)
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint) from error
    except ValueError as error:  # a null character in the name
        raise UsageError(f"cannot read {path}: {error}", hint) from error
    try:
        return tomllib.loads(data.decode("utf-8-sig"))  # editors on Windows put a byte-order mark first
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(
            f"{path} is not TOML: {reason}", 'write sections and values: [invert] then device = "cpu"'
        ) from error


def _read_environment(
    reader: _Reader, command: str, options: Sequence[Declaration], environment: Mapping[str, str]
) -> None:
    own = PREFIX + command.replace(".", "_").upper() + "_"
    by_key = {option.key: option for option in options}
    for variable in sorted(name for name, text in environment.items() if name.startswith(own) and text):
        option = by_key.get(variable.removeprefix(own).lower())
        if option is None:
            known = [own + key.upper() for key in by_key]
            reader.problems.append(Problem(name=variable, origin="the environment", near=_nearest(variable, known)))
        else:
            reader.take(option, _split(option, environment[variable]), "the environment", variable)
    for variable, key in _shared_variables(command):
        if environment.get(variable) and key in by_key:
            reader.take(by_key[key], environment[variable], "the environment", variable)
    share = scheduled_share(environment)
    if share is not None and "shard" in by_key:
        number, count, variable = share
        reader.take(by_key["shard"], f"{number}/{count}", "the environment", variable)


def _split(option: Declaration, text: str) -> str | list[str]:
    """Lists in a variable: folders as in PATH, ``key=value`` pairs by spaces."""
    if option.kind.pairs:
        return text.split()
    return text.split(os.pathsep) if option.kind.many else text


def _shared_variables(command: str) -> Iterator[tuple[str, str]]:
    """Variables that stand for one option of any command, and the option."""
    yield "P2S2P_DEVICE", "device"
    yield "P2S2P_DTYPE", "dtype"
    for name in OFFLINE_VARIABLES:
        yield name, "offline"
    yield f"P2S2P_MODEL_{command.upper()}", "model"


def _read_file(reader: _Reader, path: Path, command: str, commands: Commands) -> None:
    for section, key, raw in _entries(read_toml(path), commands):
        name = f"{section}.{key}" if section and key else section or key
        if section not in commands:
            where = (
                [*commands, *(f"{c}.{o.key}" for c in commands for o in commands[c])] if not section else [*commands]
            )
            reader.problems.append(Problem(name=name, origin=str(path), near=_nearest(name, where)))
            continue
        by_key = {option.key: option for option in commands[section]}
        option = by_key.get(key.replace("-", "_"))
        if option is None:
            near = _nearest(key.replace("-", "_"), list(by_key))
            reader.problems.append(Problem(name=name, origin=str(path), near=f"{section}.{near}" if near else ""))
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


def _nearest(name: str, known: Sequence[str]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def _problem_error(problems: Sequence[Problem]) -> UsageError:
    unknown: dict[str, list[str]] = {}
    for problem in problems:
        if not problem.wrong:
            unknown.setdefault(problem.origin, []).append(in_one_line(problem.name)[:SHOWN])
    found = [f"{', '.join(names)} in {origin}" for origin, names in unknown.items()]
    found += [f"{problem.name} in {problem.origin} {problem.wrong}" for problem in problems if problem.wrong]
    near = [problem.near for problem in problems if problem.near]
    hint = f"did you mean {', '.join(near)}?" if near else "docs/commands.md lists every command and option"
    return UsageError(f"configuration not understood: {listed(found)}", hint)
