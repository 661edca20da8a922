"""The Python facade: one function per command, with the command's names and defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel2style2pixel_cli.events import OnEvent, Summary, ignore_event
from pixel2style2pixel_cli.options.directions import DirectionOptions
from pixel2style2pixel_cli.options.evaluation import EvaluationOptions
from pixel2style2pixel_cli.options.learning import LearnOptions
from pixel2style2pixel_cli.options.models import (
    BlendOptions,
    ExportOptions,
    ImportOptions,
    OneModel,
    PullOptions,
    ShowOptions,
    SomeModels,
    VerifyOptions,
)
from pixel2style2pixel_cli.options.paste import PasteOptions
from pixel2style2pixel_cli.options.reports import MergeOptions
from pixel2style2pixel_cli.options.signature import function_of
from pixel2style2pixel_cli.options.task import FaceOptions, TaskOptions
from pixel2style2pixel_cli.options.training import (
    EncoderTrainingOptions,
    GeneratorTrainingOptions,
    PackOptions,
    RecogniserTrainingOptions,
)
from pixel2style2pixel_cli.options.tuning import TuneOptions
from pixel2style2pixel_cli.options.validate import input_list, validate
from pixel2style2pixel_cli.tasks.table import TASKS, options_of

if TYPE_CHECKING:
    from pixel2style2pixel_cli.install.store import Imported

# What the functions of the tasks, and ``list_faces``, take first: one path, or several.
Inputs = str | Path | Sequence[str | Path]


def __getattr__(name: str) -> Callable[..., Summary]:
    """The function of a task: its inputs, then the options of the command of the same name as keywords.

    It returns the counts of the run. Failures of single inputs are events and counts; everything else raises a
    P2S2PError. None of them fetches a model.
    """
    if name not in TASKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    options = options_of(name)
    made = function_of(
        f"api.{name}",
        options,
        _run_task if options.takes_inputs else partial(_run_task, ()),
        does=TASKS[name].does,
        inputs=Inputs if options.takes_inputs else None,
        inputs_help=options.inputs_help,
    )
    globals()[name] = made
    return made


def __dir__() -> list[str]:
    return sorted({*globals(), *TASKS})


def _run_task(inputs: Inputs, options: TaskOptions) -> Summary:
    from pixel2style2pixel_cli.jobs.start import run_task

    return run_task(input_list(inputs), options)


def _list_faces(inputs: Inputs, options: FaceOptions) -> list[dict[str, Any]]:
    from pixel2style2pixel_cli.jobs.faces import found_faces

    return found_faces(input_list(inputs), options)


list_faces = function_of(
    "api.list_faces",
    FaceOptions,
    _list_faces,
    does="Every face of every input: input, face (its index, best first), score, box (left, top, right, bottom).",
    inputs=Inputs,
    inputs_help=FaceOptions.inputs_help,
    only=("recursive", "detector", "detector_threshold", "max_pixels", "shard", "stdin", "on_event"),
)


def _paste(options: PasteOptions) -> Summary:
    from pixel2style2pixel_cli.jobs.paste import paste_results

    return paste_results(options)


paste = function_of(
    "api.paste",
    PasteOptions,
    _paste,
    does="Put results back into the photographs that they were made from; returns the counts of the run.",
    by_place=("result", "photo"),
)


def _evaluate(options: EvaluationOptions) -> dict[str, Any]:
    from pixel2style2pixel_cli.jobs.evaluate import evaluate_files

    return evaluate_files(options)


evaluate = function_of(
    "api.evaluate",
    EvaluationOptions,
    _evaluate,
    does="Measure how near results are to their targets; returns the report.",
    by_place=("results", "targets"),
)


def _tune(inputs: Inputs, options: TuneOptions) -> dict[str, Any]:
    from pixel2style2pixel_cli.jobs.tune import tune_files

    return tune_files(input_list(inputs), options)


tune = function_of(
    "api.tune",
    TuneOptions,
    _tune,
    does="Tune the generator on pictures of one person; what changed is a file that --model takes.",
    inputs=Inputs,
    inputs_help=TuneOptions.inputs_help,
)


def _learn(inputs: Inputs, options: LearnOptions) -> list[dict[str, Any]]:
    from pixel2style2pixel_cli.jobs.learn import learn_directions

    return learn_directions(input_list(inputs), options)


learn = function_of(
    "api.learn",
    LearnOptions,
    _learn,
    does="Learn directions for edits from labelled pictures; one row a direction, with what it is worth.",
    inputs=Inputs,
    inputs_help=LearnOptions.inputs_help,
)


def _import_directions(options: DirectionOptions) -> list[dict[str, Any]]:
    from pixel2style2pixel_cli.jobs.published import import_directions as convert

    return convert(options)


import_directions = function_of(
    "api.import_directions",
    DirectionOptions,
    _import_directions,
    does="Make directions that others have published usable with a model; one row a direction.",
    by_place=("file",),
)


def list_models() -> list[dict[str, Any]]:
    """One row per model card, best rank first."""
    from pixel2style2pixel_cli.zoo.catalogue import model_rows

    return model_rows()


def show_model(name: str) -> dict[str, Any]:
    """The card of one model, and where its files are installed."""
    from pixel2style2pixel_cli.zoo.catalogue import card_fields

    return card_fields(validate(OneModel(name=name), "api.show_model").name)


def verify_models(names: Sequence[str] = ()) -> list[tuple[str, bool, str]]:
    """Hash the files of the named models, or of all installed ones: (name, whether they are right, what was found)."""
    from pixel2style2pixel_cli.zoo.catalogue import verified

    return verified(validate(VerifyOptions(names=names), "api.verify_models").names or ())


def _pull_models(options: PullOptions) -> list[dict[str, Any]]:
    from pixel2style2pixel_cli.install.pull import pull_model, pull_network
    from pixel2style2pixel_cli.zoo.auxiliary import networks
    from pixel2style2pixel_cli.zoo.find import find_card

    known, rows = networks(), []
    told: dict[str, Any] = {name: getattr(options, name) for name in ("accept_licence", "offline", "ask", "on_event")}
    # a misspelt name is found before anything is fetched
    for name, card in [(name, None if name in known else find_card(name)) for name in options.names]:
        if card is None:
            fetched = pull_network(known[name], **told)
            fields = {"licence": known[name].licence, "files": {"network": str(known[name].path)}}
        else:
            done = pull_model(card, **told)
            fetched, fields = done is not None, {} if done is None else _import_fields(done)
        rows.append({"name": name, "status": "installed" if fetched else "already installed", **fields})
    return rows


# The first model that cannot be had raises a P2S2PError; those before it are installed.
pull_models = function_of(
    "api.pull_models",
    PullOptions,
    _pull_models,
    does="Fetch the published weights of the named models, check, convert and install them; one row a model.",
    by_place=("names",),
)


def remove_models(names: Sequence[str]) -> list[dict[str, Any]]:
    """Remove what was imported or pulled under these names; one row a model, with the bytes freed."""
    from pixel2style2pixel_cli.install.pull import check_removable, remove_model

    unique = list(dict.fromkeys(validate(SomeModels(names=names), "api.remove_models").names))
    for name in unique:
        check_removable(name)
    return [{"name": name, "freed": remove_model(name)} for name in unique]


def import_model(name: str, file: str | Path, on_event: OnEvent = ignore_event) -> dict[str, Any]:
    """Check a published weight file, convert it and install it under a name."""
    from pixel2style2pixel_cli.install.adopt import import_model as adopt

    told = validate(ImportOptions(name=name, file=file), "api.import_model")
    return _import_fields(adopt(told.name, Path(told.file), on_event))


def _blend_models(options: BlendOptions) -> dict[str, Any]:
    from pixel2style2pixel_cli.install.blend import install_blend

    return install_blend(options.structure, options.look, options.name, at=options.at, width=options.width)


blend_models = function_of(
    "api.blend_models",
    BlendOptions,
    _blend_models,
    does="Install a generator with the layers of one below a resolution and those of another from there on.",
    by_place=("structure", "look", "name"),
)


def _export_model(options: ExportOptions) -> dict[str, Any]:
    from pixel2style2pixel_cli.install.export import export_model as export

    return export(
        options.name, Path(options.out), format=options.format, part=options.part, overwrite=options.overwrite,
        on_event=options.on_event,
    )  # fmt: skip


export_model = function_of(
    "api.export_model",
    ExportOptions,
    _export_model,
    does="Write an installed model as a file for other programs; returns how far that is from the model.",
    by_place=("name", "out"),
)


def _merge_reports(options: MergeOptions) -> dict[str, Any]:
    from pixel2style2pixel_cli.jobs.merge import merge_reports as merge

    files, out = input_list(options.files), None if options.out is None else str(options.out)
    return merge(files, out, overwrite=options.overwrite)


merge_reports = function_of(
    "api.merge_reports",
    MergeOptions,
    _merge_reports,
    does="Join the JSON lines of several runs over parts of one folder; returns the summary, with ``rows``.",
    by_place=("files",),
)


def show_file(path: str | Path) -> dict[str, Any]:
    """How a picture was made, or what a latent or weight file holds."""
    from pixel2style2pixel_cli.weights.describe import describe_file

    return describe_file(Path(validate(ShowOptions(file=path), "api.show_file").file))


def _train_generator(options: GeneratorTrainingOptions) -> dict[str, Any]:
    from pixel2style2pixel_cli.jobs.train import train_generator

    return train_generator(options)


def _train_encoder(options: EncoderTrainingOptions) -> dict[str, Any]:
    from pixel2style2pixel_cli.jobs.train import train_encoder

    return train_encoder(options)


def _train_recogniser(options: RecogniserTrainingOptions) -> dict[str, Any]:
    from pixel2style2pixel_cli.jobs.train import train_recogniser

    return train_recogniser(options)


def _pack_data(options: PackOptions) -> dict[str, Any]:
    from pixel2style2pixel_cli.jobs.train import pack_data

    return pack_data(options)


pack_data = function_of(
    "api.pack_data",
    PackOptions,
    _pack_data,
    does="Pack pictures, and what belongs to them, into shards that training reads fast.",
    by_place=("data", "out"),
)
train_generator = function_of(
    "api.train_generator",
    GeneratorTrainingOptions,
    _train_generator,
    does="Train a generator on aligned pictures.",
    by_place=("data", "out"),
)
train_encoder = function_of(
    "api.train_encoder",
    EncoderTrainingOptions,
    _train_encoder,
    does="Train an encoder into W+ of a frozen generator.",
    by_place=("data", "out"),
)


train_recogniser = function_of(
    "api.train_recogniser",
    RecogniserTrainingOptions,
    _train_recogniser,
    does="Train a face recogniser on pictures of many persons.",
    by_place=("data", "out"),
)


def _import_fields(done: Imported) -> dict[str, Any]:
    return {
        "name": done.card.name,
        "tasks": list(done.card.tasks),
        "licence": done.card.licence,
        "checked_by": done.checked_by,
        "source_sha256": done.source_sha256,
        "files": {role: str(path) for role, path in done.files.items()},
        "digests": done.digests,
    }
