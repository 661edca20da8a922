"""Seeds as people write them, and the random numbers that come of them."""

from __future__ import annotations

import hashlib

import pytest
import torch

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.seeds import MOST_SEEDS, image_seed, parse_seeds, torch_generator


@pytest.mark.parametrize(
    ("given", "seeds"),
    [
        ([], ()),
        ([3], (3,)),
        (["3", "10-13,20"], (3, 10, 11, 12, 13, 20)),
        (["5,4", "4-6"], (5, 4, 6)),
        ([" 1 , 2 "], (1, 2)),
        (["7-7"], (7,)),
        ([2**63 - 1], (2**63 - 1,)),
        ([f"0-{MOST_SEEDS - 1}"], tuple(range(MOST_SEEDS))),
    ],
)
def test_seeds_come_in_the_order_given_and_once(given: list[int | str], seeds: tuple[int, ...]) -> None:
    assert parse_seeds(given) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the seed '' is not a whole number"),
        ("x", "the seed 'x' is not a whole number"),
        ("-3", "the seed '-3' is not a whole number"),
        ("1.5", "the seed '1.5' is not a whole number"),
        ("3-", "the seed '3-' is not a whole number"),
        ("1-2-3", "the seed '1-2-3' is not a whole number"),
        ("1,,2", "the seed '' is not a whole number"),
        ("\u0663", "is not a whole number"),
        (str(2**63), "is not a whole number from 0 to 9223372036854775807"),
        ("9" * 5000, "is not a whole number from 0 to 9223372036854775807"),
        ("7-3", "the seeds 7-3 are not a valid range"),
        (f"0-{MOST_SEEDS}", "asks for more than 10000 styles"),
        (f"0-{2**62}", "asks for more than 10000 styles"),
    ],
)
def test_what_is_no_seed_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_seeds(["1", text])
    assert message in caught.value.message and caught.value.hint


def test_a_picture_has_the_same_seed_in_every_run_and_another_than_its_neighbours() -> None:
    paths = [f"a/{n}.png#0" for n in range(100)] + ["a/0.png#1"]
    seeds = [image_seed(0, path) for path in paths]
    assert len({*seeds, image_seed(1, paths[0])}) == 102 and max(seeds) < 2**63
    assert seeds[0] == int(hashlib.sha256(b"0:a/0.png#0").hexdigest()[:16], 16) >> 1
    first, second = (torch.randn(3, generator=torch_generator(seeds[0])) for _ in range(2))
    assert torch.equal(first, second)
