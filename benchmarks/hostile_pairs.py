"""Two runs at once on different inputs of equal names, into one folder: what each says it wrote is there, its own.

    python benchmarks/hostile_pairs.py --count 100 --out benchmarks/records/hostile_pairs.json

Each pair has a policy (error, skip, overwrite and rename in turn), a task, options that write more than one file for an
input, a head start of up to a second for either run, and in every fifth pair a third run that is killed meanwhile.
Under overwrite the later of two files stays, whole and of one of the two; under the others none is reported twice.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hostile_runs import TASKS, World, world_of
from hostile_traces import strays
from hostile_world import Ended, Server, scratch
from task_inputs import write_inputs

from pixel2style2pixel_cli.files.image import read_metadata

POLICIES = ("error", "skip", "overwrite", "rename")
COMMANDS = ("invert", "seg2face", "toonify", "sketch2face", "superres")
MORE = ((), ("--save-latents",), ("--mix-seed", "0-1", "--save-latents"), ("--grid", "pair"), ("--grid", "sheet"))
NAMES = ("a.png", "b.png", "c.png", "d.png")
CODES = {"error": (0, 2, 3), "skip": (0,), "overwrite": (0,), "rename": (0,)}


@dataclass
class Counts:
    """What came of all pairs."""

    pairs: dict[str, int] = field(default_factory=dict)
    claimed: int = 0
    refused: int = 0
    met: int = 0
    lost: int = 0
    foreign: int = 0
    twice: int = 0
    unclaimed: int = 0
    strays: int = 0
    tracebacks: int = 0
    wrong_codes: int = 0
    wrong: list[str] = field(default_factory=list)

    def note(self, kind: str, message: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.wrong.append(message)


def own_hashes(folder: Path) -> dict[str, str]:
    """Input paths, as they are reported, and the hashes of their bytes."""
    return {
        path.relative_to(folder.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.png")
    }


def run_pair(world: World, servers: Sequence[Server], number: int, counts: Counts) -> None:
    """One pair, and a run beside it that is killed in every fifth."""
    chance = random.Random(number)
    policy, command = POLICIES[number % 4], chance.choice(COMMANDS)
    label = f"pair {number} {command} {policy}"
    counts.pairs[policy] = counts.pairs.get(policy, 0) + 1
    with scratch(world.root) as base:
        for shift, name in enumerate("ab"):
            write_inputs(command, base / name, NAMES)
            # other names in front move the same name to another turn, and make other pictures of it
            for extra in range(shift + 1):
                write_inputs(command, base / name / "0", [f"{extra}{each}" for each in NAMES[:2]])
            (base / name / "mask.png").unlink()  # which lies beside the inputs of a folder
            for each, at in zip(NAMES, chance.sample(range(len(NAMES)), len(NAMES)), strict=True):
                (base / name / each).rename(base / name / f"{at}.new")
            for at, each in enumerate(NAMES):
                (base / name / f"{at}.new").rename(base / name / each)
                with (base / name / each).open("ab") as file:  # behind the end of a PNG: another file, read alike
                    file.write(name.encode())
        options = ("-o", "out", "--existing", policy, "--json", "--device", "cpu", *chance.choice(MORE))
        start = chance.uniform(0, 1)
        first = chance.randrange(2)
        for turn in (first, 1 - first):
            line = (command, "ab"[turn], "-r", *options, *TASKS[command])
            servers[turn].start(world.request(base, line, stdout=f"{turn}.out", stderr=f"{turn}.err"))
            time.sleep(start if turn == first else 0)
        if number % 5 == 4:
            line = (command, "a", "-r", *options, *TASKS[command])
            pid = servers[2].start(world.request(base, line, stdout="2.out", stderr="2.err"))
            time.sleep(chance.uniform(0.2, 2.5))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            servers[2].wait()
        ended = [servers[turn].wait() for turn in range(2)]
        killed = number % 5 == 4
        check(label, policy, base, ended, counts, killed=killed)


def check(label: str, policy: str, base: Path, ended: Sequence[Ended], counts: Counts, *, killed: bool) -> None:
    """Each claim against the disk."""
    owner: dict[str, int] = {}
    both = [own_hashes(base / name) for name in "ab"]
    for turn, done in enumerate(ended):
        if done.code not in (*CODES[policy], 3 if killed else 0):
            counts.note("wrong_codes", f"{label}: exit code {done.code}: {done.err[-300:]}")
        if "Traceback" in done.err:
            counts.note("tracebacks", f"{label}: {done.err[-600:]}")
        for row in done.rows:
            if row.get("event") != "image":
                continue
            if row["status"] != "ok":
                counts.refused += 1
                counts.met += "another run" in (row.get("message") or "")
                continue
            for path in filter(None, (row["output"], row["latent"])):
                counts.claimed += 1
                if path in owner and owner[path] != turn and policy != "overwrite":
                    counts.note("twice", f"{label}: both runs say that they wrote {path}")
                owner[path] = turn
                check_file(label, base / path, row["input"], policy, both[turn], both[1 - turn], counts)
    named = {(base / path).resolve() for path in owner}
    for path in (base / "out").rglob("*") if not killed else ():
        beside = path.stem.endswith("_pair") or path.stem.startswith("sheet")
        if path.is_file() and not path.name.startswith(".") and not beside and path.resolve() not in named:
            counts.note("unclaimed", f"{label}: nobody says that it wrote {path.name}")
    for left in strays(base):
        if not killed:
            counts.note("strays", f"{label}: left {left}")


def check_file(
    label: str, path: Path, source: str, policy: str, mine: Mapping[str, str], others: Mapping[str, str], counts: Counts
) -> None:
    """One file that a run says it wrote of ``source``."""
    if not path.is_file():
        counts.note("lost", f"{label}: {path.name} is not there")
        return
    try:
        text = read_metadata(path)[0] or "" if path.suffix == ".png" else path.read_bytes().decode("latin-1")
    except Exception as error:
        counts.note("foreign", f"{label}: {path.name} cannot be read: {error}")
        return
    allowed = [mine[source]]
    if policy == "overwrite":
        allowed += [digest for name, digest in others.items() if Path(name).stem == Path(source).stem]
    if not any(digest in text for digest in allowed):
        counts.note("foreign", f"{label}: {path.name} is not of {source}")


def write_record(path: Path | None, counts: Counts) -> None:
    """What has been counted so far."""
    if path is not None:
        path.write_text(json.dumps(dataclasses.asdict(counts), indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="how many pairs")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first")
    parser.add_argument("--out", type=Path, help="write the counts there")
    given = parser.parse_args()
    counts = Counts()
    with contextlib.ExitStack() as held:
        folder = held.enter_context(scratch())
        servers = [held.enter_context(Server()) for _ in range(3)]
        world = held.enter_context(world_of(folder, servers[0]))
        for number in range(given.seed, given.seed + given.count):
            seen = len(counts.wrong)
            run_pair(world, servers, number, counts)
            print(*counts.wrong[seen:], sep="\n", end="\n" if counts.wrong[seen:] else "", flush=True)
            if number % 10 == 9:
                print(f"{number + 1 - given.seed} of {given.count}", file=sys.stderr, flush=True)
                write_record(given.out, counts)
    write_record(given.out, counts)
    print(json.dumps(dataclasses.asdict(counts) | {"wrong": len(counts.wrong)}))
    return int(bool(counts.wrong))


if __name__ == "__main__":
    sys.exit(main())
