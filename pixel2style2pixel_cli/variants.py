"""Several pictures of one input: what tells them apart in names, recipes, events and captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the pictures made from one input.

    ``key`` ends the name of its files (``mix7`` in ``photo_mix7.png``), empty where there is only one picture.
    ``label`` is its caption. ``values`` are what decides its pixels beside the options of the run: they go into the
    recipe and the events, and may be fields of a name template.
    """

    key: str
    label: str
    values: Mapping[str, int | float | str] = field(default_factory=dict)

    @property
    def mix_seed(self) -> int | None:
        """The seed of the style mixed in, if any."""
        seed = self.values.get("mix_seed")
        return seed if isinstance(seed, int) else None


# The only picture of an input: nothing is appended to its name.
SINGLE = Variant("", "output")


def style_variants(seeds: Sequence[int]) -> tuple[Variant, ...]:
    """One variant for each seed of a random style; the single one where there is none."""
    return tuple(Variant(f"mix{seed}", f"style {seed}", {"mix_seed": seed}) for seed in seeds) or (SINGLE,)
