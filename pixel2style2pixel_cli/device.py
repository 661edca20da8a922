"""Device and dtype, resolved once; peak memory; timing that waits for the device."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pixel2style2pixel_cli.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "bfloat16", "float16")


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` into a device that exists here."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}", "use auto, cpu, cuda, cuda:N or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"device {name!r} is not supported", "use auto, cpu, cuda, cuda:N or mps")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            found = f"there is no device {name}: this machine has {count} CUDA devices"
            raise DeviceError(found, "use --device cpu or --device auto")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("there is no device mps on this machine", "use --device cpu or --device auto")
    return device


def resolve_dtype(name: str, device: torch.device, *, low_precision_ok: bool = False) -> torch.dtype:
    """Turn ``auto`` or a name into a dtype; auto leaves float32 only on CUDA where the card accepted bfloat16."""
    import torch

    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and low_precision_ok else torch.float32
    if name not in DTYPES:
        raise UsageError(f"unknown dtype {name!r}", "use auto, float32, bfloat16 or float16")
    if name == "float16" and device.type == "cpu":
        raise UsageError("float16 is slow and inexact on a CPU", "use --dtype float32 or --dtype bfloat16")
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def is_fast_in_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 itself; one that only imitates it takes several times as long."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False  # torch before 2.10 does not tell what a processor can do
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device ran out of memory, which torch reports in more than one way."""
    import torch

    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished what it was given."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def use_threads(count: int | None) -> None:
    """Compute on a CPU with so many threads from now on, in this whole process; None leaves it as it is.

    The default is PyTorch's, one for each core. It does not follow the load of the machine: another number of threads
    adds up in another order, and the same command would draw single pixels otherwise from time to time.
    """
    import torch

    if count is not None:
        torch.set_num_threads(count)


def device_seconds(device: torch.device) -> float:
    """Clock reading after the device has finished what it was given."""
    synchronise(device)
    return time.perf_counter()


def describe_device(device: torch.device) -> str:
    """What computes, for records: the name of the GPU, or of the processor with the number of threads."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' * (threads != 1)}"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except (OSError, ValueError):
        pass
    return platform.processor() or "CPU"


def peak_bytes(device: torch.device) -> int | None:
    """Most memory taken so far: of the device where it counts, else of this process."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None  # the standard library has no such counter there
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors, which halves the time of large batches on a CPU.

    By default every large block goes back to the kernel when freed and is faulted in page by page when taken again.
    Does nothing where the C library has no such switch.
    """
    import ctypes

    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_trim_threshold, m_mmap_max = -1, -4
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)


def free_bytes(device: torch.device) -> int | None:
    """Memory that can still be taken on a device; None where the machine does not tell."""
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    limits = [found for found in (_free_of_machine(), _free_of_group(), _free_of_process()) if found is not None]
    return min(limits, default=None)


def _free_of_machine() -> int | None:
    """What the system could give without swapping; elsewhere than on Linux, all the memory that is built in."""
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_of_group() -> int | None:
    """What is left of the limit of a container."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = ((folder / name).read_text("ascii").strip() for name in ("memory.max", "memory.current"))
        return None if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None


def _free_of_process() -> int | None:
    """What is left of the limit of this process (``ulimit -v``)."""
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        taken = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        taken = 0
    return max(0, limit - taken)
