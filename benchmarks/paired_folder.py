"""The same clean folder through `p2s2p invert` of two source trees, in turns: what the command costs before and after.

    git worktree add ../before COMMIT
    python benchmarks/paired_folder.py --before ../before --photo PHOTO --out benchmarks/records/paired_folder.json

Both trees use the cards and weights of the earlier one. The pictures are ordinary ones: JPEG, PNG with and without
transparency, small and large, each turned by another small angle. Processor time is what the command and its helpers
worked, and says something on a busy machine too; the clock on the wall does on a quiet one only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
# how many, the longer side in pixels, the suffix, the mode
KINDS = (
    (14, 512, ".jpg", "RGB"), (8, 1024, ".jpg", "RGB"), (10, 512, ".png", "RGB"), (4, 1024, ".png", "RGB"),
    (4, 512, ".png", "RGBA"),
)  # fmt: skip


def write_pictures(photo: Path, folder: Path) -> int:
    """The folder; returns how many pictures are in it."""
    folder.mkdir()
    original, made = Image.open(photo).convert("RGB"), 0
    for count, side, suffix, mode in KINDS:
        scaled = original.resize((side, side * original.height // original.width), Image.Resampling.LANCZOS)
        for _ in range(count):
            picture = scaled.rotate((made % 21 - 10) / 2, Image.Resampling.BICUBIC).convert(mode)
            picture.save(folder / f"{made:03d}{suffix}")
            made += 1
    return made


def run(tree: Path, zoo: Path, folder: Path, out: Path, options: list[str]) -> dict[str, float]:
    """One run of a tree: seconds on the wall, seconds of work of the process and those it waited for, peak memory."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("P2S2P_")}
    environment |= {"PYTHONPATH": str(tree), "P2S2P_ZOO": str(zoo), "P2S2P_HOME": str(out.parent / "home")}
    command = [
        sys.executable,
        "-P",
        "-m",
        "pixel2style2pixel_cli",
        "invert",
        str(folder),
        "-o",
        str(out),
        "-q",
        *options,
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, cwd=out.parent)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the run of {tree} ended with {process.returncode}")
    return {
        "wall": round(time.perf_counter() - started, 3),
        "cpu": round(used.ru_utime + used.ru_stime, 3),
        "peak_mb": used.ru_maxrss // 1024,
    }


def commit_of(tree: Path) -> str:
    return subprocess.run(
        ["git", "-C", str(tree), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the earlier tree")
    parser.add_argument("--photo", type=Path, required=True, help="a photograph with a face")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--option", action="append", default=["--optimize=0"], help="a further option of invert; repeats"
    )
    given = parser.parse_args()
    trees = {"before": given.before.resolve(), "after": ROOT}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "in")
        count = write_pictures(given.photo, folder)
        for number in range(given.pairs):
            order = list(trees) if number % 2 == 0 else list(trees)[::-1]
            for name in order:
                out = Path(scratch, f"{name}{number}")
                runs[name].append(run(trees[name], trees["before"] / "models", folder, out, given.option))
                if len(list(out.glob("*.png"))) != count:
                    raise RuntimeError(f"the run of {name} wrote {len(list(out.glob('*.png')))} of {count} pictures")
                print(name, runs[name][-1], file=sys.stderr, flush=True)
            given.out.write_text(json.dumps(record(trees, runs, count, given.option), indent=1) + "\n")


def record(
    trees: dict[str, Path], runs: dict[str, list[dict[str, float]]], count: int, options: list[str]
) -> dict[str, Any]:
    """Every run, the medians, and the median of the ratios of the pairs."""
    made: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores", "python": platform.python_version(),
        "pictures": count, "options": options, "commits": {name: commit_of(tree) for name, tree in trees.items()},
        "load": [round(each, 1) for each in os.getloadavg()], "runs": runs,
    }  # fmt: skip
    pairs = list(zip(runs["before"], runs["after"], strict=False))
    for what in ("cpu", "wall", "peak_mb"):
        made[what] = {name: statistics.median(each[what] for each in runs[name] or [{what: 0.0}]) for name in trees}
        if pairs:
            made[what]["ratio"] = round(statistics.median(after[what] / before[what] for before, after in pairs), 3)
    return made


if __name__ == "__main__":
    main()
