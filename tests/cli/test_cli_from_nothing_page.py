"""The page from nothing to a picture, run from its first command to its last at tiny size."""

from __future__ import annotations

from pathlib import Path

import from_nothing_page
import numpy as np
import pytest
import training_page
from PIL import Image

from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk


def test_every_command_of_the_page_works_and_prints_what_it_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pixel2style2pixel_cli.training import auxiliary, start

    monkeypatch.setenv("P2S2P_DEVICE", "cpu")
    monkeypatch.setenv("P2S2P_HOME", from_nothing_page.HOME)
    for module in (auxiliary, start):  # the pretrained one is in a package that not every machine has
        monkeypatch.setattr(module, "find_lite_trunk", lambda: LiteTrunk(LiteSpec()))
    from_nothing_page.write_inputs(folder)
    page = from_nothing_page.PAGE.read_text(encoding="utf-8")
    shell, commands = training_page.Shell(), [each for block in training_page.blocks(page) for each in block]
    for each in commands:
        found = shell(from_nothing_page.small(each.command))
        assert shell.code == 0, (each.command, found)
        assert training_page.without_numbers(found) == training_page.without_numbers(each.lines), each.command
    for name in ("found/12.png", "from-maps/13.png", "toons/12.png"):
        assert np.asarray(Image.open(folder / name)).shape == (64, 64, 3)
    assert (folder / "found" / "sheet.png").is_file()
    assert {each.command.split()[1] for each in commands} == {"train", "invert", "seg2face", "models", "toonify"}
