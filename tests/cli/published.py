"""The card of a small published model, whose checkpoint a test serves, and what a pull of it leaves."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hub_server import COMMIT
from real_run import contents
from tiny_zoo import ENCODER, GENERATOR

NAME, FILE = "published", "published.pt"
CARD = f"""
name = "{NAME}"
title = "A published model, for tests"
tasks = ["invert"]
rank = 30
licence = "nvidia-nc"
[spec.encoder]
kind = "psp"
input_size = {ENCODER.input_size}
units = {list(ENCODER.units)}
widths = {list(ENCODER.widths)}
head_width = {ENCODER.head_width}
[spec.generator]
resolution = {GENERATOR.resolution}
style_dim = {GENERATOR.style_dim}
z_dim = {GENERATOR.z_dim}
channel_multiplier = {GENERATOR.channel_multiplier}
channel_max = {GENERATOR.channel_max}
mapping_layers = {GENERATOR.mapping_layers}
[[weights]]
role = "checkpoint"
file = "{FILE}"
container = "psp-pt"
"""
PULL = ("models", "pull", NAME)
ACCEPTED = (*PULL, "--accept-licence", "-q")


def write_card(
    folder: Path, data: bytes, *sources: str, sha256: str | None = None, size: int | None = None, name: str = NAME
) -> None:
    """The card of a checkpoint with these bytes."""
    where = ", ".join(f"{{ {source} }}" for source in (*sources, 'gdrive = "DRIVE"'))
    text = CARD.replace(f'name = "{NAME}"', f'name = "{name}"')
    text += (
        f'sha256 = "{sha256 or hashlib.sha256(data).hexdigest()}"\nsize = {size or len(data)}\nsources = [{where}]\n'
    )
    (folder / "zoo" / name).mkdir(exist_ok=True)
    (folder / "zoo" / name / "model.toml").write_text(text, encoding="utf-8")


def hf(repository: str, revision: str = COMMIT) -> str:
    return f'hf = "{repository}", revision = "{revision}", path = "{FILE}"'


def cached(folder: Path) -> list[str]:
    """What lies in the home folder besides the licence record and empty locks."""
    kept = contents(folder / "home") if (folder / "home").is_dir() else {}
    return sorted(name for name in kept if name != "licences.json" and not name.endswith(".lock"))


def installed(folder: Path) -> dict[str, bytes]:
    return contents(folder / "home" / "models" / NAME)
