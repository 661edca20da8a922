"""Training an encoder that corrects codes in passes (ReStyle: Alaluf et al. 2021, section 3.1; methods.md 10).

Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.engine.passes import encode_in_passes
from pixel2style2pixel_cli.networks.lite import LiteEncoder
from pixel2style2pixel_cli.networks.specs import EncoderKind
from pixel2style2pixel_cli.training.data import Batch
from pixel2style2pixel_cli.training.encoder import EncoderTrainer

# How often the code is looked for whose picture the encoder reads as that code; three times leave 3 % of the distance.
SETTLE = 3


class ResidualTrainer(EncoderTrainer):
    """Every step makes all passes; each has its losses and gradients, and goes on from the result of the one before."""

    def begin_with(self, state: Mapping[str, Tensor], kind: EncoderKind, where: Path) -> None:
        """Load the encoder of another run or model, also of one that reads a single picture."""
        super().begin_with(state, kind, where)
        self._settle()
        self._copy_to_average()

    @torch.no_grad()
    def _settle(self) -> None:
        """Begin at a code whose picture an encoder of single pictures reads as that very code.

        Otherwise the first pass would add what that encoder reads in the picture of the average code, which is not the
        average of what it reads. An average whose rows differ has been through this already.
        """
        encoder = self.encoder
        average_ND = encoder.latent_avg.clone()
        if not isinstance(encoder, LiteEncoder) or bool((average_ND != average_ND[:1]).any()):
            return
        for _ in range(SETTLE):
            drawn = self._reduced(self.generator(encoder.latent_avg[None]))
            encoder.latent_avg.copy_(average_ND + encoder.rows(drawn)[0])

    def _learn(self, inputs: Tensor, target: Tensor, batch: Batch, step: int) -> dict[str, Tensor]:
        """Gradients of all passes together; returns the losses of the last."""
        codes = self.encoder.latent_avg.expand(len(inputs), -1, -1)
        with torch.no_grad():
            shown = self.generator(codes[:1]).expand(len(inputs), -1, -1, -1)
        logs: dict[str, Tensor] = {}
        for _ in range(self.config.task.passes):
            read = torch.cat([inputs, self._reduced(shown)], dim=1)
            with self.runtime.autocast():
                found = self.encoder(read, codes).float()
            logs, drawn = self._judge(found, target, batch, step)
            assert drawn is not None  # EncoderTraining refuses settings that draw nothing
            codes, shown = found.detach(), drawn.detach()
        return logs

    def _reduced(self, drawn_BCHW: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(drawn_BCHW, self.config.encoder.input_size)

    def _draw(self, inputs: Tensor) -> Tensor:
        encoder = self.average if self.average is not None else self.encoder.eval()
        codes = encode_in_passes(encoder, self.generator, encoder.latent_avg, inputs, self.config.task.passes)
        drawn: Tensor = self.generator(codes)
        return drawn
