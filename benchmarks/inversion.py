"""Methods of inversion beside each other: distortion, identity, editability, time; on renders and on photographs.

    python benchmarks/inversion.py --shard shard_015.npz --photos photos/
    python benchmarks/inversion.py --shard shard_015.npz --pictures 4 --few 1 --gallery 12 --judge 24 \\
        --steps 5 --refine 1 --tune 2

Writes ``inversion.md``, ``records/inversion.json`` and the plot of distortion against editability. Methods whose model
is not installed are left out, with a line that says so. Costly methods are run on ``--few`` pictures, and every
method's error on those is given beside the one on all. Renders are held-back ones of a packed shard: the first
``--pictures`` are inverted, the first ``--gallery`` are the people among whom an output has to find its own, and the
``--judge`` after them fit the judge of labels. Photographs are aligned first; of them there is no label, so error,
identity and time alone are measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command import record_head, write_record
from editability import CONSISTENCY, LABELS, LabelJudge, edit_consistency, edits
from heldout import read_faces
from inversion_page import page
from inverters import Codes, Inverted, Method, Pixels, Sessions, methods
from orderings import judged
from scatter import draw_points
from sheets import write_sheet
from sides import SIDE, all_reduced

from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.errors import MissingError, P2S2PError
from pixel2style2pixel_cli.evaluation.judges import Descriptor
from pixel2style2pixel_cli.evaluation.pictures import ms_ssim, squared_errors
from pixel2style2pixel_cli.evaluation.sets import own_found
from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.losses.perceptual import PerceptualLoss, load_perceptual
from pixel2style2pixel_cli.tasks.invert import InvertOptions
from pixel2style2pixel_cli.tasks.steps import as_offset, find_steps, parse_directions
from pixel2style2pixel_cli.zoo.auxiliary import ALEXNET, networks

ROOT = Path(__file__).parents[1]
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(kw_only=True, slots=True)
class Bench:
    """What every method is measured with."""

    sessions: Sessions
    model: str
    few: int
    describe: Descriptor
    lpips: PerceptualLoss | None
    judge: LabelJudge | None = None
    steps: dict[str, Codes] = field(default_factory=dict)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shard", type=Path, required=True, help="a packed shard that no training saw, with z")
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    parser.add_argument("--model", default="mini", help="the beginning of the models' names")
    parser.add_argument("--methods", default="", help="names of methods to run, separated by commas; all by default")
    parser.add_argument("--pictures", type=int, default=32, help="renders for the methods that are not costly")
    parser.add_argument("--few", type=int, default=4, help="pictures for those that are, and for edits of any method")
    parser.add_argument("--gallery", type=int, default=100, help="people among whom the right one is looked for")
    parser.add_argument("--judge", type=int, default=240, help="renders that the judge of labels is fitted on")
    parser.add_argument("--steps", type=int, default=200, help="of the optimisations in W and W+")
    parser.add_argument("--refine", type=int, default=15, help="of the refinement of the encoder")
    parser.add_argument("--tune", type=int, default=80, help="of pivotal tuning")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks", help="folder of inversion.md and records/")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "pictures" / "inversion.webp")
    return parser.parse_args()


def main() -> None:
    """Measure, state, write."""
    options = parse()
    keep_freed_memory()
    sessions = Sessions(options.steps, options.refine, options.tune)
    describe = Descriptor()
    size = _side(sessions, options.model)
    faces = read_faces(options.shard, options.gallery + options.judge, size=size)
    bench = Bench(
        sessions=sessions, model=options.model, few=options.few, describe=describe,
        lpips=_lpips(),
    )  # fmt: skip
    bench.judge = LabelJudge(describe, all_reduced(faces.pictures[options.gallery :]), faces.z[options.gallery :])
    bench.steps = _directions(sessions, f"{options.model}-invert")
    print(f"judge: correlation with the labels {bench.judge.correlation}", flush=True)
    wanted = [name.strip() for name in options.methods.split(",") if name.strip()]
    chosen = [each for each in methods(options.model) if not wanted or each.name in wanted]
    settings = {
        name: getattr(options, name) for name in ("pictures", "few", "gallery", "judge", "steps", "refine", "tune")
    }
    record: dict[str, Any] = record_head("python benchmarks/inversion.py") | {
        "data": options.shard.name, "side": SIDE, "resolution": size, "settings": settings,
        "lpips": bench.lpips is not None, "judge_correlation": bench.judge.correlation, "left_out": [],
    }  # fmt: skip
    record["renders"] = run_all(
        bench, chosen, faces.pictures[: options.gallery], min(options.pictures, options.gallery), record["left_out"]
    )
    record["kept_over"] = add_kept(record["renders"])
    record["inputs"] = inputs_alone(describe, faces.pictures[: options.gallery])
    photographs = [] if options.photos is None else read_photographs(bench, options.photos, size)
    if photographs:
        pictures = [picture for _, picture in photographs]
        gallery = pictures + faces.pictures[: options.gallery - len(pictures)]
        bench.judge = None  # nobody knows the labels of photographs
        record["photographs"] = {
            "names": [name for name, _ in photographs],
            **run_all(bench, chosen, gallery, len(pictures), record["left_out"]),
        }
    record["orderings"] = judged(record["renders"])
    write_record(options.out / "records" / "inversion.json", record)
    (options.out / "inversion.md").write_text(page(record), encoding="utf-8")
    points = {
        name: (row["mse_few"], row["kept"]) for name, row in record["renders"].items() if row.get("kept") is not None
    }
    if points:
        drawn = draw_points(points, across="squared error", up="dlib's distance after edits of equal effect")
        write_sheet(options.plot, [[drawn]], (), tile=len(drawn))


def run_all(
    bench: Bench, chosen: Sequence[Method], gallery: Sequence[Pixels], count: int, left_out: list[str]
) -> dict[str, Any]:
    """The row of every method that can be run on the first pictures of a gallery of inputs."""
    rows: dict[str, Any] = {}
    truth = all_reduced(list(gallery))
    known = [bench.describe(picture) for picture in truth]
    for method in chosen:
        pictures = list(gallery[: min(bench.few, count) if method.costly else count])
        try:
            rows[method.name] = measure(bench, method, pictures, truth, known)
        except P2S2PError as error:
            line = f"{method.name}: {error.message}"
            if line not in left_out:
                left_out.append(line)
            print(f"left out: {line}", flush=True)
            continue
        print(f"{method.name}: {rows[method.name]}", flush=True)
    return rows


def measure(
    bench: Bench, method: Method, pictures: Sequence[Pixels], truth: Sequence[Pixels], known: Sequence[Any]
) -> dict[str, Any]:
    """Everything about one method."""
    found = method.run(bench.sessions, pictures)
    drawn = all_reduced(found.pictures)
    wrong = squared_errors(drawn, truth[: len(drawn)])
    row: dict[str, Any] = {
        "pictures": len(drawn), "mse": float(wrong.mean()), "mse_few": float(wrong[: bench.few].mean()),
        "ms_ssim": float(np.mean(ms_ssim(drawn, truth[: len(drawn)]))),
        "lpips": None if bench.lpips is None else _lpips_of(bench.lpips, drawn, truth[: len(drawn)]),
        **identity(bench.describe, drawn, known), "seconds": found.seconds, "elapsed": found.elapsed,
    }  # fmt: skip
    if bench.judge is None:
        return row
    count = min(bench.few, len(drawn))
    seen = Inverted(
        pictures=drawn, codes=found.codes, seconds=found.seconds, elapsed=found.elapsed,
        draw=lambda i, codes: all_reduced(found.draw(i, codes)),
    )  # fmt: skip
    row["edits"] = edits(seen, bench.steps, bench.judge, count)
    name, strength = CONSISTENCY
    row["lec"] = None
    if method.again:
        step = np.float32(strength) * bench.steps[name]
        row["lec"] = edit_consistency(found, step, lambda edited: method.run(bench.sessions, edited).codes, count)
    return row


def add_kept(rows: dict[str, Any]) -> list[str]:
    """The mean of dlib's distances after edits of equal effect, over the directions that come to it with all methods.

    Returns the names of these directions.
    """
    common = [name for name in LABELS if all(row["edits"][name]["distance"] is not None for row in rows.values())]
    for row in rows.values():
        apart = [row["edits"][name]["distance"] for name in common]
        row["kept"] = float(np.mean(apart)) if apart else None
    return common


def identity(describe: Descriptor, drawn: Sequence[Pixels], known: Sequence[Any]) -> dict[str, Any]:
    """Whether outputs tell whom they show, by dlib's descriptor, among all inputs of the gallery.

    ``rank_1``: the input nearest to an output is its own; ``true_at_1_percent_false``: own pairs that are nearer than
    all but one in a hundred pairs of an output and another person's input.
    """
    people = {i: each for i, each in enumerate(known) if each is not None}
    found = {i: each for i, picture in enumerate(drawn) if (each := describe(picture)) is not None}
    row: dict[str, Any] = {"faces": len(found) / len(drawn), "rank_1": None, "true_at_1_percent_false": None}
    pairs = [i for i in found if i in people]
    if not pairs or len(people) < 2:
        return row
    inputs, outputs = np.stack(list(people.values())), np.stack([found[i] for i in pairs])
    own = np.searchsorted(list(people), pairs)
    row |= {name: float(rows.mean()) for name, rows in own_found(inputs, outputs, own).items()}
    row["distance"] = float(np.linalg.norm(inputs[own] - outputs, axis=1).mean())
    return row


def inputs_alone(describe: Descriptor, gallery: Sequence[Pixels]) -> dict[str, Any]:
    """The same of the inputs, mirrored: a second picture of the same person with nothing lost."""
    truth = all_reduced(list(gallery))
    mirrored = [np.ascontiguousarray(picture[:, ::-1]) for picture in truth]
    return identity(describe, mirrored, [describe(picture) for picture in truth])


def read_photographs(bench: Bench, folder: Path, size: int) -> list[tuple[str, Pixels]]:
    """The best face of every photograph, aligned; those without one are named and left out."""
    found = []
    session = bench.sessions.get(f"{bench.model}-invert")
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        try:
            crop = session.align(path, size=size)
        except P2S2PError as error:
            print(f"left out: {path.name}: {error.message}", flush=True)
            continue
        assert isinstance(crop, np.ndarray)
        found.append((path.name, crop))
    return found


def _side(sessions: Sessions, model: str) -> int:
    """The side of the pictures that the models draw."""
    drawn = sessions.get(f"{model}-invert").generate(truncation=0.0)
    return len(drawn.array)


def _directions(sessions: Sessions, model: str) -> dict[str, Codes]:
    """The shipped directions whose labels the renderer knows, as offsets (N, D) of one standard deviation."""
    session = sessions.get(model)
    chosen = session.choose(InvertOptions(model=model, optimize=0, dtype="float32"))
    generator = session._engine(chosen).model.generator
    found = find_steps(parse_directions(tuple(LABELS)), None, chosen.installed)
    return {step.name: as_offset(step, generator).numpy() for step in found}


def _lpips() -> PerceptualLoss | None:
    """LPIPS on AlexNet, where the package and its weights are."""
    try:
        return load_perceptual(networks()[ALEXNET].require("LPIPS", "do without LPIPS"))
    except MissingError as error:
        print(f"LPIPS is left out: {error.message}", flush=True)
        return None


def _lpips_of(loss: PerceptualLoss, drawn: Sequence[Pixels], truth: Sequence[Pixels]) -> float:
    with torch.no_grad():
        return float(np.mean([float(loss(to_float([a]), to_float([b]))) for a, b in zip(drawn, truth, strict=True)]))


if __name__ == "__main__":
    main()
