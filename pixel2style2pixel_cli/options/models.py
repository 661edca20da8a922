"""What the commands about models and files are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.options.declare import MODEL, OUTPUT, REQUIRED, RUN, declare


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class OneModel:
    """One model by its name."""

    name: str = declare(REQUIRED, metavar="NAME", help="A name from p2s2p models list.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class SomeModels:
    """Models by their names."""

    names: Sequence[str] = declare(REQUIRED, metavar="NAME", help="Names from p2s2p models list.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class VerifyOptions:
    """Which models are verified."""

    names: Sequence[str] | None = declare(
        None, metavar="NAME", help="Names from p2s2p models list; without any, all installed models."
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class PullOptions(SomeModels):
    """What is fetched, and how.

    ``ask`` is given a question about a licence that was neither accepted before nor by ``accept_licence``; without it
    such a licence is an error.
    """

    accept_licence: bool = declare(
        False, "--accept-licence", "--accept-license", section=RUN,
        help="Accept the terms that are shown before weights are fetched.",
    )  # fmt: skip
    offline: bool = declare(False, "--offline", section=RUN, help="Never open a connection.")
    ask: Callable[[str], bool] | None = None
    on_event: OnEvent = ignore_event


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class ImportOptions(OneModel):
    """A weight file and the model that it becomes."""

    file: str | Path = declare(
        REQUIRED,
        metavar="FILE",
        help="A weight file as it was published, or the folder or a weight file of a training run.",
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class ExportOptions:
    """A model, and the file for other programs that it becomes."""

    name: str = declare(
        REQUIRED, metavar="NAME", path=True, help="A name from p2s2p models list, a run folder or a file of p2s2p tune."
    )
    out: str | Path = declare(REQUIRED, "-o", "--out", metavar="FILE", section=OUTPUT, help="The file to write.")
    format: Literal["onnx", "openvino", "safetensors", "pt"] | None = declare(
        None, "--format", metavar="TYPE", section=OUTPUT, default_means="what the name says",
        help="onnx, openvino (.xml and .bin), safetensors (one network), or pt (the layout of the published programs).",
    )  # fmt: skip
    part: Literal["whole", "encoder", "generator"] | None = declare(
        None, "--part", metavar="PART", section=OUTPUT, default_means="whole, where there is an encoder",
        help="whole (picture to code and picture), encoder (picture to code) or generator (code to picture).",
    )  # fmt: skip
    overwrite: bool = declare(False, "--overwrite", section=OUTPUT, help="Replace a file that exists.")
    on_event: OnEvent = ignore_event


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class BlendOptions:
    """Two generators, and the one that is made of them."""

    structure: str = declare(
        REQUIRED,
        metavar="STRUCTURE",
        path=True,
        help="Generator of shapes: a name from p2s2p models list, or its file.",
    )
    look: str = declare(
        REQUIRED, metavar="LOOK", path=True, help="Generator of colours and texture, of the same sizes as the first."
    )
    name: str = declare(REQUIRED, metavar="NAME", help="Name of the new model.")
    at: int = declare(
        REQUIRED, "--at", metavar="RES", section=MODEL, minimum=1, help="First resolution that LOOK draws, such as 32."
    )
    width: float = declare(
        0.0, "--width", metavar="W", section=MODEL, minimum=0,
        help="Over how many doublings of resolution both are mixed; 0 changes over at once.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class ShowOptions:
    """The file that is shown."""

    file: str | Path = declare(REQUIRED, metavar="FILE", help="A picture made by p2s2p, a latent or a weight file.")
