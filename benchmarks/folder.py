"""A folder through `p2s2p invert`: pictures a second, share of time the network is busy, peak memory.

    python benchmarks/folder.py --photo astronaut.png --count 200 --out benchmarks/records/folder.json
    python benchmarks/folder.py --photo astronaut.png --count 3 --model NAME --out benchmarks/records/folder_NAME.json

Each picture is the photograph turned by another small angle, so that no two runs of the detector are alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image


def watch(process: subprocess.Popen[bytes]) -> int | None:
    """Wait for the end; most memory of the process and its helpers together, shared pages counted once (Linux)."""
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(proportional_bytes(number) for number in family(process.pid)))
        time.sleep(0.2)
    return peak or None


def family(number: int) -> list[int]:
    """A process and its children."""
    try:
        tasks = list(Path(f"/proc/{number}/task").iterdir())
        return [number, *(int(child) for task in tasks for child in (task / "children").read_text().split())]
    except OSError:
        return []


def proportional_bytes(number: int) -> int:
    """Resident memory of a process, each shared page divided by how many share it; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--option", action="append", default=[], help="a further option of invert; repeats")
    options = parser.parse_args()
    photo = Image.open(options.photo).convert("RGB")
    summaries = []
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "in"
        inputs.mkdir()
        for index in range(options.count):
            turned = photo.rotate((index % 41 - 20) / 2, Image.Resampling.BICUBIC)
            turned.save(inputs / f"{index:04d}.jpg", quality=92)
        command = [
            sys.executable,
            "-m",
            "pixel2style2pixel_cli",
            "invert",
            str(inputs),
            "--model",
            options.model,
            "--json",
        ]
        for run in range(options.runs):
            started = time.perf_counter()
            arguments = [*command, "-o", f"{folder}/out{run}", *options.option]
            with (
                (Path(folder) / "events.jsonl").open("w+") as events,
                subprocess.Popen(arguments, stdout=events, stderr=subprocess.DEVNULL) as process,
            ):
                peak = watch(process)
                wall = time.perf_counter() - started
                events.seek(0)
                summary = json.loads(events.readlines()[-1])
            summaries.append({**summary, "wall_seconds": round(wall, 2), "peak_bytes_with_helpers": peak})
    summaries.sort(key=lambda s: s["seconds"])
    median = summaries[len(summaries) // 2]
    record = {
        "command": f"p2s2p invert FOLDER --model {options.model} --json {' '.join(options.option)}".strip(),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip(),
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "photo": f"{photo.width}x{photo.height}",
        "count": options.count,
        "pictures_per_second": round(options.count / median["seconds"], 2),
        "pictures_per_second_with_start": round(options.count / median["wall_seconds"], 2),
        "all_seconds": [s["seconds"] for s in summaries],
        "median": median,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
