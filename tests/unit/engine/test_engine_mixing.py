"""Style rows: which are replaced, how far, by what, and how they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_zoo import GENERATOR

from pixel2style2pixel_cli.engine.loading import Model, load_model
from pixel2style2pixel_cli.engine.mixing import mix_rows, sample_styles
from pixel2style2pixel_cli.engine.rows import parse_layers
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.specs import GeneratorSpec, level_of_row, n_styles_of
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.resolve import resolve

CPU = torch.device("cpu")
ROWS = (4, 5, 6, 7)


@pytest.fixture
def model(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    return load_model(resolve(load_card(tiny_zoo / "tiny-invert")), CPU, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_chosen_rows_are_the_styles_and_the_others_the_codes(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    codes, style = torch.randn(2, 8, 5).to(dtype), torch.randn(8, 5).to(dtype)
    mixed = mix_rows(codes, style, (0, 6), 1.0)
    assert torch.equal(mixed[:, [0, 6]], style[[0, 6]].expand(2, -1, -1))
    rest = [row for row in range(8) if row not in (0, 6)]
    assert torch.equal(mixed[:, rest], codes[:, rest])
    assert torch.equal(mix_rows(codes, style, (), 1.0), codes)
    assert torch.equal(mix_rows(codes, style, range(8), 0.0), codes)


def test_alpha_goes_part_of_the_way() -> None:
    codes, style = torch.zeros(1, 8, 5), torch.ones(8, 5)
    assert mix_rows(codes, style, (3,), 0.25)[0, :, 0].tolist() == [0, 0, 0, 0.25, 0, 0, 0, 0]
    half = mix_rows(torch.full_like(codes, 2.0), style, ROWS, 0.5)
    assert torch.equal(half[0, 4:], torch.full((4, 5), 1.5)) and torch.equal(half[0, :4], torch.full((4, 5), 2.0))


def test_a_row_that_is_replaced_does_not_hand_on_what_is_not_finite() -> None:
    codes = torch.full((1, 8, 5), float("nan"))
    assert bool(mix_rows(codes, torch.ones(8, 5), range(8), 1.0).isfinite().all())


def test_a_seed_is_the_same_style_in_any_company(model: Model) -> None:
    generator = model.generator
    styles = sample_styles(generator, [7, 3, 9])
    assert styles.shape == (3, GENERATOR.n_styles, GENERATOR.style_dim)
    assert torch.equal(sample_styles(generator, [3])[0], styles[1])
    assert torch.equal(sample_styles(generator, [9, 7]), styles[[2, 0]])
    assert not torch.equal(styles[0], styles[1])
    z = torch.randn(1, GENERATOR.z_dim, generator=torch.Generator().manual_seed(3))
    assert torch.equal(styles[1], generator.map(z)[0])


def test_truncation_pulls_towards_the_average(model: Model) -> None:
    generator = model.generator
    average, full = generator.latent_avg, sample_styles(generator, [1])
    torch.testing.assert_close(sample_styles(generator, [1], 0.5), average + 0.5 * (full - average))
    torch.testing.assert_close(sample_styles(generator, [1], 0.0)[0], average.expand(GENERATOR.n_styles, -1))


@pytest.mark.parametrize(
    ("text", "n_styles", "rows"),
    [
        ("8-17", 18, range(8, 18)),
        ("8-", 12, range(8, 12)),
        ("0,3,7-9", 12, (0, 3, 7, 8, 9)),
        ("9, 7-9 ,0", 12, (0, 7, 8, 9)),
        ("coarse", 12, (0, 1, 2)),
        ("middle", 12, (3, 4, 5, 6)),
        ("fine", 12, range(7, 12)),
        ("coarse,fine", 8, (0, 1, 2, 7)),
        ("0-", 8, range(8)),
        ("11", 12, (11,)),
    ],
)
def test_rows_as_they_are_asked_for(text: str, n_styles: int, rows: range | tuple[int, ...]) -> None:
    assert parse_layers(text, n_styles) == tuple(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8-17", "the layers 8-17 go beyond the model's 12 rows"),
        ("12", "the layers 12 go beyond the model's 12 rows"),
        ("12-", "the layers 12- go beyond the model's 12 rows"),
        ("9-7", "the layers 9-7 are not a valid range"),
        ("", "the layers '' cannot be read"),
        ("1,", "the layers '' cannot be read"),
        ("-3", "the layers '-3' cannot be read"),
        ("Fine", "the layers 'Fine' cannot be read"),
        ("1.5", "the layers '1.5' cannot be read"),
        ("9" * 5000, "cannot be read"),
    ],
)
def test_rows_that_are_not_there(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_layers(text, 12)
    assert message in caught.value.message and caught.value.hint


def test_rows_agree_with_the_networks() -> None:
    for level, name in enumerate(("coarse", "middle", "fine")):
        assert all(level_of_row(row) == level for row in parse_layers(name, 18))
    assert [n_styles_of(size) for size in (32, 128, 1024)] == [
        GeneratorSpec(resolution=size).n_styles for size in (32, 128, 1024)
    ]
