"""How each task is measured: what it is given, what its outputs are compared with, what is shown on its sheet.

Commands are given pictures of the generator's size. What is compared is reduced to one side (``sides.py``), outputs as
they come back.
"""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from command import Translated, translate
from heldout import Faces, Unavailable, frontal_renders
from identity import distances, shares
from measures import masked_mse, mse, partner, psnr, spread
from numpy.typing import NDArray
from PIL import Image
from sheets import coloured
from sides import all_reduced, inner_mask, reduced
from yaw import YawEstimator

from pixel2style2pixel_cli.evaluation.judges import SAME_PERSON, Descriptor
from pixel2style2pixel_cli.evaluation.layout import label_agreement
from pixel2style2pixel_cli.evaluation.lines import line_agreement
from pixel2style2pixel_cli.evaluation.parser import Parser
from pixel2style2pixel_cli.inputs.labels import resize_labels

Pixels = NDArray[np.uint8]
FACTORS = (2, 4, 8, 16, 32)
MIX_SEEDS = range(8)
MIXED_FACTOR = 16
TURNED = 10.0  # degrees of yaw from which a face counts as turned aside
SHOWN = 8  # rows of a sheet
LABELS = ("--labels", "celebamask-19")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all tasks share: the faces, ``other`` faces to fit and average on, the judges, further options."""

    faces: Faces
    other: Faces | None
    describe: Descriptor
    parser: Parser | None
    facegen: Path | None
    frontals: Path | None
    diverse: int
    extra: tuple[str, ...] = ()

    @functools.cached_property
    def yaw(self) -> YawEstimator:
        return YawEstimator(self.describe, all_reduced(self.others.pictures), self.others.yaw)

    @property
    def others(self) -> Faces:
        if self.other is None:
            raise Unavailable("faces of another shard are needed: give --other")
        return self.other

    @functools.cached_property
    def mean_face(self) -> Pixels:
        return np.asarray(np.mean(all_reduced(self.others.pictures), axis=0).round().astype(np.uint8))

    @functools.cached_property
    def truth(self) -> list[Pixels]:
        """The faces as outputs are compared with them."""
        return all_reduced(self.faces.pictures)

    def run(self, task: str, inputs: Sequence[Pixels], options: Sequence[str] = (), **more: Any) -> Translated:
        """What the command makes of pictures, reduced for comparisons."""
        done = translate(task, inputs, [*options, *self.extra], **more)
        return replace(
            done,
            plain={number: reduced(picture) for number, picture in done.plain.items()},
            mixed={key: reduced(picture) for key, picture in done.mixed.items()},
        )

    def parse(self, pictures: Sequence[Pixels]) -> list[Pixels]:
        """Label maps of pictures, at the parser's size."""
        assert self.parser is not None  # asked before
        return self.parser(pictures)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The record of a task, and the rows of its sheet with a caption for each column."""

    record: dict[str, Any]
    rows: list[list[Pixels]]
    captions: tuple[str, ...]
    abreast: int = 1


def measure_invert(bench: Bench) -> Measured:
    """The reconstruction against the picture itself: what the other tasks can at best reach with this generator."""
    run = bench.run("invert", bench.faces.pictures)
    outputs, targets = _paired(run, bench.truth)
    rows = [[a, b] for a, b in zip(targets, outputs, strict=True)]
    record = _head(run) | _against(bench, targets, outputs)
    return Measured(record=record, rows=rows[: 5 * SHOWN], captions=("input", "output"), abreast=5)


def measure_frontalize(bench: Bench) -> Measured:
    """Yaw before and after, and who it is, against the input and against the true frontal render."""
    truth = all_reduced(frontal_renders(bench.faces, bench.facegen, bench.frontals))
    run = bench.run("frontalize", bench.faces.pictures)
    numbers = sorted(run.plain)
    inputs, targets = [bench.truth[i] for i in numbers], [truth[i] for i in numbers]
    outputs = [run.plain[i] for i in numbers]
    record = _head(run) | {
        "against_true_frontal": _against(bench, targets, outputs),
        "input_against_true_frontal": _against(bench, targets, inputs),
        "output_against_input": shares(inputs, outputs, bench.describe),
        "yaw_estimator": bench.yaw.error,
        "yaw": _yaw(bench, numbers, inputs, outputs, targets),
        "groups": _by_group(bench, numbers, inputs, outputs, targets),
    }
    turned = np.argsort([-abs(bench.faces.yaw[i]) for i in numbers], kind="stable")[::3]
    rows = [[inputs[i], outputs[i], targets[i]] for i in turned]
    return Measured(record=record, rows=rows[: 3 * SHOWN], captions=("input", "output", "true"), abreast=3)


def measure_sketch2face(bench: Bench) -> Measured:
    """Lines of a sketch of the output against those of the input."""
    sketchify = _needed("sketch", "sketchify")
    sketches = find_input("sketch2face")(bench.faces)
    run = bench.run("sketch2face", sketches)
    outputs, targets = _paired(run, bench.truth)
    wanted = [sketchify(target) for target in targets]
    drawn = [sketchify(picture) for picture in outputs]
    record = _head(run) | _against(bench, targets, outputs)
    for tolerance in (1, 2):
        record[f"line_f1_within_{tolerance}_px"] = line_agreement(wanted, drawn, tolerance)
        record[f"line_f1_within_{tolerance}_px_random_pairs"] = line_agreement(wanted, partner(drawn), tolerance)
    record["mixing"], mixed = _mixing(bench, "sketch2face", sketches, run)
    return _with_samples(record, sketches, run, bench.truth, mixed)


def measure_seg2face(bench: Bench) -> Measured:
    """The parser's reading of the output against the map that was asked for, beside that of the true picture."""
    maps = bench.faces.labels
    run = bench.run("seg2face", maps, LABELS)
    outputs, targets = _paired(run, bench.truth)
    record = _head(run) | _against(bench, targets, outputs)
    if bench.parser is not None:
        wanted = [resize_labels(maps[i], bench.parser.size) for i in sorted(run.plain)]
        found = bench.parse(outputs)
        record["layout"] = label_agreement(wanted, found)
        record["layout_of_true_pictures"] = label_agreement(wanted, bench.parse(targets))
        record["layout_random_pairs"] = label_agreement(wanted, partner(found))
    record["mixing"], mixed = _mixing(bench, "seg2face", maps, run, LABELS)
    return _with_samples(record, [coloured(m) for m in maps], run, bench.truth, mixed)


def measure_superres(bench: Bench) -> Measured:
    """Each factor against bicubic enlargement of the same reduction."""
    degrade, reduce = _needed("lowres", "degrade"), _needed("lowres", "reduce_bicubic")
    pictures = bench.faces.pictures
    record: dict[str, Any] = {}
    rows: list[list[Pixels]] = [[picture] for picture in pictures[:SHOWN]]
    for factor in FACTORS:
        run = bench.run("superres", pictures, ["--factor", str(factor)])
        outputs, targets = _paired(run, bench.truth)
        size = len(pictures[0])
        enlarged = [
            reduced(_enlarged(reduce(pictures[i] / 255.0, factor), size)) for i in sorted(run.plain)
        ]  # fmt: skip
        record[f"factor_{factor}"] = _head(run) | {
            "pixels": size // factor,
            "output": _against(bench, targets, outputs) | {"psnr": psnr(outputs, targets)},
            "bicubic": _against(bench, targets, enlarged) | {"psnr": psnr(enlarged, targets)},
        }
        if factor == MIXED_FACTOR:
            options = ["--factor", str(factor)]
            record["mixing"], mixed = _mixing(bench, "superres", pictures, run, options)
        if factor > FACTORS[0]:
            for number, row in enumerate(rows):
                row += [degrade(row[0], factor), run.plain.get(number, _blank(row[0]))]
    for number, row in enumerate(rows):
        row.append(mixed.get((number, 0), _blank(row[0])))
    names = [name for factor in FACTORS[1:] for name in (f"1/{factor}", "output")]
    return Measured(record=record, rows=rows, captions=("true", *names, f"1/{MIXED_FACTOR} mixed"))


def measure_inpaint(bench: Bench) -> Measured:
    """Inside the hole, against the mean colour of the rest and against the mean face."""
    random_mask = _needed("masked", "random_mask")
    pictures, generator = bench.faces.pictures, np.random.default_rng(0)
    masks = [random_mask(picture.shape[0], generator) for picture in pictures]
    run = bench.run("inpaint", pictures, masks=masks)
    outputs, targets = _paired(run, bench.truth)
    holes = [inner_mask(masks[i]) for i in sorted(run.plain)]
    known = [inner_mask(~masks[i]) for i in sorted(run.plain)]
    flat = [_filled(p, m, p[k].mean(axis=0)) for p, m, k in zip(targets, holes, known, strict=True)]
    mean = [_filled(p, m, bench.mean_face[m]) for p, m in zip(targets, holes, strict=True)]
    record = _head(run) | {
        "hole_share": float(np.mean([hole.mean() for hole in holes])),
        "mse_in_hole": masked_mse(outputs, targets, holes),
        "mse_in_hole_mean_colour": masked_mse(flat, targets, holes),
        "mse_in_hole_mean_face": masked_mse(mean, targets, holes),
        "mse_in_hole_random_pairs": masked_mse(partner(outputs), targets, holes),
        "mse_outside_hole": masked_mse(outputs, targets, known),
        "output": _against(bench, targets, outputs),
        "mean_face": _against(bench, targets, mean),
    }
    holed = [_filled(p, m, 127) for p, m in zip(targets, holes, strict=True)]
    rows = [[a, b, c] for a, b, c in zip(holed, outputs, targets, strict=True)]
    return Measured(record=record, rows=rows[: 3 * SHOWN], captions=("input", "output", "true"), abreast=3)


def measure_toonify(bench: Bench) -> Measured:
    """Whether dlib still knows the person; a squared error against the photograph would mean nothing."""
    run = bench.run("toonify", bench.faces.pictures)
    outputs, inputs = _paired(run, bench.truth)
    record = _head(run) | {"descriptor": shares(inputs, outputs, bench.describe)}
    rows = [[a, b] for a, b in zip(inputs, outputs, strict=True)]
    return Measured(record=record, rows=rows[: 5 * SHOWN], captions=("input", "output"), abreast=5)


def measure_mix(bench: Bench) -> Measured:
    """Eight styles into each of six contents: how much of either is left."""
    pictures, count = bench.faces.pictures, min(6, len(bench.faces.pictures) // 2)
    styles = pictures[count : count + len(MIX_SEEDS)]
    made: dict[tuple[int, int], Pixels] = {}
    rows = [[_blank(pictures[0]), *styles]]
    for number, content in enumerate(pictures[:count]):
        run = bench.run("mix", styles, content=content)
        made |= {(number, style): picture for style, picture in run.plain.items()}
        rows.append([content, *(run.plain.get(i, _blank(content)) for i in range(len(styles)))])
    # neighbours in this order differ in content and in style, as random pairs must
    order = sorted(made, key=lambda pair: ((pair[1] - pair[0]) % len(styles), pair[0]))
    outputs = [made[pair] for pair in order]
    contents, partners = (
        [bench.truth[number] for number, _ in order],
        [bench.truth[count + style] for _, style in order],
    )
    record = _head(run) | {
        "contents": count,
        "styles": len(styles),
        "against_content": {"mse": mse(outputs, contents), "descriptor": shares(contents, outputs, bench.describe)},
        "against_style": {"mse": mse(outputs, partners), "descriptor": shares(partners, outputs, bench.describe)},
    }
    if bench.parser is not None:
        found = bench.parse(outputs)
        record["layout_against_content"] = label_agreement(bench.parse(contents), found)
        record["layout_against_style"] = label_agreement(bench.parse(partners), found)
    return Measured(record=record, rows=rows, captions=("content", *["style"] * len(styles)))


MEASURES: dict[str, Callable[[Bench], Measured]] = {
    "invert": measure_invert,
    "frontalize": measure_frontalize,
    "sketch2face": measure_sketch2face,
    "seg2face": measure_seg2face,
    "superres": measure_superres,
    "inpaint": measure_inpaint,
    "toonify": measure_toonify,
    "mix": measure_mix,
}


def find_input(task: str) -> Callable[[Faces], list[Pixels]]:
    """What makes the inputs of a task out of faces: the pictures, their label maps or drawings of them."""
    if task == "seg2face":
        return lambda faces: faces.labels
    if task == "sketch2face":
        sketchify = _needed("sketch", "sketchify")
        return lambda faces: [sketchify(picture) for picture in faces.pictures]
    return lambda faces: faces.pictures


def _head(run: Translated) -> dict[str, Any]:
    names = ("model", "device", "dtype", "ok", "no_face", "failed", "seconds")
    return {"status": "measured", **{name: run.summary.get(name) for name in names}}


def _paired(run: Translated, pictures: Sequence[Pixels]) -> tuple[list[Pixels], list[Pixels]]:
    """The outputs, and those of ``pictures`` whose inputs gave one."""
    numbers = sorted(run.plain)
    return [run.plain[i] for i in numbers], [pictures[i] for i in numbers]


def _against(bench: Bench, targets: Sequence[Pixels], outputs: Sequence[Pixels]) -> dict[str, Any]:
    return {
        "mse": mse(outputs, targets),
        "mse_random_pairs": mse(partner(outputs), targets),
        "descriptor": shares(targets, outputs, bench.describe),
    }


def _yaw(
    bench: Bench, numbers: Sequence[int], inputs: Sequence[Pixels], outputs: Sequence[Pixels], truth: Sequence[Pixels]
) -> dict[str, dict[str, float]]:
    """Mean absolute yaw of the faces turned aside and of all; those in which dlib finds a face throughout."""
    known = np.array([bench.faces.yaw[i] for i in numbers])
    table = np.stack([known, *(bench.yaw(pictures) for pictures in (inputs, outputs, truth))])
    columns = ("input_known", "input_estimated", "output_estimated", "true_frontal_estimated")
    found = np.isfinite(table).all(axis=0)
    rows = {f"over_{TURNED:g}_degrees": np.abs(known) > TURNED, "all": np.ones(len(known), dtype=bool)}
    result = {}
    for name, chosen in rows.items():
        means = np.abs(table[:, found & chosen]).mean(axis=1) if (found & chosen).any() else np.full(4, np.nan)
        counts = {"pictures": int(chosen.sum()), "found_in_all_three": int((found & chosen).sum())}
        result[name] = counts | {c: float(m) for c, m in zip(columns, means, strict=True)}
    return result


def _by_group(
    bench: Bench, numbers: Sequence[int], inputs: Sequence[Pixels], outputs: Sequence[Pixels], truth: Sequence[Pixels]
) -> dict[str, Any]:
    to_input = distances(bench.describe, inputs, outputs)
    to_truth = distances(bench.describe, truth, outputs)
    result: dict[str, Any] = {}
    for name, groups in bench.faces.groups().items():
        own = np.array([groups[i] for i in numbers])
        result[name] = {
            str(group): {
                "pictures": int((own == group).sum()),
                "to_input": _distance_row(to_input[own == group]),
                "to_true_frontal": _distance_row(to_truth[own == group]),
            }
            for group in np.unique(own)
        }
    return result


def _distance_row(values: NDArray[np.float64]) -> dict[str, float | None]:
    found = values[np.isfinite(values)]
    return {
        "distance_mean": float(found.mean()) if len(found) else None,
        "under_0.6_of_all_pairs": float((found < SAME_PERSON).sum() / len(values)),
    }


def _mixing(
    bench: Bench, task: str, inputs: Sequence[Pixels], plain: Translated, options: Sequence[str] = ()
) -> tuple[dict[str, Any], dict[tuple[int, int], Pixels]]:
    """How different the style samples of one input are, and whether they keep its layout."""
    few = list(inputs[: bench.diverse])
    seeds = ["--mix-seed", f"{MIX_SEEDS[0]}-{MIX_SEEDS[-1]}"]
    mixed = bench.run(task, few, [*options, *seeds]).mixed
    numbers = [i for i in range(len(few)) if i in plain.plain and all((i, s) in mixed for s in MIX_SEEDS)]
    groups = [[mixed[i, s] for s in MIX_SEEDS] for i in numbers]
    unmixed = [plain.plain[i] for i in numbers]
    pairs = [pair for group in groups for pair in itertools.combinations(group, 2)]
    apart = distances(bench.describe, [a for a, _ in pairs], [b for _, b in pairs])
    outputs, origins = [p for group in groups for p in group], [u for u in unmixed for _ in MIX_SEEDS]
    record: dict[str, Any] = {
        "inputs": len(groups),
        "samples_of_each": len(MIX_SEEDS),
        "mse_between_samples": spread(groups),
        "mse_between_inputs": spread([unmixed]),
        "distance_between_samples": float(np.nanmean(apart)),
        "distance_to_unmixed": float(np.nanmean(distances(bench.describe, origins, outputs))),
    }
    if bench.parser is not None:
        record["layout_against_unmixed"] = label_agreement(bench.parse(origins), bench.parse(outputs))
    return record, mixed


def _with_samples(
    record: dict[str, Any],
    inputs: Sequence[Pixels],
    run: Translated,
    targets: Sequence[Pixels],
    mixed: dict[tuple[int, int], Pixels],
) -> Measured:
    """The usual sheet: input, output, target, six style samples."""
    seeds = list(MIX_SEEDS)[:6]
    numbers = [i for i in sorted(run.plain) if all((i, s) in mixed for s in seeds)][:SHOWN]
    rows = [[inputs[i], run.plain[i], targets[i], *(mixed[i, s] for s in seeds)] for i in numbers]
    return Measured(record=record, rows=rows, captions=("input", "output", "true", *(f"mix {s}" for s in seeds)))


def _needed(module: str, name: str) -> Callable[..., Any]:
    """A function of the package's ``inputs``, if this version has it."""
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(f"pixel2style2pixel_cli.inputs.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise Unavailable(f"this version has no inputs.{module}.{name}") from error
    return found


def _enlarged(small: NDArray[np.float64], size: int) -> Pixels:
    pixels = (np.clip(small, 0, 1) * 255).round().astype(np.uint8)
    return np.array(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))


def _blank(picture: Pixels) -> Pixels:
    """White, in the place of an output that is missing."""
    return np.full_like(picture, 255)


def _filled(picture: Pixels, mask: NDArray[np.bool_], values: Any) -> Pixels:
    filled = picture.copy()
    filled[mask] = np.asarray(values).round().astype(np.uint8)
    return filled
