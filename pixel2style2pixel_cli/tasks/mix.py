"""Mixing: rows of one code into another, from photographs, latents or random styles (methods.md 4.6)."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.declare import OUTPUT, declare
from pixel2style2pixel_cli.tasks.optimised import OptimisedOptions, hash_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import Prepared, RecipeValue, Source, Task
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p mix a.jpg b.jpg --mix-layers fine -o mixed.png",
    "p2s2p mix a.safetensors styles/ -o mixed/ --grid sheet",
    "p2s2p mix a.jpg --mix-seed 0-7 --grid row",
)


NAME = "{content}_x_{stem}"  # after both inputs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class MixOptions(OptimisedOptions):
    """Options of ``mix``: the first input is the content, the others are styles; without one, ``mix_seed`` draws them.

    Photographs and latents alike.
    """

    command: ClassVar[str] = "mix"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES
    inputs: ClassVar[str] = "CONTENT STYLE"
    inputs_help: ClassVar[str] = (
        "A photograph or latent, then styles: photographs, latents, folders, quoted patterns, @list.txt."
    )
    takes_latents: ClassVar[bool] = True

    name: str = declare(
        NAME, "--name", metavar="TEMPLATE", section=OUTPUT,
        help="Names of the outputs, from {content} {stem} {command} {model} {seed} {mix_seed} {index} {face}.",
    )  # fmt: skip

    @property
    def template(self) -> str:
        """The template of the outputs' names; a random style has no name of its own."""
        return "{stem}" if self.samples and self.name == NAME else self.name

    def name_fields(self, inputs: Sequence[str]) -> dict[str, str]:
        """The name of the content."""
        return {"content": Path(inputs[0]).stem}

    def subjects(self, inputs: Sequence[str]) -> Sequence[str]:
        """The styles, each of which gives an output; with random styles the content."""
        return inputs if self.samples else inputs[1:]

    def also_read(self, inputs: Sequence[str]) -> Sequence[str]:
        """The content, where it is not itself the subject."""
        return () if self.samples else inputs[:1]

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError unless there is one content, and styles of one kind."""
        self.check_faces()
        if self.samples and len(inputs) > 1:
            raise UsageError("styles were given and --mix-seed as well", "name styles, or draw them with --mix-seed")
        if not self.samples:
            if len(inputs) == 1:
                raise UsageError("there is no style to mix in", "name a STYLE after the content, or add --mix-seed 0-7")
            if self.mix_truncation != 1.0:
                raise UsageError("--mix-truncation is for random styles", "leave it out, or use --mix-seed")
        content = inputs[0] if inputs else "-"
        if content == "-" or content.startswith("@") or glob.has_magic(content) or Path(content).is_dir():
            raise UsageError(f"the content is one picture or latent, not {content}", "name one file first")

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs and latents; each style's rows into the content."""
        from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
        from pixel2style2pixel_cli.tasks.base import Task
        from pixel2style2pixel_cli.tasks.latent import code_preparer

        preparer = code_preparer(self, model)
        batch = INPUT_KINDS[self.kind].batch
        if self.samples:
            return Task(preparer=preparer, encoder_batch=batch, change=self.found)
        content = self.read_other(preparer, inputs[0], "the content")
        mixed = RowsOfStyle(self, content, self.taken(model.installed))
        return Task(preparer=preparer, encoder_batch=batch, change=mixed, content=content)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """The content, and which of its rows become the style's; random styles are in the recipe of every task."""
        how_long = OptimisedOptions.recipe(self, installed, inputs)
        if self.samples:
            return how_long
        return {
            **how_long,
            "content_sha256": hash_of(inputs[0]),
            "mix_alpha": self.mix_alpha,
            "mix_layers": ",".join(map(str, self.taken(installed))),
        }

    def taken(self, installed: InstalledModel) -> tuple[int, ...]:
        """The rows taken from a style."""
        from pixel2style2pixel_cli.tasks.styles import chosen_layers

        return chosen_layers(self, installed)


class RowsOfStyle:
    """Puts rows of each style into one content, whose code is found once."""

    def __init__(self, options: MixOptions, content: Prepared, layers: tuple[int, ...]) -> None:
        self.options, self.content, self.layers = options, content, layers
        self._codes: Tensor | None = None

    def __call__(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
        """The content's code, with rows of the codes of these styles."""
        from pixel2style2pixel_cli.engine.mixing import mix_rows

        if self._codes is None:
            self._codes = self.options.codes_of(engine, [self.content])
        styles = self.options.found(engine, prepared, codes)
        rows = mix_rows(self._codes.expand_as(styles.w_plus), styles.w_plus, self.layers, self.options.mix_alpha)
        return styles.with_w_plus(rows)
