"""The engine: results that depend on the picture alone, seeded noise, changed codes, memory that runs out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_zoo import GENERATOR

from pixel2style2pixel_cli.engine.backend import TorchBackend
from pixel2style2pixel_cli.engine.batching import BatchSize
from pixel2style2pixel_cli.engine.codes import Codes, join
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.loading import load_model
from pixel2style2pixel_cli.errors import ShapeError
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.resolve import resolve

CPU = torch.device("cpu")


@pytest.fixture
def engine(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    model = load_model(resolve(load_card(tiny_zoo / "tiny-invert")), CPU, torch.float32)
    return Engine(model, TorchBackend(model, CPU, torch.float32), CPU, torch.float32, BatchSize(4))


@pytest.fixture
def pictures() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(5, 3, 32, 32) * 2 - 1


def test_results_do_not_depend_on_company_or_order(engine: Engine, pictures: torch.Tensor) -> None:
    codes = engine.encode(pictures)
    assert codes.w_plus.shape == (5, GENERATOR.n_styles, GENERATOR.style_dim)
    images = engine.draw(codes)
    assert images.shape == (5, 3, 32, 32) and images.dtype == torch.float32
    assert torch.equal(engine.draw(engine.encode(pictures.flip(0))).flip(0), images)
    for i in range(5):
        assert torch.equal(engine.draw(engine.encode(pictures[i : i + 1])), images[i : i + 1])


def test_each_picture_has_noise_of_its_own_seed(engine: Engine, pictures: torch.Tensor) -> None:
    same = engine.encode(pictures[:1].expand(3, -1, -1, -1))
    images = engine.draw(same, "random", [5, 6, 5])
    assert torch.equal(images[0], images[2]) and not torch.equal(images[0], images[1])
    assert torch.equal(engine.draw(same[:1], "random", [6])[0], images[1])
    maps = engine.random_noise([1, 2])
    assert [tuple(m.shape) for m in maps] == [(2, 1, s, s) for s in GENERATOR.noise_sizes]


def test_a_change_sees_codes_and_whose_they_are(engine: Engine, pictures: torch.Tensor) -> None:
    parts: list[slice] = []

    def change(codes: Codes, part: slice) -> Codes:
        parts.append(part)
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()  # it may optimise
        return codes.with_w_plus(torch.zeros_like(codes.w_plus))

    found = engine.encode(pictures, change)
    assert parts == [slice(i, i + 1) for i in range(5)] and float(found.w_plus.abs().max()) == 0


def test_noise_of_the_codes_comes_before_any_other(engine: Engine, pictures: torch.Tensor) -> None:
    codes = engine.encode(pictures[:2])
    own = Codes(codes.w_plus, noise=tuple(engine.random_noise([7, 8])))
    assert torch.equal(engine.draw(own), engine.draw(codes, "random", [7, 8]))
    assert torch.equal(engine.draw(own[1:]), engine.draw(codes[1:], "random", [8]))
    assert torch.equal(engine.draw(join([own[:1], own[1:]])), engine.draw(own))


def test_changed_tensors_draw_as_a_generator_that_has_them(engine: Engine, pictures: torch.Tensor) -> None:
    codes, generator = engine.encode(pictures[:2]), engine.model.generator
    plain = engine.draw(codes)
    name = "conv_first.weight" if "conv_first.weight" in generator.state_dict() else next(iter(generator.state_dict()))
    changed = {name: generator.state_dict()[name] * 1.5}
    drawn = engine.draw(Codes(codes.w_plus, tensors=changed))
    assert not torch.equal(drawn, plain) and torch.equal(engine.draw(codes), plain)  # the model itself stays as it was
    with torch.no_grad():
        generator.get_parameter(name).mul_(1.5)
    assert torch.equal(engine.draw(codes), drawn)


def test_memory_that_runs_out_halves_the_batch(
    engine: Engine, pictures: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = engine.encode(pictures)
    engine.device = torch.device("meta")  # anything but a CPU, where batches are single pictures anyway
    encode, sizes = engine.backend.encode, []

    def small(inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs))
        if len(inputs) > 2:
            raise RuntimeError("CUDA out of memory")
        return encode(inputs)

    monkeypatch.setattr(engine.backend, "encode", small)
    found = engine.encode(pictures)
    assert sizes == [4, 2, 2, 1] and engine.batch_size.size == 2
    torch.testing.assert_close(found.w_plus, expected.w_plus, rtol=1e-3, atol=1e-4)


def test_no_gradient_is_recorded(engine: Engine, pictures: torch.Tensor) -> None:
    codes = engine.encode(pictures[:1])
    assert not codes.w_plus.requires_grad and not engine.draw(codes).requires_grad


def test_codes_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match="W\\+ codes has shape 8x5"):
        Codes(torch.zeros(8, 5))
    with pytest.raises(ShapeError, match="noise map"):
        Codes(torch.zeros(2, 8, 5), noise=(torch.zeros(1, 1, 4, 4),))
