"""A session: the first call, the calls after it, and how much of those is the networks' own time.

    python benchmarks/session.py --photo astronaut.png --out benchmarks/records/session.json

Each call gets the same photograph as an array: the face is searched and cut out, encoded and drawn. The networks alone
are the encoder and the generator on an encoder input that is ready, in the same process, in turn with the calls.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pixel2style2pixel_cli import Session, load
from pixel2style2pixel_cli.files.pixels import to_float


def networks_seconds(session: Session, crop: np.ndarray) -> float:
    """Seconds that the encoder and the generator take for one picture."""
    engine = next(iter(session._engines.values()))
    batch = to_float([crop])
    started = time.perf_counter()
    engine.draw(engine.encode(batch))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--calls", type=int, default=15)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    photo = np.asarray(Image.open(options.photo).convert("RGB"))
    started = time.perf_counter()
    with load(options.model) as session:
        made = session.invert(photo, optimize=0)
        first = time.perf_counter() - started
        calls, aligned, alone = [], [], []
        for _ in range(options.calls):
            started = time.perf_counter()
            session.invert(photo, optimize=0)
            calls.append(time.perf_counter() - started)
            started = time.perf_counter()
            session.invert(made.crop, optimize=0, align="never")
            aligned.append(time.perf_counter() - started)
            alone.append(networks_seconds(session, made.crop))
    record = {
        "command": f"load({options.model!r}).invert(array, optimize=0)",
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip(),
        "device": f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "photo": f"{photo.shape[1]}x{photo.shape[0]}",
        "calls": options.calls,
        "first_call_with_imports": round(first, 3),
        "later_call": round(statistics.median(calls), 4),
        "later_call_of_an_aligned_face": round(statistics.median(aligned), 4),
        "networks_alone": round(statistics.median(alone), 4),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
