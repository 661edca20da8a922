"""Measures of pairs against values worked out otherwise, and of sets against what they must be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pixel2style2pixel_cli.evaluation.intervals import interval
from pixel2style2pixel_cli.evaluation.pictures import ms_ssim, psnr, squared_errors
from pixel2style2pixel_cli.evaluation.sets import frechet, own_found, precision_recall, separability


@pytest.fixture
def picture() -> np.ndarray:
    from skimage import data

    return np.asarray(data.astronaut()[:256, 100:356])


def test_equal_pictures_have_no_error(picture: np.ndarray) -> None:
    assert squared_errors([picture], [picture]) == [0.0]
    assert psnr([picture], [picture]) == pytest.approx([100.0])
    assert ms_ssim([picture], [picture]) == pytest.approx([1.0])


def test_errors_are_those_of_values_from_minus_one_to_one() -> None:
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    grey = np.full((8, 8, 3), 51, np.uint8)
    assert squared_errors([black, black], [white, grey]) == pytest.approx([4.0, 0.16])
    assert psnr([black], [white]) == pytest.approx([0.0])


def test_one_scale_is_what_scikit_image_calls_structural_similarity(picture: np.ndarray) -> None:
    from skimage.metrics import structural_similarity

    small = picture[:20, 100:120]  # too small for a second scale
    noisy = np.clip(small.astype(int) + np.random.default_rng(0).integers(-40, 40, small.shape), 0, 255).astype(
        np.uint8
    )
    _, each = structural_similarity(
        small / 255, noisy / 255, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=1.0, full=True,
    )  # fmt: skip
    assert ms_ssim([noisy], [small])[0] == pytest.approx(each[5:-5, 5:-5].mean(), abs=2e-3)


def test_likeness_falls_with_blur_and_with_noise(picture: np.ndarray) -> None:
    from PIL import Image, ImageFilter

    found = [
        ms_ssim([np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(r)))], [picture])[0]
        for r in (0, 1, 3, 8)
    ]
    assert all(a > b + 0.01 for a, b in itertools.pairwise(found)), found


def test_pictures_of_another_size_are_brought_to_the_target(picture: np.ndarray) -> None:
    assert squared_errors([picture[::2, ::2]], [picture])[0] < 0.05


def test_sets_of_known_distance() -> None:
    chance = np.random.default_rng(0)
    a = chance.standard_normal((400, 3))
    assert frechet(a, a) == pytest.approx(0.0, abs=1e-8)
    assert frechet(a, a + 2) == pytest.approx(12.0)
    assert frechet(a, 3 * a) == pytest.approx(4 * float(np.trace(np.cov(a, rowvar=False))), rel=0.02)
    same = precision_recall(a, chance.standard_normal((400, 3)))
    assert same["precision"] > 0.9 and same["recall"] > 0.9
    narrow = precision_recall(a, 0.1 * chance.standard_normal((400, 3)))
    assert narrow["precision"] == 1.0 and narrow["recall"] < 0.1


def test_people_who_look_alike_are_not_told_apart() -> None:
    chance = np.random.default_rng(1)
    people = chance.standard_normal((60, 128))
    apart = separability(people, people + 0.1 * chance.standard_normal((60, 128)))
    assert apart["rank_1"] == apart["true_at_1_percent_false"] == 1.0 and apart["different_outputs_one_person"] == 0
    alike = separability(people, np.full((60, 128), 0.1) + 0.01 * chance.standard_normal((60, 128)))
    assert alike["rank_1"] < 0.2 and alike["different_outputs_one_person"] == 1.0


def test_outputs_are_looked_for_among_more_inputs() -> None:
    gallery = np.eye(6)
    found = own_found(gallery, gallery[[4, 1, 0]] + 0.01, np.array([4, 1, 3]))
    assert found["rank_1"].tolist() == [1.0, 1.0, 0.0]
    assert found["true_at_1_percent_false"].tolist() == [1.0, 1.0, 0.0], "the third is another's, and near to that one"


def test_intervals_hold_the_mean_and_narrow_with_the_number() -> None:
    chance = np.random.default_rng(2)
    widths = []
    for count in (20, 2000):
        values = chance.standard_normal(count)
        low, high = interval(values)
        assert low < values.mean() < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.15) and widths[0] > 5 * widths[1]
    assert interval(np.array([0.5])) == (0.5, 0.5)
