"""Published directions made ours: fetched where asked for by name, checked against their model, in deviations."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel2style2pixel_cli.errors import P2S2PError, UsageError
from pixel2style2pixel_cli.events import Notice
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.jobs.expand import DEFAULT_FOLDER
from pixel2style2pixel_cli.options.directions import DirectionOptions
from pixel2style2pixel_cli.weights.directions import DIRECTION_SUFFIX, DirectionFile, save_direction
from pixel2style2pixel_cli.zoo.cards import Source, WeightFile
from pixel2style2pixel_cli.zoo.choose import choose_model
from pixel2style2pixel_cli.zoo.directions import generator_digest
from pixel2style2pixel_cli.zoo.download import fetch_weight, hold
from pixel2style2pixel_cli.zoo.licences import require_licence
from pixel2style2pixel_cli.zoo.resolve import InstalledModel
from pixel2style2pixel_cli.zoo.verify import sha256_file

if TYPE_CHECKING:
    # imports torch, which a refused command line should not wait for
    from torch import Tensor

    from pixel2style2pixel_cli.convert.directions import Published

TABLE = "published_directions.toml"


def known_directions() -> dict[str, dict[str, Any]]:
    """What is known of published files, by their sha256: ``name``, ``models``, ``url`` and where known ``size``."""
    text = (resources.files("pixel2style2pixel_cli.zoo") / TABLE).read_text(encoding="utf-8")
    return tomllib.loads(text)


def import_directions(options: DirectionOptions) -> list[dict[str, Any]]:
    """Convert a published file; returns a row for each direction written.

    Raises UsageError for a file that was made for other models than the chosen one, or for codes of other sizes,
    IntegrityError for a file of something else, MissingError where it is to be fetched and cannot be.
    """
    path = Path(options.file).expanduser()
    named = [row["name"] for row in known_directions().values()]
    if not path.is_file() and str(options.file) not in named:
        raise UsageError(
            f"there is no file {display(path)}",
            f"check the spelling, or name a known one: {', '.join(sorted({*named}))}",
        )
    installed = choose_model("invert", options.model)
    if not path.is_file():
        path = _fetched(str(options.file), installed, options)
    sha256 = sha256_file(path)
    known = known_directions().get(sha256)
    if known is not None and installed.card.name not in known["models"]:
        raise UsageError(
            f"{display(path)} was made for {', '.join(known['models'])}, not for {installed.card.name}",
            f"name one of them: --model {known['models'][0]}",
        )
    options.on_event(Notice(message=f"model: {installed.name}"))
    from pixel2style2pixel_cli.convert.directions import read_published

    found = read_published(path)[: options.axes]
    _check_sizes(found, installed, path)
    stem = path.stem if known is None else str(known["name"])
    names = [stem] if len(found) == 1 else [f"{stem}-{number}" for number in range(len(found))]
    places = _places(options, names)
    codes_MD = None if all(each.deviation is not None for each in found) else _random_codes(installed)
    digest, rows = generator_digest(installed), []
    for name, each, place in zip(names, found, places, strict=True):
        step = _scaled(each, codes_MD).numpy()
        made = {"method": "published", "source": path.name, "source_sha256": sha256}
        space = "W" if len(step) == 1 else "W+"
        direction = DirectionFile(
            name=name, step=step, space="W" if space == "W" else "W+", generators=(digest,), made=made
        )
        save_direction(place, direction)
        rows.append({"direction": name, "space": space, "output": str(place)})
    return rows


def _fetched(name: str, installed: InstalledModel, options: DirectionOptions) -> Path:
    """The known file of this name for a model, fetched and checked; the model's licence is the file's as well."""
    rows = {sha256: row for sha256, row in known_directions().items() if row["name"] == name}
    fitting = [sha256 for sha256, row in rows.items() if installed.card.name in row["models"]]
    if not fitting:
        models = next(iter(rows.values()))["models"]
        raise UsageError(
            f"{name} was made for {', '.join(models)}, not for {installed.card.name}",
            f"name one of them: --model {models[0]}",
        )
    row = rows[fitting[0]]
    url = str(row["url"])
    weight = WeightFile(
        role="checkpoint", file=url.rpartition("/")[2], sha256=fitting[0], size=row.get("size"),
        sources=(Source(kind="https", address=url),),
    )  # fmt: skip
    require_licence(installed.card, weight, on_event=options.on_event)
    try:
        with hold(weight):
            return fetch_weight(installed.card, weight, on_event=options.on_event)
    except P2S2PError as error:  # whose hint is about files of models
        raise type(error)(error.message, f"fetch {url} yourself, then: p2s2p edit import {weight.file}") from error


def _check_sizes(found: list[Published], installed: InstalledModel, path: Path) -> None:
    spec = installed.generator
    for each in found:
        rows, width = each.rows_ND.shape
        if width != spec.style_dim or rows not in (1, spec.n_styles):
            raise UsageError(
                f"{display(path)} has {rows} x {width} numbers, and codes of {installed.card.name} have "
                f"{spec.n_styles} x {spec.style_dim}",
                "name the model that it was made for with --model",
            )


def _scaled(published: Published, codes_MD: Tensor | None) -> Tensor:
    """The step (N, D) of one standard deviation: as the file says, or as random codes vary along each row."""
    import torch

    rows_ND = published.rows_ND / published.rows_ND.norm(dim=1, keepdim=True).clamp_min(1e-12)
    if published.deviation is not None:
        return torch.mul(rows_ND, published.deviation)
    assert codes_MD is not None
    # A row that is empty stays so; the others move as far as codes vary along them.
    moved = (published.rows_ND.norm(dim=1, keepdim=True) > 0).float()
    return torch.mul(rows_ND * moved, (codes_MD @ rows_ND.T).std(dim=0)[:, None])


def _random_codes(installed: InstalledModel) -> Tensor:
    import torch

    from pixel2style2pixel_cli.engine.directions import draw_codes
    from pixel2style2pixel_cli.engine.loading import load_generator

    return draw_codes(load_generator(installed, torch.device("cpu"), torch.float32)[0])


def _places(options: DirectionOptions, names: list[str]) -> list[Path]:
    out = Path(DEFAULT_FOLDER, "directions") if options.out is None else Path(options.out).expanduser()
    if out.suffix.lower() == DIRECTION_SUFFIX:
        if len(names) > 1:
            raise UsageError(f"{len(names)} directions for the file {display(out)}", "name a folder with -o")
        places = [out]
    else:
        places = [out / (name + DIRECTION_SUFFIX) for name in names]
    taken = [place for place in places if place.exists()]
    if taken and options.existing != "overwrite":
        raise UsageError(f"{display(taken[0])} exists already", "use --overwrite, or another -o")
    return places
