"""Codes in passes (ReStyle): what each of them reads, how many there are, and that company makes no difference."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny_zoo import ENCODER, write_restyle_zoo

from pixel2style2pixel_cli.engine.backend import TorchBackend
from pixel2style2pixel_cli.engine.batching import BatchSize
from pixel2style2pixel_cli.engine.codes import Codes
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.graphs import tracing
from pixel2style2pixel_cli.engine.loading import load_model
from pixel2style2pixel_cli.engine.passes import _averaged
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.resolve import resolve

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_restyle_zoo(tmp_path_factory.mktemp("restyle"))


@pytest.fixture
def engine(zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    model = load_model(resolve(load_card(zoo / "tiny-restyle")), CPU, torch.float32)
    return Engine(model, TorchBackend(model, CPU, torch.float32), CPU, torch.float32, BatchSize(4))


@pytest.fixture
def pictures() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(3, 3, 32, 32) * 2 - 1


@torch.no_grad()
def test_every_pass_reads_the_picture_of_the_one_before(engine: Engine, pictures: torch.Tensor) -> None:
    encoder = engine.model.encoder
    pictures = pictures[:1]
    codes = encoder.latent_avg[None]
    for passes in (1, 2, 3):
        drawn = F.adaptive_avg_pool2d(engine.draw(Codes(codes)), ENCODER.input_size)
        codes = codes + encoder.offsets(torch.cat([pictures, drawn], dim=1))
        found = engine.encode(pictures, passes=passes).w_plus
        torch.testing.assert_close(found, codes, atol=1e-6, rtol=1e-5)


def test_a_card_says_how_many_passes_there_are(engine: Engine, pictures: torch.Tensor) -> None:
    assert engine.model.card.passes == 2
    assert torch.equal(engine.encode(pictures).w_plus, engine.encode(pictures, passes=2).w_plus)
    assert not torch.equal(engine.encode(pictures).w_plus, engine.encode(pictures, passes=1).w_plus)


def test_company_makes_no_difference(engine: Engine, pictures: torch.Tensor) -> None:
    codes = engine.encode(pictures).w_plus
    for i in range(3):
        assert torch.equal(engine.encode(pictures[i : i + 1]).w_plus[0], codes[i])


@pytest.mark.parametrize("side", [8, 16, 64])
def test_what_is_exported_averages_as_what_runs_here(side: int) -> None:
    picture = torch.randn(2, 3, 16, 16)
    with tracing():
        exported = torch.jit.trace(lambda image: _averaged(image, side), (picture,), check_trace=False)
    torch.testing.assert_close(exported(picture), _averaged(picture, side))
