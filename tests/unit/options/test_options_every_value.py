"""Every option of every Python function and of a session refuses what is no value of it, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from pixel2style2pixel_cli import api, load
from pixel2style2pixel_cli.errors import MissingError, UsageError
from pixel2style2pixel_cli.options.declare import Declaration, declarations_of
from pixel2style2pixel_cli.options.models import BlendOptions, ImportOptions, PullOptions, ShowOptions, VerifyOptions
from pixel2style2pixel_cli.options.paste import PasteOptions
from pixel2style2pixel_cli.options.training import EncoderTrainingOptions, GeneratorTrainingOptions
from pixel2style2pixel_cli.options.validate import validate
from pixel2style2pixel_cli.tasks.table import TASKS, options_of

OTHERS = (PasteOptions, BlendOptions, PullOptions, ImportOptions, ShowOptions, VerifyOptions)
TRAINING = (GeneratorTrainingOptions, EncoderTrainingOptions)


def wrong_values(option: Declaration) -> Iterator[object]:
    """Values of other types, literals that nobody knows, numbers that are none or out of range."""
    kind = option.kind
    yield from (object(), b"bytes", 1j, np.zeros((2, 2)))
    if not kind.optional:
        yield None
    if kind.base == "flag":
        yield from ("no", "true", 2, 0.0)
    if kind.base == "choice":
        yield from ("eror", "", 3, True)
    if kind.base in ("whole", "number"):
        yield from (True, math.nan, math.inf, -math.inf, "1", "x", "")
        yield from (kind.minimum - 1,) if kind.minimum is not None else ()
        yield from (kind.maximum + 1,) if kind.maximum is not None else ()
    if kind.base == "whole":
        yield from (1.5, 10**5000 if kind.maximum is not None else 0.5)
    if kind.base == "text":
        yield from (1.5, True)
    if kind.many:
        yield from ([object()], [["a"]], {1: 2}, [b"a"])
    elif not kind.pairs:
        yield from ([], ["a", "b"], {"a": 1})


@pytest.mark.parametrize("options", [*(options_of(task) for task in TASKS), *OTHERS, *TRAINING])
def test_no_value_of_another_kind_gets_through(options: type[Any]) -> None:
    needed = {option.name: "x" for option in declarations_of(options) if option.required}
    needed |= {name: 32 for name in needed if name == "at"}
    tried = 0
    for option in declarations_of(options):
        for value in wrong_values(option):
            with pytest.raises(UsageError) as caught:
                validate(options(**{**needed, option.name: value}), "f")
            assert caught.value.message.startswith(f"{option.name} is ")
            assert len(caught.value.message) < 600 and caught.value.hint
            tried += 1
    for field in fields(options):
        if field.name in ("on_event", "stdin", "stdout", "ask"):
            with pytest.raises(UsageError, match=f"{field.name} is 3, expected a function"):
                validate(options(**{**needed, field.name: 3}), "f")
    assert tried >= 8


@pytest.mark.parametrize(
    "call",
    [
        lambda: api.show_model(3),
        lambda: api.show_model(None),
        lambda: api.show_file(None),
        lambda: api.show_file(b"x"),
        lambda: api.import_model("x", None),
        lambda: api.import_model(4, "x"),
        lambda: api.verify_models(3),
        lambda: api.remove_models([None]),
        lambda: api.pull_models(None),
        lambda: api.list_faces("x", detector_threshold=math.nan),
        lambda: api.train_generator("d", "o", minutes=math.nan),
        lambda: api.train_generator("d", "o", seed=2**64),
        lambda: api.invert("x", on_event="print"),
        lambda: load(None),
        lambda: load(3),
        lambda: load(device=3),
        lambda: load(on_event=1),
    ],
)
def test_single_arguments(call: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=", expected "):
        call()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda s, p: s.faces(p, detector_threshold=math.nan), "detector_threshold is nan"),
        (lambda s, p: s.faces(p, detector_threshold="0"), "detector_threshold is '0'"),
        (lambda s, p: s.faces(p, detector=3), "detector is 3"),
        (lambda s, p: s.align(p, size=0), "size is 0, expected a whole number from 1"),
        (lambda s, p: s.align(p, size=10**9), "size is 1000000000"),
        (lambda s, p: s.align(p, size=1.5), "size is 1.5"),
        (lambda s, p: s.align(p, face=-1), "face is '-1'"),
        (lambda s, p: s.align(p, face="bst"), "face is 'bst'"),
        (lambda s, p: s.align(p, detector_threshold=math.inf), "detector_threshold is inf"),
        (lambda s, p: s.draw(np.full((14, 4), np.nan)), "codes are empty or not finite"),
        (lambda s, p: s.draw([]), "codes are empty or not finite"),
        (lambda s, p: s.draw("abc"), "codes are 'abc', expected numbers"),
        (lambda s, p: s.draw(np.zeros((14, 4)), noise="som"), "noise is 'som'"),
        (lambda s, p: s.draw(np.zeros((14, 4)), seed=-1), "seed is -1"),
        (lambda s, p: s.invert(p, on_error="ignore"), "on_error is 'ignore', expected raise or return"),
        (lambda s, p: s.invert(p, optimize=math.nan), "optimize is nan"),
        (lambda s, p: s.encode(p, optimize=-1), "optimize is -1"),
        (lambda s, p: s.mix(p, mix_alpha=math.nan), "mix_alpha is nan"),
        (lambda s, p: s.mix(p, on_error=3), "on_error is 3"),
    ],
)
def test_a_session_checks_every_argument(
    call: Callable[[Any, Any], object], named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    session = load()
    picture = np.zeros((64, 64, 3), np.uint8)
    try:
        with pytest.raises(UsageError) as caught:
            call(session, picture)
    except MissingError:  # pragma: no cover - what is asked for first must not be a model
        pytest.fail("a model was looked for before the arguments were checked")
    assert caught.value.message.startswith(named)


@pytest.mark.parametrize("task", [task for task in TASKS if "face" in {f.name for f in fields(options_of(task))}])
@pytest.mark.parametrize("face", ["all", "largest", "left-to-right", "1"])
def test_a_face_is_not_chosen_where_none_is_looked_for(task: str, face: str) -> None:
    needed = {option.name: "x" for option in declarations_of(options_of(task)) if option.required}
    options = options_of(task)(**needed, align="never", face=face)
    with pytest.raises(UsageError, match=f"--face {face} chooses among faces, and --align never looks for none"):
        options.check(["a.png", "b.png", "c.png"])
