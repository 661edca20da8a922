"""``p2s2p``: assembles the commands, and turns every way a command can end into lines and an exit code."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from pixel2style2pixel_cli.cli import signals
from pixel2style2pixel_cli.cli.group import App, Later
from pixel2style2pixel_cli.cli.machine import machine_error
from pixel2style2pixel_cli.cli.registry import COMMANDS, INNER, inner_specs, specs_of
from pixel2style2pixel_cli.cli.usage import usage_error
from pixel2style2pixel_cli.errors import P2S2PError, clean
from pixel2style2pixel_cli.interrupts import uninterrupted
from pixel2style2pixel_cli.output import Output
from pixel2style2pixel_cli.output.raw import LibraryLines
from pixel2style2pixel_cli.output.streams import open_standard_streams
from pixel2style2pixel_cli.tasks.table import TASKS
from pixel2style2pixel_cli.version import __version__

PROGRAM = "p2s2p"
INTERRUPTED = 130

app = App(
    help="Faces in the latent space of StyleGAN2: a photograph in, its code and its reconstruction out.",
    add_completion=True,
)


def _version(context: typer.Context, value: bool) -> None:
    if value:
        output: Output = context.obj
        output.text(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("-V", "--version", metavar="", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    """The options that stand before a command."""


def root_command() -> Any:
    """The whole command line; each command is built when it is used."""
    command: Any = get_command(app)
    command.commands = {name: _later(name, help) for name, help in COMMANDS.items()}
    return command


def _later(name: str, help: str) -> Later:
    inner = {word: Later(word, said, load_inner) for word, said in INNER.get(name, {}).items()}
    return Later(name, help, load_command, inner)


def load_inner(name: str) -> Any:
    """A command that follows the name of a task."""
    from pixel2style2pixel_cli.cli.build import add_command

    made = App(help="")
    for spec in inner_specs(name):
        add_command(made, spec)
    return get_command(made)


def load_command(name: str) -> Any:
    """A command, or a group of the commands whose names begin with its own."""
    from pixel2style2pixel_cli.cli.build import add_command

    made = App(help=COMMANDS[name])
    for spec in specs_of(name):
        if name not in INNER or spec.name == name:
            add_command(made, spec)
            if spec.name != name:  # Typer takes a group of one command for that command, unless it has a callback
                made.callback()(_nothing)
    return get_command(made)


def _nothing() -> None:
    """A group by itself does nothing."""


def run_program(arguments: Sequence[str], started: float) -> int:
    """Run the command line of a process of its own, that began at ``started`` by the monotonic clock."""
    output: Output | None = None
    try:
        with uninterrupted():  # half of it would leave no stream to say anything on
            output = _own_output(started)
        code = run(arguments, output)
        signals.let_go()
    except KeyboardInterrupt:  # before the command, or while its end is told
        return end_stopped(arguments, output)
    return code


def _own_output(started: float) -> Output:
    open_standard_streams()
    library = LibraryLines()
    if library.stderr is None:
        return Output(started=started)
    return Output(stderr=library.stderr, started=started, library=library.take)


def run(arguments: Sequence[str], output: Output | None = None) -> int:
    """Run one command line and return its exit code."""
    output = output or Output()
    try:
        code = _dispatch(arguments, output)
    except KeyboardInterrupt:
        return end_stopped(arguments, output)
    except Exception as error:
        # Inside an extension module an interrupt becomes what that module fails with: dlib is "not installed".
        code = INTERRUPTED if signals.was_stopped() else _end(output, error, arguments)
    if code == INTERRUPTED:  # also what the parser makes of an interrupt
        return end_stopped(arguments, output)
    return output.end(code)


def end_stopped(arguments: Sequence[str], output: Output | None = None) -> int:
    """Say that a signal has stopped the command, and how to go on with it; returns the exit code."""
    signals.let_go()
    output = output or Output()
    if not output.stdout.gone:
        output.interrupted(resume_command(arguments))
    return output.end(signals.exit_code())


def _dispatch(arguments: Sequence[str], output: Output) -> int:
    code = root_command().main(args=list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=output)
    return code if isinstance(code, int) else 0


def _end(output: Output, error: Exception, arguments: Sequence[str]) -> int:
    """Tell why a command ended, and its exit code: an error of ours, the parser's, the machine's, or a bug."""
    if isinstance(error, P2S2PError):
        return _tell(output, error)
    if isinstance(error, OSError) and error.filename is None:
        output.stdout.flush()
        if output.stdout.lost is not None:  # that was it, and the end of the command tells it
            return output.stdout.lost.exit_code
    known = usage_error(error, arguments) or machine_error(error)
    if known is not None:
        return _tell(output, known)
    output.bug(error)
    return 1


def _tell(output: Output, error: P2S2PError) -> int:
    output.close()
    output.error(error)
    return error.exit_code


def resume_command(arguments: Sequence[str]) -> str | None:
    """The command line that goes on with an interrupted run, or None where nothing can be resumed."""
    words = list(arguments)
    if words[:1] in (["train"], ["tune"]):
        again = [word for word in words if word != "--no-resume"]
    elif words and words[0] in (*TASKS, "paste") and not {"-", "-o-", "--out=-", "--list-faces"} & set(words):
        again = [words[0], "--skip-existing", *_without_policy(words[1:])]
    elif words[:2] == ["models", "pull"]:
        again = words
    else:
        return None
    words = [PROGRAM, *again]
    return clean(subprocess.list2cmdline(words)) if os.name == "nt" else " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """A word as a POSIX shell reads it, without a character that a terminal would obey."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    """One character inside ``$'...'``; what cannot be shown as the octal numbers of its bytes."""
    if character in "\\'":
        return "\\" + character
    return character if character.isprintable() else "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def _without_policy(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip_next = False
    for word in words:
        if not skip_next and word not in ("--existing", "--skip-existing", "--overwrite"):
            kept += [] if word.startswith("--existing=") else [word]
        skip_next = word == "--existing"
    return kept
