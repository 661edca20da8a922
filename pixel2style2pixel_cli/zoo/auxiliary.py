"""Published networks that are looked through, not run as models: where the user puts their files."""

from __future__ import annotations

from pathlib import Path

from pixel2style2pixel_cli.zoo.find import home_folder

ALEXNET = "alexnet-owt-7be5be79.pth"
VGG16 = "vgg16-397923af.pth"
# The network of FID, as torch-fidelity publishes it.
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"


def auxiliary_file(name: str) -> Path:
    """Where the user puts a file that a loss needs."""
    return home_folder() / "auxiliary" / name
