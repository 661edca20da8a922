"""Curves as pictures: what is drawn where, and that nothing which a run can log stops it."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import ADVERSARIAL, fresh, train

from pixel2style2pixel_cli.events import Event, Notice, Progress
from pixel2style2pixel_cli.files.image import read_image
from pixel2style2pixel_cli.training import log as logs
from pixel2style2pixel_cli.training.board import FOLDER, Board
from pixel2style2pixel_cli.training.log import RunLog
from pixel2style2pixel_cli.training.plot import COLUMNS, EDGES, LINE, PANEL, _axis, draw_curves

LEFT, RIGHT, TOP, BOTTOM = EDGES


def places(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the line's pixels."""
    return np.nonzero((picture == np.array(LINE)).all(axis=2))


def test_a_falling_curve_falls() -> None:
    picture = draw_curves({"l2": [(step, 200.0 - step) for step in range(100)]}, across="step")
    assert picture.shape == (PANEL[1], PANEL[0], 3) and picture.dtype == np.uint8
    rows, columns = places(picture)
    assert columns.min() <= LEFT + 3 and columns.max() > PANEL[0] - RIGHT - 10
    assert rows[columns < LEFT + 10].max() < TOP + 25 and rows[columns > PANEL[0] - RIGHT - 15].min() > 150


def test_panels_stand_in_rows() -> None:
    points = [(0.0, 1.0), (1.0, 2.0)]
    for count, shape in ((1, (1, 1)), (3, (1, 3)), (4, (2, 3)), (0, (1, 1))):
        picture = draw_curves({str(i): points for i in range(count)}, across="step")
        assert picture.shape == (shape[0] * PANEL[1], shape[1] * PANEL[0], 3) and shape[1] <= COLUMNS


@pytest.mark.parametrize(
    "points",
    [
        [(1, 5.0)],
        [(1, 0.0), (2, 0.0)],
        [(1, -3.0), (2, 1e9)],
        [(1, 1e-30), (2, 1e30)],
        [(1, math.nan), (2, 1.0), (3, math.inf)],
        [(step, 1.0 + step % 7) for step in range(5000)],
    ],
)
def test_whatever_a_loss_may_be_is_drawn(points: list[tuple[float, float]]) -> None:
    assert len(places(draw_curves({"loss": points}, across="step"))[0]) > 4


def test_rates_are_drawn_over_powers_of_ten() -> None:
    """Half of the true matches at one false match in a hundred lie in the middle of the panel."""
    picture = draw_curves({"true": [(0.0, 0.0), (1e-4, 0.0), (1e-2, 0.5), (1.0, 1.0)]}, across="false", rates=True)
    rows, columns = places(picture)
    middle = (LEFT + PANEL[0] - RIGHT) / 2
    across = rows[abs(columns - middle) < 2]
    assert abs(across.mean() - (TOP + PANEL[1] - BOTTOM) / 2) < 4


def test_what_is_no_number_alone_has_no_panel() -> None:
    picture = draw_curves({"lost": [(1, math.nan)], "kept": [(1, 1.0)]}, across="step")
    assert picture.shape[1] == PANEL[0]


def test_axes_begin_and_end_at_round_numbers() -> None:
    axis = _axis([0.31, 4.9], allow_logarithm=True)
    assert (axis.low, axis.high, axis.logarithmic) == (0.0, 6.0, False) and axis.share(3.0) == 0.5
    axis = _axis([0.02, 4.0], allow_logarithm=True)
    assert (axis.low, axis.high, axis.logarithmic) == (0.01, 10.0, True)
    assert axis.share(0.1) == pytest.approx(1 / 3) and axis.share(1.0) == pytest.approx(2 / 3)


def test_a_run_leaves_curves_and_says_how_fast_it_is(
    discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, list[tuple[float, float]]]] = []

    def draw(curves: dict[str, list[tuple[float, float]]], *, across: str) -> np.ndarray:
        drawn.append(curves)
        return draw_curves(curves, across=across)

    monkeypatch.setattr(logs, "draw_curves", draw)
    monkeypatch.setattr(logs, "CURVES_EVERY", 0.0)
    events: list[Event] = []
    train(fresh(ADVERSARIAL), ADVERSARIAL, discs, tmp_path / "run", on_event=events.append)
    assert len(drawn) == 6 and [len(curves["adversarial"]) for curves in drawn] == [1, 2, 3, 4, 5, 6]
    assert drawn[-1].keys() >= {"discriminator", "held_out/mse_z"} and "seconds" not in drawn[-1]
    assert read_image(tmp_path / "run" / "losses.png", name="curves").pixels.shape[1] == COLUMNS * PANEL[0]
    told = [event.label for event in events if isinstance(event, Progress)]
    assert len(told) == 6 and all(" pictures/s, adversarial " in label for label in told)


def test_curves_are_drawn_now_and_then_and_go_on_after_a_resume(tmp_path: Path) -> None:
    log = RunLog(tmp_path, step=0)
    for step in (1, 2, 3):
        log.write(step, {"l2": 1.0 / step})
        log.draw(last=False)
        if step == 1:
            first = (tmp_path / "losses.png").read_bytes()
    assert (tmp_path / "losses.png").read_bytes() == first, "not again within seconds"
    (tmp_path / "losses.png").unlink()
    log.draw(last=True)
    assert (tmp_path / "losses.png").is_file()
    (tmp_path / "losses.png").unlink()
    log.draw(last=True)
    assert not (tmp_path / "losses.png").exists(), "nothing new"
    again = RunLog(tmp_path, step=2)
    again.draw(last=True)
    expected = draw_curves({"l2": [(1, 1.0), (2, 0.5)]}, across="step")
    assert np.array_equal(read_image(tmp_path / "losses.png", name="curves").pixels, expected)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2


def events_in(folder: Path) -> list[bytes]:
    """The records of all event files: eight bytes of length, a check, the event, a check."""
    found = []
    for path in sorted(folder.glob("events.*")):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack("<Q", content[at : at + 8])
            found.append(content[at + 12 : at + 12 + length])
            at += 16 + length
    return found


def test_event_files_hold_losses_and_sheets(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    board = Board(tmp_path, step=0, on_event=lambda event: None)
    board.write(1, {"l2": 0.5, "held_out/mse": 0.25})
    board.show(1, np.zeros((8, 8, 3), np.uint8))
    board.close()
    Board(tmp_path, step=1, on_event=lambda event: None).close()
    found = events_in(tmp_path / FOLDER)
    for tag in (b"training/l2", b"held_out/mse", b"samples"):
        assert sum(tag in event for event in found) == 1
    assert any(struct.pack("<f", 0.5) in event for event in found if b"training/l2" in event)


def test_a_run_goes_on_without_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / FOLDER).write_text("in the way")
    events: list[Event] = []
    board = Board(tmp_path, step=0, on_event=events.append)
    board.write(1, {"l2": 0.5})
    board.close()
    assert [event.level for event in events if isinstance(event, Notice)] == ["warning"]
    assert "no more event files in" in json.dumps([event.message for event in events if isinstance(event, Notice)])


def test_nothing_is_written_where_tensorboard_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    board = Board(tmp_path, step=0, on_event=lambda event: None)
    board.write(1, {"l2": 0.5})
    board.show(1, np.zeros((8, 8, 3), np.uint8))
    board.close()
    assert list(tmp_path.iterdir()) == []
