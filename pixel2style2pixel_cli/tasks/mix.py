"""Mixing: rows of one code into another, from photographs, latents or random styles (methods.md 4.6)."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.options.declare import OUTPUT, declare
from pixel2style2pixel_cli.options.task import FaceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.tasks.base import Prepared, RecipeValue, Source, Task
    from pixel2style2pixel_cli.tasks.latent import CodePreparer
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p mix a.jpg b.jpg --mix-layers fine -o mixed.png",
    "p2s2p mix a.safetensors styles/ -o mixed/ --grid sheet",
    "p2s2p mix a.jpg --mix-seed 0-7 --grid row",
)


NAME = "{content}_x_{stem}"  # after both inputs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class MixOptions(FaceOptions):
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
        from pixel2style2pixel_cli.tasks.latent import code_preparer, given_codes
        from pixel2style2pixel_cli.tasks.styles import chosen_layers

        preparer = code_preparer(self, model)
        batch = INPUT_KINDS[self.kind].batch
        if self.samples:
            return Task(preparer=preparer, encoder_batch=batch, change=given_codes)
        content = self._read_content(preparer, inputs[0])
        mixed = RowsOfStyle(content, chosen_layers(self, model.installed), self.mix_alpha)
        return Task(preparer=preparer, encoder_batch=batch, change=mixed, content=content)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """The content, and which of its rows become the style's; random styles are in the recipe of every task."""
        from pixel2style2pixel_cli.tasks.styles import chosen_layers

        if self.samples:
            return {}
        return {
            "content_sha256": _sha256(inputs[0]),
            "mix_alpha": self.mix_alpha,
            "mix_layers": ",".join(map(str, chosen_layers(self, installed))),
        }

    def _read_content(self, preparer: CodePreparer, source: Source) -> Prepared:
        if not isinstance(source, str):
            return preparer.prepare(source, source.name)[0]
        path = Path(source)
        try:
            photo = preparer.read(path, name=source, max_pixels=self.max_pixels)
            return preparer.prepare(photo, path.name)[0]
        except InputError as error:
            if path.name in error.message:
                raise
            raise type(error)(f"the content {source}: {error.message}", error.hint) from error


def _sha256(source: Source) -> str | None:
    """The hash of an input's bytes; None where they cannot be read, which is told when they are to be used."""
    from pixel2style2pixel_cli.zoo.verify import sha256_file

    if not isinstance(source, str):
        return source.sha256
    try:
        return sha256_file(Path(source))
    except OSError:
        return None


class RowsOfStyle:
    """Puts rows of each style into one content, whose code is found once."""

    def __init__(self, content: Prepared, layers: tuple[int, ...], alpha: float) -> None:
        self.content, self.layers, self.alpha = content, layers, alpha
        self._codes: Tensor | None = None

    def __call__(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes) -> Codes:
        """The content's code, with rows of the codes of these styles."""
        from pixel2style2pixel_cli.engine.mixing import mix_rows
        from pixel2style2pixel_cli.files.pixels import to_float
        from pixel2style2pixel_cli.tasks.latent import given_codes

        if self._codes is None:
            encoded = engine.encode(to_float([self.content.crop]))
            self._codes = given_codes(engine, [self.content], encoded).w_plus
        styles = given_codes(engine, prepared, codes).w_plus
        return codes.with_w_plus(mix_rows(self._codes.expand_as(styles), styles, self.layers, self.alpha))
