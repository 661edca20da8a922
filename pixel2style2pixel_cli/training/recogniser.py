"""Training a face recogniser on pictures of many persons (ArcFace: Deng et al. 2019).

Shape suffixes: B batch, C channels, H W height and width, E numbers of an embedding, K persons.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.losses.identity import face_input
from pixel2style2pixel_cli.losses.margin import margin_loss
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.training.augment import augment
from pixel2style2pixel_cli.training.checkpoint import load_module, module_names
from pixel2style2pixel_cli.training.config import Augmentation
from pixel2style2pixel_cli.training.data import Batch
from pixel2style2pixel_cli.training.export import export_recogniser
from pixel2style2pixel_cli.training.log import Row
from pixel2style2pixel_cli.training.loop import falling_rate, set_rate, update_average
from pixel2style2pixel_cli.training.recogniser_config import RecogniserTraining
from pixel2style2pixel_cli.training.runtime import averaged, runtime_of
from pixel2style2pixel_cli.training.verification import Verification, verify


class PersonCentres(nn.Module):
    """A direction for each person that is trained on; the cosines (B, K) of embeddings (B, E) with them.

    Their lengths do not matter, but how far a step turns them does: they begin at 1.
    """

    def __init__(self, persons: int, embedding: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.randn(persons, embedding)))

    def forward(self, embedding_BE: Tensor) -> Tensor:
        return F.linear(embedding_BE, F.normalize(self.weight))


class RecogniserTrainer:
    """A recogniser, its moving average where asked, and the centres of the persons, which nobody needs afterwards."""

    def __init__(self, config: RecogniserTraining, persons: int, device: torch.device) -> None:
        self.config, self.runtime = config, runtime_of(device, config.run)
        self.device = self.runtime.device
        self.recogniser = self.runtime.prepare(FaceRecogniser(config.recogniser))
        self.centres = self.runtime.prepare(PersonCentres(persons, config.recogniser.embedding))
        self.average: FaceRecogniser | None = None
        if config.rates.ema_images:
            self.average = copy.deepcopy(self.recogniser).requires_grad_(False).eval()
        parts = {
            "trunk": (self.recogniser.trunk, config.rates.recogniser * config.rates.trunk),
            "head": (self.recogniser.head, config.rates.recogniser),
            "centres": (self.centres, config.rates.centres),
        }
        decay = config.rates.weight_decay
        self._rates = {name: rate for name, (_, rate) in parts.items()}
        self._optimisers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.AdamW(part.parameters(), lr=rate, weight_decay=decay)
            for name, (part, rate) in parts.items()
        }

    def compile(self) -> None:
        """Let torch compile what every step calls; the first step takes minutes then."""
        self.recogniser.compile()

    def modules(self) -> Mapping[str, nn.Module]:
        """Everything a checkpoint holds."""
        modules: dict[str, nn.Module] = {"recogniser": self.recogniser, "centres": self.centres}
        return modules if self.average is None else {**modules, "recogniser_average": self.average}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """AdamW for the trunk, the head and the centres."""
        return self._optimisers

    def extra(self) -> Mapping[str, Tensor]:
        """Nothing beside networks and optimisers."""
        return {}

    def load_extra(self, extra: Mapping[str, Tensor]) -> None:
        """The counterpart of ``extra``."""

    def begin_with(self, checkpoint: Path) -> None:
        """Start from the recogniser of another run, the averaged one where there is one; the centres begin anew."""
        average = "recogniser_average"
        name = average if average in module_names(checkpoint) else "recogniser"
        load_module(checkpoint, name, self.recogniser)
        self.copy_to_average()

    def copy_to_average(self) -> None:
        """Begin the average where the network is."""
        if self.average is not None:
            self.average.load_state_dict(self.recogniser.state_dict())

    def step(self, batch: Batch, step: int) -> dict[str, float]:
        """One step; returns the loss, and the share of pictures that are nearest to the centre of their person."""
        rates, run = self.config.rates, self.config.run
        for name, optimiser in self._optimisers.items():
            set_rate(optimiser, falling_rate(self._rates[name], step, run.steps, rates.warm_up, rates.fall_from))
            optimiser.zero_grad()
        self.recogniser.train()
        logs = [self._learn(part) for part in self.runtime.parts(batch)]
        self.runtime.update(*self._optimisers.values())
        if self.average is not None:
            update_average(self.average, self.recogniser, 0.5 ** (run.batch / rates.ema_images))
        return averaged(logs)

    def _learn(self, batch: Batch) -> dict[str, Tensor]:
        """Gradients for some pictures; returns the losses."""
        assert batch.person is not None  # a PeopleSource gives persons
        person_B = batch.person.to(self.device)
        with self.runtime.autocast():
            embedding_BE = self.recogniser(self._seen(batch, self.config.augmentation)).float()
        cosine_BK = self.centres(embedding_BE)
        margin = self.config.margin
        loss = margin_loss(cosine_BK, person_B, scale=margin.scale, margin=margin.margin)
        self.runtime.backward(loss)
        return {"margin": loss, "right": (cosine_BK.argmax(dim=1) == person_B).float().mean()}

    def _seen(self, batch: Batch, strength: Augmentation) -> Tensor:
        return self.runtime.place(face_input(augment(batch.image, strength), self.config.recogniser))

    @torch.no_grad()
    def verification(self, batches: Iterable[Batch]) -> Verification:
        """How well the network that is exported tells the persons of some batches apart."""
        network = self.recogniser if self.average is None else self.average
        rows: list[Tensor] = []
        persons: list[int] = []
        network.eval()
        for batch in batches:
            assert batch.person is not None
            with self.runtime.autocast():
                rows.append(network(self._seen(batch, Augmentation())).float().cpu())
            persons += batch.person.tolist()
        return verify(np.asarray(torch.cat(rows).double().numpy()), persons)

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """The figures of verification on persons that are held out."""
        return self.verification(batches).figures

    @torch.no_grad()
    def samples(self, batch: Batch) -> Sequence[Row]:
        """What the network sees in training, and without the faults."""
        rows = [self._seen(batch, strength) for strength in (self.config.augmentation, Augmentation())]
        return [to_uint8(row.float()) for row in rows]

    def export(self, folder: Path) -> list[Path]:
        """``recogniser.safetensors`` in half precision, with its spec."""
        network = self.recogniser if self.average is None else self.average
        return [export_recogniser(folder, network.state_dict(), self.config.recogniser)]
