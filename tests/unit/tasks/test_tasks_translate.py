"""From encoder inputs to pictures: random styles, in any order and company, and parts that fit the device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_zoo import GENERATOR

from pixel2style2pixel_cli.engine.backend import TorchBackend
from pixel2style2pixel_cli.engine.batching import BatchSize
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.loading import Model, load_model
from pixel2style2pixel_cli.engine.mixing import sample_styles
from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.tasks.base import Prepared, Task
from pixel2style2pixel_cli.tasks.invert import InvertOptions
from pixel2style2pixel_cli.tasks.photo import PhotoPreparer
from pixel2style2pixel_cli.tasks.styles import Styles
from pixel2style2pixel_cli.tasks.translate import Picture, Translator
from pixel2style2pixel_cli.variants import SINGLE, Variant, style_variants
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.resolve import resolve

CPU = torch.device("cpu")


@pytest.fixture
def model(tiny_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("P2S2P_ZOO", str(tiny_zoo))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    return load_model(resolve(load_card(tiny_zoo / "tiny-invert")), CPU, torch.float32)


def translator(model: Model, noise: str = "fixed", **options: object) -> Translator:
    engine = Engine(model, TorchBackend(model, CPU, torch.float32), CPU, torch.float32, BatchSize(4))
    preparer = PhotoPreparer(input_size=32, target_size=None, detector=None, align="never")
    told = InvertOptions(mix_layers="4-7", **options)  # type: ignore[arg-type]
    task = Task(preparer=preparer, encoder_batch=to_float)
    return Translator(task, engine, styles=Styles(told, model), noise=noise)  # type: ignore[arg-type]


@pytest.fixture
def faces() -> list[Prepared]:
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (32, 32, 3)).astype(np.uint8) for _ in range(3)]
    return [Prepared(face=None, crop=crop, target=None, matrix=None, aligned=False) for crop in crops]


def drawn(
    made: Translator, faces: Sequence[Prepared], variants: Sequence[Variant], seeds: Sequence[int] = ()
) -> list[list[Picture]]:
    order = [(index, variant) for index in range(len(faces)) for variant in variants]
    found: list[list[Picture]] = [[] for _ in faces]
    for part in made.draw(faces, made.encode(faces), seeds, order):
        assert len(part) <= 4
        for index, picture in part:
            found[index].append(picture)
    return found


def test_styles_do_not_depend_on_batch_or_order(model: Model, faces: list[Prepared]) -> None:
    made = translator(model)
    styles = sample_styles(model.generator, [5, 6]).numpy()
    plain, mixed = drawn(made, faces, [SINGLE]), drawn(made, faces, style_variants([5, 6]))
    for (alone,), pictures in zip(plain, mixed, strict=True):
        assert [picture.variant.mix_seed for picture in pictures] == [5, 6]
        for picture, style in zip(pictures, styles, strict=True):
            assert picture.codes.shape == (GENERATOR.n_styles, GENERATOR.style_dim)
            assert np.array_equal(picture.codes[:4], alone.codes[:4]) and np.array_equal(picture.codes[4:], style[4:])
    backwards = drawn(made, faces[::-1], style_variants([6]))
    assert all(np.array_equal(a.pixels, b[1].pixels) for (a,), b in zip(backwards[::-1], mixed, strict=True))


def test_all_styles_of_a_picture_have_its_noise(model: Model, faces: list[Prepared]) -> None:
    made = translator(model, noise="random", mix_alpha=0.0)
    first, second = drawn(made, [faces[0], faces[0]], style_variants([5, 6]), seeds=[1, 2])
    assert np.array_equal(first[0].pixels, first[1].pixels) and not np.array_equal(first[0].pixels, second[0].pixels)


def test_the_task_finishes_each_picture(model: Model, faces: list[Prepared]) -> None:
    made = translator(model)
    ((plain,),) = drawn(made, faces[:1], [SINGLE])
    images = made.engine.draw(made.encode(faces[:1]))
    assert np.array_equal(plain.pixels, to_uint8(images)[0])
    darker = Task(
        preparer=made.task.preparer,
        encoder_batch=to_float,
        finish=lambda prepared, pixels: (pixels // 2).astype(np.uint8),
    )
    ((finished,),) = drawn(Translator(darker, made.engine, styles=None, noise="fixed"), faces[:1], [SINGLE])
    assert np.array_equal(finished.pixels, plain.pixels // 2)


def test_memory_does_not_grow_with_the_number_of_styles(model: Model, faces: list[Prepared]) -> None:
    made = translator(model)
    order = [(0, variant) for variant in style_variants(range(600))]
    parts = made.draw(faces[:1], made.encode(faces[:1]), (), order)
    assert len(next(parts)) == 4  # drawn when it is asked for, not all at once
    assert made.styles is not None and made.styles.remembered <= 256
