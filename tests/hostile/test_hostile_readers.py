"""2,000 seeded changes for each reader of foreign bytes: a value or an error of ours, quickly, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import hostile
import hostile_files
import numpy as np
import pytest
from hostile_changes import changed

CHANGES = 2000
# Everything in these is covered by a checksum, so that hardly a changed one is read.
CHECKED = ("weights",)
BUILDS = ("weights", "card", "checkpoint")  # networks, for each file that can be read


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(hostile.READERS))
def test_changed_files(name: str) -> None:
    count = CHANGES // 4 if name in BUILDS else CHANGES
    counts = hostile.campaign(name, range(count))
    assert counts.wrong == []
    assert counts.read + counts.refused == count
    assert counts.read > (0 if name in CHECKED else 5)  # changes that leave nothing to read would try one check alone
    assert counts.slowest < hostile.SLOW


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(hostile.READERS))
def test_files_before_they_are_changed(name: str) -> None:
    """The seeds are whole; some readers refuse what other readers of the same files take, never with a traceback."""
    reader = hostile.READERS[name]
    read = 0
    for data in reader.seeds():
        try:
            reader.read(data)
            read += 1
        except hostile.P2S2PError as error:
            assert name in ("label map", "mask", "label map of a shard", "checkpoint"), error
            assert "damaged" not in error.message
            assert name != "checkpoint" or "needs more than tensors" in error.message or "asks for" in error.message
    assert read


def test_the_same_seed_makes_the_same_file() -> None:
    files = hostile_files.picture_files()
    first, again = (changed(files, np.random.default_rng(7)) for _ in "12")
    assert first == again and first not in files


def test_a_campaign_goes_on_where_it_stopped_and_forgets_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[tuple[int, int]] = []

    def batch(name: str, seeds: range) -> hostile.Counts:
        done.append((seeds[0], len(seeds)))
        wrong = [f"{name} {seeds[0]}: the process died"] if seeds[0] == 2500 else []
        return hostile.Counts(read=len(seeds), wrong=wrong)

    monkeypatch.setattr(hostile, "_in_process", batch)
    record = tmp_path / "record.json"
    for count, code in (("2600", 1), ("2900", 1)):
        monkeypatch.setattr("sys.argv", ["hostile.py", "--out", str(record), "--reader", "recipe", "--count", count])
        assert hostile.main() == code
    assert done == [(0, 2500), (2500, 100), (2600, 300)]  # what is recorded is not done again
    assert json.loads(record.read_text())["readers"]["recipe"]["wrong"] == ["recipe 2500: the process died"]
    assert "the process died" in capsys.readouterr().out
