"""A model zoo of a few hundred kilobytes with random weights: real files, real cards, pictures of noise."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pixel2style2pixel_cli.convert.names import publish
from pixel2style2pixel_cli.convert.psp import encoder_rows
from pixel2style2pixel_cli.convert.rosinality import publish_generator
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.write import weight_metadata
from pixel2style2pixel_cli.zoo.cards import CARD_FILE

SIDE = 32
GENERATOR = GeneratorSpec(
    resolution=SIDE, style_dim=32, z_dim=16, channel_multiplier=1 / 64, channel_max=16, mapping_layers=2
)
ENCODER = EncoderSpec(kind="psp", input_size=SIDE, units=(1, 1, 1, 1), widths=(8, 16, 24, 32), head_width=16)
BLANK = "0" * 64
# The channels of each task's encoder, and the [input] section of its card.
TASK_INPUTS = {
    "frontalize": (3, 'kind = "photo"'),
    "sketch2face": (1, 'kind = "sketch"\nalign = "none"'),
    "seg2face": (19, 'kind = "labels"\nalign = "none"\nschema = "celebamask-19"'),
    "superres": (3, 'kind = "lowres"'),
    "inpaint": (4, 'kind = "masked"'),
}


@dataclasses.dataclass(frozen=True)
class TinyModel:
    """The tensors behind the two cards; ``latent_avg`` (n, d) is the encoder's."""

    encoder: dict[str, Tensor]
    generator: dict[str, Tensor]


def tiny_model(seed: int = 0) -> TinyModel:
    """Random weights, spread widely enough that different photographs give visibly different pictures."""
    torch.manual_seed(seed)
    generator = Generator(GENERATOR)
    encoder = build_encoder(ENCODER, GENERATOR.n_styles, GENERATOR.style_dim)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(0.1)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.1)
    average = generator.estimate_latent_avg(1000, torch.Generator().manual_seed(seed))
    generator.latent_avg.copy_(average)
    encoder.latent_avg.copy_(average.expand(GENERATOR.n_styles, -1))
    return TinyModel(encoder=encoder.state_dict(), generator=generator.state_dict())


def write_zoo(folder: Path, model: TinyModel) -> Path:
    """Two cards with their weights: ``tiny-generator`` and ``tiny-invert``, which uses it."""
    _write_model(folder, "tiny-generator", "generator", model.generator, GENERATOR)
    _write_model(folder, "tiny-invert", "encoder", model.encoder, ENCODER, ("invert", "mix"), 'kind = "photo"')
    return folder


def write_task_zoo(folder: Path) -> Path:
    """A model for every task, all but ``tiny-toonify`` with the codes of ``tiny-generator``."""
    write_zoo(folder, tiny_model())
    for number, (task, (channels, rule)) in enumerate(TASK_INPUTS.items(), 2):
        spec = dataclasses.replace(ENCODER, input_channels=channels)
        state = {**_encoder_state(spec, number), "latent_avg": tiny_model().encoder["latent_avg"]}
        _write_model(folder, f"tiny-{task}", "encoder", state, spec, (task,), rule)
    _write_model(folder, "tiny-toon-generator", "generator", tiny_model(1).generator, GENERATOR)
    (folder / "tiny-toonify").mkdir()
    (folder / "tiny-toonify" / CARD_FILE).write_text(
        'name = "tiny-toonify"\ntasks = ["toonify"]\nlicence = "MIT"\nbundled = true\n'
        'encoder_model = "tiny-invert"\ngenerator_model = "tiny-toon-generator"\n[mixing]\nlayers = "4-"\n',
        encoding="utf-8",
    )
    return folder


def write_restyle_zoo(folder: Path) -> Path:
    """``write_zoo``, and ``tiny-restyle``, whose encoder reads the picture drawn so far and makes two passes."""
    write_zoo(folder, tiny_model())
    spec = dataclasses.replace(ENCODER, kind="restyle", input_channels=6)
    state = {**_encoder_state(spec, 9), "latent_avg": tiny_model().encoder["latent_avg"]}
    rule = 'kind = "photo"\n[invert]\npasses = 2'
    _write_model(folder, "tiny-restyle", "encoder", state, spec, ("invert", "mix"), rule)
    return folder


def _encoder_state(spec: EncoderSpec, seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    encoder = build_encoder(spec, GENERATOR.n_styles, GENERATOR.style_dim)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(0.1)
    return encoder.state_dict()


def _write_model(
    folder: Path,
    name: str,
    role: str,
    state: dict[str, Tensor],
    spec: EncoderSpec | GeneratorSpec,
    tasks: tuple[str, ...] = (),
    rule: str = "",
) -> None:
    """One card with its weight file; an encoder works with ``tiny-generator`` and mixes from row 4 on."""
    (folder / name).mkdir(parents=True)
    path, values = folder / name / f"{role}.safetensors", dataclasses.asdict(spec)
    save_file(state, path, metadata=weight_metadata(role, values, tensor_digest(state), "MIT", BLANK))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    shared = 'generator_model = "tiny-generator"\n' if role == "encoder" else ""
    lines = "\n".join(f"{key} = {list(v) if isinstance(v, tuple) else repr(v)}" for key, v in values.items())
    ends = f'[input]\n{rule}\n[mixing]\nlayers = "4-"\n\n' if role == "encoder" else ""
    (folder / name / CARD_FILE).write_text(
        f'name = "{name}"\ntitle = "Noise, for tests"\ntasks = {list(tasks)}\nrank = 1\nlicence = "MIT"\n'
        f"commercial_ok = true\nbundled = true\n{shared}\n[spec.{role}]\n{lines}\n\n{ends}"
        f'[[weights]]\nrole = "{role}"\nfile = "{path.name}"\nsha256 = "{digest}"\n'
        f"size = {path.stat().st_size}\n",
        encoding="utf-8",
    )


def write_published(path: Path, model: TinyModel) -> Path:
    """The same model as a pSp checkpoint in the published layout."""
    generator, average = publish_generator(GENERATOR, model.generator)
    rest = {key: value for key, value in model.encoder.items() if key != "latent_avg"}
    encoder = publish(rest, encoder_rows(ENCODER, GENERATOR.n_styles))
    state = {f"encoder.{key}": value for key, value in encoder.items()}
    state |= {f"decoder.{key}": value for key, value in generator.items()}
    options = {"encoder_type": "GradualStyleEncoder", "output_size": SIDE, "start_from_latent_avg": True}
    torch.save({"state_dict": state, "opts": options, "latent_avg": average.expand(GENERATOR.n_styles, -1)}, path)
    return path
