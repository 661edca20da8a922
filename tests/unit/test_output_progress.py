"""How far a run is and how long it will take, also inside a picture, and never measured by what took no time."""

from __future__ import annotations

import pytest

from pixel2style2pixel_cli.events import Phase, Progress
from pixel2style2pixel_cli.output.progress import Tracker


def progress(done: int, total: int | None) -> Progress:
    return Progress(done=done, total=total, label="invert")


def steps(done: int, pictures: int = 1) -> Phase:
    return Phase(name="optimising", done=done, total=100, pictures=pictures)


def test_loading_is_no_measure() -> None:
    tracker = Tracker()
    tracker.take(progress(0, 4), 0.0)
    tracker.take(Phase(name="loading"), 0.0)
    assert tracker.left(60.0) is None and tracker.note(60.0) == "loading the model"
    tracker.take(Phase(name="reading"), 60.0)
    tracker.take(Phase(name="drawing"), 61.0)
    tracker.take(progress(1, 4), 62.0)
    assert tracker.left(62.0) == pytest.approx(6.0)
    assert tracker.line(62.0, 62.0) == "invert: 1/4 after 1 min 02 s, drawing, about 6 s left"


def test_pictures_that_were_there_are_no_measure() -> None:
    tracker = Tracker()
    for done in range(91):
        tracker.take(progress(done, 100), 0.001 * done)
    tracker.take(Phase(name="reading"), 1.0)
    assert tracker.left(2.0) is None
    tracker.take(progress(91, 100), 3.0)
    assert tracker.left(3.0) == pytest.approx(18.0)


def test_steps_count_inside_a_picture() -> None:
    tracker = Tracker()
    tracker.take(progress(0, 2), 0.0)
    tracker.take(Phase(name="reading"), 10.0)
    tracker.take(steps(25), 15.0)
    assert tracker.reached == pytest.approx(0.25)
    assert tracker.left(15.0) == pytest.approx(35.0)
    assert tracker.note(15.0) == "optimising step 25 of 100, about 35 s left"
    tracker.take(steps(100), 30.0)
    tracker.take(steps(50), 40.0)
    assert tracker.reached == pytest.approx(1.5)
    tracker.take(progress(1, 2), 41.0)  # reported late, which takes nothing back
    assert tracker.reached == pytest.approx(1.5)
    tracker.take(steps(100), 50.0)
    tracker.take(progress(2, 2), 51.0)
    assert (tracker.reached, tracker.left(51.0)) == (2, 0.0)


def test_failures_among_optimised_pictures() -> None:
    tracker = Tracker()
    tracker.take(progress(0, 10), 0.0)
    tracker.take(Phase(name="reading"), 0.0)
    for done in (1, 2, 3):
        tracker.take(progress(done, 10), 1.0)
    tracker.take(steps(100, pictures=2), 9.0)
    tracker.take(steps(50, pictures=2), 12.0)
    assert tracker.reached == pytest.approx(6.0)


def test_another_work_begins_anew() -> None:
    tracker = Tracker()
    tracker.take(progress(0, 100), 0.0)
    tracker.take(progress(100, 100), 1.0)
    tracker.take(progress(10, 1000), 2.0)
    assert tracker.reached == 10 and tracker.left(3.0) is None
    tracker.take(progress(20, None), 4.0)
    assert tracker.left(5.0) is None and tracker.share == "20"
