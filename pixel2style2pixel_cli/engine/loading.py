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
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator, GeneratorSpec
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.find import generator_card_of, installed_files
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
    hashes = verify_installed(card)
    files = installed_files(card)
    if files is None:
        raise MissingError(f"the model {card.name} is not installed", f"see p2s2p models show {card.name}")
    encoder_spec = encoder_spec_of(card)
    if encoder_spec is None:
        raise UsageError(f"the model {card.name} has no encoder", "see p2s2p models list")
    generator, digest = load_generator_file(files["generator"], device, dtype, expect=_generator_spec(card))
    spec = generator.spec

    def build() -> PSP:
        network = PSP(build_encoder(encoder_spec, spec.n_styles, spec.style_dim), generator)
        del network.generator  # has its own file; put back below
        return network

    state = _read_tensors(files["encoder"])
    prefixed = {key if key == "latent_avg" else f"encoder.{key}": value for key, value in state.items()}
    network = materialise(build, prefixed, files["encoder"], device, dtype)
    network.generator = generator
    return Model(
        card=card,
        network=network.eval().requires_grad_(False),
        encoder_spec=encoder_spec,
        generator_spec=spec,
        generator_digest=digest,
        weights_sha256=hashes,
    )


def load_generator(card: Card, device: torch.device, dtype: torch.dtype) -> tuple[Generator, str]:
    """The generator a card uses, its own or another card's, and its digest."""
    verify_installed(card)
    files = installed_files(card)
    if files is None:
        raise MissingError(f"the model {card.name} is not installed", f"see p2s2p models show {card.name}")
    return load_generator_file(files["generator"], device, dtype, expect=_generator_spec(card))


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
    generator = materialise(lambda: Generator(spec), _read_tensors(path), path, device, dtype)
    return generator.eval().requires_grad_(False), str(content["digest"])


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


def _generator_spec(card: Card) -> GeneratorSpec | None:
    return generator_spec_of(generator_card_of(card))


def _read_tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary


def _as_dtype(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value
