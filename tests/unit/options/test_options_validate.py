"""The Python interface checks its options as the command line does: two lines name option and range."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import pytest

from pixel2style2pixel_cli import api, load
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.jobs import start
from pixel2style2pixel_cli.options.validate import input_list
from pixel2style2pixel_cli.tasks.table import TASKS


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Inputs and options that reach the run of a task."""
    calls: list[Any] = []
    monkeypatch.setattr(start, "run_task", lambda inputs, options: calls.extend((inputs, options)))
    return calls


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1, expected a whole number from 0 to "),
        ({"seed": "1"}, "seed is '1', expected a whole number from 0 to "),
        ({"batch_size": 0}, "batch_size is 0, expected auto or a whole number of at least 1"),
        ({"batch_size": True}, "batch_size is True, expected auto or a whole number of at least 1"),
        ({"mix_alpha": math.nan}, "mix_alpha is nan, expected a number from 0 to 1"),
        ({"mix_truncation": 2}, "mix_truncation is 2, expected a number from 0 to 1"),
        ({"detector_threshold": -math.inf}, "detector_threshold is -inf, expected a number"),
        ({"grid": "pairs"}, "grid is 'pairs', expected none, pair, row or sheet"),
        ({"grid": None}, "grid is None, expected none, pair, row or sheet"),
        ({"existing": "Skip"}, "existing is 'Skip', expected error, skip, overwrite or rename"),
        ({"paste": "no"}, "paste is 'no', expected true or false"),
        ({"face": "-1"}, "face is '-1', expected best, largest, all, left-to-right or an index from 0"),
        ({"out": 3}, "out is 3, expected a path"),
        ({"optimize": -1}, "optimize is -1, expected a whole number of at least 0"),
        ({"max_pixels": 0}, "max_pixels is 0, expected a whole number of at least 1"),
        ({"mix_seed": [None]}, "mix_seed is None, expected text"),
    ],
)
def test_wrong_options_are_named(told: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        api.invert("a.jpg", **options)
    assert caught.value.message.startswith(message) and "\n" not in caught.value.message
    assert caught.value.hint.startswith(("did you mean ", "help(api.invert) lists what it takes"))
    assert not told


def test_one_value_is_a_list_of_one(told: list[Any]) -> None:
    api.invert(Path("a.jpg"), mix_seed="0-7", face=2)
    inputs, options = told
    assert inputs == ["a.jpg"]
    assert options.mix_seed == ("0-7",) and options.samples == tuple(range(8)) and options.face == "2"
    told.clear()
    api.mix(("a.jpg", "b.jpg"), mix_layers="fine")
    assert told[0] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("inputs", [3, None, [3], [b"a"], [["a"]]])
def test_inputs_are_paths(inputs: Any) -> None:
    with pytest.raises(UsageError, match="an input is"):
        input_list(inputs)


def test_unknown_names_are_python_errors(told: list[Any]) -> None:
    with pytest.raises(TypeError, match="sede"):
        api.invert("a.jpg", sede=1)
    with pytest.raises(AttributeError, match="invrt"):
        api.invrt("a.jpg")  # type: ignore[operator]
    with pytest.raises(TypeError, match="grid"):
        api.list_faces("a.jpg", grid="none")


def test_other_functions_check_as_well() -> None:
    with pytest.raises(UsageError, match="width is nan, expected a number of at least 0"):
        api.blend_models("a", "b", "c", at=32, width=math.nan)
    with pytest.raises(UsageError, match="steps is 0, expected a whole number of at least 1"):
        api.train_generator("data", "run", steps=0)
    with pytest.raises(UsageError, match="detector_threshold is 'low', expected a number"):
        api.list_faces("a.jpg", detector_threshold="low")
    with pytest.raises(TypeError, match="'at'"):
        api.blend_models("a", "b", "c")


def test_help_lists_every_function() -> None:
    assert set(TASKS) <= set(dir(api))
    for name in ("train_generator", "train_encoder", "train_recogniser", "blend_models", "pull_models", "list_faces"):
        function = getattr(api, name)
        options = [p.name for p in inspect.signature(function).parameters.values() if p.name not in ("inputs", "ask")]
        assert all(f"\n{option}: " in function.__doc__ for option in options if option not in ("stdin", "on_event"))


def test_a_session_checks_what_it_is_made_with() -> None:
    with pytest.raises(UsageError, match="batch_size is 0, expected auto or a whole number of at least 1"):
        load(batch_size=0)
    with pytest.raises(UsageError, match="dtype is 'half', expected auto, float32, bfloat16 or float16"):
        load(dtype="half")  # type: ignore[arg-type]
