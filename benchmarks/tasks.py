"""What the translation tasks do with rendered faces that no model saw, each through its command.

    python benchmarks/tasks.py --shard shard_015.npz --other shard_014.npz --parser parser.safetensors \\
        --facegen facegen --frontals frontals.npz --record benchmarks/records/tasks.json --sheets docs/pictures/tasks
    python benchmarks/tasks.py --shard shard_015.npz --parser parser.safetensors --train-parser shard_00?.npz

``--other`` is another shard, on which the estimator of yaw is fitted and the mean face is averaged. The parser reads
label maps out of outputs; it is trained once and kept. ``--frontals`` keeps the frontal renders.
A task without command or model is recorded as not available. Shards of any size do: commands are given pictures of the
size that the bundled generator draws, or of ``--size``, and figures are taken at 128 px.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from command import record_head, write_record
from heldout import Unavailable, read_faces
from parser import train_parser
from sheets import write_sheet
from sides import SIDE
from translations import MEASURES, Bench

from pixel2style2pixel_cli.evaluation.judges import Descriptor
from pixel2style2pixel_cli.evaluation.parser import Parser
from pixel2style2pixel_cli.zoo.choose import choose_model


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shard", type=Path, required=True, help="a packed shard that nothing was trained on")
    parser.add_argument("--other", type=Path, help="another shard, to fit and average on")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--other-count", type=int, default=600)
    parser.add_argument("--size", type=int, help="side of the pictures that commands are given")
    parser.add_argument("--mixed", type=int, default=24, help="how many inputs are given eight style samples each")
    parser.add_argument("--tasks", default=",".join(MEASURES), help="which, with commas between")
    parser.add_argument("--facegen", type=Path, help="folder of the renderer, for frontal renders")
    parser.add_argument("--frontals", type=Path, help="file that keeps the frontal renders")
    parser.add_argument("--parser", type=Path, help="weights of the face parser")
    parser.add_argument("--train-parser", type=Path, nargs="+", metavar="SHARD", help="train it on these and stop")
    parser.add_argument("--parser-steps", type=int, default=700)
    parser.add_argument("--parser-size", type=int, default=64, help="side of the pictures it reads")
    parser.add_argument("--record", type=Path, default=Path("benchmarks/records/tasks.json"))
    parser.add_argument("--sheets", type=Path, help="folder for one sheet a task")
    parser.add_argument("--option", action="append", default=[], help="a further option of every command; repeats")
    options = parser.parse_args()
    options.tasks = [task for task in options.tasks.split(",") if task]
    unknown = sorted(set(options.tasks) - set(MEASURES))
    if unknown:
        parser.error(f"unknown tasks {', '.join(unknown)}; known: {', '.join(MEASURES)}")
    if options.train_parser and not options.parser:
        parser.error("--train-parser needs --parser FILE to write to")
    return options


def measure(task: str, bench: Bench, sheets: Path | None) -> dict[str, Any]:
    """The record of one task; its sheet is written on the way."""
    started = time.perf_counter()
    try:
        measured = MEASURES[task](bench)
    except Unavailable as error:
        print(f"{task}: not available, {error}", file=sys.stderr)
        return {"status": "not available", "why": str(error)}
    except RuntimeError as error:
        print(f"{task}: failed, {error}", file=sys.stderr)
        return {"status": "failed", "why": str(error)}
    if sheets is not None:
        write_sheet(sheets / f"{task}.webp", measured.rows, measured.captions, columns=measured.abreast)
    print(f"{task}: measured in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return measured.record


def main() -> int:
    options = read_options()
    if options.train_parser:
        size = options.parser_size
        record = train_parser(
            options.train_parser, options.shard, options.parser, steps=options.parser_steps, size=size
        )
        print(record)
        return 0
    size = options.size or choose_model("invert", "mini").generator.resolution
    bench = Bench(
        faces=read_faces(options.shard, options.count, size=size),
        other=None if options.other is None else read_faces(options.other, options.other_count, size=size),
        describe=Descriptor(),
        parser=None if options.parser is None else Parser(options.parser),
        facegen=options.facegen,
        frontals=options.frontals,
        diverse=options.mixed,
        extra=tuple(options.option),
    )
    chosen = f"--count {options.count} --mixed {options.mixed} --tasks {','.join(options.tasks)}"
    record = record_head(" ".join(["python benchmarks/tasks.py", chosen, *options.option])) | {
        "data": options.shard.name,
        "other": None if options.other is None else options.other.name,
        "pictures": len(bench.faces.pictures),
        "size": size,
        "side": SIDE,
        "parser": None if bench.parser is None else bench.parser.record,
        "tasks": {task: measure(task, bench, options.sheets) for task in options.tasks},
    }
    write_record(options.record, record)
    return 1 if any(task.get("status") == "failed" for task in record["tasks"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
