"""The engine: results that depend on the picture alone, seeded noise, refinement, memory that runs out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_zoo import GENERATOR

from pixel2style2pixel_cli.engine.batching import BatchSize
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.loading import load_model
from pixel2style2pixel_cli.zoo.cards import load_card

CPU = torch.device("cpu")


@pytest.fixture
def engine(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    return Engine(load_model(load_card(tiny_zoo / "tiny-invert"), CPU, torch.float32), CPU, torch.float32, BatchSize(4))


@pytest.fixture
def pictures() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(5, 3, 32, 32) * 2 - 1


def test_results_do_not_depend_on_company_or_order(engine: Engine, pictures: torch.Tensor) -> None:
    together = engine.translate(pictures)
    assert together.codes.shape == (5, 1, GENERATOR.n_styles, GENERATOR.style_dim)
    assert together.images.shape == (5, 1, 3, 32, 32) and together.images.dtype == torch.float32
    backwards = engine.translate(pictures.flip(0))
    assert torch.equal(together.images, backwards.images.flip(0))
    for i in range(5):
        assert torch.equal(engine.translate(pictures[i : i + 1]).images, together.images[i : i + 1])


def test_each_picture_has_noise_of_its_own_seed(engine: Engine, pictures: torch.Tensor) -> None:
    same = pictures[:1].expand(3, -1, -1, -1)
    images = engine.translate(same, noise="random", seeds=[5, 6, 5]).images
    assert torch.equal(images[0], images[2]) and not torch.equal(images[0], images[1])
    alone = engine.translate(same[:1], noise="random", seeds=[6]).images
    assert torch.equal(alone[0], images[1])
    maps = engine.random_noise([1, 2])
    assert [tuple(m.shape) for m in maps] == [(2, 1, s, s) for s in GENERATOR.noise_sizes]


def test_refinement_sees_codes_and_where_they_start(engine: Engine, pictures: torch.Tensor) -> None:
    starts: list[int] = []

    def refine(codes: torch.Tensor, start: int) -> torch.Tensor:
        starts.append(start)
        return torch.zeros_like(codes)

    found = engine.translate(pictures, refine=refine)
    assert starts == [0, 1, 2, 3, 4] and float(found.codes.abs().max()) == 0
    assert torch.equal(found.images[0], found.images[4])


def test_memory_that_runs_out_halves_the_batch(
    engine: Engine, pictures: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = engine.translate(pictures)
    engine.device = torch.device("meta")  # anything but a CPU, where batches are single pictures anyway
    encode, sizes = engine.encode, []

    def small(inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs))
        if len(inputs) > 2:
            raise RuntimeError("CUDA out of memory")
        engine.device = CPU
        return encode(inputs)

    monkeypatch.setattr(engine, "encode", small)
    found = engine.translate(pictures)
    assert sizes == [4, 2, 2, 1] and engine.batch_size.size == 2
    torch.testing.assert_close(found.images, expected.images, rtol=1e-3, atol=1e-4)


def test_no_gradient_is_recorded(engine: Engine, pictures: torch.Tensor) -> None:
    assert engine.encode(pictures[:1]).is_inference()
