"""Several processes that share a run, on CPUs or GPUs: started by ``torchrun`` or ``accelerate launch``.

``accelerate`` finds its way in what the launcher has set, joins the processes and exchanges tensors. Networks are not
wrapped in DistributedDataParallel, whose hooks follow one call of one method: trainers call several networks by several
methods in a step, and take gradients of gradients. Instead the gradients are averaged once before each step.
Shape suffixes: B batch, C channels.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
import torch.distributed
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import MissingError, UsageError
from pixel2style2pixel_cli.training.runtime import Runtime
from pixel2style2pixel_cli.training.share import PROCESSES

M = TypeVar("M", bound=nn.Module)


class Processes(Runtime):
    """One of several processes, each with its share of every batch; the first one writes."""

    def __init__(self, device: torch.device, precision: str, *, accumulate: int = 1) -> None:
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise MissingError(
                "training in several processes needs the package accelerate",
                "pip install 'pixel2style2pixel-cli[train]', or start a single process",
            ) from error
        # Precision is the runtime's, and so is where networks go.
        self.accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")
        super().__init__(self.accelerator.device, precision, accumulate=accumulate)
        self.rank, self.processes = self.accelerator.process_index, self.accelerator.num_processes
        started = int(os.environ[PROCESSES])
        if self.processes != started:
            raise UsageError(
                f"{started} processes were started, and {self.processes} train together on the device {device.type}",
                "name --device cpu or cuda, or start a single process",
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> Runtime:
        """A copy of a trainer is tried by itself: one process, which waits for no other."""
        return Runtime(self.device, self.precision, accumulate=self.accumulate)

    def prepare(self, module: M) -> M:
        """A network on the device; normalisation over the batch is over the whole batch."""
        share_batch_norms(module)
        return super().prepare(module)

    def update(self, *optimisers: torch.optim.Optimizer) -> None:
        """One step of each optimiser, on gradients that are means over all processes."""
        self.average_gradients([p for o in optimisers for group in o.param_groups for p in group["params"]])
        super().update(*optimisers)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """One exchange of all gradients; a parameter that no process has a gradient for stays without."""
        wanted = [p for p in parameters if p.requires_grad or p.grad is not None]
        if not wanted:
            return
        found = torch.tensor([p.grad is not None for p in wanted], dtype=torch.float32, device=self.device)
        parts = [(torch.zeros_like(p) if p.grad is None else p.grad).float().flatten() for p in wanted]
        flat = self._sum(torch.cat([*parts, found]))
        used = flat[-len(wanted) :]
        start = 0
        for parameter, part, count in zip(wanted, parts, used, strict=True):
            if count:
                mean = flat[start : start + len(part)].view(parameter.shape) / self.processes
                parameter.grad = mean.to(parameter.dtype).contiguous(
                    memory_format=torch.channels_last if parameter.ndim == 4 else torch.contiguous_format
                )
            start += len(part)

    def mean(self, value: Tensor) -> Tensor:
        """A number, or several, averaged over the processes; without gradient."""
        return self._sum(value.detach().clone()) / self.processes

    def gather(self, rows: Tensor) -> Tensor:
        """Rows of all processes in the order of the whole batch, without gradient."""
        found = cast(Tensor, self.accelerator.gather(rows.detach().contiguous()))
        return found.view(self.processes, -1, *rows.shape[1:]).transpose(0, 1).reshape(len(found), *rows.shape[1:])

    def reduce(self, values: Mapping[str, float]) -> dict[str, float]:
        """Losses of a step, averaged over the processes."""
        numbers = torch.tensor(list(values.values()), dtype=torch.float64).to(self.device, torch.float32)
        return dict(zip(values, self.mean(numbers).tolist(), strict=True))

    def decide(self, here: bool) -> bool:
        """What the main process has decided, for all of them."""
        return bool(self._sum(torch.tensor(float(here and self.main), device=self.device)))

    def wait(self) -> None:
        """Until every process has come here."""
        self.accelerator.wait_for_everyone()

    def collect(self, found: Mapping[int, str]) -> dict[int, str]:
        """What any process has found, by number."""
        from accelerate.utils import gather_object

        return dict(sorted(gather_object(list(found.items()))))

    def _sum(self, value: Tensor) -> Tensor:
        return cast(Tensor, self.accelerator.reduce(value, reduction="sum"))


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes, through which gradients flow: they are summed likewise."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """The sum."""
        found = value.contiguous().clone()
        torch.distributed.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """What every process loses by this value of one."""
        found = gradient.contiguous().clone()
        torch.distributed.all_reduce(found)
        return found


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation with the mean and the variance of the pictures of all processes."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of axes after the channels will do."""

    def forward(self, x_BC: Tensor) -> Tensor:
        """As in one process that has the whole batch."""
        if not self.training:
            return super().forward(x_BC)
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        axes, shape = [0, *range(2, x_BC.ndim)], [1, -1, *[1] * (x_BC.ndim - 2)]
        x = x_BC.float()
        count = x.numel() // x.shape[1] * torch.distributed.get_world_size()
        mean_C = cast(Tensor, _Sum.apply(x.sum(dim=axes))) / count
        apart = x - mean_C.view(shape)
        variance_C = cast(Tensor, _Sum.apply(apart.square().sum(dim=axes))) / count
        with torch.no_grad():
            self.running_mean.lerp_(mean_C, self.momentum)
            self.running_var.lerp_(variance_C * count / (count - 1), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        scaled = apart * (variance_C + self.eps).rsqrt().view(shape)
        return (scaled * self.weight.view(shape) + self.bias.view(shape)).to(x_BC.dtype)


def share_batch_norms(module: nn.Module) -> None:
    """Let every batch normalisation of a network look at the whole batch; names and weights stay."""
    for name, child in module.named_children():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            shared = SharedBatchNorm.__new__(SharedBatchNorm)
            shared.__dict__ = copy.copy(child.__dict__)
            setattr(module, name, shared)
        else:
            share_batch_norms(child)
