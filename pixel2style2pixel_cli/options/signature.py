"""Python functions that take the fields of a dataclass of options: signature, help and checks are the declarations'."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_type_hints

from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.validate import validate

Options = TypeVar("Options")
Result = TypeVar("Result")


def function_of(
    name: str,
    options: type[Options],
    act: Callable[..., Result],
    *,
    does: str,
    inputs: object = None,
    inputs_help: str = "",
    by_place: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> Callable[..., Result]:
    """A function ``name`` whose keywords are the fields of ``options``, or those named by ``only``.

    ``act`` gets the checked options; where ``inputs`` is a type, the function takes inputs first, which ``inputs_help``
    explains, and ``act`` gets them before the options. Fields in ``by_place`` may be given without their names.
    ``does`` is the first line of the help.
    """
    signature = _signature(options, inputs, by_place, only)

    def call(*given: Any, **named: Any) -> Result:
        values = signature.bind(*given, **named).arguments
        first = () if inputs is None else (values.pop("inputs"),)
        return act(*first, validate(options(**values), name))

    call.__name__ = call.__qualname__ = name
    text = f"inputs: {inputs_help}" if inputs_help else ""
    call.__doc__ = _describe(options, does, text, list(signature.parameters))
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def _signature(options: type, inputs: object, by_place: Sequence[str], only: Sequence[str] | None) -> inspect.Signature:
    hints = get_type_hints(options)
    fields = {field.name: field for field in dataclasses.fields(options)}
    names = [*by_place, *(name for name in (fields if only is None else only) if name not in by_place)]
    kinds = inspect.Parameter
    parameters = [] if inputs is None else [kinds("inputs", kinds.POSITIONAL_ONLY, annotation=inputs)]
    for name in names:
        kind = kinds.POSITIONAL_OR_KEYWORD if name in by_place else kinds.KEYWORD_ONLY
        default = fields[name].default
        default = kinds.empty if default is dataclasses.MISSING else default
        parameters.append(kinds(name, kind, annotation=hints[name], default=default))
    return inspect.Signature(parameters)


def _describe(options: type, does: str, inputs: str, names: Sequence[str]) -> str:
    """What a function does, then one paragraph for each thing it takes."""
    lines = [does, "", inspect.cleandoc(options.__doc__ or ""), *(["", *_wrapped(inputs)] if inputs else ())]
    for declared in declarations_of(options):
        if declared.name in names:
            default = declared.default_means or repr(declared.default)
            text = f"{declared.name}: {declared.help}{'' if declared.required else f' Default: {default}.'}"
            lines += ["", *_wrapped(text)]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 116, subsequent_indent="    ")
