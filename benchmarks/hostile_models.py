"""Small whole models for the campaigns to change: cards, weight files, published checkpoints, files of options."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import pickle
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixel2style2pixel_cli.cli.registry import all_specs
from pixel2style2pixel_cli.convert.names import publish
from pixel2style2pixel_cli.convert.nvidia import rosinality_name
from pixel2style2pixel_cli.convert.psp import encoder_rows
from pixel2style2pixel_cli.convert.rosinality import publish_generator
from pixel2style2pixel_cli.engine.loading import load_encoder_file, load_generator_file
from pixel2style2pixel_cli.install.adopt import import_checkpoint
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.options.configured import load_defaults
from pixel2style2pixel_cli.training.config import EncoderTraining, load_training, preset_names
from pixel2style2pixel_cli.training.joint_config import load_generator_training
from pixel2style2pixel_cli.weights.digest import require_digest
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.weights.write import save_weights
from pixel2style2pixel_cli.zoo.card_text import card_text
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, load_card
from pixel2style2pixel_cli.zoo.find import zoo_folder

GENERATOR = GeneratorSpec(resolution=16, style_dim=8, z_dim=8, channel_multiplier=2, channel_max=8, mapping_layers=2)
ENCODER = EncoderSpec(input_size=32, units=(1, 1, 1, 1), widths=(4, 8, 12, 16), head_width=8)
CPU = torch.device("cpu")
RUN_CODE = "hostile-ran"  # the folder that a checkpoint's code would make

_RECORD = "torch_utils.persistence", "_reconstruct_persistent_obj"


@functools.cache
def _model() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors of a generator and of an encoder for it, random and small."""
    torch.manual_seed(0)
    generator = Generator(GENERATOR)
    generator.latent_avg.normal_()
    encoder = build_encoder(ENCODER, GENERATOR.n_styles, GENERATOR.style_dim)
    encoder.latent_avg.copy_(generator.latent_avg.expand(GENERATOR.n_styles, -1))
    return generator.state_dict(), encoder.state_dict()


def weight_files() -> list[bytes]:
    """Weight files of ours: an encoder, and generators in two number types."""
    generator, encoder = _model()
    halved = {key: value.half() if value.is_floating_point() else value for key, value in generator.items()}
    files = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        for role, state, spec in (("encoder", encoder, ENCODER), ("generator", generator, GENERATOR),
                                  ("generator", halved, GENERATOR)):  # fmt: skip
            save_weights(path, role, state, dataclasses.asdict(spec), "MIT", "0" * 64, "ab" * 32)
            files.append(path.read_bytes())
    return files


def read_weights(path: Path) -> None:
    """A weight file to a network with its numbers checked, as a model's are before it is used."""
    header = read_weight_header(path)
    if header.kind == "encoder":
        torch.manual_seed(0)
        load_encoder_file(path, header.encoder_spec(), Generator(GENERATOR))
    else:
        load_generator_file(path, CPU, torch.float32)
    require_digest(path)


def checkpoint_files() -> list[bytes]:
    """Published layouts in every container, and pickles with code in them."""
    generator, encoder = _model()
    port, average = publish_generator(GENERATOR, generator)
    encoder = {key: value for key, value in encoder.items() if key != "latent_avg"}
    state = {f"encoder.{k}": v for k, v in publish(encoder, encoder_rows(ENCODER, GENERATOR.n_styles)).items()}
    state |= {f"decoder.{key}": value for key, value in port.items()}
    options = {"encoder_type": "GradualStyleEncoder", "output_size": 16, "start_from_latent_avg": True}
    psp = {"state_dict": state, "opts": options, "latent_avg": average.expand(GENERATOR.n_styles, -1).clone()}
    files = [_stored(content, zipped) for content in (psp, {"g_ema": port, "latent_avg": average}, port)
             for zipped in (True, False)]  # fmt: skip
    files += [_stored({"g_ema": port, "hook": _Code()}, zipped) for zipped in (True, False)]
    with _as_nvidia():
        network = _module(_nvidia_names(port, average))
        files += [pickle.dumps({"G_ema": network}, protocol) for protocol in (2, 4)]
        files.append(pickle.dumps({"G_ema": network, "hook": _Code()}, 2))
    return files


def read_checkpoint(path: Path) -> None:
    """Convert and install a checkpoint; raises AssertionError where code of the file was run."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        try:
            import_checkpoint(None, path, Path(folder) / "x")
        finally:
            ran = Path(tempfile.gettempdir()) / RUN_CODE
            if ran.exists():
                ran.rmdir()
                raise AssertionError("code of the checkpoint was run")


def _stored(content: object, zipped: bool) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


class _Code:
    """Makes a folder where somebody unpickles it without care."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(Path(tempfile.gettempdir()) / RUN_CODE),)


class _Module:
    """Pickles as a module of NVIDIA's does: a call with source code and the module's state."""

    def __init__(self, class_name: str) -> None:
        self.state: dict[str, Any] = {"_parameters": {}, "_buffers": {}, "_modules": {}}
        self.class_name = class_name

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object]]:
        meta = {"type": "class", "version": 6, "module_src": "raise SystemExit", "class_name": self.class_name}
        return _reconstruct, ({**meta, "state": self.state},)


def _reconstruct(meta: object) -> object:
    raise AssertionError("the source inside the pickle was about to run")


def _nvidia_names(port: dict[str, Tensor], average: Tensor) -> dict[str, Tensor]:
    """The port's tensors under the names and in the shapes of NVIDIA's files."""
    state = {"mapping.w_avg": average}
    leaves = ("weight", "bias", "affine.weight", "affine.bias", "noise_const", "noise_strength", "resample_filter")
    names = ["synthesis.b4.const"]
    names += [f"mapping.fc{layer}.{leaf}" for layer in range(GENERATOR.mapping_layers) for leaf in leaves[:2]]
    for side in GENERATOR.resolutions:
        names += [f"synthesis.b{side}.{part}.{leaf}" for part in ("conv0", "conv1", "torgb") for leaf in leaves]
        names.append(f"synthesis.b{side}.resample_filter")
    for name in names:
        value = port.get(rosinality_name(name) or "")
        if value is None:
            continue
        if name.endswith(("noise_strength", "torgb.bias")):
            value = value.reshape(() if name.endswith("strength") else -1)
        elif name.endswith("resample_filter"):
            value = value / 4
        elif name.endswith("noise_const"):
            value = value[0, 0]
        elif name.endswith(("const", "conv0.weight", "conv1.weight", "torgb.weight")):
            value = value[0]
        state[name] = value
    return state


def _module(tensors: dict[str, Tensor]) -> _Module:
    """Tensors in the tree of modules that their names describe."""
    root = _Module("Generator")
    for key, value in tensors.items():
        module, (*path, leaf) = root, key.split(".")
        for name in path:
            module = module.state["_modules"].setdefault(name, _Module("Layer"))
        module.state["_parameters"][leaf] = torch.nn.Parameter(value, requires_grad=False)
    return root


@contextmanager
def _as_nvidia() -> Iterator[None]:
    """Lets ``_reconstruct`` pickle under the name that NVIDIA's files ask for."""
    name, function = _RECORD
    module = types.ModuleType(name)
    setattr(module, function, _reconstruct)
    saved = _reconstruct.__module__, _reconstruct.__name__, _reconstruct.__qualname__
    _reconstruct.__module__, _reconstruct.__name__, _reconstruct.__qualname__ = name, function, function
    sys.modules |= {name.split(".")[0]: types.ModuleType(name.split(".")[0]), name: module}
    try:
        yield
    finally:
        _reconstruct.__module__, _reconstruct.__name__, _reconstruct.__qualname__ = saved
        del sys.modules[name], sys.modules[name.split(".")[0]]


def card_files() -> list[bytes]:
    """The cards of the zoo: bundled ones and published ones."""
    return [path.read_bytes() for path in sorted(zoo_folder().glob(f"*/{CARD_FILE}"))]


def read_card(data: bytes) -> None:
    """A card, its networks built without memory, and the card written again."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        (Path(folder) / CARD_FILE).write_bytes(data)
        card = load_card(Path(folder), any_name=True)
    generator = card.generator or GENERATOR
    with torch.device("meta"):
        Generator(generator)
        if card.encoder is not None:
            build_encoder(card.encoder, max(generator.n_styles, card.encoder.heads), generator.style_dim)
    card_text(card)


def configuration_files() -> list[bytes]:
    """Options of commands as a file gives them: every kind of value at its place."""
    return [
        b'[invert]\nout = "faces"\ndevice = "cpu"\nbatch_size = 4\nface = "all"\nmix_seed = ["1-3", "7"]\n'
        b"mix_alpha = 0.5\ndetector_threshold = -0.2\nmax_pixels = 1000000\n"
        b"verbose = 1\noptimize = 8\n",
        b'[seg2face]\nlabels = "celebamask-19"\ngrid = "row"\n\n[inpaint]\nmask = "masks"\n\n[superres]\nfactor = 8\n',
        b'[train.generator]\ndata = ["a", "b"]\npreset = "mini-joint"\nset = { "run.batch" = "4" }\n'
        b"minutes = 2.5\nseed = 3\n",
        b'[mix]\nmix_layers = "8-"\n\n[models.pull]\naccept_licence = true\n\n[paste]\nexisting = "skip"\n',
    ]


@functools.cache
def _commands() -> dict[str, Any]:
    return {spec.name: spec.configurable for spec in all_specs()}


def read_configuration(path: Path) -> None:
    """The options that a file sets, for a command that it names and for one that it does not."""
    for command in ("invert", "train.generator"):
        load_defaults(command, _commands(), files=[path], environment={})


def preset_files() -> list[bytes]:
    """The presets of both trainings."""
    from importlib import resources

    folder = resources.files("pixel2style2pixel_cli.training") / "presets"
    return [(folder / kind / f"{name}.toml").read_bytes() for kind in ("generator", "encoder")
            for name in preset_names(kind)]  # type: ignore[arg-type]  # fmt: skip


def read_preset(path: Path) -> None:
    """A file of training settings, as the training reads it that its sections belong to."""
    if "[generator]" in path.read_text("utf-8", "replace"):
        load_generator_training(str(path), {})
    else:
        load_training(EncoderTraining, "encoder", str(path), {})
