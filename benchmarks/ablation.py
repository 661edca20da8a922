"""What each part of pSp brings, on the bundled generator at equal steps: the ablation of the paper, with intervals.

    python benchmarks/ablation.py --shards shard_00?.npz --held-out shard_015.npz --recogniser runs/recogniser
    python benchmarks/ablation.py ... --steps 4 --pictures 6 --few 2 --seeds 2 --optimise 3 --work try --out try

Encoders into W, into W+ from the last map ("naive"), and pSp's, the last with and without the identity loss and the
regularisation; each with several seeds, all with the same steps, pictures and rates; beside optimisation in W and W+.
Training is ``p2s2p train encoder``, measuring ``p2s2p evaluate``. Every cell of the table is kept in ``--work``, so the
same command goes on where it was stopped; other settings are cells of their own. Writes a page for people and
``records/ablation.json``. Without ``--recogniser`` and without the published one the row that needs it is left out,
until the same command is given one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ablation_page import page
from command import record_head, write_record
from PIL import Image
from sides import SIDE

from pixel2style2pixel_cli import api, load
from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.errors import MissingError
from pixel2style2pixel_cli.events import Event, ImageDone
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.training.auxiliary import find_identity_loss
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.zoo.choose import choose_model

ROOT = Path(__file__).parents[1]
PRESET = "mini-invert"
PAGE = ".md"
IDENTITY, REGULARISATION = "0.1", "0.005"  # the published weights (methods.md 4.4)
# Small enough for a processor; the same for every row.
NETWORK = {
    "encoder.input_size": "64", "encoder.units": "[1, 2, 3, 1]", "encoder.widths": "[32, 64, 128, 256]",
    "encoder.head_width": "96", "run.batch": "4", "run.held_out": "0", "run.log_every": "20",
    "run.sample_every": "100000", "run.checkpoint_every": "50", "rates.warm_up": "20", "rates.ema_images": "400",
    "augmentation.colour": "0", "augmentation.blur": "0", "augmentation.noise": "0", "augmentation.jpeg": "0",
    "augmentation.shift": "0",
}  # fmt: skip
OF_PICTURES = ("mse", "ms_ssim", "identity_distance", "seconds")
OF_CELLS = ("rank_1", "true_at_1_percent_false")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One encoder of the table: its kind, and which losses it has beside the error of pixels."""

    name: str
    kind: str
    identity: bool = False
    regularised: bool = True


# Kinds are compared without the identity loss, so that only one row needs a recogniser.
ROWS = (
    Row(name="encoder into W", kind="psp_w"),
    Row(name="naive W+", kind="psp_wplus"),
    Row(name="pSp", kind="psp"),
    Row(name="pSp without regularisation", kind="psp", regularised=False),
    Row(name="pSp with identity", kind="psp", identity=True),
)
OPTIMISED = {"W optimisation": "w", "W+ optimisation": "w+"}


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="packed renders to train on")
    parser.add_argument("--held-out", type=Path, required=True, help="a shard that nothing is trained on")
    parser.add_argument("--model", default="mini-invert", help="the model whose generator everything draws with")
    parser.add_argument("--recogniser", help="the folder of p2s2p train recogniser, for the identity loss")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=40, help="held-out renders that encoders are measured on")
    parser.add_argument("--few", type=int, default=10, help="the first of them, for the optimisations")
    parser.add_argument("--optimise", type=int, default=100, help="steps of the optimisations")
    parser.add_argument("--edit", default="age=2", help="the direction whose consistency is measured")
    parser.add_argument("--work", type=Path, default=Path("ablation-work"), help="where cells are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks", help="folder of the page and of records/")
    return parser.parse_args()


def main() -> None:
    """Fill the cells that are missing, then write the table."""
    options = parse()
    keep_freed_memory()
    chosen = choose_model("invert", options.model)
    resolution = chosen.generator.resolution
    generator = options.model if chosen.card.generator_model is None else chosen.card.generator_model
    identity = options.recogniser is not None or _published_recogniser()
    rows = [row for row in ROWS if identity or not row.identity]
    pictures = write_pictures(options.work / f"pictures-{resolution}", options.held_out, options.pictures, resolution)
    few = write_pictures(options.work / f"few-{resolution}", options.held_out, options.few, resolution)
    digest = chosen.hashes["generator"]
    names = ("steps", "seeds", "pictures", "few", "optimise", "edit")
    head = record_head("python benchmarks/ablation.py") | {
        "data": [path.name for path in options.shards], "held_out": options.held_out.name,
        "generator": f"{generator}@{digest[:8]}", "resolution": resolution, "side": SIDE,
        "identity_loss": identity, "network": NETWORK, "preset": PRESET,
        "weights": {"id": IDENTITY, "w_norm": REGULARISATION},
        "settings": {name: getattr(options, name) for name in names},
    }  # fmt: skip
    cells = [optimised_cell(options, name, space, few, digest) for name, space in OPTIMISED.items()]
    for seed in range(options.seeds):  # seed by seed: a run that is stopped leaves a table of the first ones
        cells += [encoder_cell(options, row, seed, generator, pictures, digest) for row in rows]
        write(options.out, head, cells)


def write(out: Path, head: dict[str, Any], cells: list[dict[str, Any]]) -> None:
    """Record and page of the cells so far; the settings name the seeds that there are."""
    minutes = round(sum(cell["processor_seconds"] for cell in cells) / 60, 1)
    settings = head["settings"] | {"seeds": 1 + max(cell["seed"] for cell in cells)}
    record = head | {"settings": settings, "processor_minutes": minutes, "cells": cells}
    write_record(out / "records" / "ablation.json", record)
    write_atomic((out / "ablation").with_suffix(PAGE), page(record).encode())


def encoder_cell(
    options: argparse.Namespace, row: Row, seed: int, generator: str, pictures: Path, digest: str
) -> dict[str, Any]:
    """An encoder, trained and measured; from its file where that was done before with the same settings."""
    overrides = {
        **NETWORK, "encoder.kind": row.kind, "run.steps": str(options.steps),
        "losses.id": IDENTITY if row.identity else "0", "losses.w_norm": REGULARISATION if row.regularised else "0",
    }  # fmt: skip
    if row.identity and options.recogniser is not None:
        overrides["losses.recogniser"] = json.dumps(options.recogniser)
    given = [overrides, seed, [path.name for path in options.shards], digest, options.pictures, options.edit]
    place = _cell_place(options, row.name, seed, given)
    if (place / "cell.json").is_file():
        return _read(place)
    started = time.process_time()
    api.train_encoder(
        data=options.shards, out=place / "run", generator=generator, preset=PRESET, overrides=overrides, seed=seed,
        device="cpu",
    )  # fmt: skip
    trained = time.process_time() - started
    cell = measured(str(place / "run"), pictures, {"align": "never", "optimize": "0"}, edit=options.edit)
    cell |= closeness_to_w(place / "run", pictures)
    return _keep(place, cell, row.name, seed, started) | {"training_seconds": round(trained, 1)}


def optimised_cell(options: argparse.Namespace, name: str, space: str, pictures: Path, digest: str) -> dict[str, Any]:
    """Codes of a few pictures found by optimisation alone, from the average code."""
    given = [options.optimise, options.few, digest, options.model]
    place = _cell_place(options, name, 0, given)
    if (place / "cell.json").is_file():
        return _read(place)
    started = time.process_time()
    told = {"align": "never", "space": space, "steps": str(options.optimise), "early_stop": "false"}
    cell = measured(options.model, pictures, told, task="embed")
    return _keep(place, cell, name, 0, started)


def measured(
    model: str, pictures: Path, told: dict[str, str], *, edit: str | None = None, task: str | None = None
) -> dict[str, Any]:
    """What ``p2s2p evaluate`` says of a model on the pictures, those of single pictures in the order of their names."""
    rows: dict[str, dict[str, float]] = {}

    def watch(event: Event) -> None:
        if isinstance(event, ImageDone) and event.status == "ok" and event.metrics:
            rows[event.input] = event.metrics
        elif isinstance(event, ImageDone) and event.status != "ok":
            print(f"{event.input}: {event.message}", flush=True)

    report = api.evaluate(
        model, pictures, task=task, set=told, size=SIDE, device="cpu", on_event=watch,
        edit=None if edit is None else [edit],
    )  # fmt: skip
    faces, means = report["sets"].get("faces", {}), report["means"]
    lec = next((mean for name, mean in means.items() if name.startswith("lec:")), None)
    return {
        "pictures": {n: [rows[key].get(n) for key in sorted(rows)] for n in OF_PICTURES},
        **{name: faces.get(name) for name in OF_CELLS},
        "people": faces.get("people"), "lec": None if lec is None else lec["mean"], "device": report["device"],
    }  # fmt: skip


def closeness_to_w(run: Path, pictures: Path) -> dict[str, float]:
    """Mean distance of the rows of a code from their mean, and of a row from the average code."""
    with load(run, device="cpu") as session:
        codes = session.encode(sorted(pictures.iterdir()), align="never")
        average = session.generate(truncation=0.0).codes
    return {
        "rows_from_their_mean": float(np.linalg.norm(codes - codes.mean(axis=1, keepdims=True), axis=2).mean()),
        "from_the_average": float(np.linalg.norm(codes - average[None], axis=2).mean()),
    }


def write_pictures(folder: Path, shard: Path, count: int, size: int) -> Path:
    """The first renders of a shard as files of a folder, which then holds no others."""
    folder = folder.with_name(f"{folder.name}-{count}")
    folder.mkdir(parents=True, exist_ok=True)
    source = PictureSource([shard], size)
    for number in range(min(count, len(source))):
        place = folder / f"{number:04d}.png"
        if not place.is_file():
            Image.fromarray(source.pixels(number)).save(place.with_suffix(".tmp"), format="PNG")
            place.with_suffix(".tmp").rename(place)
    return folder


def _published_recogniser() -> bool:
    try:
        find_identity_loss()
    except MissingError as error:
        print(f"rows with the identity loss are left out: {error.message}", flush=True)
        return False
    return True


def _cell_place(options: argparse.Namespace, name: str, seed: int, given: Sequence[Any]) -> Path:
    """The folder of a cell, whose name changes with everything that decides what is in it."""
    digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:8]
    place: Path = options.work / f"{name.replace(' ', '-').replace('+', 'plus')}-{seed}-{digest}"
    return place


def _keep(place: Path, cell: dict[str, Any], name: str, seed: int, started: float) -> dict[str, Any]:
    whole = {"row": name, "seed": seed, **cell, "processor_seconds": round(time.process_time() - started, 1)}
    place.mkdir(parents=True, exist_ok=True)
    write_atomic(place / "cell.json", json.dumps(whole, indent=1).encode())
    print(f"{name}, seed {seed}: {whole['processor_seconds']} s of processor time", flush=True)
    return whole


def _read(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "cell.json").read_text("utf-8"))
    return found


if __name__ == "__main__":
    main()
