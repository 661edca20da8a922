"""Results, or what a model draws, beside their targets: measured pair by pair and as sets, and the report of it."""

from __future__ import annotations

import contextlib
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.device import describe_device, resolve_device
from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.events import SCHEMA, ImageDone, Notice, Progress
from pixel2style2pixel_cli.face.align import crop_again
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.image import Photo, read_image
from pixel2style2pixel_cli.files.indexed import read_indexed
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.recipe import library_versions
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK_19, LabelSchema, find_schema, index_map, resize_labels
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.inputs.sketch import read_sketch
from pixel2style2pixel_cli.jobs.evaluated import MOST_EDITED, Ran, drawn_by_model, edit_figures, is_model
from pixel2style2pixel_cli.jobs.pairs import NO_MODEL, Pair, find_pairs, tell_failed
from pixel2style2pixel_cli.jobs.report import as_file, name_of
from pixel2style2pixel_cli.options.evaluation import EvaluationOptions
from pixel2style2pixel_cli.tasks.outcome import as_outcome

if TYPE_CHECKING:
    # imports torch, which a refused command line should not wait for
    from pixel2style2pixel_cli.evaluation.collect import Collected, Wanted
    from pixel2style2pixel_cli.evaluation.parser import Parser

Pixels = NDArray[np.uint8]
SUFFIXES = (".json", ".md")
PICTURES = (".png", ".webp", ".jpg")
OF_MODELS = ("task", "set", "edit", "keep")


@dataclass(slots=True)
class _Evaluation:
    """One evaluation on its way: what is compared, and what was seen."""

    options: EvaluationOptions
    collected: Collected
    ran: Ran | None
    maps: bool  # results and targets are label maps
    crops: list[Pixels] = field(default_factory=list)  # targets as they were compared, for edits

    @property
    def schema(self) -> LabelSchema:
        """What the numbers in label maps mean."""
        return CELEBAMASK_19 if self.options.labels is None else find_schema(self.options.labels)

    def measure(self, pair: Pair) -> dict[str, float]:
        """Measure a pair; P2S2PError where it cannot be compared."""
        if pair.result.problem is not None:
            raise InputError(pair.result.problem, pair.result.hint)
        if self.maps:
            return self._measure_maps(pair)
        from pixel2style2pixel_cli.evaluation.collect import side_of

        label, options = pair.result.label, self.options
        drawn = read_image(Path(pair.result.path or ""), name=label, max_pixels=options.max_pixels).pixels
        _check_square(drawn, label)
        photo = read_image(pair.target, name=pair.target.name, max_pixels=options.max_pixels)
        target = _part_of(photo, pair, len(drawn))
        _check_square(target, pair.target.name)
        side = side_of([drawn.shape, target.shape], options.size)
        drawn, target = resize_photo(drawn, side), resize_photo(target, side)
        figures = self.collected.add(drawn, target, self._wanted(pair, side))
        if self.ran is not None:
            seconds = self.ran.seconds.get(str(Path(pair.result.path or "")))
            if seconds is not None:
                self.collected.note({"seconds": seconds})
                figures["seconds"] = seconds
        if options.edit and len(self.crops) < MOST_EDITED:
            self.crops.append(target)
        return figures

    def _measure_maps(self, pair: Pair) -> dict[str, float]:
        from pixel2style2pixel_cli.evaluation.layout import Agreement

        found, truth = (self._map(path, path.name) for path in (Path(pair.result.path or ""), pair.target))
        side = self.options.size or min(*found.shape, *truth.shape)
        truth = resize_labels(truth, side, name=pair.target.name)
        found = resize_labels(found, side, name=pair.result.label)
        self.collected.layouts.setdefault("layout", Agreement(self.schema)).add(truth, found)
        figures = {"pixel_accuracy": float((truth == found).mean())}
        self.collected.note(figures)
        return figures

    def _map(self, path: Path, name: str, target: LabelSchema | None = None) -> Pixels:
        photo = read_indexed(path, name=name, max_pixels=self.options.max_pixels)
        return index_map(photo.pixels, self.schema, target or self.schema, name=name, palette=photo.palette)

    def _wanted(self, pair: Pair, side: int) -> Wanted | None:
        """The label map or the drawing that the result was made from, where it is compared with that."""
        from pixel2style2pixel_cli.evaluation.collect import Wanted

        kind = _input_kind(self.options, self.ran)
        if kind is None:
            return None
        if pair.input is None:
            raise InputError(f"nothing in {self.options.inputs} has its name", "give it the name of its target")
        if kind == "labels":
            labels = self._map(pair.input, pair.input.name, CELEBAMASK_19)
            return Wanted(labels=resize_labels(labels, min(labels.shape), name=pair.input.name))
        drawing = read_image(pair.input, name=pair.input.name, max_pixels=self.options.max_pixels).pixels
        return Wanted(drawing=read_sketch(drawing, side, invert=False, name=pair.input.name))


def evaluate_files(options: EvaluationOptions) -> dict[str, Any]:
    """Compare results, or what a model draws, with targets; returns the report, and writes it where asked.

    What cannot be drawn, and a pair that cannot be read, is reported and left out. Raises UsageError where nothing can
    be compared.
    """
    started = time.perf_counter()
    place = _place(options.out, options, SUFFIXES, "report")
    plot = _place(options.plot, options, PICTURES, "plot")
    _check(options)
    if place is not None and place.exists() and options.existing == "skip":
        return {}
    from pixel2style2pixel_cli.evaluation.judges import Recogniser
    from pixel2style2pixel_cli.evaluation.parser import Parser

    parser = None if options.parser is None else Parser(Path(options.parser).expanduser())
    recogniser = None if options.recogniser is None else Recogniser(options.recogniser)
    with contextlib.ExitStack() as stack:
        model = is_model(str(options.results), options.task)
        ran = stack.enter_context(drawn_by_model(options)) if model else None
        pairs, unmatched = find_pairs(str(options.results if ran is None else ran.folder), options)
        done = _start(options, ran, parser)
        done.collected.recogniser = recogniser
        failed = _measure_all(done, pairs)
        collected = done.collected
        if options.edit and ran is not None:
            for name, lengths in edit_figures(ran, done.crops, options.edit).items():
                collected.rows[name] = lengths
    report = _report(done, len(pairs), failed, unmatched) | {"seconds": round(time.perf_counter() - started, 2)}
    if place is not None:
        write_atomic(place, as_file(report, place.suffix.lower()).encode())
    if plot is not None:
        _draw(plot, collected)
    return report


def _start(options: EvaluationOptions, ran: Ran | None, parser: Parser | None) -> _Evaluation:
    """What measures the pairs, with the judges that are installed."""
    from pixel2style2pixel_cli.evaluation.collect import Collected, Judges

    maps = options.labels is not None and ran is None and parser is None
    judges = Judges(faces=None, lite2=None, lpips=None, fid=None, missing={}) if maps else Judges.installed()
    for name, why in judges.missing.items():
        options.on_event(Notice(message=f"without {name}: {why}"))
    lines = options.lines or (ran is not None and ran.options.command == "sketch2face")
    return _Evaluation(options, Collected(judges, options.seed, parser=parser, lines=lines), ran, maps)


def _measure_all(done: _Evaluation, pairs: list[Pair]) -> int:
    """How many pairs could not be compared; UsageError or InputError where none could."""
    from pixel2style2pixel_cli.evaluation.collect import rounded

    options, failed = done.options, 0
    model = NO_MODEL if done.ran is None or done.ran.summary is None else done.ran.summary.model
    for number, pair in enumerate(pairs):
        options.on_event(Progress(done=number, total=len(pairs), label="evaluate"))
        try:
            figures = done.measure(pair)
        except Exception as error:
            failed += 1
            tell_failed(options.on_event, pair.result.label, as_outcome(error, pair.result.label))
        else:
            options.on_event(ImageDone(input=pair.result.label, status="ok", model=model, metrics=rounded(figures)))
    options.on_event(Progress(done=len(pairs), total=len(pairs), label="evaluate"))
    if failed == len(pairs):
        raise InputError("none of the pairs could be compared", "see the messages above")
    return failed


def _report(done: _Evaluation, pairs: int, failed: int, unmatched: int) -> dict[str, Any]:
    from pixel2style2pixel_cli.evaluation.collect import rounded

    options, collected, ran = done.options, done.collected, done.ran
    device = resolve_device(options.device if ran is not None else "cpu")
    return {
        "event": "evaluation",
        "schema": SCHEMA,
        "results": str(options.results),
        "targets": str(options.targets),
        "pairs": pairs - failed,
        "failed": failed,
        "without_target": unmatched,
        "size": options.size,
        "seed": options.seed,
        **({} if ran is None else {"model": ran.record}),
        **({} if collected.recogniser is None else {"recogniser": collected.recogniser.digest}),
        **({} if collected.parser is None else {"parser": _parser_record(collected.parser.record)}),
        "means": {name: rounded(asdict(mean)) for name, mean in collected.means().items()},
        "sets": rounded(collected.sets()),
        "intervals": rounded(collected.intervals()),
        "left_out": collected.judges.missing,
        "device": f"{platform.system()} {platform.machine()}, {describe_device(device)}",
        "versions": library_versions(),
    }


def _parser_record(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if not isinstance(value, dict)}


def _draw(plot: Path, collected: Collected) -> None:
    from pixel2style2pixel_cli.evaluation.plot import draw_report
    from pixel2style2pixel_cli.files.image import encode_image
    from pixel2style2pixel_cli.result import FORMATS

    sure = {name: (mean.low, mean.high) for name, mean in collected.means().items()}
    drawn = draw_report(collected.rows, sure, {name: name_of(name) for name in collected.rows})
    write_atomic(plot, encode_image(drawn, FORMATS[plot.suffix.lower()]))


def _place(given: str | Path | None, options: EvaluationOptions, suffixes: tuple[str, ...], what: str) -> Path | None:
    """Where a report or plot goes; what stands in its way is found before anything is read."""
    if given is None:
        return None
    place = Path(given).expanduser()
    if place.suffix.lower() not in suffixes:
        raise UsageError(
            f"the {what} {display(place)} is neither {' nor '.join(suffixes)}",
            "name a file that ends with one of these",
        )
    if options.existing == "rename":
        raise UsageError(f"a {what} is not renamed", "use --overwrite, or another name")
    if place.exists() and options.existing == "error":
        raise UsageError(f"{display(place)} exists already", "use --overwrite, or another name")
    return place


def _check(options: EvaluationOptions) -> None:
    """Raise UsageError for options that do not go together."""
    model = is_model(str(options.results), options.task)
    if options.labels is not None:
        find_schema(options.labels)
    if not model:
        unused = [f"--{name}" for name in OF_MODELS if getattr(options, name)]
        if unused:
            raise UsageError(
                f"{' and '.join(unused)} is for a model, and {options.results} is none of that name",
                "name a model of p2s2p models list, or the folder of a training run",
            )
        if options.inputs is not None and options.parser is None and not options.lines:
            raise UsageError("--inputs without what compares results with them", "add --parser FILE or --lines")
        if options.labels is not None and options.lines:
            raise UsageError("--lines of label maps: they have none", "leave out --labels, or add --parser")
    if options.inputs is not None and options.parser is not None and options.lines:
        raise UsageError("--inputs are label maps for --parser and drawings for --lines", "use one of the two")


def _input_kind(options: EvaluationOptions, ran: Ran | None) -> str | None:
    """As what the inputs are compared with the results: label maps, drawings, or not at all."""
    if options.inputs is None:
        return None
    if options.parser is not None and (ran is None or ran.options.kind == "labels"):
        return "labels"
    if ran is None or ran.options.kind == "sketch":
        return "sketch"
    return None


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
