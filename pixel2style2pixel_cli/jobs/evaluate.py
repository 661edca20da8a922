"""Results beside their targets: which belongs to which, measured pair by pair and as sets, and the report of it."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import InputError, P2S2PError, UsageError
from pixel2style2pixel_cli.events import SCHEMA, ImageDone, Notice, OnEvent, Progress
from pixel2style2pixel_cli.face.align import crop_again
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.glance import glance
from pixel2style2pixel_cli.files.image import Photo, read_image
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.recipe import Recipe, library_versions, parse_recipe
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.jobs.expand import Source, expand_inputs
from pixel2style2pixel_cli.jobs.paste import without_companions
from pixel2style2pixel_cli.options.evaluation import EvaluationOptions
from pixel2style2pixel_cli.tasks.outcome import as_outcome

if TYPE_CHECKING:
    # imports torch, which a refused command line should not wait for
    from pixel2style2pixel_cli.evaluation.collect import Collected

Pixels = NDArray[np.uint8]
SUFFIXES = (".json", ".md")
NO_MODEL = "none"
# How each figure is called in tables, and which way is better.
NAMES = {
    "mse": "squared error (less is better)",
    "psnr": "PSNR in dB (more is better)",
    "ms_ssim": "MS-SSIM (more is better)",
    "lpips": "LPIPS (less is better)",
    "identity_distance": "distance of dlib's descriptors (less is better)",
    "rank_1": "target nearest to a result is its own",
    "true_at_1_percent_false": "own pairs found at 1 % false ones",
    "different_outputs_one_person": "different results called one person",
    "different_inputs_one_person": "different targets called one person",
    "under_0.6": "result and target called one person",
    "found_in_results": "results with a face",
    "found_in_targets": "targets with a face",
    "frechet": "Fréchet distance (less is better)",
    "precision": "precision",
    "recall": "recall",
}
SETS = {"spectrum_ratio": "power of the spectrum, at {} cycles (1 is right)", "faces": "{}", "lite2": "{} on Lite2"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A result and its target; ``recipe`` where the target is the photograph that the result was made from."""

    result: Source
    target: Path
    recipe: Recipe | None = None


def evaluate_files(options: EvaluationOptions) -> dict[str, Any]:
    """Compare results with targets; returns the report, and writes it where asked.

    A pair that cannot be read is reported and left out. Raises UsageError where nothing can be compared.
    """
    started = time.perf_counter()
    place = _report_place(options)
    if place is not None and place.exists() and options.existing == "skip":
        return {}
    pairs, unmatched = _pairs(options)
    from pixel2style2pixel_cli.evaluation.collect import Collected, Judges, rounded

    judges = Judges.installed()
    for name, why in judges.missing.items():
        options.on_event(Notice(message=f"without {name}: {why}"))
    collected = Collected(judges, options.seed)
    failed = 0
    for done, pair in enumerate(pairs):
        options.on_event(Progress(done=done, total=len(pairs), label="evaluate"))
        try:
            figures = _measure(pair, collected, options)
        except Exception as error:
            failed += 1
            _tell(options.on_event, pair.result.label, as_outcome(error, pair.result.label))
        else:
            options.on_event(ImageDone(input=pair.result.label, status="ok", model=NO_MODEL, metrics=rounded(figures)))
    options.on_event(Progress(done=len(pairs), total=len(pairs), label="evaluate"))
    if failed == len(pairs):
        raise InputError("none of the pairs could be compared", "see the messages above")
    report = {
        "event": "evaluation",
        "schema": SCHEMA,
        "results": str(options.results),
        "targets": str(options.targets),
        "pairs": len(pairs) - failed,
        "failed": failed,
        "without_target": unmatched,
        "size": options.size,
        "seed": options.seed,
        "means": {name: rounded(asdict(mean)) for name, mean in collected.means().items()},
        "sets": rounded(collected.sets()),
        "left_out": judges.missing,
        "seconds": round(time.perf_counter() - started, 2),
        "device": f"{platform.system()} {platform.machine()}, CPU",
        "versions": library_versions(),
    }
    if place is not None:
        write_atomic(place, _as_file(report, place.suffix.lower()).encode())
    return report


def _report_place(options: EvaluationOptions) -> Path | None:
    """Where the report goes; what stands in its way is found before anything is read."""
    if options.out is None:
        return None
    place = Path(options.out).expanduser()
    if place.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"the report {display(place)} is neither .json nor .md", "name a file that ends with one of these"
        )
    if options.existing == "rename":
        raise UsageError("a report is not renamed", "use --overwrite, or another -o")
    if place.exists() and options.existing == "error":
        raise UsageError(f"{display(place)} exists already", "use --overwrite, or another -o")
    return place


def _pairs(options: EvaluationOptions) -> tuple[list[Pair], int]:
    """Each result with its target, and how many results have none, which are reported."""
    results = _expand(str(options.results), options)
    targets = [source for source in _expand(str(options.targets), options) if source.path is not None]
    if len(results) == len(targets) == 1 and targets[0].path is not None:
        return [Pair(result=results[0], target=Path(targets[0].path), recipe=_recipe(results[0]))], 0
    by_name: dict[str, list[Source]] = {}
    for source in targets:
        by_name.setdefault(_key(source.relative), []).append(source)
    by_stem: dict[str, list[Source]] = {}
    for source in targets:
        by_stem.setdefault(PurePosixPath(source.relative).stem, []).append(source)
    pairs: list[Pair] = []
    missing: list[Source] = []
    for result in results:
        recipe = _recipe(result)
        named = by_name.get(_key(result.relative), [])
        if not named and recipe is not None:
            named = by_stem.get(PurePosixPath(recipe.input_name).stem, [])
        if len(named) == 1 and named[0].path is not None:
            pairs.append(Pair(result=result, target=Path(named[0].path), recipe=recipe))
        else:
            missing.append(result)
            what = "several targets have its name" if named else "no target has its name"
            _tell(options.on_event, result.label, InputError(what, "give both files the same name"))
    if not pairs:
        first = missing[0].label if missing else str(options.results)
        raise UsageError(
            f"no result has a target: {display(Path(first))} and {len(results) - 1} others have no partner of their "
            f"name in {options.targets}",
            "give results and targets the same names",
        )
    return pairs, len(missing)


def _expand(place: str, options: EvaluationOptions) -> Sequence[Source]:
    if place == "-":
        raise UsageError("evaluate reads its pictures from files, not from standard input", "save them first")
    found = expand_inputs([place], recursive=options.recursive, output_root=None, stdin=lambda: b"")
    return without_companions(found)


def _key(relative: str) -> str:
    return str(PurePosixPath(relative).with_suffix(""))


def _recipe(source: Source) -> Recipe | None:
    """What a result says of its photograph; None where it says nothing."""
    if source.path is None or source.problem is not None:
        return None
    text = glance(Path(source.path)).recipe
    try:
        return None if text is None else parse_recipe(text)
    except P2S2PError:
        return None


def _measure(pair: Pair, collected: Collected, options: EvaluationOptions) -> dict[str, float]:
    from pixel2style2pixel_cli.evaluation.collect import side_of

    if pair.result.problem is not None:
        raise InputError(pair.result.problem, pair.result.hint)
    label = pair.result.label
    drawn = read_image(Path(pair.result.path or ""), name=label, max_pixels=options.max_pixels).pixels
    _check_square(drawn, label)
    photo = read_image(pair.target, name=pair.target.name, max_pixels=options.max_pixels)
    target = _part_of(photo, pair, len(drawn))
    _check_square(target, pair.target.name)
    side = side_of([drawn.shape, target.shape], options.size)
    return collected.add(resize_photo(drawn, side), resize_photo(target, side))


def _part_of(photo: Photo, pair: Pair, size: int) -> Pixels:
    """The target: the part of the photograph that the result shows, or the whole picture."""
    recipe = pair.recipe
    if recipe is None or recipe.matrix is None or not recipe.crop_size or recipe.input_sha256 != photo.sha256:
        return photo.pixels
    matrix = np.array(recipe.matrix, dtype=np.float64)
    return crop_again(photo.pixels, matrix, crop_size=recipe.crop_size, output_size=size)


def _check_square(pixels: Pixels, name: str) -> None:
    height, width = pixels.shape[:2]
    if height != width:
        raise InputError(
            f"{name} is {width} x {height}, and compared pictures are square",
            "compare aligned faces, or results of p2s2p with the photographs that they were made from",
        )


def _tell(on_event: OnEvent, label: str, error: P2S2PError) -> None:
    on_event(ImageDone(input=label, status="failed", model=NO_MODEL, message=error.message, hint=error.hint or None))


def report_rows(report: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The figures of a report as rows: what, how much, and the 95 % interval where there is one."""
    for name, mean in report["means"].items():
        sure = f"{mean['low']:.4g} to {mean['high']:.4g}" if mean["count"] > 1 else ""
        yield NAMES[name], f"{mean['mean']:.4g}", sure
    for part, figures in report["sets"].items():
        for name, value in figures.items():
            if name != "people" and value is not None:
                yield SETS[part].format(NAMES.get(name, name)), f"{value:.4g}", ""


def _as_file(report: dict[str, Any], suffix: str) -> str:
    if suffix == ".json":
        return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    lines = [
        f"{report['pairs']} pairs; {report['failed']} could not be compared, {report['without_target']} had no target.",
        "",
        "| Measure | Mean | 95 % interval |",
        "| --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in report_rows(report)),
        "",
        *(f"Without {name}: {why}.\n" for name, why in report["left_out"].items()),
        f"{report['device']}, {report['seconds']} s, seed {report['seed']}.",
    ]
    return "\n".join(lines) + "\n"
