"""A model in the place of results: it runs its task on a data set first, and its edits are measured afterwards."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel2style2pixel_cli.errors import InputError, MissingError, UsageError
from pixel2style2pixel_cli.events import Event, ImageDone, Phase, Summary
from pixel2style2pixel_cli.jobs.start import run_task
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.evaluation import EvaluationOptions
from pixel2style2pixel_cli.options.kinds import Unexpected
from pixel2style2pixel_cli.options.refusal import nearest, refusal
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.options.validate import validate
from pixel2style2pixel_cli.tasks.steps import as_offset, find_steps, parse_directions
from pixel2style2pixel_cli.tasks.table import TASKS, options_of
from pixel2style2pixel_cli.weights.changes import CHANGES_SUFFIX
from pixel2style2pixel_cli.zoo.cards import CARD_FILE
from pixel2style2pixel_cli.zoo.choose import choose_model
from pixel2style2pixel_cli.zoo.find import find_card

if TYPE_CHECKING:
    # imports torch, which a refused command line should not wait for
    from pixel2style2pixel_cli.evaluation.consistency import Pixels
    from pixel2style2pixel_cli.session import Session

# Tasks that make one picture of each input, and what evaluate decides for them itself.
MEASURED = tuple(name for name, row in TASKS.items() if row.trained or name == "embed")
DECIDED = (
    "out", "recursive", "existing", "name", "format", "grid", "model", "device", "seed", "max_pixels", "dry_run",
    "shard", "mix_seed", "preview_input", "face", "paste", "debug_align",
)  # fmt: skip
MOST_EDITED = 200  # pictures that the consistency of edits is measured on


@dataclass(slots=True)
class Ran:
    """What a model drew: ``folder`` of the results, seconds of each by its path, and the counts of the run."""

    options: TaskOptions
    folder: Path
    inputs: str
    seconds: dict[str, float] = field(default_factory=dict)
    lost: int = 0
    summary: Summary | None = None

    @property
    def record(self) -> dict[str, Any]:
        """What a report says of the model."""
        assert self.summary is not None  # the run has ended
        return {
            "model": self.summary.model,
            "task": self.options.command,
            "inputs": self.inputs,
            "not_drawn": self.lost,
            "dtype": self.summary.dtype,
            "peak_bytes": self.summary.peak_bytes,
            "run_seconds": round(self.summary.seconds, 3),
        }


def is_model(name: str, task: str | None) -> bool:
    """Whether evaluate is given a model, not results: a task is named, or nothing but a model has this name."""
    path = Path(name).expanduser()
    if task is not None or path.name == CARD_FILE or (path / CARD_FILE).is_file():
        return True
    if path.suffix.lower() == CHANGES_SUFFIX:
        return path.is_file()
    if path.exists():
        return False
    try:
        find_card(name)
    except (MissingError, UsageError):
        return False
    return True


def task_options(options: EvaluationOptions, folder: Path) -> TaskOptions:
    """What the task is told; UsageError for a task or an option that does not fit."""
    name = str(options.results)
    task = options.task or _first_task(name)
    if task not in MEASURED:
        raise UsageError(f"evaluate cannot measure {task}", f"tasks that it measures: {', '.join(MEASURED)}")
    kind = options_of(task)
    given: dict[str, object] = dict(options.set or {})
    if options.labels is not None and task == "seg2face":
        given.setdefault("labels", options.labels)
    if task == "sketch2face" and options.inputs is None:
        given.setdefault("sketchify", "true")
    if options.inputs is None and task == "seg2face":
        raise UsageError("seg2face draws from label maps, and none are given", "add --inputs FOLDER of label maps")
    if options.existing == "rename":
        raise UsageError(
            "drawn pictures beside renamed ones would be measured twice", "use --overwrite, or another --keep"
        )
    if options.edit and task != "invert":
        raise UsageError(f"--edit measures encoders that invert, and the task is {task}", "leave out --edit")
    if options.edit:  # a direction of another generator is found before anything is drawn
        find_steps(parse_directions(options.edit), None, choose_model("invert", name))
    made = kind(
        **_read(kind, task, given), out=folder, recursive=options.recursive, existing=options.existing, model=name,
        device=options.device, seed=options.seed, max_pixels=options.max_pixels,
    )  # fmt: skip
    return validate(made, f"api.{task}")


def _first_task(name: str) -> str:
    if Path(name).suffix.lower() == CHANGES_SUFFIX:
        return "invert"
    able = [task for task in find_card(name).tasks if task in MEASURED]
    if not able:
        raise UsageError(f"the model {name} draws nothing that could be compared", "name one of p2s2p models list")
    return able[0]


def _read(kind: type[TaskOptions], task: str, given: Mapping[str, object]) -> dict[str, Any]:
    """Options of a task out of texts, by the names that configuration files use."""
    known = {each.key: each for each in declarations_of(kind) if each.name not in DECIDED}
    values: dict[str, Any] = {}
    for name, text in given.items():
        declared = known.get(name.replace("-", "_"))
        if declared is None:
            raise UsageError(f"--set {name}: {task} has no such option here", f"options: {', '.join(sorted(known))}")
        try:
            values[declared.name] = declared.read_configured(text)
        except Unexpected as error:
            near = nearest(error, declared.kind)
            hint = f"did you mean {near}?" if near else f"p2s2p {task} --help lists what it takes"
            raise refusal(f"--set {name}", error, declared.kind, hint) from None
    return values


@contextlib.contextmanager
def drawn_by_model(options: EvaluationOptions) -> Iterator[Ran]:
    """Run the model's task on the inputs, else on the targets; what fails is reported, and the rest is there."""
    with contextlib.ExitStack() as stack:
        if options.keep is None:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "results"
        else:
            place = Path(options.keep).expanduser()
        inputs = str(options.targets if options.inputs is None else options.inputs)
        if inputs == "-":
            raise UsageError("evaluate reads its pictures from files, not from standard input", "save them first")
        ran = Ran(options=task_options(options, place), folder=place, inputs=inputs)
        ran.options = _watched(ran, options)
        ran.summary = run_task([inputs], ran.options)
        if not ran.summary.ok and not ran.summary.skipped:
            raise InputError(f"the model drew nothing from {inputs}", "see the messages above")
        yield ran


def _watched(ran: Ran, options: EvaluationOptions) -> TaskOptions:
    def watch(event: Event) -> None:
        if isinstance(event, ImageDone):
            if event.output is not None and event.seconds is not None:
                ran.seconds[str(Path(event.output))] = event.seconds
            if event.status not in ("ok", "skipped"):
                ran.lost += 1
                options.on_event(replace(event, status="failed"))
        elif not isinstance(event, Summary) and event != Phase(name="writing"):  # the evaluation is to come
            options.on_event(event)

    return replace(ran.options, on_event=watch)


def edit_figures(ran: Ran, pictures: Sequence[Pixels], texts: Sequence[str]) -> dict[str, list[float]]:
    """The lengths of LEC by ``lec:`` and the direction, of aligned pictures that the model's encoder inverts."""
    import numpy as np

    from pixel2style2pixel_cli.evaluation.consistency import edit_lengths, kept_lengths
    from pixel2style2pixel_cli.session import Session

    found: dict[str, list[float]] = {}
    with Session(ran.options.model, device=ran.options.device, dtype="float32") as session:
        chosen = session.choose(options_of("invert")(model=ran.options.model, dtype="float32"))
        generator = session.translator(chosen, []).engine.model.generator
        codes = session.encode(list(pictures), align="never")
        for step in find_steps(parse_directions(texts), None, chosen.installed):
            offset = as_offset(step, generator).numpy() * np.float32(1.0 if step.strength is None else step.strength)
            lengths = edit_lengths(codes, offset, lambda _, made: _drawn(session, made), _inverter(session))
            found[f"lec:{step.name}"] = kept_lengths(lengths).tolist()
    return found


def _drawn(session: Session, codes: Any) -> list[Pixels]:
    return [result.array for result in session.draw(codes)]  # type: ignore[union-attr]


def _inverter(session: Session) -> Any:
    return lambda pictures: session.encode(list(pictures), align="never")
