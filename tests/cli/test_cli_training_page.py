"""The page on training, run from its first command to its last: everything works, and prints what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import training_page
from PIL import Image

from pixel2style2pixel_cli.zoo.cards import load_card


def test_every_command_of_the_page_prints_what_it_says(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("P2S2P_DEVICE", "cpu")
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    page = training_page.PAGE.read_text(encoding="utf-8")
    training_page.write_inputs(folder, page)
    shell, commands = training_page.Shell(), [each for block in training_page.blocks(page) for each in block]
    for each, following in zip(commands, [*commands[1:], None], strict=True):
        found = shell(each.command)
        assert training_page.without_numbers(found) == training_page.without_numbers(each.lines), each.command
        fails = following is not None and following.command == "echo $?" and following.lines != ["0"]
        assert (shell.code != 0) == fails or each.command == "echo $?", (each.command, found)
    assert load_card(folder / "runs" / "encoder").tasks == ("invert", "mix")
    assert load_card(folder / "runs" / "maps").tasks == ("seg2face",)
    for name in ("found.png", "face.png"):
        assert np.asarray(Image.open(folder / name)).shape == (64, 64, 3)
    assert {each.command.split()[1] for each in commands if each.command.startswith("p2s2p")} == {
        "train", "invert", "data", "seg2face",
    }  # fmt: skip
