"""How much decoded pictures may take while they wait."""

from __future__ import annotations

import io
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reading_task import ReadingTask

from pixel2style2pixel_cli.jobs import read as reading
from pixel2style2pixel_cli.jobs.budget import Budget, Dropped, detached, needed_bytes
from pixel2style2pixel_cli.jobs.plan import PlanItem, make_plan
from pixel2style2pixel_cli.jobs.prepare import Preparation, Read
from pixel2style2pixel_cli.jobs.read import Readers
from pixel2style2pixel_cli.tasks.base import Prepared

BOMB = bytes.fromhex("4749463839613e373e37800000000000ffffff2c000000003e373e370000024401003b")  # 14 142 x 14 142


def encoded(form: str, size: tuple[int, int] = (300, 200)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (9, 90, 200)).save(out, form)
    return out.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM"])
def test_the_header_tells_what_decoding_takes(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(form))
    assert needed_bytes(path) == needed_bytes(path.read_bytes()) == 300 * 200 * 12


def test_what_no_header_tells(tmp_path: Path) -> None:
    assert needed_bytes(BOMB) == 14_142**2 * 12
    assert needed_bytes(b"no picture at all") == 4 * 17
    assert needed_bytes(tmp_path / "absent") == needed_bytes(tmp_path) == needed_bytes(b"") == 0


def test_room_is_given_in_order_and_one_always_has_it() -> None:
    budget, order, lock = Budget(100), [], threading.Lock()

    def take(turn: int, amount: int) -> None:
        budget.take(turn, amount)
        with lock:
            order.append(turn)

    with ThreadPoolExecutor(5) as threads:
        for turn, amount in ((4, 1), (3, 10), (2, 400), (1, 60), (0, 40)):
            threads.submit(take, turn, amount)
        time.sleep(0.2)
        assert order == [0, 1]  # the third is larger than all there is, and waits until it is alone
        budget.keep(0, 0)
        budget.keep(1, 500)  # never more than it had
        time.sleep(0.1)
        assert order == [0, 1]
        budget.keep(1, 0)
        time.sleep(0.1)
        assert order == [0, 1, 2]
        budget.keep(2, 5)
        time.sleep(0.1)
        assert order == [0, 1, 2, 3, 4]


def test_nobody_waits_once_the_run_ends() -> None:
    budget = Budget(10)
    budget.take(0, 10)
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(budget.take, 1, 10)
        budget.close()
        with pytest.raises(Dropped):
            waits.result(timeout=5)


def test_crops_do_not_hold_their_photograph() -> None:
    photo = np.zeros((400, 400, 3), np.uint8)
    view = Prepared(face=0, crop=photo[:4, :4], target=photo[:8, :8], matrix=None, aligned=True)
    own = np.zeros((4, 4, 3), np.uint8)
    (free,) = detached([view], photo)
    (same,) = detached([Prepared(face=0, crop=own, target=None, matrix=None, aligned=True)], photo)
    assert free.crop.base is None and free.target is not None and free.target.base is None and same.crop is own


def plan_of(folder: Path, count: int) -> tuple[PlanItem, ...]:
    folder.mkdir()
    for index in range(count):
        (folder / f"{index:02d}.png").write_bytes(encoded("PNG", (8, 8)))
    return tuple(make_plan([str(folder)], command="invert", out=str(folder.with_name("out")), stdin=bytes).todo)


@pytest.mark.parametrize(("each", "most"), [(2_000_000_000, 1), (900_000_000, 2), (1, 4)])
def test_large_pictures_are_not_decoded_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, each: int, most: int
) -> None:
    now, seen, lock = [0], [0], threading.Lock()

    class Counting(ReadingTask):
        def prepare(self, photo: object, relative: str) -> list[Prepared]:
            with lock:
                now[0] += 1
                seen[0] = max(seen[0], now[0])
            time.sleep(0.05)
            with lock:
                now[0] -= 1
            return super().prepare(photo, relative)  # type: ignore[arg-type]

    monkeypatch.setattr(reading.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(reading, "needed_bytes", lambda source: each)
    preparation = Preparation(preparer=Counting(os.getpid()), max_pixels=10_000, keep_pixels=False)
    with Readers(preparation, plan_of(tmp_path / "in", 7), bytes) as readers:
        found = [outcome for _, outcome in readers.ahead(4)]
    assert len(found) == 7 and all(isinstance(outcome, Read) for outcome in found)
    assert seen[0] <= most and (most == 1 or seen[0] > 1)
    assert all(isinstance(outcome, Read) and outcome.photo.pixels.base is None for outcome in found)
