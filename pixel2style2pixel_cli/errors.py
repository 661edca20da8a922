"""Every error a user can meet: what was found and expected, what to type next, and the exit code."""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

SHOWN = 80  # characters of a wrong value that are repeated
MOST_LISTED = 12  # problems of one file

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 3, SHOWN, SHOWN, SHOWN
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 20


class P2S2PError(Exception):
    """An error meant for the user; the command line prints ``message`` and ``hint`` and exits with ``exit_code``."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        # a file's name or content that is repeated must not move a terminal's cursor, nor take two lines
        self.message, self.hint = clean(message), clean(hint)
        super().__init__(self.message)


class UsageError(P2S2PError):
    """A bad option, a bad configuration key, a collision of outputs, an output that exists already."""

    exit_code = 2


class InputError(P2S2PError):
    """One input cannot be processed; the others still are."""

    exit_code = 3


class NoFaceError(InputError):
    """No face was found in a photograph."""


class OutputError(P2S2PError):
    """A result could not be written: no permission, no space, not a folder."""

    exit_code = 3


class DivergedError(P2S2PError):
    """The numbers of a training are no numbers any more; what it had saved before is there."""

    exit_code = 3


class MissingError(P2S2PError):
    """Something needed is absent: a model, the landmark file, an optional package."""

    exit_code = 4


class IntegrityError(P2S2PError):
    """A weight file is not what it claims to be: wrong hash, wrong layout, code inside."""

    exit_code = 4


class DeviceError(P2S2PError):
    """The device is absent, or too small for a single image."""

    exit_code = 5


class ShapeError(P2S2PError):
    """An array or tensor has another shape than the function takes."""

    exit_code = 2


@contextlib.contextmanager
def reading(name: str, problem: str, hint: str) -> Iterator[None]:
    """Turn whatever a reader of foreign bytes stumbles over into one InputError: ``name`` ``problem``: the reason.

    Decoders and parsers that are fed damaged bytes raise anything. Errors of our own pass through as they are.
    """
    try:
        yield
    except P2S2PError:
        raise
    except MemoryError as error:
        raise InputError(
            f"{name} needs more memory than there is", "shrink it first, or close other programs"
        ) from error
    except RecursionError as error:
        raise InputError(f"{name} {problem}: it is nested too deeply", hint) from error
    except Exception as error:
        raise InputError(f"{name} {problem}: {reason_of(error)}", hint) from error


def reason_of(error: BaseException) -> str:
    """What an exception of a library says, as part of one line."""
    return in_one_line(str(error)).rstrip(".") or "it cannot be decoded"


def in_one_line(text: object) -> str:
    """Foreign text as part of a message: its first line, without control characters, not too long."""
    lines = str(text).splitlines()
    return "".join(c for c in (lines[0] if lines else "") if c.isprintable()).strip()[:200]


def clean(text: str) -> str:
    """Text as one line that any terminal shows as it is: lines are joined, control characters become escapes."""
    lines = text.splitlines()
    joined = " ".join(part.strip() for part in lines) if len(lines) > 1 else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in joined)


def shown_value(value: object) -> str:
    """A wrong value as part of a message, cut where it is long."""
    try:
        # no more than the first values: a list may hold another one twice, and that a third one twice
        shown = repr(value[: SHOWN + 1]) if isinstance(value, str) else _SHORT.repr(value)
    except Exception:  # a number of thousands of digits, or an object that cannot be shown
        shown = f"a value of type {type(value).__name__}"
    return shown if len(shown) <= SHOWN else shown[:SHOWN] + "..."


def listed(problems: Sequence[str]) -> str:
    """Everything that is wrong, in one line; of very many problems the first and how many more there are."""
    more = f"; and {len(problems) - MOST_LISTED} more" if len(problems) > MOST_LISTED else ""
    return "; ".join(problems[:MOST_LISTED]) + more


class Shaped(Protocol):
    """Anything with a shape: a NumPy array or a torch tensor."""

    @property
    def shape(self) -> Sequence[int]: ...


def check_shape(value: Shaped, expected: tuple[int | None, ...], name: str) -> None:
    """Raise ShapeError unless ``value`` has the expected shape; None stands for any size."""
    actual = tuple(value.shape)
    fits = len(actual) == len(expected) and all(e is None or a == e for a, e in zip(actual, expected, strict=True))
    if not fits:
        wanted = "x".join("any" if e is None else str(e) for e in expected)
        found = "x".join(str(a) for a in actual)
        raise ShapeError(f"{name} has shape {found}, expected {wanted}", "resize the input or choose another model")
