"""The pictures of the documentation and of the models' pages, made again from held-out renders and photographs.

    python benchmarks/pictures.py --shard shard_015.npz --photo astronaut.png --photo grace_hopper.jpg

The pages name the photographs: NASA's portrait of Eileen Collins as scikit-image carries it (``skimage.data``), and the
US Navy's of Grace Hopper as matplotlib does (``matplotlib.cbook.get_sample_data``). Writes ``docs/pictures/*.webp``,
each through its command or method, at the size that the bundled generator draws or, where a page needs several, at
``--tile``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command import run_command, translate
from heldout import Faces, read_faces
from numpy.typing import NDArray
from portraits import PAGES as PORTRAITS
from portraits import Portraits
from sheets import coloured, write_sheet

from pixel2style2pixel_cli.engine.loading import load_generator
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.inputs.lowres import degrade
from pixel2style2pixel_cli.inputs.masked import HOLE_GREY, random_mask
from pixel2style2pixel_cli.inputs.sketch import sketchify
from pixel2style2pixel_cli.seeds import torch_generator
from pixel2style2pixel_cli.zoo.choose import choose_model

Pixels = NDArray[np.uint8]
TURNED, FACTOR = 18.0, 8  # degrees of yaw from which a face counts as turned; how much smaller faces are made
SHOWN = (0, 1, 4, 8, 14, 18, 20, 24, 30, 34, 36, 40)  # pictures of the shard, unlike one another


class Pages:
    """Makes the pictures of each page; ``faces`` at the generator's size."""

    def __init__(self, faces: Faces, photos: Sequence[Path], folder: Path, tile: int, steps: int) -> None:
        self.faces, self.photo, self.folder, self.tile = faces, photos[0], folder, tile
        self.shown = [number for number in SHOWN if number < len(faces.pictures)]
        self.portraits = Portraits(photos, [faces.pictures[i] for i in self.shown], folder, self.write, steps)

    def write(
        self, name: str, rows: Sequence[Sequence[Pixels]], captions: Sequence[str] = (), columns: int = 3
    ) -> None:
        """One sheet."""
        path = self.folder / f"docs/pictures/{name}.webp"
        write_sheet(path, rows, captions, columns=columns, tile=self.tile)
        print(path)

    def pairs(self, task: str, numbers: Sequence[int], shown: Sequence[Pixels], *options: str, **more: Any) -> None:
        """What is shown of each input, beside the output."""
        drawn = translate(task, [self.faces.pictures[i] for i in numbers], options, **more).plain
        self.write(task, [[shown[i], drawn[i]] for i in sorted(drawn)], ("input", "output"))

    def styles(self, task: str, inputs: Sequence[Pixels], shown: Sequence[Pixels], seeds: int, *options: str) -> None:
        """Each input, and its output in random styles."""
        content = inputs[0] if task == "mix" else None
        given = inputs if content is None else []
        drawn = translate(task, given, ["--mix-seed", f"0-{seeds - 1}", *options], content=content).mixed
        rows = [[picture, *(drawn[i, seed] for seed in range(seeds))] for i, picture in enumerate(shown)]
        first = "content" if task == "mix" else "input"
        self.write(task, rows, (first, *(f"seed {seed}" for seed in range(seeds))), columns=1)

    def frontalize(self) -> None:
        """Faces turned aside."""
        turned = np.flatnonzero(np.abs(self.faces.yaw) > TURNED)[: len(SHOWN)]
        self.pairs("frontalize", [int(i) for i in turned], [self.faces.pictures[i] for i in turned])

    def inpaint(self) -> None:
        """Holes drawn by chance."""
        rng = np.random.default_rng(4)
        pictures = [self.faces.pictures[i] for i in self.shown]
        masks = [random_mask(len(picture), rng) for picture in pictures]
        grey = np.uint8(HOLE_GREY)
        holed = [np.where(mask[..., None], grey, picture) for mask, picture in zip(masks, pictures, strict=True)]
        self.pairs("inpaint", self.shown, holed, masks=masks)

    def superres(self) -> None:
        """Faces made smaller by the published rule."""
        small = [degrade(self.faces.pictures[i], FACTOR) for i in self.shown]
        self.pairs("superres", self.shown, small, "--factor", str(FACTOR))

    def toonify(self) -> None:
        """Cartoons."""
        self.pairs("toonify", self.shown, [self.faces.pictures[i] for i in self.shown])

    def seg2face(self) -> None:
        """Label maps in four styles."""
        maps = [self.faces.labels[i] for i in self.shown[:5]]
        self.styles("seg2face", maps, [coloured(labels) for labels in maps], 4, "--labels", "celebamask-19")

    def sketch2face(self) -> None:
        """Drawings in three styles."""
        drawings = [sketchify(self.faces.pictures[i]) for i in self.shown[:5]]
        self.styles("sketch2face", drawings, drawings, 3)

    def mix(self) -> None:
        """One face in eight styles."""
        content = [self.faces.pictures[self.shown[2]]]
        self.styles("mix", content, content, 8)

    def invert(self) -> None:
        """The photograph with the card's steps and with 300; held-out faces for the model's page."""
        for name, options in (("invert", ()), ("invert-300", ("--optimize", "300"))):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "made.webp"
                done = run_command("invert", [str(self.photo), "-o", str(out), "--grid", "pair", *options])
                if done.code:
                    raise RuntimeError(done.errors)
                target = self.folder / "docs/pictures" / f"{name}.webp"
                target.write_bytes(out.with_name("made_pair.webp").read_bytes())
                print(target)
        some = self.faces.pictures[:25]
        drawn = translate("invert", some).plain
        self.write("inversions", [[some[i], drawn[i]] for i in sorted(drawn)], columns=5)

    def samples(self) -> None:
        """Random faces at truncation 0.8, for the generator's page."""
        generator, _ = load_generator(choose_model("invert", "mini"), torch.device("cpu"), torch.float32)
        z = torch.randn(36, generator.spec.z_dim, generator=torch_generator(1))
        with torch.no_grad():
            drawn = [p for part in z.split(6) for p in to_uint8(generator(generator.map(part, 0.8)))]
        self.write("samples", [[picture] for picture in drawn], columns=9)


PAGES = (
    "frontalize",
    "inpaint",
    "superres",
    "toonify",
    "seg2face",
    "sketch2face",
    "mix",
    "invert",
    "samples",
    *PORTRAITS,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shard", type=Path, required=True, help="a packed shard that nothing was trained on")
    parser.add_argument(
        "--photo",
        type=Path,
        required=True,
        action="append",
        help="a photograph; the first is also inverted; repeatable",
    )
    parser.add_argument("--pages", default=",".join(PAGES), help="which, with commas between")
    parser.add_argument("--folder", type=Path, default=Path(), help="the project's, or a copy of its folders")
    parser.add_argument("--tile", type=int, default=128, help="side of a picture on the sheets")
    parser.add_argument("--steps", type=int, default=100, help="of the optimisation of each photograph on its pages")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    size = choose_model("invert", "mini").generator.resolution
    pages = Pages(read_faces(options.shard, 300, size=size), options.photo, options.folder, options.tile, options.steps)
    for name in options.pages.split(","):
        make: Callable[[], None] = getattr(pages.portraits if name in PORTRAITS else pages, name)
        make()


if __name__ == "__main__":
    main()
