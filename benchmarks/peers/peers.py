"""The systems that the papers compare pSp with, trained here on the same pictures for the same steps, and measured.

    REF_ROOT=repositories python benchmarks/peers/peers.py --shards shard_00?.npz --held-out shard_015.npz \\
        --parser parser.safetensors
    python benchmarks/peers/peers.py ... --steps 3 --pictures 8 --work try --out try

Label maps: pix2pixHD, SPADE, CC-FPSE; drawings: pix2pixHD and a component model in DeepFaceDrawing's manner; beside
them pSp's encoder with the bundled generator, of the same budget and as it is shipped. ``REF_ROOT`` is a folder with
the repositories of the first three; without it they are left out. Everything is kept in ``--work``, so the same command
goes on. Writes a page, its record, a sheet for each kind of input, and ``study.html``, with which anyone can compare
the pictures blindly.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))

from blind import blind_page
from command import record_head, write_record
from damage import sparse_drawing, sparse_map, wrong_drawing, wrong_map
from game import Kind, Pixels, System, draw, of_drawings, of_maps, train
from heldout import Faces, read_faces
from measures import spread
from networks import SIDE, Components, PatchJudge
from peers_page import page
from published import cc_fpse, is_there, pix2pix_hd, spade
from sheets import coloured, write_sheet
from sides import all_reduced

from pixel2style2pixel_cli import api, load
from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.evaluation.collect import Collected, Judges, Wanted, rounded
from pixel2style2pixel_cli.evaluation.parser import Parser
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.inputs.sketch import sketchify
from pixel2style2pixel_cli.training.auxiliary import find_lite_trunk
from pixel2style2pixel_cli.training.data import PictureSource

HERE = Path(__file__).parent
TASKS: dict[Kind, str] = {"labels": "seg2face", "sketch": "sketch2face"}
SAMPLES, GROUPS = 4, 6  # style samples of each input, and inputs that they are made of
SHOWN = 6
Drawer = Callable[[list[Pixels]], tuple[list[Pixels], float]]
DAMAGED = {"labels": {"sparse": sparse_map, "wrong": wrong_map},
           "sketch": {"sparse": sparse_drawing, "wrong": wrong_drawing}}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A system ready to draw: its drawer, whose code it is, and what its training took."""

    name: str
    source: str
    run: Drawer
    seconds: float | None
    samples: Callable[[Pixels], list[Pixels]] | None = None


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="packed renders with label maps")
    parser.add_argument("--held-out", type=Path, required=True, help="a shard that nothing is trained on")
    parser.add_argument("--parser", type=Path, required=True, help="the face parser of benchmarks/tasks.py")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width", type=int, default=8, help="channels of the first layer; the papers have 64")
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--kinds", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--leave-out", nargs="+", default=[], help="systems that are not run, by name")
    parser.add_argument("--work", type=Path, default=Path("peers-work"))
    parser.add_argument("--out", type=Path, default=HERE)
    return parser.parse_args()


def systems(kind: Kind, root: Path | None, width: int) -> tuple[list[System], list[str]]:
    """The compared systems that can be trained here, and a line for each that cannot."""
    found, missing = [], []
    channels = 19 if kind == "labels" else 1
    hinge = {"hinge": True, "rates": (1e-4, 4e-4), "betas": (0.0, 0.999)}
    least = {"hinge": False, "rates": (2e-4, 2e-4), "betas": (0.5, 0.999)}
    rows: list[tuple[str, Any, dict[str, Any]]] = [("pix2pixHD", lambda r: pix2pix_hd(r, channels, 2 * width), least)]
    if kind == "labels":
        rows += [("SPADE", lambda r: spade(r, width), hinge), ("CC-FPSE", lambda r: cc_fpse(r, width), hinge)]
    for name, make, settings in rows:
        if root is not None and is_there(root, name):
            made = System(name=name, kind=kind, source="published code", make=_with_root(make, root), **settings)
            found.append(made)
        else:
            missing.append(f"{name}: REF_ROOT names no folder with its repository")
    if kind == "sketch":
        found.append(
            System(
                name="components", kind=kind, source="a small version of our own",
                make=lambda: (Components(2 * width), PatchJudge(1, 2 * width)), **least,
            )
        )  # fmt: skip
    return found, missing


def _with_root(make: Any, root: Path) -> Callable[[], Any]:
    return lambda: make(root)


def main() -> None:
    """Train, measure, write."""
    options = parse()
    keep_freed_memory()
    root = Path(os.environ["REF_ROOT"]).expanduser() if os.environ.get("REF_ROOT") else None
    faces = read_faces(options.held_out, options.pictures, size=SIDE)
    judges, parser = Judges.installed(), Parser(options.parser)
    names = ("steps", "batch", "width", "pictures")
    record: dict[str, Any] = record_head("python benchmarks/peers/peers.py") | {
        "data": [path.name for path in options.shards], "held_out": options.held_out.name,
        "settings": {name: getattr(options, name) for name in names},
        "parser_iou": parser.record["mean_iou"], "left_out": [], "kinds": {},
    }  # fmt: skip
    shown: dict[str, dict[str, list[Pixels]]] = {}
    for kind in options.kinds:
        trained = _trained(kind, options, root, record["left_out"])
        inputs = faces.labels if kind == "labels" else [sketchify(picture) for picture in faces.pictures]
        rows = {}
        seen = {"input": [coloured(each) if kind == "labels" else _grey(each) for each in inputs],
                "true": faces.pictures}  # fmt: skip
        for system in trained:
            rows[system.name], seen[system.name] = measure(kind, system, inputs, faces, judges, parser, options)
            print(f"{kind}, {system.name}: {json.dumps(rows[system.name])}", flush=True)
        record["kinds"][kind] = rows
        shown[kind] = seen
    write_record(options.out / "peers.json", record)
    write_atomic((options.out / "README").with_suffix(".md"), page(record).encode())
    for kind, seen in shown.items():
        tiles = [[column[i] for column in seen.values()] for i in range(min(SHOWN, len(faces.pictures)))]
        write_sheet(options.out / f"{kind}.webp", tiles, tuple(seen))
    write_atomic(options.out / "study.html", blind_page(shown).encode())


def _trained(kind: Kind, options: argparse.Namespace, root: Path | None, left_out: list[str]) -> list[Trained]:
    """Every system of one kind of input, trained."""
    source = PictureSource(options.shards, SIDE, labels="required")
    trunk = find_lite_trunk().requires_grad_(False).eval()
    chosen, missing = systems(kind, root, options.width)
    left_out += missing + [f"{name}: left out by the command" for name in options.leave_out]
    found = []
    for system in chosen:
        if system.name in options.leave_out:
            continue
        place = options.work / f"{kind}-{system.name}-{options.steps}-{options.batch}-{options.width}.safetensors"
        generator, seconds = train(
            system, source, trunk, place, steps=options.steps, batch=options.batch, seed=0
        )  # fmt: skip
        prepare = of_maps if kind == "labels" else of_drawings
        found.append(Trained(name=system.name, source=system.source, seconds=seconds,
                             run=_drawer(generator, prepare)))  # fmt: skip
    return [*found, _psp(kind, options), _shipped(kind)]


def _drawer(generator: Any, prepare: Callable[[list[Pixels]], Any]) -> Drawer:
    return lambda inputs: draw(generator, prepare(inputs))


def _psp(kind: Kind, options: argparse.Namespace) -> Trained:
    """pSp's encoder on the bundled generator, trained for as many steps with as many pictures."""
    run, task = options.work / f"{kind}-psp-{options.steps}-{options.batch}", TASKS[kind]
    took = run / "seconds.json"
    if not took.is_file():
        started = time.process_time()
        api.train_encoder(
            data=options.shards, out=run, generator="mini-generator", task=task, preset=f"lite-{task}", seed=0,
            steps=options.steps, device="cpu",
            overrides={"task.heads": "trained", "run.batch": str(options.batch), "run.held_out": "0"},
        )  # fmt: skip
        write_atomic(took, json.dumps(time.process_time() - started).encode())
    return _of_model(kind, "pSp", str(run), "this program", float(json.loads(took.read_text("utf-8"))))


def _shipped(kind: Kind) -> Trained:
    """The bundled model, which was trained for longer than the others."""
    return _of_model(kind, "pSp as shipped", f"mini-{TASKS[kind]}", "this program, trained at length", None)


def _of_model(kind: Kind, name: str, model: str, source: str, seconds: float | None) -> Trained:
    session = load(model, device="cpu", batch_size=1)
    task = TASKS[kind]

    def run(inputs: list[Pixels]) -> tuple[list[Pixels], float]:
        session.translate(task, inputs[0])  # loaded and warm
        started = time.process_time()
        drawn = [result.array for result in session.translate(task, inputs)]
        return all_reduced(drawn, SIDE), (time.process_time() - started) / len(inputs)

    def samples(given: Pixels) -> list[Pixels]:
        found = session.translate(task, given, mix_seed=f"0-{SAMPLES - 1}")
        return all_reduced([result.array for result in found], SIDE)

    return Trained(name=name, source=source, run=run, seconds=seconds, samples=samples)


def measure(
    kind: Kind,
    system: Trained,
    inputs: Sequence[Pixels],
    faces: Faces,
    judges: Judges,
    parser: Parser,
    options: argparse.Namespace,
) -> tuple[dict[str, Any], list[Pixels]]:
    """Everything about one system, and what it draws of the inputs."""
    drawn, seconds = system.run(list(inputs))
    collected = Collected(judges, parser=parser if kind == "labels" else None, lines=kind == "sketch")
    for i, picture in enumerate(drawn):
        given = Wanted(labels=inputs[i]) if kind == "labels" else Wanted(drawing=inputs[i])
        collected.add(picture, faces.pictures[i], given)
    means, sets, sure = collected.means(), collected.sets(), collected.intervals()
    row: dict[str, Any] = {"source": system.source, "training_seconds": system.seconds, "seconds": seconds}
    row |= {"mse": [means["mse"].mean, means["mse"].low, means["mse"].high], **_as_set(sets)}
    if kind == "labels":
        row["fit"] = [sets["layout"]["mean_iou"], *sure["layout"]["mean_iou"]]
        row["fit_of_targets"] = sets["layout_of_targets"]["mean_iou"]
    else:
        row["fit"] = [means["line_f1"].mean, means["line_f1"].low, means["line_f1"].high]
    row["rank_1"] = sets.get("faces", {}).get("rank_1")
    row["diversity"] = 0.0
    if system.samples is not None:
        row["diversity"] = spread([system.samples(given) for given in inputs[:GROUPS]])
    for name, damage in DAMAGED[kind].items():
        other, _ = system.run([damage(given, i) for i, given in enumerate(inputs)])
        seen = Collected(judges)
        for picture, target in zip(other, faces.pictures, strict=True):
            seen.add(picture, target)
        row[name] = _as_set(seen.sets())
    return rounded(row), drawn


def _as_set(sets: dict[str, Any]) -> dict[str, Any]:
    """Whether a face is found in what is drawn, and how far all of it is from real pictures."""
    return {
        "faces": sets.get("faces", {}).get("found_in_results"),
        "frechet": sets.get("lite2", {}).get("frechet"),
        "frechet_dlib": sets.get("faces", {}).get("frechet"),
    }


def _grey(drawing: Pixels) -> Pixels:
    return np.repeat(drawing[:, :, None], 3, axis=2)


if __name__ == "__main__":
    main()
