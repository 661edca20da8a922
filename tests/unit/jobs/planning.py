"""What the tests of planning share: files to plan with, and plans made in the working directory."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.jobs.plan import Plan, make_plan

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="links, modes and bytes of POSIX")


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(name.encode("utf-8", "surrogateescape"))


def write_outputs(*names: str, faces: str | None = None) -> None:
    """Outputs of an earlier run, whole; ``faces`` is what the recipe says about those of the input."""
    from pixel2style2pixel_cli.files.image import encode_image

    recipe = None if faces is None else json.dumps({"schema": 2, "options": {"faces": faces}})
    for name in names:
        touch(name)
        if name.endswith(".safetensors"):
            Path(name).write_bytes((2).to_bytes(8, "little") + b"{}")
        else:
            Path(name).write_bytes(encode_image(np.zeros((2, 2, 3), np.uint8), "png", recipe=recipe))


def no_stdin() -> bytes:
    raise AssertionError("standard input was read")


def plan(*inputs: str, stdin: Callable[[], bytes] = no_stdin, **options: Any) -> Plan:
    return make_plan(inputs, command="invert", stdin=stdin, **options)


def outs(made: Plan) -> list[str]:
    return [item.output.as_posix() for item in made.items]


def labels(made: Plan) -> list[str]:
    return [item.label for item in made.items]


def refused(*inputs: str, **options: Any) -> UsageError:
    before = sorted(Path().rglob("*"))
    with pytest.raises(UsageError) as caught:
        plan(*inputs, **options)
    assert sorted(Path().rglob("*")) == before
    assert caught.value.message
    assert caught.value.hint
    return caught.value
