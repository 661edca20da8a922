"""Reading ahead, in threads and in helper processes."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading_task import ReadingTask

from pixel2style2pixel_cli.errors import InputError, NoFaceError
from pixel2style2pixel_cli.jobs import helper as helping
from pixel2style2pixel_cli.jobs import read as reading
from pixel2style2pixel_cli.jobs.helper import Helpers
from pixel2style2pixel_cli.jobs.plan import PlanItem, make_plan
from pixel2style2pixel_cli.jobs.prepare import Outcome, Preparation, Read
from pixel2style2pixel_cli.jobs.read import WORTH_HELPERS, Readers

BLUE, GREEN, RED = (0, 0, 255), (0, 255, 0), (255, 0, 0)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading.os, "cpu_count", lambda: 2)


def plan_of(folder: Path, colours: list[tuple[int, int, int]]) -> tuple[PlanItem, ...]:
    folder.mkdir()
    for index, colour in enumerate(colours):
        Image.new("RGB", (8, 8), colour).save(folder / f"{index:02d}.png")
    return tuple(make_plan([str(folder)], command="invert", out=str(folder.with_name("out")), stdin=bytes).todo)


def run_all(todo: tuple[PlanItem, ...], task: ReadingTask, *, keep_pixels: bool = False) -> list[Outcome]:
    preparation = Preparation(preparer=task, max_pixels=10_000, keep_pixels=keep_pixels)
    with Readers(preparation, todo, lambda: b"") as readers:
        found = list(readers.ahead(4))
    assert [item for item, _ in found] == list(todo)
    return [outcome for _, outcome in found]


def made_by(outcome: Outcome) -> int:
    assert isinstance(outcome, Read)
    (prepared,) = outcome.prepared
    assert prepared.matrix is not None
    return int(prepared.matrix[0, 0])


def test_many_inputs_are_read_by_helpers_in_the_order_of_the_plan(tmp_path: Path) -> None:
    colours = [(0, 0, index) for index in range(12)]
    outcomes = run_all(plan_of(tmp_path / "in", colours), ReadingTask(os.getpid()))
    processes = {made_by(outcome) for outcome in outcomes}
    assert os.getpid() not in processes
    assert len(processes) <= 2
    for colour, outcome in zip(colours, outcomes, strict=True):
        assert isinstance(outcome, Read)
        np.testing.assert_array_equal(outcome.prepared[0].crop[0, 0], colour)
        assert outcome.photo.pixels.size == 0
        assert len(outcome.photo.sha256) == 64
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


@pytest.mark.parametrize(
    ("count", "holds"), [(WORTH_HELPERS - 1, True), (WORTH_HELPERS, False)], ids=["few inputs", "light work"]
)
def test_helpers_are_started_only_where_they_pay(tmp_path: Path, count: int, holds: bool) -> None:
    task = ReadingTask(os.getpid(), holds_interpreter=holds)
    outcomes = run_all(plan_of(tmp_path / "in", [BLUE] * count), task)
    assert {made_by(outcome) for outcome in outcomes} == {os.getpid()}


@pytest.mark.parametrize("count", [3, 12])
def test_the_photograph_comes_along_only_when_asked(tmp_path: Path, count: int) -> None:
    todo = plan_of(tmp_path / "in", [BLUE] * count)
    for keep, size in ((True, 8 * 8 * 3), (False, 0)):
        for outcome in run_all(todo, ReadingTask(os.getpid()), keep_pixels=keep):
            assert isinstance(outcome, Read)
            assert outcome.photo.pixels.size == size


def test_what_is_wrong_with_one_input_concerns_that_input(tmp_path: Path) -> None:
    todo = plan_of(tmp_path / "in", [BLUE] * 9 + [GREEN] + [BLUE])
    (tmp_path / "in" / "03.png").write_bytes(b"no picture")
    outcomes = run_all(todo, ReadingTask(os.getpid()))
    assert isinstance(outcomes[3], InputError)
    assert "03.png" in outcomes[3].message
    no_face = outcomes[9]
    assert isinstance(no_face, NoFaceError)
    assert no_face.hint == "look elsewhere"
    assert sum(isinstance(outcome, Read) for outcome in outcomes) == 9


def test_the_work_of_a_helper_that_was_killed_is_done_here(tmp_path: Path) -> None:
    todo = plan_of(tmp_path / "in", [BLUE] * 4 + [RED] + [BLUE] * 6)
    outcomes = run_all(todo, ReadingTask(os.getpid(), dies=True))
    assert made_by(outcomes[4]) == os.getpid()
    assert all(isinstance(outcome, Read) for outcome in outcomes)


def test_helpers_that_die_are_replaced_and_then_left_out(tmp_path: Path) -> None:
    todo = plan_of(tmp_path / "in", [RED] * 9 + [BLUE] * 9)
    outcomes = run_all(todo, ReadingTask(os.getpid(), dies=True))
    assert {made_by(outcome) for outcome in outcomes[:9]} == {os.getpid()}
    assert all(isinstance(outcome, Read) for outcome in outcomes)
    preparation = Preparation(preparer=ReadingTask(os.getpid()), max_pixels=1, keep_pixels=False)
    with contextlib.closing(Helpers(preparation, 1)) as helpers:
        first = helpers.take()
        assert first is not None and helpers.take() is None
        helpers.replace(first)
        second = helpers.take()
        assert second is not None and second is not first
        helpers.replace(second)
        assert helpers.take() is None  # one more than there were at first, and no other


def test_no_room_for_a_process_is_work_for_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(helping.subprocess, "Popen", refuse)
    outcomes = run_all(plan_of(tmp_path / "in", [BLUE] * 12), ReadingTask(os.getpid()))
    assert {made_by(outcome) for outcome in outcomes} == {os.getpid()}


def test_an_input_that_cannot_be_had_concerns_that_input(tmp_path: Path) -> None:
    def closed() -> bytes:
        raise InputError("standard input cannot be read: it is closed")

    (item,) = make_plan(["-"], command="invert", out=str(tmp_path / "out"), stdin=closed).todo
    preparation = Preparation(preparer=ReadingTask(os.getpid()), max_pixels=100, keep_pixels=False)
    with Readers(preparation, [item], closed) as readers:
        ((_, outcome),) = readers.ahead(4)
    assert isinstance(outcome, InputError) and "it is closed" in outcome.message


def test_leaving_early_drops_what_has_not_begun(tmp_path: Path) -> None:
    todo = plan_of(tmp_path / "in", [BLUE] * 40)
    started = time.perf_counter()
    with Readers(
        Preparation(preparer=ReadingTask(os.getpid()), max_pixels=100, keep_pixels=False), todo, bytes
    ) as readers:
        next(readers.ahead(4))
    assert time.perf_counter() - started < 30
