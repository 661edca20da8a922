"""Published networks that losses and measures look through, not run as models: their files, and where they are had."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.errors import MissingError
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.zoo.cards import Card, InputRule, Source, WeightFile
from pixel2style2pixel_cli.zoo.find import home_folder

TABLE = Path(__file__).with_name("networks.toml")
FREE = ("mit", "apache-2.0")

# By the names that `models pull` takes.
ALEXNET, VGG16, RECOGNISER, MOCO = "lpips-alexnet", "lpips-vgg16", "arcface-ir-se50", "moco-v2"
# The network of FID, as torch-fidelity publishes it.
INCEPTION = "inception-fid"


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network by its name: the file, what it is checked by, and its terms."""

    name: str
    title: str
    weight: WeightFile
    licence: str

    @property
    def path(self) -> Path:
        """Where its file lies once it is here."""
        return auxiliary_folder() / self.weight.file

    @property
    def card(self) -> Card:
        """What the downloader has to know about it."""
        return Card(
            name=self.name, title=self.title, tasks=(), rank=0, licence=self.licence, mixing_layers="",
            commercial_ok=self.licence in FREE, input=InputRule(), weights=(self.weight,), folder=auxiliary_folder(),
        )  # fmt: skip

    def require(self, purpose: str, without: str) -> Path:
        """The path of its file; MissingError, which says what has to be typed, where it is not here.

        ``purpose`` begins the sentence ("LPIPS"), ``without`` says what else one can do.
        """
        if not self.path.is_file():
            raise MissingError(
                f"{purpose} needs {self.title.partition(',')[0]}, and there is no file {display(self.path)}",
                f"p2s2p models pull {self.name}; or {without}",
            )
        return self.path


def auxiliary_folder() -> Path:
    """Where the files of these networks lie, whether they were pulled or put there."""
    return home_folder() / "auxiliary"


@functools.cache
def networks() -> dict[str, Network]:
    """All that are known, by name."""
    return {name: _network(name, row) for name, row in tomllib.loads(TABLE.read_text(encoding="utf-8")).items()}


def _network(name: str, row: dict[str, Any]) -> Network:
    sources = [Source(kind="https", address=url) for url in row.get("urls", ())]
    if hub := row.get("hub"):
        sources.append(Source(kind="hf", address=hub["repository"], revision=hub["revision"], path=hub["path"]))
    weight = WeightFile(
        role="checkpoint", file=row["file"], sha256=row["sha256"], size=row.get("size"), sources=tuple(sources)
    )
    return Network(name=name, title=row["title"], weight=weight, licence=row["licence"])
