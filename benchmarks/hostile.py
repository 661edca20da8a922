"""Every reader of foreign bytes, fed with files changed at random: out comes a value or an error of ours, nothing else.

    python benchmarks/hostile.py --out benchmarks/records/hostile.json

Counts, for each reader, what was read and what was refused; anything else is printed with the seed that makes it again
(``--reader NAME --seed N --count 1``), and the command ends with 1. A process of its own reads each batch, so that a
decoder that crashes or hangs is counted and not suffered. The record is written after each batch, and the same command
goes on where it stopped; ``--again NAME`` repeats a reader that was changed. The tests run the first changes of each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hostile_files as files
import hostile_models as models
import numpy as np
from hostile_changes import changed

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.files.image import read_image, read_levels, read_metadata
from pixel2style2pixel_cli.files.indexed import read_indexed
from pixel2style2pixel_cli.files.recipe import parse_recipe
from pixel2style2pixel_cli.inputs.labels import decode_labels
from pixel2style2pixel_cli.inputs.masked import read_mask
from pixel2style2pixel_cli.weights.describe import describe_file
from pixel2style2pixel_cli.weights.directions import load_direction
from pixel2style2pixel_cli.weights.latents import load_latents

MOST_PIXELS = 1_000_000  # of a changed picture: a campaign is about damage, not about size
SLOW = 10.0  # seconds
DEAD = 60.0  # seconds after which a file counts as one that hangs
START = 600.0  # seconds that a process may take before its first file
MOST_MB = 1500  # of the process that reads, PyTorch and all libraries included
LONGEST = 1500  # characters of a message
BATCH = 2500


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What reads a file, whole files to begin with, how many changed ones a campaign has, whether they are texts."""

    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes], object]
    count: int = 10_000
    text: bool = False


@dataclass
class Counts:
    """Outcomes of a campaign; ``wrong`` says what else happened, with the seed."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    peak_mb: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        """Count another campaign of the same reader in."""
        self.read, self.refused = self.read + other.read, self.refused + other.refused
        self.slowest, self.peak_mb = max(self.slowest, other.slowest), max(self.peak_mb, other.peak_mb)
        self.wrong += other.wrong


def campaign(name: str, seeds: Sequence[int], begun: Callable[[int], object] = lambda seed: None) -> Counts:
    """Read one changed file for each seed; ``begun`` is told each before its file is read."""
    reader, counts = READERS[name], Counts()
    whole = reader.seeds()
    with contextlib.suppress(P2S2PError):
        reader.read(whole[0])  # the first one also waits for what is imported
    for seed in seeds:
        data = changed(whole, np.random.default_rng([zlib.crc32(name.encode()), seed]), text=reader.text)
        begun(seed)
        started = time.perf_counter()
        try:
            reader.read(data)
            counts.read += 1
        except P2S2PError as error:
            counts.refused += 1
            if not error.message.isprintable() or len(error.message) > LONGEST:
                counts.wrong.append(f"{name} {seed}: a message that cannot be printed: {error.message!r:.200}")
        except Exception as error:  # what this is about
            counts.wrong.append(f"{name} {seed}: {type(error).__name__}: {error!s:.200}")
        seconds = time.perf_counter() - started
        counts.slowest = max(counts.slowest, seconds)
        if seconds > SLOW:
            counts.wrong.append(f"{name} {seed}: took {seconds:.1f} s")
    return counts


def _of_file(read: Callable[[Path], object], suffix: str = ".safetensors") -> Callable[[bytes], object]:
    """A reader of paths as one of bytes."""

    def run(data: bytes) -> object:
        path = Path(tempfile.gettempdir()) / f"hostile-{os.getpid()}{suffix}"
        path.write_bytes(data)
        try:
            return read(path)
        finally:
            path.unlink()

    return run


def _read_mask(data: bytes) -> object:
    levels, alpha = read_levels(data, name="x", max_pixels=MOST_PIXELS)
    return read_mask(levels, name="x", alpha=alpha)


def _of_pictures(read: Callable[[bytes], object]) -> Reader:
    return Reader(seeds=files.picture_files, read=read, count=25_000)


READERS: dict[str, Reader] = {
    "picture": _of_pictures(lambda data: read_image(data, name="x", max_pixels=MOST_PIXELS)),
    "label map": _of_pictures(lambda data: read_indexed(data, name="x", max_pixels=MOST_PIXELS)),
    "mask": _of_pictures(_read_mask),
    "label map of a shard": _of_pictures(lambda data: decode_labels(data, name="x")),
    "metadata": Reader(
        seeds=files.output_files, read=lambda data: read_metadata(data, name="x", max_pixels=MOST_PIXELS)
    ),
    "recipe": Reader(seeds=files.recipe_texts, read=lambda data: parse_recipe(data.decode("utf-8", "replace"))),
    "latent": Reader(seeds=files.latent_files, read=_of_file(load_latents)),
    "direction": Reader(seeds=files.direction_files, read=_of_file(load_direction)),
    "shown file": Reader(
        seeds=lambda: [*files.latent_files(), *files.direction_files(), *models.weight_files(), *files.output_files()],
        read=_of_file(describe_file),
    ),
    "weights": Reader(seeds=models.weight_files, read=_of_file(models.read_weights)),
    "card": Reader(seeds=models.card_files, read=models.read_card, text=True),
    "configuration": Reader(
        seeds=models.configuration_files, read=_of_file(models.read_configuration, ".toml"), text=True
    ),
    "training settings": Reader(seeds=models.preset_files, read=_of_file(models.read_preset, ".toml"), text=True),
    "checkpoint": Reader(seeds=models.checkpoint_files, read=_of_file(models.read_checkpoint, ".pt")),
}


def _in_process(name: str, seeds: range) -> Counts:
    """A campaign in processes of their own; one that dies or hangs is counted, and the next goes on behind it."""
    context, total = multiprocessing.get_context("spawn"), Counts()
    while seeds:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(name, seeds, theirs))
        process.start()
        theirs.close()
        at, found = seeds[0] - 1, None
        try:
            # a start imports PyTorch, which takes long on a machine that is busy
            while found is None and ours.poll(DEAD if at >= seeds[0] else START):
                told = ours.recv()
                at, found = (told, None) if isinstance(told, int) else (at, told)
            what = "hangs"
        except EOFError:
            what = "the process died"
        if found is not None:
            total.add(found)
            process.join()
            break
        process.kill()
        process.join()
        # what it counted before went with it
        total.add(_in_process(name, range(seeds[0], at)))
        total.wrong.append(f"{name} {at}: {what}")
        seeds = range(max(at, seeds[0]) + 1, seeds[-1] + 1)
    return total


def _serve(name: str, seeds: Sequence[int], out: Any) -> None:
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what the libraries of decoders print themselves
    counts = campaign(name, seeds, out.send)
    counts.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    if counts.peak_mb > MOST_MB:
        counts.wrong.append(f"{name} {seeds[0]}-{seeds[-1]}: {counts.peak_mb} MB of memory")
    out.send(counts)


def _commit() -> str:
    """The last commit that changed what is tried; "changed" beside it where files differ from it."""

    def git(*arguments: str) -> str:
        found = subprocess.run(["git", *arguments, "--", "pixel2style2pixel_cli"], cwd=Path(__file__).parents[1],
                               check=False, capture_output=True, text=True)  # fmt: skip
        return found.stdout.strip()

    return git("log", "-1", "--format=%h") + (" changed" if git("status", "--short") else "")


def _go_on(name: str, count: int, entry: dict[str, Any], save: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run what is missing of one reader's campaign, a batch at a time."""
    known = {"changed": 0, "read": 0, "refused": 0, "slowest_s": 0.0, "peak_mb": 0, "seconds": 0, "wrong": []}
    entry = {**known, "commits": [], **entry}
    first = entry.get("first_seed", 0)
    while entry["changed"] < count:
        started, begin = time.perf_counter(), first + entry["changed"]
        seeds = range(begin, min(begin + BATCH, first + count))
        found = _in_process(name, seeds)
        entry["changed"] += len(seeds)
        entry["read"] += found.read
        entry["refused"] += found.refused
        entry["slowest_s"] = round(max(entry["slowest_s"], found.slowest), 3)
        entry["peak_mb"] = max(entry["peak_mb"], found.peak_mb)
        entry["seconds"] += round(time.perf_counter() - started)
        entry["wrong"] += found.wrong
        entry["commits"] = list(dict.fromkeys([*entry["commits"], _commit()]))
        save(entry)
    return entry


def main() -> int:
    """Run the campaigns and write the record; 1 if anything but a value or an error of ours came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, help="changed files of each reader (default: its own number)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed of each reader")
    parser.add_argument("--reader", action="append", choices=list(READERS), help="this reader alone; repeatable")
    parser.add_argument("--again", action="append", default=[], choices=list(READERS), help="forget its record")
    parser.add_argument("--out", type=Path, help="the record, which is continued where it exists")
    arguments = parser.parse_args()
    record: dict[str, Any] = {}
    if arguments.out and arguments.out.is_file():
        record = json.loads(arguments.out.read_text("utf-8"))["readers"]

    def save(name: str, entry: dict[str, Any]) -> None:
        record[name] = entry
        if arguments.out:
            ordered = {known: record[known] for known in READERS if known in record}
            head = {"machine": f"{os.cpu_count()} cores", "largest_picture": MOST_PIXELS, "most_mb": MOST_MB}
            arguments.out.write_text(json.dumps({**head, "readers": ordered}, indent=1) + "\n", encoding="utf-8")

    wrong: list[str] = []
    for name in arguments.reader or READERS:
        known = {} if name in arguments.again else record.get(name, {})
        if arguments.seed and not known:
            known = {"first_seed": arguments.seed}
        count = READERS[name].count if arguments.count is None else arguments.count
        entry = _go_on(name, count, known, lambda entry, name=name: save(name, entry))  # type: ignore[misc]
        print(f"{name}: {json.dumps({k: v for k, v in entry.items() if k != 'wrong'})}", flush=True)
        wrong += entry["wrong"]
    print(*wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
