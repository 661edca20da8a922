"""Asking the person at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pixel2style2pixel_cli.events import Notice
from pixel2style2pixel_cli.output import Output

YES = ("y", "yes")


def terminal_question(output: Output) -> Callable[[str], bool] | None:
    """A function that puts a question and takes yes or no; None where nobody sits at a terminal to answer."""
    answers = sys.stdin
    if output.report.mode != "human" or not output.stderr.isatty() or answers is None or not answers.isatty():
        return None

    def ask(question: str) -> bool:
        output.on_event(Notice(message=f"{question} Type yes or no:"))
        return answers.readline().strip().lower() in YES

    return ask
