"""The optimisations beside the plain loops that their speed is measured against: the same steps, in float64."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
SPEC = GeneratorSpec(resolution=64, style_dim=8, z_dim=6, channel_multiplier=1 / 32, channel_max=8, mapping_layers=2)


@pytest.mark.parametrize("name", ["code", "tune"])
def test_the_fast_forms_take_the_steps_of_the_plain_loop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.delitem(sys.modules, "fitting_speed", raising=False)
    import fitting_speed  # type: ignore[import-not-found, unused-ignore]

    torch.manual_seed(0)
    generator = Generator(SPEC).double().eval()
    for key, parameter in generator.named_parameters():
        if key.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.3)
    case = fitting_speed.Case(generator, batch=2, steps=10)
    torch.testing.assert_close(fitting_speed.draw_plainly(generator, case.start), generator(case.start))
    fast: Tensor = getattr(case, name)()
    plain: Tensor = getattr(case, f"plain_{name}")()
    assert case.loss(fast) < 0.9 * case.loss(case.start)
    torch.testing.assert_close(fast, plain, rtol=1e-6, atol=1e-7)
