"""Inpainting: the masked part of a face is filled in (pSp, appendix; methods.md 4.5)."""

from __future__ import annotations

import glob
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.options.declare import declare
from pixel2style2pixel_cli.tasks.optimised import OptimisedOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pixel2style2pixel_cli.engine.codes import Codes
    from pixel2style2pixel_cli.engine.engine import Engine
    from pixel2style2pixel_cli.engine.loading import Model
    from pixel2style2pixel_cli.files.image import Photo
    from pixel2style2pixel_cli.tasks.base import Pixels, Prepared, RecipeValue, Source, Task
    from pixel2style2pixel_cli.tasks.photo import Cut
    from pixel2style2pixel_cli.zoo.resolve import InstalledModel

EXAMPLES = (
    "p2s2p inpaint photo.jpg --mask mask.png -o whole.png",
    "p2s2p inpaint photos/ --mask masks/ --mix-seed 0-3 --grid row",
    "p2s2p inpaint painted.png --mask-colour '#ff00ff'",
)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class InpaintOptions(OptimisedOptions):
    """Options of ``inpaint``.

    ``mask`` is a picture for all inputs, white where it is to be filled in, or a folder of such pictures with the names
    of the inputs; ``mask_colour`` is a colour painted over the photographs instead. ``keep`` leaves everything outside
    the mask as it was.
    """

    command: ClassVar[str] = "inpaint"
    examples: ClassVar[tuple[str, ...]] = EXAMPLES
    kind: ClassVar[InputKind] = "masked"

    mask: str | Path | None = declare(
        None, "--mask", metavar="FILE",
        help="A picture, white where the photograph is to be filled in, or a folder with one for each input.",
    )  # fmt: skip
    mask_colour: str | None = declare(
        None, "--mask-colour", "--mask-color", metavar="COLOUR", help="Fill in what is painted in this colour."
    )
    mask_tolerance: int = declare(
        24, "--mask-tolerance", metavar="N", minimum=0, maximum=255,
        help="How far a pixel may be from that colour, in grey levels.",
    )  # fmt: skip
    keep: bool = declare(True, "--keep/--no-keep", help="Keep what is outside the mask as it was.")

    @property
    def needs_target(self) -> bool:
        """Whether a crop is also wanted at the generator's size: what is known of it is kept."""
        return self.keep or bool(self.optimize) or self.compares or self.debug_align

    def also_read(self, inputs: Sequence[str]) -> Sequence[str]:
        """The mask, or the folder of masks."""
        return () if self.mask is None else (str(self.mask),)

    def check(self, inputs: Sequence[str]) -> None:
        """Raise UsageError unless exactly one kind of mask is given, and it can be there."""
        OptimisedOptions.check(self, inputs)  # super() would look in the class that slots=True replaced
        if (self.mask is None) == (self.mask_colour is None):
            what = "no mask was given" if self.mask is None else "--mask and --mask-colour were both given"
            raise UsageError(what, "give --mask FILE, a folder of masks, or --mask-colour '#ff00ff'")
        if self.mask is not None and not Path(self.mask).exists():
            raise UsageError(f"the mask {self.mask} does not exist", "check the spelling")
        if self.mask_colour is not None:
            from pixel2style2pixel_cli.inputs.masked import parse_colour

            parse_colour(self.mask_colour)

    def check_read(self, inputs: Sequence[str]) -> None:
        """Raise InputError for a mask of all inputs that is none."""
        OptimisedOptions.check_read(self, inputs)
        check_mask_of_all(self.mask, self.max_pixels)

    def check_input(self, relative: str, label: str) -> None:
        """Raise InputError for an input without a mask, where each has its own."""
        check_own_mask(self.mask, relative, label)

    def make_task(self, model: Model, inputs: Sequence[Source]) -> Task:
        """Photographs with a hole."""
        from pixel2style2pixel_cli.inputs.masked import parse_colour
        from pixel2style2pixel_cli.tasks.photo import photo_task

        change = Blank(
            mask=None if self.mask is None else Path(self.mask),
            colour=None if self.mask_colour is None else parse_colour(self.mask_colour),
            tolerance=self.mask_tolerance,
            size=model.encoder_spec.input_size,
            side=model.generator_spec.resolution,
            max_pixels=self.max_pixels,
        )
        return photo_task(
            self, model, change=change, change_codes=self.optimised if self.optimize else None,
            finish=keep_known if self.keep else None,
        )  # fmt: skip

    def optimised(self, engine: Engine, prepared: Sequence[Prepared], codes: Codes, *, counted: bool = True) -> Codes:
        """The codes brought closer to what is known of the pictures: everything outside the hole."""
        import torch

        from pixel2style2pixel_cli.files.pixels import to_float
        from pixel2style2pixel_cli.fitting.objective import Objective, load_judge

        known = [(p.target, ~p.hole) for p in prepared if p.target is not None and p.hole is not None]
        targets = to_float([target for target, _ in known]).to(engine.device, engine.dtype)
        kept = torch.stack([torch.from_numpy(place) for _, place in known])[:, None].to(targets)
        judge = load_judge("bundled", targets, targets.shape[-1])
        return self.towards(engine, Objective(targets, judge=judge, kept_B1HW=kept), codes)

    def recipe(self, installed: InstalledModel, inputs: Sequence[Source]) -> dict[str, RecipeValue]:
        """Where the face is made up, and what becomes of the rest of it."""
        found: dict[str, RecipeValue] = {"keep": self.keep, "optimize": self.optimize}
        if self.mask is None:
            return found | {"mask_colour": self.mask_colour, "mask_tolerance": self.mask_tolerance}
        return found | {"mask": Path(self.mask).name} | hash_of_mask(Path(self.mask))

    def recipe_of_input(self, relative: str) -> dict[str, RecipeValue]:
        """The mask of one input, where each has its own."""
        return recipe_of_mask(self.mask, relative)


@dataclass(frozen=True, kw_only=True, slots=True)
class Blank:
    """Cuts the hole out of a crop: its mask goes through the same alignment as the photograph."""

    mask: Path | None
    colour: tuple[int, int, int] | None
    tolerance: int
    size: int
    side: int
    max_pixels: int

    def __call__(self, found: Prepared, photo: Photo, relative: str, cut: Cut) -> Prepared:
        """The crop with its hole blanked, and the hole at both sizes."""
        from pixel2style2pixel_cli.inputs.masked import blank, check_mask

        own = find_mask(self.mask, relative, photo.name) if self.mask is not None and self.mask.is_dir() else None
        picture = (self._mask_of(photo, own or self.mask)[..., None] * 255).astype("uint8").repeat(3, axis=2)
        small, large = (cut(picture, size)[..., 0] > 127 for size in (self.size, self.side))
        check_mask(large, name=f"the mask on the face of {photo.name}")
        blanked = blank(found.crop, small)
        recipe = found.recipe if own is None else {**found.recipe, **hash_of_mask(own)}
        return replace(found, crop=blanked[..., :3], encoder_pixels=blanked, hole=large, recipe=recipe)

    def _mask_of(self, photo: Photo, path: Path | None) -> NDArray[np.bool_]:
        """Where this photograph is to be filled in, at the photograph's size."""
        from pixel2style2pixel_cli.inputs.masked import mask_of_colour

        if path is None:
            assert self.colour is not None  # one of the two is given
            painted = mask_of_colour(photo.pixels, self.colour, self.tolerance)
            if not painted.any():
                colour = "#{:02x}{:02x}{:02x}".format(*self.colour)
                raise InputError(f"nothing in {photo.name} has the colour {colour}", "try a larger --mask-tolerance")
            return painted
        return mask_of_photo(path, photo, self.max_pixels)


def check_mask_of_all(mask: str | Path | None, max_pixels: int) -> None:
    """Raise InputError for a file that cannot be a mask; whether it has the size of a photograph is told with that."""
    from pixel2style2pixel_cli.files.image import read_levels
    from pixel2style2pixel_cli.inputs.masked import read_mask

    if mask is not None and Path(mask).is_file():  # a pipe gives its bytes once
        name = Path(mask).name
        levels, alpha = read_levels(Path(mask), name=name, max_pixels=max_pixels)
        read_mask(levels, name=name, alpha=alpha)


def check_own_mask(mask: str | Path | None, relative: str, label: str) -> None:
    """Raise InputError for an input without a mask of its own, where ``mask`` is a folder with one for each."""
    if mask is not None and Path(mask).is_dir():
        find_mask(Path(mask), relative, label)


def mask_of_photo(path: Path, photo: Photo, max_pixels: int) -> NDArray[np.bool_]:
    """The mask of a file, bool (H, W), for a photograph; InputError unless it has the photograph's size."""
    from pixel2style2pixel_cli.files.image import read_levels
    from pixel2style2pixel_cli.inputs.masked import read_mask

    levels, alpha = read_levels(path, name=path.name, max_pixels=max_pixels)
    mask = read_mask(levels, name=path.name, alpha=alpha)
    if mask.shape != (photo.height, photo.width):
        rows, columns = mask.shape
        raise InputError(
            f"the mask {path.name} is {columns} x {rows}, the photograph {photo.name} is "
            f"{photo.width} x {photo.height}",
            "draw the mask on a copy of the photograph",
        )
    return mask


def find_mask(folder: Path, relative: str, name: str) -> Path:
    """The mask of one input: the same place in the folder of masks, whatever kind of picture it is."""
    from pixel2style2pixel_cli.files.suffixes import IMAGE_SUFFIXES

    wanted = folder / relative
    for path in (wanted, *sorted(wanted.parent.glob(f"{glob.escape(wanted.stem)}.*"))):
        if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
            return path
    raise InputError(f"no mask for {name} in {folder.name}", "masks have the names of their photographs")


def recipe_of_mask(mask: str | Path | None, relative: str) -> dict[str, RecipeValue]:
    """The hash of the mask of one input, where ``mask`` is a folder with one for each."""
    if mask is None or not Path(mask).is_dir():
        return {}
    try:
        return hash_of_mask(find_mask(Path(mask), relative, relative))
    except InputError:  # which is told when the mask is needed
        return {}


def hash_of_mask(path: Path) -> dict[str, RecipeValue]:
    """The hash of a mask for the recipe; nothing where it is a folder or cannot be read, which is told later."""
    from pixel2style2pixel_cli.zoo.verify import sha256_file

    try:
        return {"mask_sha256": sha256_file(path)} if path.is_file() else {}
    except OSError:
        return {}


def keep_known(prepared: Prepared, drawn: Pixels) -> Pixels:
    """The drawn picture inside the hole, the photograph outside, joined without an edge."""
    from pixel2style2pixel_cli.inputs.masked import fill_seam

    if prepared.target is None or prepared.hole is None:
        raise TypeError("the crop and its hole are needed at the generator's size; the task was made without them")
    return fill_seam(prepared.target, drawn, prepared.hole)
