"""Tasks of several inputs that make one output: the first gives the picture, the others change it."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixel2style2pixel_cli.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import CodeVariation, Prepared, Source, Task
    from pixel2style2pixel_cli.tasks.optimised import OptimisedOptions


def one_file(text: str, command: str) -> None:
    """Raise UsageError for an input that is not one file: a list, a folder, a pattern, standard input."""
    if text == "-" or text.startswith("@") or glob.has_magic(text) or Path(text).is_dir():
        raise UsageError(f"an input of {command} is one picture or saved code, not {text}", "name each file")


class Others:
    """The inputs beside the first, whose codes are found once."""

    def __init__(self, options: OptimisedOptions, prepared: Sequence[Prepared]) -> None:
        self.options, self.prepared = options, prepared
        self._codes: Tensor | None = None

    def codes(self, engine: Engine) -> Tensor:
        """Their codes (K, N, D), in the order of the inputs."""
        if self._codes is None:
            self._codes = self.options.codes_of(engine, self.prepared)
        return self._codes


def other_inputs_task(
    options: OptimisedOptions, model: Model, others: Sequence[Source]
) -> tuple[Others, Callable[[CodeVariation], Task]]:
    """The other inputs, read and searched for their faces; and what makes the task, given how they vary the first."""
    from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
    from pixel2style2pixel_cli.tasks.base import Task
    from pixel2style2pixel_cli.tasks.latent import code_preparer

    preparer = code_preparer(options, model)
    read = Others(options, [options.read_other(preparer, source, "the input") for source in others])

    def make(vary: CodeVariation) -> Task:
        return Task(
            preparer=preparer, encoder_batch=INPUT_KINDS[options.kind].batch, change=options.found, vary=vary
        )  # fmt: skip

    return read, make
