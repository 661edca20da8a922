"""A card and its weight files to modules on a device: the only place where one becomes the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, UsageError
from pixel2style2pixel_cli.networks.psp import PSP
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import HEADS, EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights.header import read_weight_metadata
from pixel2style2pixel_cli.weights.read import materialise, read_tensors
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card, encoder_spec_of, generator_spec_of
from pixel2style2pixel_cli.zoo.find import find_card, installed_files, owner_of
from pixel2style2pixel_cli.zoo.verify import verify_installed


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model ready to run: encoder, generator and average code in one module, and what identifies them."""

    card: Card
    network: PSP
    encoder_spec: EncoderSpec
    generator_spec: GeneratorSpec
    generator_digest: str
    weights_sha256: dict[str, str]

    @property
    def label(self) -> str:
        """Name and the beginning of the encoder's hash: what recipe and JSON call the model."""
        return f"{self.card.name}@{self.weights_sha256['encoder'][:4]}"


def load_model(card: Card, device: torch.device, dtype: torch.dtype, loaded: Iterable[Model] = ()) -> Model:
    """Build what the card describes and load its verified files strictly, in evaluation mode and without gradients.

    The generator of one of the ``loaded`` models is shared where it is the same, on the same device.
    """
    hashes = verify_installed(card)
    generator, digest = _shared_generator(hashes, device, dtype, loaded) or load_generator(card, device, dtype)
    network, encoder_spec = load_encoder(card, generator)
    return Model(
        card=card,
        network=network,
        encoder_spec=encoder_spec,
        generator_spec=generator.spec,
        generator_digest=digest,
        weights_sha256=hashes,
    )


def _shared_generator(
    hashes: Mapping[str, str], device: torch.device, dtype: torch.dtype, loaded: Iterable[Model]
) -> tuple[Generator, str] | None:
    for model in loaded:
        generator = model.network.generator
        same = model.weights_sha256.get("generator") == hashes.get("generator")
        if same and generator.latent_avg.dtype == dtype and generator.latent_avg.device.type == device.type:
            return generator, model.generator_digest
    return None


def load_encoder(card: Card, generator: Generator) -> tuple[PSP, EncoderSpec]:
    """The verified encoder of a model, its own or another card's, joined to a generator that is loaded already."""
    verify_installed(card)
    files, spec = installed_files(card), encoder_spec_of(owner_of(card, "encoder"))
    if files is None:
        raise MissingError(f"the model {card.name} is not installed", f"see p2s2p models show {card.name}")
    if spec is None:
        raise UsageError(f"the model {card.name} has no encoder", "see p2s2p models list")
    return load_encoder_file(files["encoder"], spec, generator, heads=files.get("heads")), spec


def load_encoder_file(path: Path, spec: EncoderSpec, generator: Generator, *, heads: Path | None = None) -> PSP:
    """An encoder from one of our weight files, joined to its generator, on whose device and in whose type it is.

    Where the file holds no heads, ``heads`` is that of an encoder that has them; each name comes from one file.
    """
    like, rows = generator.latent_avg, generator.spec

    def build() -> PSP:
        network = PSP(build_encoder(spec, rows.n_styles, rows.style_dim), generator)
        del network.generator  # has its own file; put back below
        return network

    state = read_tensors(path)
    if heads is not None:
        lent = {key: value for key, value in read_tensors(heads).items() if key.startswith(HEADS)}
        if state.keys() & lent.keys():
            raise IntegrityError(f"{path} has heads of its own", "remove heads_model from the model's card")
        state |= lent
    prefixed = {key if key == "latent_avg" else f"encoder.{key}": value for key, value in state.items()}
    network = materialise(build, prefixed, path, like.device, like.dtype)
    network.generator = generator
    return network.eval().requires_grad_(False)


def load_generator(card: Card, device: torch.device, dtype: torch.dtype) -> tuple[Generator, str]:
    """The generator a card uses, its own or another card's, and its digest."""
    return load_generator_file(_generator_file(card), device, dtype, expect=_generator_spec(card))


def load_generator_file(
    path: Path, device: torch.device, dtype: torch.dtype, *, expect: GeneratorSpec | None = None
) -> tuple[Generator, str]:
    """A generator from one of our weight files, whose metadata hold its spec; also returns its digest."""
    content = read_weight_metadata(path)
    if content.get("kind") != "generator":
        raise IntegrityError(
            f"{path} holds weights of kind {content.get('kind')}, expected generator", "name another file"
        )
    try:
        spec = GeneratorSpec(**content["spec"])
    except TypeError as error:
        raise IntegrityError(
            f"{path} describes a generator unknown to this version: {error}", "update p2s2p"
        ) from error
    if expect is not None and spec != expect:
        raise IntegrityError(f"{path} holds {spec}, the card says {expect}", "reinstall or import the model again")
    generator = materialise(lambda: Generator(spec), read_tensors(path), path, device, dtype)
    return generator.eval().requires_grad_(False), str(content["digest"])


def find_generator(name: str) -> Generator:
    """A generator on the CPU: a weight file of ours, a run folder that exported one, or a model of the zoo."""
    path, card = locate_generator(name)
    expect = None if card is None else generator_spec_of(card)
    return load_generator_file(path, torch.device("cpu"), torch.float32, expect=expect)[0]


def locate_generator(name: str) -> tuple[Path, Card | None]:
    """The weight file that ``find_generator`` loads, and the card it belongs to, if any; then it is verified."""
    path = Path(name)
    if (path / "generator.safetensors").is_file() and not (path / CARD_FILE).is_file():
        path = path / "generator.safetensors"
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise UsageError(f"no weight file {path}", "name a generator.safetensors, a run folder or a model")
        return path, None
    card = find_card(name)
    return _generator_file(card), owner_of(card, "generator")


def _generator_file(card: Card) -> Path:
    """The verified file of the generator that a card uses."""
    verify_installed(card)
    files = installed_files(card)
    if files is None:
        raise MissingError(f"the model {card.name} is not installed", f"see p2s2p models show {card.name}")
    return files["generator"]


def _generator_spec(card: Card) -> GeneratorSpec | None:
    return generator_spec_of(owner_of(card, "generator"))
