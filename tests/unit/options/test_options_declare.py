"""Declarations: what is read from an annotation, how texts become values, and what a wrong value is told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from pixel2style2pixel_cli.options.declare import OWN, RUN, declarations_of, declare
from pixel2style2pixel_cli.options.kinds import Unexpected, kind_of
from pixel2style2pixel_cli.options.task import FaceOptions
from pixel2style2pixel_cli.tasks.superres import SuperresOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Parent:
    """Options of a made-up command."""

    colour: Literal["red", "blue"] = declare("red", "-c", "--colour", section=RUN, metavar="COLOUR", help="A colour.")
    size: int | None = declare(None, "--size", minimum=1, maximum=9, help="A size.")
    told: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Child(Parent):
    """The same with another colour, and one more option."""

    colour: Literal["red", "blue"] = "blue"
    folders: Sequence[str | Path] = declare((), "--dir", help="Folders.")


def test_declarations_are_read_from_the_fields() -> None:
    colour, size = declarations_of(Parent)
    assert (colour.name, colour.key, colour.default, colour.section, colour.required) == ("colour",) * 2 + (
        "red", RUN, False,
    )  # fmt: skip
    assert colour.kind.choices == ("red", "blue") and colour.spelling == "--colour"
    assert (size.kind.optional, size.kind.minimum, size.kind.maximum, size.section) == (True, 1, 9, OWN)


def test_a_child_may_change_a_default_alone() -> None:
    colour, size, folders = declarations_of(Child)
    assert (colour.default, colour.help, colour.kind.choices) == ("blue", "A colour.", ("red", "blue"))
    assert (size.name, folders.key) == ("size", "dir")
    inherited = {option.name: option for option in declarations_of(FaceOptions)}
    own = {option.name: option for option in declarations_of(SuperresOptions)}
    assert (inherited["on_no_face"].default, own["on_no_face"].default) == ("skip", "crop")
    assert own["on_no_face"].help == inherited["on_no_face"].help


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (bool, "yes", True),
        (bool, "OFF", False),
        (int, "-3", -3),
        (float, "1e-2", 0.01),
        (int | Literal["auto"], "auto", "auto"),
        (int | Literal["auto"], "4", 4),
        (Literal["a", "b"], "b", "b"),
        (Sequence[int | str] | None, "10-13", "10-13"),
        (str | None, "", ""),
    ],
)
def test_texts_become_values(annotation: Any, text: str, value: object) -> None:
    found = kind_of(annotation).read(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (bool, "perhaps", "true or false"),
        (int, "1.0", "a whole number"),
        (int, "٣", "a whole number"),
        (int, "1" * 5000, "a whole number"),
        (float, "nan", "a number"),
        (float, "1e999", "a number"),
        (int | Literal["auto"], "x", "auto or a whole number"),
        (Literal["a", "b", "c"], "d", "a, b or c"),
    ],
)
def test_texts_that_are_no_value(annotation: Any, text: str, expected: str) -> None:
    with pytest.raises(Unexpected) as caught:
        kind_of(annotation).read(text)
    assert caught.value.expected == expected and str(caught.value).endswith(f", expected {expected}")
    assert len(str(caught.value)) < 130 and str(caught.value).startswith(f"is {text[:70]!r}"[:-1])


@pytest.mark.parametrize(
    ("annotation", "value", "taken"),
    [
        (bool, True, True),
        (int, np.int64(3), 3),
        (float, np.float32(0.5), 0.5),
        (float, 1, 1.0),
        (int | None, None, None),
        (str | Path | None, Path("a"), Path("a")),
        (Sequence[str | Path], "abc", ("abc",)),
        (Sequence[str | Path], Path("abc"), (Path("abc"),)),
        (Sequence[int | str] | None, 3, (3,)),
        (Sequence[int | str] | None, [0, "1-2"], (0, "1-2")),
        (Sequence[int | str] | None, range(2), (0, 1)),
        (Mapping[str, str] | None, {"a": 1}, {"a": "1"}),
    ],
)
def test_values_of_the_python_interface(annotation: Any, value: object, taken: object) -> None:
    found = kind_of(annotation).check(value)
    assert found == taken and type(found) is type(taken)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (bool, 1),
        (bool, "no"),
        (int, True),
        (int, 1.0),
        (int, "3"),
        (int, None),
        (float, "1"),
        (float, math.nan),
        (float, math.inf),
        (float, 10**400),
        (str, b"a"),
        (str, 3),
        (str, Path("a")),
        (Literal["a"], "A"),
        (Literal["a"], ["a"]),
        (Sequence[str], [["a"]]),
        (Mapping[str, str], "a=1"),
    ],
)
def test_values_that_are_refused(annotation: Any, value: object) -> None:
    with pytest.raises(Unexpected):
        kind_of(annotation).check(value)
