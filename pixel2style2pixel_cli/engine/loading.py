"""An installed model to modules on a device: the only place where one becomes the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import IntegrityError, UsageError
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights.changes import apply_changes, load_changes, pivots_by_crop
from pixel2style2pixel_cli.weights.digest import require_digest
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.weights.read import materialise, read_laid_out
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card
from pixel2style2pixel_cli.zoo.find import find_card
from pixel2style2pixel_cli.zoo.resolve import InstalledModel, resolve


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model ready to run: an encoder into the codes of a generator, and what identifies them.

    Where the generator was tuned, ``generator_digest`` is still that of the one it was tuned from: its codes are the
    same. ``pivots`` are then the codes (N, D) that it was tuned for, by the sha256 of the crop as the encoder sees it.
    """

    installed: InstalledModel
    encoder: Encoder
    generator: Generator
    generator_digest: str
    pivots: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def card(self) -> Card:
        """The model's card."""
        return self.installed.card

    @property
    def encoder_spec(self) -> EncoderSpec:
        """The sizes of the encoder."""
        return self.encoder.spec

    @property
    def generator_spec(self) -> GeneratorSpec:
        """The sizes of the generator."""
        return self.generator.spec

    @property
    def weights_sha256(self) -> dict[str, str]:
        """sha256 of every file, by role."""
        return self.installed.weights_sha256

    @property
    def label(self) -> str:
        """Name and the beginning of the encoder's hash: what recipe and JSON call the model."""
        return f"{self.installed.name}@{self.installed.hashes['encoder'][:4]}"


def load_model(
    installed: InstalledModel, device: torch.device, dtype: torch.dtype, loaded: Iterable[Model] = ()
) -> Model:
    """Build what the cards describe and load the verified files strictly, in evaluation mode and without gradients.

    The generator of one of the ``loaded`` models is shared where it is the same, on the same device.
    """
    if installed.changes is not None:
        return _load_tuned(installed, installed.changes, device, dtype)
    shared = _shared_generator(installed, device, dtype, loaded)
    generator, digest = shared or load_generator(installed, device, dtype)
    encoder = load_encoder(installed, generator)
    return Model(installed=installed, encoder=encoder, generator=generator, generator_digest=digest)


def _load_tuned(installed: InstalledModel, changes: Path, device: torch.device, dtype: torch.dtype) -> Model:
    """The model with a generator of its own, to which the changes are added."""
    found = load_changes(changes)
    generator, digest = load_generator(installed, device, dtype)
    apply_changes(generator, found, changes)
    spec = generator.spec
    if found.pivots.shape[1:] != (spec.n_styles, spec.style_dim):
        raise IntegrityError(f"{changes} has pivots of other sizes than its generator", "tune again")
    return Model(
        installed=installed,
        encoder=load_encoder(installed, generator),
        generator=generator,
        generator_digest=digest,
        pivots=pivots_by_crop(found.header.crops, found.pivots),
    )


def _shared_generator(
    installed: InstalledModel, device: torch.device, dtype: torch.dtype, loaded: Iterable[Model]
) -> tuple[Generator, str] | None:
    for model in loaded:
        if model.installed.changes is not None:
            continue
        like = model.generator.latent_avg
        same = model.installed.hashes["generator"] == installed.hashes["generator"]
        if same and like.dtype == dtype and like.device.type == device.type:
            return model.generator, model.generator_digest
    return None


def load_encoder(installed: InstalledModel, generator: Generator) -> Encoder:
    """The verified encoder of a model, its own or another model's, for a generator that is loaded already."""
    if installed.encoder is None:
        raise UsageError(f"the model {installed.name} has no encoder", "see p2s2p models list")
    files = installed.checked_files
    return load_encoder_file(files["encoder"], installed.encoder, generator, heads=files.get("heads"))


def load_encoder_file(path: Path, spec: EncoderSpec, generator: Generator, *, heads: Path | None = None) -> Encoder:
    """An encoder from one of our weight files, on the device and in the type of the generator it belongs to.

    Where the file holds no heads, ``heads`` is that of an encoder that has them; each name comes from one file.
    """
    like, rows = generator.latent_avg, generator.spec
    state = read_laid_out(path, like.dtype)
    if heads is not None:
        lent = {key: value for key, value in read_laid_out(heads, like.dtype).items() if key.startswith(spec.shared)}
        if state.keys() & lent.keys():
            raise IntegrityError(f"{path} has heads of its own", "remove heads_model from the model's card")
        state |= lent
    encoder = materialise(
        lambda: build_encoder(spec, rows.n_styles, rows.style_dim), state, path, like.device, like.dtype
    )
    return encoder.eval().requires_grad_(False)


def load_generator(installed: InstalledModel, device: torch.device, dtype: torch.dtype) -> tuple[Generator, str]:
    """The verified generator of a model, its own or another model's, and its digest."""
    return load_generator_file(installed.checked_files["generator"], device, dtype, expect=installed.generator)


def load_generator_file(
    path: Path, device: torch.device, dtype: torch.dtype, *, expect: GeneratorSpec | None = None
) -> tuple[Generator, str]:
    """A generator from one of our weight files, whose header holds its spec; also returns its digest."""
    header = read_weight_header(path)
    spec = header.generator_spec()
    if expect is not None and spec != expect:
        raise IntegrityError(f"{path} holds {spec}, the card says {expect}", "reinstall or import the model again")
    generator = materialise(lambda: Generator(spec), read_laid_out(path, dtype), path, device, dtype)
    return generator.eval().requires_grad_(False), header.digest


def locate_generator(name: str) -> tuple[Path, InstalledModel | None]:
    """The verified file of a generator, and the model it belongs to, if any.

    ``name`` is a weight file of ours, a run folder that exported one, or a model of the zoo.
    """
    path = Path(name)
    if (path / "generator.safetensors").is_file() and not (path / CARD_FILE).is_file():
        path = path / "generator.safetensors"
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise UsageError(f"no weight file {path}", "name a generator.safetensors, a run folder or a model")
        require_digest(path)
        return path, None
    installed = resolve(find_card(name))
    if "generator" not in installed.files:
        raise UsageError(f"the model {installed.name} has no generator", "see p2s2p models list")
    return installed.checked_files["generator"], installed
