"""A model for every task and inputs that each of them takes: square photographs, drawings, label maps, masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from real_run import write_photos

from pixel2style2pixel_cli.inputs.labels import BISENET_19, CELEBAMASK_19, class_table

MAGENTA = (255, 0, 255)
# What each command needs beside its inputs; faces are taken as they are, which needs no detector.
COMMANDS: dict[str, tuple[str, ...]] = {
    "invert": ("--align", "never"),
    "frontalize": ("--align", "never"),
    "sketch2face": (),
    "seg2face": (),
    "superres": ("--align", "never"),
    "inpaint": ("--align", "never", "--mask", "mask.png"),
    "toonify": ("--align", "never"),
    "mix": ("--align", "never"),
    "embed": ("--align", "never", "--steps", "2"),
}


def drawing(shift: int = 0) -> Image.Image:
    """A round face of dark lines on white paper."""
    image = Image.new("RGB", (96, 96), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((16 + shift, 10, 80, 88), outline="black", width=3)
    for left in (32, 56):
        draw.ellipse((left, 36, left + 8, 42), outline="black", width=2)
    draw.line((38, 66 + shift, 58, 66), fill="black", width=3)
    return image


def label_map(shift: int = 0) -> NDArray[np.uint8]:
    """Background, skin, both eyes, hair: a map of 32 px in the order of CelebAMask-HQ."""
    labels = np.zeros((32, 32), np.uint8)
    labels[2:8, 6:26] = 13
    labels[8:28, 8:24] = 1
    labels[12:15, 10 + shift : 14 + shift] = 4
    labels[12:15, 18:22] = 5
    return labels


def bisenet(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same map in the order of BiSeNet."""
    return class_table(CELEBAMASK_19, BISENET_19)[labels]


def write_mask(path: Path, *, side: int = 128, box: tuple[int, int, int, int] = (40, 56, 100, 104)) -> Path:
    """White inside the box."""
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).rectangle(box, fill=255)
    image.save(path)
    return path


def write_inputs(command: str, folder: Path, names: Sequence[str]) -> Path:
    """Inputs of a command under these names, all different, and a mask beside the folder."""
    folder.mkdir(exist_ok=True)
    if command == "sketch2face":
        for number, name in enumerate(names):
            drawing(4 * number).save(folder / name)
    elif command == "seg2face":
        for number, name in enumerate(names):
            Image.fromarray(label_map(number)).save(folder / name)
    else:
        write_photos(folder, names)
    write_mask(folder.parent / "mask.png")
    return folder
