"""Kills and signals at any moment over every command that writes; the same command again must end as it always does.

    python benchmarks/hostile_runs.py --count 320 --fresh 40 --out benchmarks/records/hostile_runs.json

Half of the blows fall at a change of the disk that the command is about to make (SIGKILL, SIGINT, SIGTERM, SIGHUP in
turn), half at a random moment between its start and its end; ``--fresh`` so many more fall on new interpreters, whose
start and imports are hit as well. After each: no file under its own name is half-written, the exit code and the words
are those of the signal, the same command (or the one that is printed) ends well, and every file is, to the bit, that
of a run that nothing disturbed, with nothing beside them. What is wrong is printed with what makes it again
(``--command NAME --seed N --count 1``); the command ends with 1.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import random
import shlex
import shutil
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hostile_traces import cpu_seconds, half_written, kept, strays
from hostile_world import (
    LONGEST,
    TESTS,
    Ended,
    Fresh,
    Request,
    Server,
    build_zoo,
    plain_environment,
    scratch,
)

sys.path += map(str, TESTS)
from hub_server import HubFile, hub_server
from published import FILE, NAME, hf, write_card
from real_run import two_faces
from task_inputs import COMMANDS, write_inputs

NEVER = ("--align", "never")
TASKS = {**COMMANDS, "edit": (*NEVER, "--direction", "sefa:0"), "transfer": NEVER}
WITH_CONTENT = ("mix", "transfer")
SIGNALS = {"SIGKILL": -9, "SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
NAMES = ("a.png", "b.png", "c.png")
MARKS = {"models pull", "models import", "models remove", "models blend"}  # a second run may say that it is done
_TINY = (
    "generator.resolution=32 generator.style_dim=16 generator.z_dim=5 generator.channel_max=16 "
    "generator.channel_multiplier=0.03125 encoder.input_size=32 encoder.units=[1,1,1,1] encoder.widths=[8,8,8,16] "
    "encoder.head_width=8 "
)
_TINY_FACES = (
    "recogniser.input_size=32 recogniser.embedding=8 recogniser.units=[1,1,1,1] recogniser.widths=[8,8,8,16] "
    "people.held_out=2 "
)
_TINY_RUN = "run.batch=2 run.held_out=2 run.checkpoint_every=2 run.sample_every=2 run.validate_every=3 run.log_every=1 "


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line that writes, and what must lie in its folder beforehand."""

    arguments: tuple[str, ...]
    prepare: Callable[[World, Path], None]
    again: tuple[str, ...] = ()
    resumes: bool = False
    anew: bool = False  # a signal leaves the best so far: the same is made by --overwrite only
    weight: int = 1

    @property
    def repeated(self) -> tuple[str, ...]:
        return self.again or self.arguments


@dataclass
class World:
    """What all runs share: models, a hub, results to paste, and the undisturbed run of each command."""

    root: Path
    hub: str
    whole: dict[str, tuple[dict[str, bytes], Ended]] = field(default_factory=dict)

    def request(self, folder: Path, arguments: Sequence[str], **more: Any) -> Request:
        home = str(folder / "home")
        environment = plain_environment(
            P2S2P_ZOO=str(self.root / "zoo"), P2S2P_HOME=home, HOME=str(self.root / "user"), HF_ENDPOINT=self.hub,
            HF_HOME=str(self.root / "hf"), XDG_CONFIG_HOME=str(self.root / "config"),
        )  # fmt: skip
        return Request(arguments=tuple(arguments), cwd=str(folder), environment=environment, **more)


@dataclass
class Counts:
    """What the blows of a campaign met."""

    blows: dict[str, int] = field(default_factory=dict)
    finished_before: int = 0
    lost: int = 0
    half_written: int = 0
    strays: int = 0
    tracebacks: int = 0
    hangs: int = 0
    unequal: int = 0
    wrong_codes: int = 0
    slowest_stop: float = 0.0
    peak_mb: int = 0
    wrong: list[str] = field(default_factory=list)


def _task(name: str) -> Command:
    def prepare(world: World, folder: Path) -> None:
        write_inputs(name, folder / "in", NAMES)
        if name in WITH_CONTENT:
            write_inputs("invert", folder / "content", ["z.png"])

    inputs = ("content/z.png", "in") if name in WITH_CONTENT else ("in",)
    mixes = () if name in (*WITH_CONTENT, "edit", "embed") else ("--mix-seed", "0-1")
    more = ("--save-latents", *(() if name in WITH_CONTENT else ("--grid", "pair")), *mixes)
    line = (name, *inputs, "-o", "out", *TASKS[name], *more, "--device", "cpu")
    policy = "--overwrite" if name == "embed" else "--skip-existing"
    return Command(arguments=line, again=(*line, policy), prepare=prepare, resumes=True, anew=name == "embed")


def _on_photos(*words: str, resumes: bool = True, anew: bool = False) -> Command:
    """A command on three photographs that is no task with one output for each."""

    def prepare(world: World, folder: Path) -> None:
        write_inputs("invert", folder / "in", NAMES)

    line = (*words, "--device", "cpu")
    policy = "--overwrite" if anew else "--skip-existing"
    return Command(arguments=line, again=(*line, policy), prepare=prepare, resumes=resumes, anew=anew)


def _prepare_paste(world: World, folder: Path) -> None:
    for name in ("made", "photos"):
        shutil.copytree(world.root / name, folder / name)


def _nothing(world: World, folder: Path) -> None:
    pass


def _install(world: World, folder: Path) -> None:
    """A model that an earlier import put there."""
    shutil.copytree(world.root / "installed", folder / "home" / "models" / "mine")


def _train(what: str, *options: str) -> Command:
    sections = {"generator": ("generator", "encoder", "run"), "encoder": ("encoder", "run")}
    values = [value for value in (_TINY + _TINY_RUN).split() if value.split(".")[0] in sections.get(what, ("run",))]
    if what == "recogniser":  # as many pictures are held out as the persons have
        values = [value for value in values if not value.startswith("run.held_out")] + _TINY_FACES.split()
    sets = [word for value in values for word in ("--set", value)]
    data = "people" if what == "recogniser" else "discs"
    line = ("train", what, "--data", f"ROOT/{data}.npz", "--out", "run", "--steps", "4", *sets, *options)
    return Command(arguments=(*line, "--device", "cpu"), prepare=_nothing, resumes=True)


LINES: dict[str, Command] = {
    **{name: _task(name) for name in TASKS},
    "generate": _on_photos("generate", "--seed", "0-5", "-o", "out", "--save-latents"),
    "morph": _on_photos("morph", "in/a.png", "in/b.png", "in/c.png", *NEVER, "--steps", "5", "-o", "out"),
    "expression": _on_photos("expression", "in/a.png", "in/b.png", "in/c.png", *NEVER, "-o", "out"),
    "tune": _on_photos("tune", "in", *NEVER, "--steps", "3", "-o", "out/anna.safetensors", resumes=False, anew=True),
    "paste": Command(
        arguments=("paste", "made", "photos", "-o", "out"),
        again=("paste", "made", "photos", "-o", "out", "--skip-existing"),
        prepare=_prepare_paste, resumes=True,
    ),
    "models blend": Command(
        arguments=("models", "blend", "tiny-generator", "tiny-toon-generator", "toon", "--at", "16"), prepare=_nothing
    ),
    "models import": Command(arguments=("models", "import", "mine", "ROOT/published.pt"), prepare=_nothing, weight=2),
    "models import again": Command(arguments=("models", "import", "mine", "ROOT/published.pt"), prepare=_install),
    "models pull": Command(
        arguments=("models", "pull", NAME, "--accept-licence"), prepare=_nothing, resumes=True, weight=2
    ),
    "models remove": Command(arguments=("models", "remove", "mine"), prepare=_install),
    "models verify": Command(arguments=("models", "verify", "mine"), prepare=_install),
    "train generator": _train("generator", "--preset", "mini-autoencoder", "--set", "run.snapshot_every=2"),
    "train encoder": _train(
        "encoder", "--task", "invert", "--preset", "mini-invert", "--generator", "tiny-generator"
    ),
    "train recogniser": _train("recogniser", "--preset", "mini-faces"),
}  # fmt: skip


@contextlib.contextmanager
def world_of(folder: Path, server: Server) -> Iterator[World]:
    """Models, results to paste and an installed model, made once."""
    build_zoo(folder)
    with hub_server() as hub:
        data = (folder / "published.pt").read_bytes()
        hub.add("first/repo", FILE, HubFile(data))
        write_card(folder, data, hf("first/repo"))
        world = World(root=folder, hub=hub.address)
        for name in ("photos", "user", "config"):
            (folder / name).mkdir()
        for number in range(2):
            two_faces().rotate(3 * number).save(folder / "photos" / f"{number}.png")
        line = ("invert", "photos", "-o", "made", "--face", "all", "--device", "cpu")
        for arguments in (line, ("models", "import", "mine", "published.pt")):
            server.start(world.request(folder, arguments))
            done = server.wait()
            if done.code != 0:
                raise RuntimeError(f"{arguments} ended with {done.code}: {done.err}")
        (folder / "home" / "models" / "mine").rename(folder / "installed")
        yield world


def prepared(world: World, name: str, folder: Path) -> Command:
    """A command with its folder filled."""
    command = LINES[name]
    command.prepare(world, folder)
    lines = [
        tuple(word.replace("ROOT", str(world.root)) for word in line) for line in (command.arguments, command.again)
    ]
    return dataclasses.replace(command, arguments=lines[0], again=lines[1])


def undisturbed(world: World, name: str, runner: Server | Fresh, folder: Path) -> tuple[dict[str, bytes], Ended]:
    """What the command leaves when nothing happens to it, and how long it takes."""
    if name not in world.whole:
        command = prepared(world, name, folder)
        runner.start(world.request(folder, command.arguments))
        done = runner.wait()
        if done.code != 0:
            raise RuntimeError(f"{name} ended with {done.code}: {done.err}")
        world.whole[name] = kept(folder), done
    return world.whole[name]


def strike(
    world: World, name: str, seed: int, runner: Server | Fresh, counts: Counts, *, by_change: bool | None = None
) -> None:
    """One blow, what it left, and the command again; ``by_change`` says whether it falls at a change of the disk."""
    chance = random.Random(seed * 1_000_003 + zlib.crc32(name.encode()))
    with scratch() as base:
        whole, normal = undisturbed(world, name, runner, _new(base / "whole"))
        folder = _new(base / "hit")
        command = prepared(world, name, folder)
        sent = list(SIGNALS)[seed % len(SIGNALS)]
        label = f"{name} {seed} {sent}"
        if by_change is None:
            by_change = isinstance(runner, Server) and chance.random() < 0.5
        number = getattr(signal, sent)
        at = chance.randrange(max(1, normal.changes)) if by_change else -1
        pid = runner.start(world.request(folder, command.arguments, at=at, signal=number))
        before = 0.0
        if not by_change:
            moment = chance.uniform(0, normal.cpu)
            while (worked := cpu_seconds(pid)) is not None and worked < moment:
                time.sleep(0.005)
            before = worked or 0.0
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        done = runner.wait(LONGEST)
        counts.blows[sent] = counts.blows.get(sent, 0) + 1
        if not by_change and done.code not in (0, -9):
            counts.slowest_stop = max(counts.slowest_stop, done.cpu - before)
        check_stopped(label, sent, command, done, folder, whole, counts, fresh=isinstance(runner, Fresh))
        go_on(world, label, command, done, runner, folder, whole, counts)


def check_stopped(
    label: str, sent: str, command: Command, done: Ended, folder: Path, whole: dict[str, bytes], counts: Counts,
    *, fresh: bool,
) -> None:  # fmt: skip
    """Whole files only, the right exit code and words, nothing left over where the program could see to it."""
    counts.peak_mb = max(counts.peak_mb, done.peak_mb)
    early = (-getattr(signal, sent),) if fresh and not done.err and not (folder / "out").exists() else ()
    if done.code == 0:
        counts.finished_before += 1
    elif done.hung:
        counts.hangs += 1
        counts.wrong.append(f"{label}: did not stop in {LONGEST:.0f} s")
    elif done.code not in (SIGNALS[sent], *early):
        counts.wrong_codes += 1
        counts.wrong.append(f"{label}: exit code {done.code}: {done.err[-300:]}")
    if "Traceback" in done.err or "Error:" in done.err:
        counts.tracebacks += 1
        counts.wrong.append(f"{label}: {done.err[-600:]}")
    if done.code == SIGNALS[sent] and sent != "SIGKILL":
        if command.resumes and "resume with:" not in done.err:
            counts.wrong_codes += 1
            counts.wrong.append(f"{label}: no line to resume with: {done.err!r:.300}")
        left = strays(folder)
        counts.strays += len(left)
        counts.wrong += [f"{label}: left {each}" for each in left]
    broken = half_written(folder, whole)
    counts.half_written += len(broken)
    counts.wrong += [f"{label}: half-written {each}" for each in broken]


def go_on(
    world: World, label: str, command: Command, done: Ended, runner: Server | Fresh, folder: Path,
    whole: dict[str, bytes], counts: Counts,
) -> None:  # fmt: skip
    """The line that was printed, or the same command: it must end well and leave what an undisturbed run leaves."""
    told = done.err.partition("resume with:\n  p2s2p ")[2].splitlines()
    arguments = shlex.split(told[0]) if told and not command.anew else command.repeated
    runner.start(world.request(folder, arguments))
    again = runner.wait()
    counts.peak_mb = max(counts.peak_mb, again.peak_mb)
    after = kept(folder)
    complete = after == whole
    name = " ".join(label.split()[:2])
    if again.code != 0 and not (complete and name in MARKS and again.code in (2, 4)):
        counts.wrong_codes += 1
        counts.wrong.append(f"{label}: again exit code {again.code}: {again.err[-300:]}")
    if "Traceback" in again.err:
        counts.tracebacks += 1
        counts.wrong.append(f"{label}: again {again.err[-600:]}")
    left = strays(folder)
    if left:
        counts.strays += len(left)
        counts.wrong += [f"{label}: again left {each}" for each in left]
    missing = whole.keys() - after.keys()
    counts.lost += len(missing)
    differing = [each for each in whole.keys() & after.keys() if whole[each] != after[each]]
    added = [each for each in after.keys() - whole.keys() if each not in left and not _inside(each, left)]
    counts.unequal += len(differing) + len(added)
    counts.wrong += [f"{label}: missing {each}" for each in missing]
    counts.wrong += [f"{label}: differs {each}" for each in differing] + [f"{label}: added {each}" for each in added]


def _inside(name: str, folders: Sequence[str]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def write_record(path: Path | None, totals: dict[str, Counts]) -> None:
    """What has been counted so far, so that a campaign that is stopped leaves a record too."""
    if path is not None:
        record = {kind: dataclasses.asdict(counts) for kind, counts in totals.items()}
        path.write_text(json.dumps({"commands": list(LINES), **record}, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=320, help="how many blows on forked commands")
    parser.add_argument("--fresh", type=int, default=0, help="how many on new interpreters")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--command", choices=list(LINES), help="this one only")
    parser.add_argument("--out", type=Path, help="write the counts there")
    given = parser.parse_args()
    names = [given.command] if given.command else [n for n, c in LINES.items() for _ in range(c.weight)]
    totals: dict[str, Counts] = {}
    with scratch() as folder, Server() as server, world_of(folder, server) as world:
        for kind, runner, count in (("forked", server, given.count), ("fresh", Fresh(), given.fresh)):
            world.whole.clear()  # another way to start takes another time
            counts = totals.setdefault(kind, Counts())
            for number in range(count):
                # a step that is coprime with the four signals, so that each command meets each of them
                seen, name = len(counts.wrong), names[number % len(names)]
                strike(world, name, given.seed + number // len(names) + number % len(names), runner, counts)
                print(*counts.wrong[seen:], sep="\n", end="\n" if counts.wrong[seen:] else "", flush=True)
                if number % 20 == 19:
                    print(f"{kind}: {number + 1} of {count}", file=sys.stderr, flush=True)
                    write_record(given.out, totals)
            print(kind, json.dumps(dataclasses.asdict(counts) | {"wrong": len(counts.wrong)}), flush=True)
    write_record(given.out, totals)
    return int(any(counts.wrong for counts in totals.values()))


if __name__ == "__main__":
    sys.exit(main())
