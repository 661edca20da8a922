"""What machines do to commands: full disks, limits, closed streams, folders that vanish, settings of other people.

    python benchmarks/hostile_machine.py --out benchmarks/records/hostile_machine.json

Each fault by its name (``--fault NAME`` for one): the command ends by itself, without a traceback, with one of the exit
codes that are right for it, in two lines for what went wrong where it can still speak; no file is half-written and
none left over; once the fault is gone the same command makes every file that an undisturbed run makes, to the bit.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from hostile_faults import FAULTS, LINE, Fault
from hostile_runs import LINES, World, prepared, world_of
from hostile_traces import half_written, kept, strays
from hostile_world import Ended, Fresh, Server, scratch


def fill(world: World, fault: Fault, folder: Path) -> tuple[str, ...]:
    """The folder of a fault before it strikes; returns the command line."""
    folder.mkdir()
    if fault.command == "many":
        LINES["invert"].prepare(world, folder)
        for number in range(10):
            shutil.copy(world.root / "photos" / f"{number % 2}.png", folder / "in" / f"{number}.png")
        return (*LINE[:4], "--align", "always", *LINE[6:])
    command = prepared(world, fault.command, folder)
    return tuple(fault.line) if fault.command == "invert" else command.arguments


def strike(world: World, name: str, server: Server) -> list[str]:
    """Everything that is wrong about one fault."""
    fault = FAULTS[name]
    with scratch(world.root) as base:
        whole = undisturbed(world, fault, server, base)
        folder = base / "hit"
        line = fill(world, fault, folder)
        request = world.request(folder, line)
        if fault.before:
            (folder / "before.py").write_text(fault.before + "\n")
        environment = {**request.environment, **fault.environment}
        environment = {key: value for key, value in environment.items() if value is not None}
        if "P2S2P_ZOO" in fault.environment:
            environment["P2S2P_ZOO"] = str(folder / environment["P2S2P_ZOO"])
        hit = dataclasses.replace(
            request, environment=environment, before="before.py" if fault.before else "", **fault.request
        )
        (folder / "err.txt").touch()
        if hit.user:
            _hand_over(folder, hit.user)
        with fault.does(folder):
            runner: Server | Fresh = Fresh() if fault.fresh else server
            runner.start(hit)
            done = runner.wait()
        wrong = complaints(fault, done, whole, folder)
        (folder / "before.py").unlink(missing_ok=True)
        if fault.again:
            wrong += after(world, fault, server, folder, whole)
        return wrong


def _hand_over(folder: Path, user: int) -> None:
    """Give a folder to another user, who must be able to come to it."""
    for parent in (folder.parent, folder.parent.parent):
        parent.chmod(0o755)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user)


def undisturbed(world: World, fault: Fault, runner: Server, base: Path) -> dict[str, bytes]:
    """What the command leaves when nothing happens to it."""
    key = f"fault of {fault.command}"
    if key not in world.whole:
        folder = base / "whole"
        plain = Fault(codes=[0], command=fault.command)
        runner.start(world.request(folder, fill(world, plain, folder)))
        done = runner.wait()
        if done.code != 0:
            raise RuntimeError(f"{fault.command} ended with {done.code}: {done.err}")
        world.whole[key] = kept(folder), done
    return world.whole[key][0]


def complaints(fault: Fault, done: Ended, whole: dict[str, bytes], folder: Path) -> list[str]:
    """What is wrong while the fault lasts."""
    wrong = []
    if done.hung:
        wrong.append("did not end")
    if done.code not in fault.codes:
        wrong.append(f"exit code {done.code}, expected one of {list(fault.codes)}: {done.err[-400:]}")
    if "Traceback" in done.err or "Error: " in done.err.replace("unexpected OSError: ", ""):
        wrong.append(done.err[-700:])
    if done.code > 0 and not fault.silent and not (done.err.count("error: ") >= 1 <= done.err.count("hint: ")):
        wrong.append(f"does not say why: {done.err[-300:]!r}")
    if fault.says and fault.says not in done.err:
        wrong.append(f"does not say {fault.says!r}: {done.err[-300:]!r}")
    wrong += [f"half-written {each}" for each in half_written(folder, whole)]
    if done.code >= 0:
        wrong += [f"left {each}" for each in strays(folder)]
    return wrong


def after(world: World, fault: Fault, runner: Server, folder: Path, whole: dict[str, bytes]) -> list[str]:
    """What is wrong once the fault is gone and the same command is typed again."""
    plain = Fault(codes=[0], command=fault.command)
    with scratch(world.root) as other:
        line = fill(world, plain, other / "line")
    tasks = line[0] in ("invert", "paste")
    runner.start(world.request(folder, (*line, "--skip-existing") if tasks else line))
    again = runner.wait()
    found, missing = kept(folder), []
    if again.code != 0 and not (found == whole and line[0] == "models"):
        missing.append(f"again exit code {again.code}: {again.err[-400:]}")
    missing += [f"again missing {name}" for name in whole.keys() - found.keys()]
    missing += [f"again differs {name}" for name in whole.keys() & found.keys() if whole[name] != found[name]]
    return missing + [f"again left {each}" for each in strays(folder)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="this one only; repeats")
    parser.add_argument("--out", type=Path, help="write the counts there")
    given = parser.parse_args()
    record: dict[str, Any] = {}
    with scratch() as folder, Server() as server, world_of(folder, server) as world:
        for name in given.fault or FAULTS:
            started = time.monotonic()
            wrong = strike(world, name, server)
            record[name] = {"wrong": wrong, "seconds": round(time.monotonic() - started, 1)}
            print(f"{'WRONG' if wrong else 'ok   '} {name}", *wrong, sep="\n      ", flush=True)
    failed = sum(bool(entry["wrong"]) for entry in record.values())
    print(f"{len(record)} faults, {failed} wrong")
    if given.out:
        given.out.write_text(json.dumps({"faults": len(record), "wrong": failed, "by name": record}, indent=1) + "\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
