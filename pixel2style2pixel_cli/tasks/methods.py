"""The methods of a session: one for each task, with the names and defaults of its options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from pixel2style2pixel_cli.options.declare import FACES, OWN, STYLES, declarations_of
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.options.validate import validate
from pixel2style2pixel_cli.tasks.table import TASKS, options_of

# Options of a task that make sense without files: its own, those of faces and styles, and the first of these.
ALSO = ("seed", "noise", "max_pixels")
ONLY_FILES = ("paste", "debug_align")


def option_names(options: type) -> list[str]:
    """The options of a task that a session takes: everything that has nothing to do with files and devices."""
    return [
        declared.name
        for declared in declarations_of(options)
        if (declared.section in (OWN, FACES, STYLES) and declared.name not in ONLY_FILES) or declared.name in ALSO
    ]


@functools.cache
def method_of(task: str) -> Callable[..., Any]:
    """The method of one task, with the names and defaults of its options."""

    def run(self: Any, image: Any, *, on_error: str = "raise", **options: Any) -> Any:
        return self.translate(task, image, on_error=on_error, **options)

    run.__name__, run.__qualname__ = task, f"Session.{task}"
    run.__doc__ = f"{TASKS[task].does}\n\nPictures and results as in ``translate``; options as of ``p2s2p {task}``."
    keyword = inspect.Parameter.KEYWORD_ONLY
    options: type = options_of(task)
    chosen = [d for d in declarations_of(options) if d.name in option_names(options)]
    parameters = [
        inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        inspect.Parameter("image", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        inspect.Parameter("on_error", keyword, default="raise"),
        *(inspect.Parameter(d.name, keyword, default=d.default) for d in chosen),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def gives_several(options: type[TaskOptions], given: dict[str, Any]) -> bool:
    """Whether a single input gives a list: several faces or styles were asked for, or a list of seeds."""
    make: Callable[..., TaskOptions] = options
    made = validate(make(**given), options.command)
    return made.many_faces or len(made.variants) > 1 or isinstance(given.get("mix_seed"), (list, tuple))
