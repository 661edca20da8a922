"""The campaigns of kills, machines, pairs and folders in short: the same functions and a few seeds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt" or not hasattr(os, "fork"), reason="signals and forks of POSIX")
if os.name != "nt":
    import hostile_folder
    import hostile_machine
    import hostile_pairs
    import hostile_runs
    import hostile_traces
    from hostile_faults import FAULTS
    from hostile_world import Server

# where each command is hit: the number of the change of the disk, as a share of those that it makes
BLOWS = [
    ("invert", "SIGKILL"), ("paste", "SIGKILL"), ("models import", "SIGINT"), ("models import again", "SIGKILL"),
    ("models pull", "SIGTERM"), ("models remove", "SIGTERM"), ("train encoder", "SIGKILL"), ("generate", "SIGHUP"),
]  # fmt: skip
FEW = [
    "files of 1 kB at most", "output folder read-only", "an input is a loop of links", "disk knows no links",
    "disk does not rename", "both full, JSON", "every helper dies", "the clock jumps",
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(scope="module")
def world(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[hostile_runs.World]:
    with hostile_runs.world_of(tmp_path_factory.mktemp("world"), server) as made:
        yield made


@pytest.mark.parametrize(("command", "sent"), BLOWS)
def test_a_blow_costs_nothing(world: hostile_runs.World, server: Server, command: str, sent: str) -> None:
    seed = list(hostile_runs.SIGNALS).index(sent) + 4 * len(command)
    counts = hostile_runs.Counts()
    hostile_runs.strike(world, command, seed, server, counts, by_change=True)
    assert counts.wrong == []
    assert counts.blows == {sent: 1} and counts.finished_before == 0


@pytest.mark.parametrize("name", FEW)
def test_a_fault_of_the_machine_is_told_and_costs_nothing(world: hostile_runs.World, server: Server, name: str) -> None:
    assert hostile_machine.strike(world, name, server) == []


def test_there_are_faults_enough() -> None:
    assert len(FAULTS) >= 80


def test_two_runs_at_once(world: hostile_runs.World, server: Server) -> None:
    counts = hostile_pairs.Counts()
    with Server() as second:
        for number in (2, 3):  # overwrite and rename
            hostile_pairs.run_pair(world, [server, second], number, counts)
    assert counts.wrong == [] and len(counts.pairs) == 2 and counts.claimed > 8


def test_a_folder_with_one_of_each_hostile_kind(world: hostile_runs.World, server: Server) -> None:
    record = hostile_folder.try_folder(server, world.root / "zoo", len(hostile_folder.bad_files()) + 10)
    assert record["wrong"] == []
    assert (record["exit"], record["written"], record["named"]) == (3, 10, record["hostile"])


def test_a_stray_or_a_half_written_file_would_be_seen(tmp_path: Path) -> None:
    """What the campaign looks at, spoilt by hand."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n half")
    (tmp_path / "out" / "a.safetensors").write_bytes(b"half")
    (tmp_path / "out" / ".b.png.part").write_bytes(b"")
    assert hostile_traces.half_written(tmp_path, {}) == ["out/a.png", "out/a.safetensors"]
    assert hostile_traces.strays(tmp_path) == ["out/.b.png.part"]
