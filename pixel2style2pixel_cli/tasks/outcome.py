"""The one place where whatever goes wrong with one input becomes its outcome, so that the others go on."""

from __future__ import annotations

import traceback

from pixel2style2pixel_cli.errors import (
    DeviceError,
    InputError,
    IntegrityError,
    MissingError,
    OutputError,
    P2S2PError,
    UsageError,
    in_one_line,
)

# These are about the run, not about the input that met them first: the next one would meet them again.
ENDS_THE_RUN = (DeviceError, IntegrityError, MissingError, UsageError)

REPORT = "this is a bug in p2s2p; -vv shows where, and a report with those lines and p2s2p --version helps"


class UnforeseenError(InputError):
    """An exception that nobody foresaw, met while one input was processed; ``details`` is its traceback."""

    def __init__(self, message: str, hint: str = "", details: str = "") -> None:
        super().__init__(message, hint)
        self.details = details


def lacks_threads(error: Exception) -> DeviceError | None:
    """The error behind Python's own where the machine lets a process start no further thread."""
    if not isinstance(error, RuntimeError) or "start new thread" not in str(error):
        return None
    return DeviceError(
        "this machine lets the command start no further thread",
        "allow more processes: ulimit -u, or the limit of the container (--pids-limit)",
    )


def as_outcome(error: Exception, label: str) -> P2S2PError:
    """The error as the outcome of the input called ``label``.

    Errors about the input or its output stay as they are. Everything else that an input can cause, a lack of memory
    and bugs included, becomes an InputError. Raises what is about the run as a whole.
    """
    if isinstance(error, ENDS_THE_RUN):
        raise error
    if (lacking := lacks_threads(error)) is not None:
        raise lacking from error
    if isinstance(error, (InputError, OutputError)):
        return error
    if isinstance(error, P2S2PError):
        return InputError(error.message, error.hint)
    details = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError):
        return UnforeseenError(
            f"not enough memory for {label}", "make the picture smaller, or free some memory", details
        )
    return UnforeseenError(f"unexpected {type(error).__name__} with {label}: {in_one_line(error)}", REPORT, details)
