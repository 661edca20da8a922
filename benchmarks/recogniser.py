"""What a face recogniser is worth that was trained on rendered persons, beside others, on persons nobody saw.

    python benchmarks/recogniser.py --data ids/train --other ids/other --run runs/faces --steps 1000 \
        --record benchmarks/records/recogniser.json

Trains with ``p2s2p train recogniser`` unless the run is there already, and counts the processor time of that. All pairs
of pictures of the persons in ``--other`` are compared by the network that was exported, by the trunk that it began with
(means of its last map), and by dlib's descriptor where that finds a face. Shards are those of a renderer that writes an
array ``identity``.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command import command_line, record_head, write_record
from numpy.typing import NDArray

from pixel2style2pixel_cli.engine.recognisers import load_recogniser
from pixel2style2pixel_cli.evaluation.judges import Descriptor
from pixel2style2pixel_cli.losses.identity import IdentityLoss, face_input
from pixel2style2pixel_cli.training.auxiliary import find_lite_trunk
from pixel2style2pixel_cli.training.people import PeopleSource
from pixel2style2pixel_cli.training.verification import Verification, verify

AT_ONCE = 50
ROUNDS = 200  # halves of the persons that are looked at
Rows = NDArray[np.float64]


def train(data: Path, run: Path, steps: int, preset: str, *, minutes: float | None, before: float) -> dict[str, Any]:
    """Train by the command, and say what it took and gave; what was noted last time where the run is done."""
    noted = run / "benchmark.json"
    if noted.is_file():
        found: dict[str, Any] = json.loads(noted.read_text())
        return found
    told = ["recogniser", "--data", str(data), "-o", str(run), "--preset", preset, "--steps", str(steps), "--json",
            "--device", "cpu", *([] if minutes is None else ["--minutes", str(minutes)])]  # fmt: skip
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command_line("train", told), capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = next(row for row in map(json.loads, done.stdout.splitlines()) if row.get("event") == "train")
    seconds = after.ru_utime + after.ru_stime - began.ru_utime - began.ru_stime
    found = {"processor_seconds": round(before + seconds, 1), "result": result, "preset": preset, "steps": steps}
    noted.write_text(json.dumps(found))
    return found


@torch.no_grad()
def embedded(source: PeopleSource, network: Callable[[torch.Tensor], torch.Tensor]) -> tuple[Rows, list[int]]:
    """Embeddings of unit length of all pictures, and whom they show."""
    rows, persons = [], []
    for start in range(0, len(source), AT_ONCE):
        indices = range(start, min(start + AT_ONCE, len(source)))
        batch = source.batch(indices, [False] * len(indices))
        found = torch.nn.functional.normalize(network(batch.image).double())
        rows.append(found.numpy())
        persons += batch.person.tolist()
    return np.concatenate(rows), persons


def described(source: PeopleSource) -> tuple[Rows, list[int], int]:
    """dlib's descriptors, less their mean, since it compares by distance; how many faces it does not find."""
    look, rows, persons, lost = Descriptor(), [], [], 0
    for index in range(len(source)):
        found = look(source.pixels(index))
        if found is None:
            lost += 1
        else:
            rows.append(found)
            persons.append(int(source.batch([index], [False]).person[0]))
    points = np.stack(rows) - np.mean(rows, axis=0)
    return points / np.linalg.norm(points, axis=1, keepdims=True), persons, lost


def with_interval(rows: Rows, persons: list[int]) -> dict[str, Any]:
    """The figures, with 95 % intervals.

    Figures of random halves of the persons spread as those of all persons would from one set of persons to another.
    """
    draws, owners = np.random.default_rng(0), np.asarray(persons)
    places = {person: np.flatnonzero(owners == person) for person in sorted(set(persons))}
    found: list[Verification] = []
    for _ in range(ROUNDS):
        half = draws.choice(list(places), len(places) // 2, replace=False)
        chosen = np.concatenate([places[person] for person in half])
        found.append(verify(rows[chosen], owners[chosen].tolist()))
    figures = verify(rows, persons)
    intervals = {
        name: [round(float(np.quantile([each.figures[name] for each in found], q)), 4) for q in (0.025, 0.975)]
        for name in figures.figures
    }
    return {
        "persons": figures.persons, "pictures": figures.pictures, "pairs_of_one_person": figures.pairs,
        **figures.figures, "intervals_95": intervals,
    }  # fmt: skip


def without_folders(value: Any) -> Any:
    """A record that says nothing of one machine: of each path the last part."""
    if isinstance(value, dict):
        return {key: without_folders(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_folders(each) for each in value]
    return re.sub(r"(?<![^ ])/(?:[^ /]+/)*", "", value) if isinstance(value, str) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--other", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--preset", default="lite-faces")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--minutes", type=float, help="stop the training by the clock")
    parser.add_argument("--before", type=float, default=0.0, help="processor seconds of parts of the run before this")
    parser.add_argument("--dlib", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--record", type=Path, required=True)
    options = parser.parse_args()
    trained = train(
        options.data, options.run, options.steps, options.preset, minutes=options.minutes, before=options.before
    )
    network, digest = load_recogniser(str(options.run))
    source = PeopleSource([options.other], network.spec.picture_size, held_out=0)
    trunk = find_lite_trunk().eval()
    judges: dict[str, Any] = {
        "trained": with_interval(*embedded(source, IdentityLoss(network).embed)),
        "trunk_before_training": with_interval(
            *embedded(source, lambda image: trunk(face_input(image, network.spec))[-1].mean(dim=(2, 3)))
        ),
    }
    if options.dlib:
        rows, persons, lost = described(source)
        judges["dlib"] = {**with_interval(rows, persons), "faces_not_found": lost}
    command = " ".join(["python benchmarks/recogniser.py", *sys.argv[1:]])
    record = {**record_head(command), "training": trained, "digest": digest, **judges}
    write_record(options.record, without_folders(record))


if __name__ == "__main__":
    main()
