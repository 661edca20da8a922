"""Every model of the zoo: its card holds, its networks build, and what is bundled loads and draws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.convert.names import publish
from pixel2style2pixel_cli.convert.nvidia import nvidia_to_rosinality
from pixel2style2pixel_cli.convert.psp import encoder_rows
from pixel2style2pixel_cli.convert.rosinality import publish_generator
from pixel2style2pixel_cli.engine.loading import load_generator, load_model
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS
from pixel2style2pixel_cli.inputs.masked import blank
from pixel2style2pixel_cli.inputs.sketch import sketchify
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.directions import load_direction
from pixel2style2pixel_cli.weights.header import METADATA_KEY, read_weight_header
from pixel2style2pixel_cli.zoo.cards import Card, load_card
from pixel2style2pixel_cli.zoo.directions import generator_digest
from pixel2style2pixel_cli.zoo.landmarks import find_landmarks
from pixel2style2pixel_cli.zoo.resolve import lender_of, resolve
from pixel2style2pixel_cli.zoo.verify import sha256_file

ROOT = Path(__file__).parents[2]
CARDS = [load_card(path.parent) for path in sorted((ROOT / "models").glob("*/model.toml"))]
BUNDLED = [card for card in CARDS if card.bundled]
PUBLISHED = [card for card in CARDS if not card.bundled]
CPU = torch.device("cpu")


def named(card: Card) -> str:
    return card.name


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, checked_home: Path) -> None:
    monkeypatch.setenv("P2S2P_HOME", str(checked_home))
    monkeypatch.delenv("P2S2P_ZOO", raising=False)


@pytest.mark.parametrize("card", CARDS, ids=named)
def test_card_builds(card: Card) -> None:
    generator = lender_of(card, "generator").generator
    encoder = lender_of(card, "encoder").encoder
    assert generator is not None
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in Generator(generator).parameters()) > 0
        if encoder is not None:
            build_encoder(encoder, generator.n_styles, generator.style_dim)
    readme = (card.folder / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) > 10 and "licence" in readme.lower()
    assert (encoder is not None) == bool(card.tasks)


@pytest.mark.parametrize("card", PUBLISHED, ids=named)
def test_published_model_is_a_card_only(card: Card) -> None:
    assert {path.name for path in card.folder.iterdir()} <= {"model.toml", "README.md"}
    for weight in card.weights:
        assert weight.role == "checkpoint" and weight.sources and weight.sources[-1].kind in ("gdrive", "https")


LAYOUTS = ROOT / "tests" / "parity" / "data"
# of the published files: (layout, only what begins so, input channels, tensors)
PUBLISHED_LAYOUTS = {
    "psp-ffhq-encode": ("psp_ffhq_encode", "", 3, 792),
    "psp-ffhq-frontalization": ("psp_ffhq_encode", "", 3, 792),
    "psp-ffhq-toonify": ("psp_ffhq_encode", "", 3, 792),
    "psp-celebs-super-resolution": ("psp_ffhq_encode", "", 3, 792),
    "psp-celebs-sketch-to-face": ("psp_ffhq_encode", "", 1, 792),
    "psp-celebs-seg-to-face": ("psp_ffhq_encode", "", 19, 792),
    "e4e-ffhq-encode": ("psp_ffhq_encode", "", 3, 792),
    "e4e-cars-encode": ("psp_ffhq_encode", "", 3, 746),  # of 1024 px without the last block and the last two rows
    "e4e-horse-encode": ("psp_256", "", 3, 700),
    "e4e-church-encode": ("psp_256", "", 3, 700),
    "cycle-ffhq-encode": ("psp_ffhq_encode", "", 3, 792),
    "restyle-psp-ffhq-encode": ("restyle_psp_backbone", "", 6, 736),
    "restyle-e4e-ffhq-encode": ("restyle_psp_backbone", "", 6, 736),
    "restyle-psp-cars-encode": ("restyle_psp_resnet_backbone", "", 6, 530),
    "restyle-psp-afhq-wild-encode": ("restyle_psp_resnet_backbone", "", 6, 530),
    "restyle-psp-church-encode": ("restyle_psp_resnet_backbone", "", 6, 492),  # without the last block and two rows
    "restyle-e4e-cars-encode": ("restyle_psp_resnet_backbone", "", 6, 530),
    "restyle-e4e-afhq-wild-encode": ("restyle_psp_resnet_backbone", "", 6, 530),
    "restyle-e4e-church-encode": ("restyle_psp_resnet_backbone", "", 6, 492),
    "restyle-e4e-horse-encode": ("restyle_psp_resnet_backbone", "", 6, 492),
    "generator-ffhq-1024": ("psp_ffhq_encode", "decoder.", 3, 0),
    "generator-toonify": ("psp_ffhq_encode", "decoder.", 3, 0),
    "generator-ffhq-256": ("psp_256", "decoder.", 3, 0),
    "nvidia-ada-ffhq": ("nvidia_ada_G_ema_1024", "", 3, 0),
}


@pytest.mark.parametrize("name", PUBLISHED_LAYOUTS)
def test_spec_of_a_card_gives_the_published_tensors(name: str) -> None:
    """Names and shapes of the layouts that the published code builds; a card with another spec could never load."""
    layout, start, channels, count = PUBLISHED_LAYOUTS[name]
    rows = json.loads((LAYOUTS / f"{layout}.json").read_text(encoding="utf-8"))["tensors"]
    theirs = {row[0]: tuple(row[1]) for row in rows if row[0].startswith(start)}
    if layout.startswith("nvidia"):
        blur = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
        file = {k: blur if k.endswith("filter") else torch.zeros(()).expand(shape) for k, shape in theirs.items()}
        named = nvidia_to_rosinality(file)[0]
        theirs = {f"decoder.{key}": tuple(tensor.shape) for key, tensor in named.items()}
    if "encoder.input_layer.0.weight" in theirs:
        theirs["encoder.input_layer.0.weight"] = (64, channels, 3, 3)
    card = next(card for card in CARDS if card.name == name)
    ours = published_shapes(card)
    assert {key: shape for key, shape in ours.items() if theirs.get(key) != shape} == {}
    assert len(ours) == (count or len(theirs))


def published_shapes(card: Card) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a card's tensors as its file would hold them."""
    generator, encoder = card.generator, card.encoder
    assert generator is not None
    with torch.device("meta"):
        state = Generator(generator).state_dict()
        shapes = publish_generator(generator, state)[0]
        if encoder is None:
            return {f"decoder.{key}": tuple(tensor.shape) for key, tensor in shapes.items()}
        network = build_encoder(encoder, generator.n_styles, generator.style_dim)
        state = {key: value for key, value in network.state_dict().items() if key != "latent_avg"}
        theirs = publish(state, encoder_rows(encoder, generator.n_styles))
    both = {f"encoder.{k}": t for k, t in theirs.items()} | {f"decoder.{k}": t for k, t in shapes.items()}
    return {key: tuple(tensor.shape) for key, tensor in both.items()}


@pytest.mark.parametrize("card", BUNDLED, ids=named)
def test_bundled_files_explain_themselves(card: Card) -> None:
    specs = {"encoder": card.encoder, "generator": card.generator}
    assert card.commercial_ok and card.rank < min((other.rank for other in PUBLISHED), default=1)
    assert {weight.role for weight in card.weights} == set(card.roles)
    for weight in card.weights:
        path, spec = card.folder / weight.file, specs[weight.role]
        assert spec is not None and path.suffix == ".safetensors"
        assert (path.stat().st_size, sha256_file(path)) == (weight.size, weight.sha256)
        with safe_open(path, framework="pt") as file:
            content = json.loads(file.metadata()[METADATA_KEY])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary
        assert content["kind"] == weight.role and content["licence"] == card.licence
        header = read_weight_header(path)
        assert (header.encoder_spec() if weight.role == "encoder" else header.generator_spec()) == spec
        assert content["digest"] == tensor_digest(state)


@pytest.mark.parametrize("card", [card for card in BUNDLED if not card.encoder], ids=named)
def test_bundled_generator_draws(card: Card) -> None:
    generator, _ = load_generator(resolve(card), CPU, torch.float32)
    z = torch.randn(2, generator.spec.z_dim, generator=torch.Generator().manual_seed(0))
    pictures = to_uint8(generator(generator.map(z), "fixed"))
    assert all(picture.std() > 10 for picture in pictures)
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 3


def encoder_input(card: Card, picture: np.ndarray) -> np.ndarray:
    """What the encoder of a card is fed of a face: itself, a drawing, a hole on the cheek, or a simple map of parts."""
    side = len(picture)
    if card.input.kind == "sketch":
        return sketchify(picture)
    if card.input.kind == "masked":
        hole = np.zeros((side, side), bool)
        hole[side // 2 : side // 2 + 8, side // 3 : side // 3 + 8] = True
        return blank(picture, hole)
    if card.input.kind == "labels":
        y, x = np.mgrid[:side, :side] / side - 0.5
        hair, skin = x**2 + (y + 0.05) ** 2 < 0.12, x**2 / 0.6 + y**2 < 0.08
        return np.where(skin, 1, np.where(hair, 13, 0)).astype(np.uint8)
    return picture


@pytest.mark.parametrize("card", [card for card in BUNDLED if card.encoder], ids=named)
def test_bundled_encoder_runs_in_both_precisions(card: Card) -> None:
    face = Image.open(ROOT / "tests" / "data" / "face_15009.webp").convert("RGB")
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        model = load_model(resolve(card), CPU, dtype)
        side = model.encoder_spec.input_size
        picture = np.asarray(face.resize((side, side), Image.Resampling.BILINEAR))
        codes = model.encoder(INPUT_KINDS[card.input.kind].batch([encoder_input(card, picture)]).to(dtype))
        results.append(to_uint8(model.generator(codes, "fixed"))[0].astype(int))
    exact, rough = results
    goal = np.asarray(face.resize(exact.shape[1::-1], Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(exact - rough).mean() < 6
    assert exact.std() > 10
    if card.input.kind in ("photo", "lowres", "masked"):
        assert np.square((exact - goal) / 127.5).mean() < 0.15  # it is this face, not any


@pytest.mark.parametrize("card", [card for card in BUNDLED if "invert" in card.tasks], ids=named)
def test_bundled_model_finds_a_face_in_a_photograph(card: Card, tmp_path: Path) -> None:
    """NASA portrait of Eileen Collins, public domain, part of scikit-image."""
    from pixel2style2pixel_cli.face.detectors import load_detector

    data = pytest.importorskip("skimage.data")
    Image.fromarray(data.astronaut()).save(tmp_path / "photo.png")
    summary = api.invert([tmp_path / "photo.png"], out=tmp_path / "out.png", model=card.name, device="cpu")
    assert (summary.ok, summary.failed, summary.no_face) == (1, 0, 0)
    picture = Image.open(tmp_path / "out.png")
    enlarged = np.asarray(picture.resize((256, 256), Image.Resampling.BICUBIC))
    faces = load_detector("dlib", landmarks=find_landmarks()).detect(enlarged)
    assert faces and faces[0].size > 80


DIRECTIONS = sorted((ROOT / "models").glob("*/directions/*"))


def test_directions_are_those_of_the_generator_that_they_lie_with() -> None:
    """A generator that is trained anew needs new ones: benchmarks/learn_directions.py."""
    for path in DIRECTIONS:
        direction, card = load_direction(path), load_card(path.parents[1])
        model = resolve(card)
        assert direction.generators == (generator_digest(model),), path
        assert direction.step.shape in {
            (1, model.generator.style_dim),
            (model.generator.n_styles, model.generator.style_dim),
        }
        assert direction.name == path.stem and path.stat().st_size < 100_000
        assert {"effect", "leakage", "leaks_most_to"} <= direction.made.keys()
