"""2,000 seeded changes for each reader of foreign bytes: a value or an error of ours, quickly, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "hostile.py"
CHANGES = 2000


def load() -> ModuleType:
    """The campaign, which lies outside the package."""
    spec = importlib.util.spec_from_file_location("hostile", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hostile"] = module  # where its data classes look for their names
    spec.loader.exec_module(module)
    return module


hostile = load()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(hostile.READERS))
def test_changed_files(name: str) -> None:
    counts = hostile.campaign(name, range(CHANGES))
    assert counts.wrong == []
    assert counts.read + counts.refused == CHANGES
    assert counts.read > 20  # changes that leave nothing to read would try the first check alone
    assert counts.slowest < hostile.SLOW


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(hostile.READERS))
def test_files_before_they_are_changed(name: str) -> None:
    """The seeds are whole; a label map or a mask may refuse what a picture says, never with a traceback."""
    reader = hostile.READERS[name]
    read = 0
    for data in reader.seeds():
        try:
            reader.read(data)
            read += 1
        except hostile.P2S2PError as error:
            assert name in ("label map", "mask", "label map of a shard"), error
            assert "damaged" not in error.message
    assert read


def test_the_same_seed_makes_the_same_file() -> None:
    files = hostile.picture_files()
    first, again = (hostile.changed(files, np.random.default_rng(7)) for _ in "12")
    assert first == again and first not in files
