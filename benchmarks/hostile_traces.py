"""What a command left: files that are compared, halves of files, strays, and how long it worked."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from hostile_world import contents
from PIL import Image
from safetensors import SafetensorError, deserialize

# Times and the names of processes, which differ between two runs that nothing disturbs.
_VOLATILE = re.compile(
    r"(^|/)(\.lock|.*\.lock|log\.jsonl|out\.txt|err\.txt|licences\.json|tensorboard/events[^/]*)$|^home/verified/[^.]"
)


def kept(folder: Path) -> dict[str, bytes]:
    """What a command leaves, but for times, locks and what it said."""
    found = contents(folder, lambda name: _VOLATILE.search(name) is not None)
    return {name: plain(data) if name.endswith(".safetensors") else data for name, data in found.items()}


def plain(data: bytes) -> bytes:
    """A weight file whose metadata have an order: the library writes them in any."""
    try:
        end = 8 + int.from_bytes(data[:8], "little")
        return json.dumps(json.loads(data[8:end]), sort_keys=True).encode() + data[end:]
    except ValueError:
        return data


def half_written(folder: Path, whole: dict[str, bytes]) -> list[str]:
    """Files under a name of their own that are neither those of an undisturbed run nor can be read."""
    found = []
    for name, data in kept(folder).items():
        path = folder / name
        if whole.get(name) == data or any(part.startswith(".") for part in Path(name).parts):
            continue
        try:
            if path.suffix == ".safetensors":
                deserialize(path.read_bytes())
            elif path.suffix in (".png", ".npz"):
                Image.open(path).load()
            elif path.suffix == ".json":
                json.loads(data)
        except (OSError, SafetensorError, ValueError, SyntaxError):
            found.append(name)
    return found


def strays(folder: Path) -> list[str]:
    """Hidden files and folders that a command left, but for its locks."""
    return [str(p.relative_to(folder)) for p in folder.rglob(".*") if not p.name.endswith(".lock")]


def cpu_seconds(pid: int) -> float | None:
    """What a process has worked so far, None once it has ended: the clock on the wall measures the others as well."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else sum(map(int, fields[10:12])) / os.sysconf("SC_CLK_TCK")
