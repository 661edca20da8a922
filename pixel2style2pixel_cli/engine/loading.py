"""A card and its weight files to modules on a device: the only place where one becomes the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pixel2style2pixel_cli.convert.install import METADATA_KEY
from pixel2style2pixel_cli.convert.own_card import encoder_spec_of, generator_spec_of
from pixel2style2pixel_cli.errors import IntegrityError, MissingError, UsageError
from pixel2style2pixel_cli.networks.psp import PSP, EncoderSpec
from pixel2style2pixel_cli.networks.registry import build_encoder, shared_parts
from pixel2style2pixel_cli.networks.stylegan2 import Generator, GeneratorSpec
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card
from pixel2style2pixel_cli.zoo.find import find_card, installed_files, owner_of
from pixel2style2pixel_cli.zoo.verify import verify_installed

M = TypeVar("M", bound=nn.Module)


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


def load_model(card: Card, device: torch.device, dtype: torch.dtype) -> Model:
    """Build what the card describes and load its verified files strictly, in evaluation mode and without gradients."""
    generator, digest = load_generator(card, device, dtype)
    network, encoder_spec = load_encoder(card, generator)
    return Model(
        card=card,
        network=network,
        encoder_spec=encoder_spec,
        generator_spec=generator.spec,
        generator_digest=digest,
        weights_sha256=verify_installed(card),
    )


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
        shared = shared_parts(spec.kind)
        lent = {key: value for key, value in read_tensors(heads).items() if key.startswith(shared)}
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


def materialise(
    build: Callable[[], M], state: dict[str, Tensor], path: Path, device: torch.device, dtype: torch.dtype
) -> M:
    """Build on the meta device, load strictly, move: no random weights are drawn first."""
    with torch.device("meta"):
        module = build()
    try:
        module.load_state_dict({k: _as_dtype(v, dtype) for k, v in state.items()}, strict=True, assign=True)
    except RuntimeError as error:
        raise IntegrityError(f"{path} does not fit the model's card: {error}", "import the model again") from error
    return module.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)


def read_weight_metadata(path: Path) -> dict[str, Any]:
    """What a weight file of ours says about itself: kind, spec, digest, licence."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
    except (OSError, SafetensorError) as error:
        raise IntegrityError(f"{path} cannot be read: {error}", "reinstall or import the model again") from error
    if text is None:
        raise IntegrityError(
            f"{path} is a safetensors file, but none of ours", "import it: p2s2p models import NAME FILE"
        )
    content: dict[str, Any] = json.loads(text)
    return content


def _generator_file(card: Card) -> Path:
    """The verified file of the generator that a card uses."""
    verify_installed(card)
    files = installed_files(card)
    if files is None:
        raise MissingError(f"the model {card.name} is not installed", f"see p2s2p models show {card.name}")
    return files["generator"]


def _generator_spec(card: Card) -> GeneratorSpec | None:
    return generator_spec_of(owner_of(card, "generator"))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a weight file, as they are stored."""
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary


def _as_dtype(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value
