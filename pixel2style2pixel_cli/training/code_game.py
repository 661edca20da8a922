"""The game of e4e over codes: a discriminator tells rows of the encoder from rows of the mapping network.

Source: Tov et al. 2021; methods.md 6. The average code is in the rows that are judged, as in the authors' present
code; their first release, with which the paper's numbers were made, and Cycle Encoding's copy of it leave it out of the
encoder's rows when the discriminator learns. Shape suffixes: B batch, N rows, D style width, P pool.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from pixel2style2pixel_cli.losses.adversarial import discriminator_loss, r1_penalty
from pixel2style2pixel_cli.losses.codes import code_adversarial, delta_loss
from pixel2style2pixel_cli.networks.code_discriminator import CodeDiscriminator
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.offsets import CodeGame, Schedule
from pixel2style2pixel_cli.training.runtime import Runtime

SWAPPED = 0.5  # of the codes that a full pool is asked for


class Chance(Protocol):
    """What chooses: an instance of ``random.Random``, or the module."""

    def uniform(self, a: float, b: float) -> float: ...

    def randint(self, a: int, b: int) -> int: ...


class CodePool:
    """Codes of earlier steps, so that the discriminator does not only know the encoder of this one.

    The history of pictures of Shrivastava et al. 2017, of which e4e keeps codes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[Tensor] = []

    def exchange(self, rows: Sequence[Tensor], chance: Chance) -> Tensor:
        """One row (B, D) for each entry, which is a row (D,) or several (N, D), of which one is drawn.

        While the pool is filling, rows go in and are given back; afterwards every second one takes the place of an
        earlier one, which is given back instead.
        """
        found = []
        for entry in rows:
            row_D = entry if entry.ndim == 1 else entry[chance.randint(0, len(entry) - 1)]
            if len(self.kept) < self.size:
                self.kept.append(row_D)
            elif self.size and chance.uniform(0, 1) > SWAPPED:
                place = chance.randint(0, self.size - 1)
                row_D, self.kept[place] = self.kept[place], row_D
            found.append(row_D)
        return torch.stack(found)

    def state(self, like: Tensor) -> Tensor:
        """Its codes (P, D); ``like`` has their width."""
        return torch.stack(self.kept) if self.kept else like.new_zeros(0, like.shape[-1])

    def load_state(self, kept_PD: Tensor, like: Tensor) -> None:
        """The counterpart of ``state``."""
        self.kept = list(kept_PD.to(like))


class OffsetTraining:
    """What e4e and Cycle Encoding add to the training of an encoder: open offsets, their loss, and the game."""

    def __init__(self, schedule: Schedule, game: CodeGame, generator: Generator, runtime: Runtime) -> None:
        self.schedule, self.game, self.generator, self.runtime = schedule, game, generator, runtime
        self.discriminator = runtime.prepare(CodeDiscriminator(generator.spec.style_dim))
        self.optimiser = torch.optim.Adam(self.discriminator.parameters(), lr=game.rate)
        self.pools = {"real": CodePool(game.pool), "fake": CodePool(game.pool)}
        self.stage = schedule.stage(0)

    def begin(self, step: int) -> int:
        """The stage of a step."""
        self.stage = self.schedule.stage(step)
        return self.stage

    def extra(self) -> dict[str, Tensor]:
        """What a resumed run needs beside networks and optimisers."""
        pools = {f"pool_{name}": pool.state(self.generator.latent_avg) for name, pool in self.pools.items()}
        return {"stage": torch.tensor(self.stage), **pools}

    def load_extra(self, extra: Mapping[str, Tensor]) -> None:
        """The counterpart of ``extra``."""
        self.stage = int(extra["stage"])
        for name, pool in self.pools.items():
            pool.load_state(extra[f"pool_{name}"], self.generator.latent_avg)

    def learn(self, codes_BND: Tensor, step: int) -> Tensor:
        """One step of the discriminator on the open rows of absolute codes; returns its loss.

        The published code encodes the batch a second time for this; here the discriminator sees the codes that the
        encoder is about to be trained with.
        """
        real_BD, fake_BD = self._rows(codes_BND.detach()[:, : self.stage + 1])
        self.discriminator.requires_grad_(True)
        loss = discriminator_loss(self.discriminator(real_BD), self.discriminator(fake_BD))
        self._update(loss)
        if self.game.r1 and step % self.game.r1_every == 0:
            known_BD = real_BD.clone().requires_grad_(True)
            penalty = r1_penalty(self.discriminator(known_BD), known_BD)
            self._update(self.game.r1 / 2 * self.game.r1_every * penalty)
        self.discriminator.requires_grad_(False)
        return loss.detach()

    def losses(self, codes_BND: Tensor, weights: Mapping[str, float]) -> dict[str, Tensor]:
        """The losses of codes that have a weight."""
        found = {}
        if weights["delta"]:
            found["delta"] = delta_loss(codes_BND, self.stage)
        if weights["adversarial"]:
            found["adversarial"] = code_adversarial(self.discriminator, codes_BND, self.stage)
        return found

    def _rows(self, open_BND: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (B, D) of the mapping network and of the encoder, both through their pools; of all processes."""
        chance = random.Random(int(torch.randint(2**62, ())))
        open_BND = self.runtime.gather(open_BND)  # the pools are of the whole run
        z_BZ = torch.randn(len(open_BND), self.generator.spec.z_dim).to(open_BND)
        with torch.no_grad():
            w_BD = self.generator.mapping(z_BZ)
        return self.pools["real"].exchange(list(w_BD), chance), self.pools["fake"].exchange(list(open_BND), chance)

    def _update(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        self.runtime.backward(loss)
        self.runtime.update(self.optimiser)
