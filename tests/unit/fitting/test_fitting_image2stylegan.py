"""Image2StyleGAN: spaces, starts, terms of the loss, masks, noise maps; and the frozen generator that it draws with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.errors import MissingError, UsageError
from pixel2style2pixel_cli.fitting.features import load_features
from pixel2style2pixel_cli.fitting.frozen import FrozenGenerator
from pixel2style2pixel_cli.fitting.image2stylegan import SNAPSHOTS, Embedding, Stages
from pixel2style2pixel_cli.fitting.noise import normalise, regulariser
from pixel2style2pixel_cli.fitting.objective import FeatureJudge, Objective, load_judge
from pixel2style2pixel_cli.fitting.search import Pace
from pixel2style2pixel_cli.fitting.spaces import Space, rows_of, start_of
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator

SPEC = GeneratorSpec(resolution=16, style_dim=8, z_dim=6, channel_multiplier=1 / 32, channel_max=16, mapping_layers=2)


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    made = Generator(SPEC).double()
    for name, parameter in made.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.3)
    made.latent_avg.copy_(made.estimate_latent_avg(500, torch.Generator().manual_seed(1)))
    return made.requires_grad_(False).eval()


@pytest.fixture
def targets(generator: Generator) -> Tensor:
    drawn: Tensor = generator(torch.randn(2, SPEC.n_styles, SPEC.style_dim).double())
    return drawn * 0.3


def encoded(batch: int = 2) -> Tensor:
    return torch.arange(batch * SPEC.n_styles * SPEC.style_dim).double().view(batch, SPEC.n_styles, SPEC.style_dim)


@pytest.mark.parametrize("noise", ["fixed", "off"])
def test_the_frozen_generator_draws_the_same_with_the_same_gradients(generator: Generator, noise: str) -> None:
    frozen = FrozenGenerator(generator)
    codes = torch.randn(3, SPEC.n_styles, SPEC.style_dim).double().requires_grad_(True)
    ours, theirs = frozen(codes, noise), generator(codes, noise)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    weight = torch.randn_like(theirs)
    gradients = [torch.autograd.grad((image * weight).sum(), codes)[0] for image in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-9)
    own = [torch.randn(3, 1, s, s).double() for s in SPEC.noise_sizes]
    torch.testing.assert_close(frozen(codes, own), generator(codes, own), rtol=1e-9, atol=1e-9)


def test_what_is_free_in_each_space_and_the_rows_it_stands_for(generator: Generator) -> None:
    shapes = {"w+": (2, SPEC.n_styles, SPEC.style_dim), "w": (2, SPEC.style_dim), "z": (2, SPEC.z_dim)}
    for space, shape in shapes.items():
        for start in ("average", "random", "encoder"):
            if (space, start) == ("z", "encoder"):
                continue
            free = start_of(generator, space, start, encoded(), 3)
            assert free.shape == shape and rows_of(generator, space, free).shape == shapes["w+"]
            again = start_of(generator, space, start, encoded(), 3)
            assert torch.equal(free, again)
            if start == "random":
                assert torch.equal(free[0], free[1])
                assert not torch.equal(free, start_of(generator, space, start, encoded(), 4))
    average = rows_of(generator, "w", start_of(generator, "w", "average", encoded(), 0))
    assert torch.equal(average, generator.latent_avg.expand_as(average))
    assert torch.equal(start_of(generator, "w", "encoder", encoded(), 0), encoded().mean(dim=1))
    mapped = rows_of(generator, "z", start_of(generator, "z", "average", encoded(1), 0))[0, 0]
    away = (generator.mapping(torch.randn(200, SPEC.z_dim).double()) - generator.latent_avg).norm(dim=1)
    assert float((mapped - generator.latent_avg).norm()) < float(away.median())
    with pytest.raises(UsageError, match="no code in Z"):
        start_of(generator, "z", "encoder", encoded(), 0)


@pytest.mark.parametrize("space", ["w+", "w", "z"])
def test_every_space_comes_nearer_and_wider_ones_nearest(generator: Generator, targets: Tensor, space: Space) -> None:
    objective = Objective(targets)
    made = Embedding(generator, objective).run(
        start_of(generator, space, "average", encoded(), 0), Stages(space=space, code=Pace(steps=60, rate=0.05))
    )
    before = objective(generator(generator.latent_avg.expand(2, SPEC.n_styles, -1)))
    after = objective(generator(made.codes))
    assert (after < before).all()
    assert after.tolist() == pytest.approx(made.descents[0].losses, rel=1e-6)
    if space != "w+":
        assert all(torch.equal(row, made.codes[:, 0]) for row in made.codes.unbind(dim=1))
        wide = Embedding(generator, objective).run(
            start_of(generator, "w+", "average", encoded(), 0), Stages(code=Pace(steps=60, rate=0.05))
        )
        assert (objective(generator(wide.codes)) < after).all()


def test_noise_maps_come_after_the_code_and_stay_standard(generator: Generator, targets: Tensor) -> None:
    start = start_of(generator, "w+", "average", encoded(), 0)
    objective = Objective(targets, pixels="mse")
    stages = Stages(code=Pace(steps=20, rate=0.05), noise=Pace(steps=20, rate=0.1), snapshots=True)
    told: list[tuple[int, int]] = []
    made = Embedding(generator, objective).run(start, stages, lambda step, total, loss: told.append((step, total)))
    plain = Embedding(generator, objective).run(start, Stages(code=Pace(steps=20, rate=0.05)))
    assert torch.equal(made.codes, plain.codes) and plain.noise is None and made.noise is not None
    assert told == [(i, 40) for i in range(1, 41)] and made.steps(0) == 40
    for map_ in made.noise:
        assert float(map_.mean().abs()) < 1e-6
        torch.testing.assert_close(map_.square().mean(dim=(1, 2, 3)), torch.ones(2).double())
    assert (objective(generator(made.codes, made.noise)) < objective(generator(made.codes))).all()
    assert 20 <= len(made.frames) <= SNAPSHOTS + 2 and made.frames[0].shape == (2, 3, 16, 16)


def test_the_regulariser_tells_white_noise_from_a_picture() -> None:
    white = [torch.randn(2, 1, s, s) for s in (8, 16, 64)]
    smooth = [F.interpolate(torch.randn(2, 1, 4, 4), size=map_.shape[-1], mode="bilinear") for map_ in white]
    normalise(smooth)
    normalise(white)
    assert regulariser(white).shape == (2,) and (regulariser(white) < 0.2 * regulariser(smooth)).all()
    ramp = [torch.arange(8.0).view(1, 1, 1, 8).expand(1, 1, 8, 8)]
    across = float((ramp[0] * ramp[0].roll(1, dims=2)).mean() ** 2 + (ramp[0] * ramp[0].roll(1, dims=3)).mean() ** 2)
    assert float(regulariser(ramp)) == pytest.approx(across)


def test_nothing_under_the_mask_counts(generator: Generator, targets: Tensor) -> None:
    kept = torch.ones(2, 1, 16, 16).double()
    kept[:, :, 4:12, 4:12] = 0
    painted = torch.where(kept > 0, targets, 0.9)
    start = start_of(generator, "w+", "average", encoded(), 0)
    for pixels in ("pyramid", "mse"):
        found = [
            Embedding(generator, Objective(target, kept_B1HW=kept, pixels=pixels)).run(
                start, Stages(code=Pace(steps=5, rate=0.05))
            )
            for target in (targets, painted)
        ]
        torch.testing.assert_close(found[0].codes, found[1].codes, rtol=1e-6, atol=1e-8)
    image = generator(start)
    whole, masked = Objective(targets, pixels="mse"), Objective(targets, pixels="mse", kept_B1HW=kept)
    outside = ((image - targets).square() * kept).mean(dim=(1, 2, 3)) / kept.mean(dim=(1, 2, 3))
    torch.testing.assert_close(masked(image), outside)
    torch.testing.assert_close(Objective(targets, pixels="mse", kept_B1HW=torch.ones_like(kept))(image), whole(image))


def test_each_picture_has_its_own_loss_in_features_too() -> None:
    torch.manual_seed(0)
    images = F.interpolate(torch.rand(3, 3, 8, 8) * 2 - 1, size=(64, 64), mode="bilinear")
    judge = FeatureJudge(load_features(torch.zeros(())))
    objective = Objective(images.roll(1, dims=0), judge=judge)
    together = objective(images)
    alone = [Objective(images.roll(1, dims=0)[i : i + 1], judge=judge)(images[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert "features" in objective.name


def test_which_judge_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    like = torch.zeros(())
    judge = load_judge("auto", like, 64)
    assert judge is not None and judge.name == "the bundled features"
    assert load_judge("auto", like, 32) is None and load_judge("none", like, 256) is None
    with pytest.raises(MissingError, match="alexnet-owt-7be5be79") as caught:
        load_judge("lpips", like, 256)
    assert "--perceptual features" in caught.value.hint


def test_lpips_where_its_network_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    (tmp_path / "auxiliary").mkdir()
    torch.manual_seed(0)
    torch.save(torchvision.models.alexnet().state_dict(), tmp_path / "auxiliary" / "alexnet-owt-7be5be79.pth")
    judge = load_judge("auto", torch.zeros(()), 64)
    assert judge is not None and judge.name == "LPIPS on alexnet"
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    distances = judge.distances(images, judge.wanted(images.flip(0)))
    assert distances.shape == (2,) and (distances > 0).all()
    assert float(judge.distances(images, judge.wanted(images)).abs().max()) < 1e-6
