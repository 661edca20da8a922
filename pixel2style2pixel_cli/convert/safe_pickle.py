"""Published checkpoint files into tensors and plain values, without ever running what a pickle asks for."""

from __future__ import annotations

import argparse
import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Literal

import torch

from pixel2style2pixel_cli.convert.nvidia_pickle import PERSISTENT_OBJECT, load_nvidia_pickle
from pixel2style2pixel_cli.convert.pickle_scan import scan_pickles
from pixel2style2pixel_cli.errors import SHOWN, IntegrityError, MissingError, in_one_line
from pixel2style2pixel_cli.zoo.verify import stand_in

FileKind = Literal["zip", "legacy", "pickle"]

NAMESPACE = "argparse.Namespace"
HEAD_BYTES = 512
LEGACY_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)  # how torch before 1.6 began every file
LEGACY_PICKLES = 5  # magic, protocol, system, the object, the storage keys; raw numbers follow
NOT_WEIGHTS = "fetch the file again; compare its size with the one on the download page"
# Tensors may share their numbers, as the rows of an average code do; far beyond that a file means harm.
SPREAD_BYTES = 64 << 20
MOST_ENTRIES = 100_000
SHOWN_GLOBALS = 12
CODE_INSIDE = "the file was not opened; ask its author for a state dict or safetensors file"

# Names that torch's own weights-only reader takes; used for listing the others, never for deciding what may run.
_PLAIN = re.compile(
    r"collections\.OrderedDict|_codecs\.encode|(__builtin__|builtins)\.set"
    r"|torch(\.cuda|\.storage)?\.\w+(Storage|Tensor)|torch\._utils\._rebuild_\w+|torch\.nn\.parameter\.Parameter"
    r"|torch\.(Size|device|bool|(float|int|uint|bfloat|complex)\d+)"
)


def load_checkpoint(path: Path) -> object:
    """Read a checkpoint as tensors and plain values on the CPU.

    Takes what ``torch.save`` wrote (new or legacy container) and NVIDIA's network pickles. IntegrityError names what is
    wrong: a web page, a Git LFS pointer, a truncated file, or a pickle that needs code, with all names it asks for.
    """
    kind = file_kind(path)
    names = unsafe_globals(path, kind)
    if kind == "pickle":
        if PERSISTENT_OBJECT in names:
            return load_nvidia_pickle(path)
        raise refused(path, names)
    if names not in ([], [NAMESPACE]):
        raise refused(path, names)
    try:
        with torch.serialization.safe_globals([argparse.Namespace] if names else []):
            loaded: object = torch.load(path, map_location="cpu", weights_only=True, mmap=kind == "zip")
    except Exception as error:  # a damaged pickle can raise anything from inside torch; none of it is a bug of ours
        reason = in_one_line(error) or type(error).__name__
        raise IntegrityError(f"{path} is damaged or truncated: {reason}", NOT_WEIGHTS) from error
    if names and not (isinstance(loaded, dict) and "g_ema" in loaded):
        # Only the StyleGAN2 trainer stores its options as a Namespace; elsewhere one is a sign of another layout.
        raise refused(path, names)
    _require_plausible(loaded, path)
    return loaded


def _require_plausible(loaded: object, path: Path) -> None:
    """Raise IntegrityError for tensors that claim far more numbers than the file can hold."""
    size, claimed, entries, waiting, seen = path.stat().st_size, 0, 0, [loaded], set[int]()
    while waiting:
        group = waiting.pop()
        if not isinstance(group, dict) or id(group) in seen:  # a group may be in itself
            continue
        seen.add(id(group))
        entries += len(group)
        claimed += sum(item.numel() * item.element_size() for item in group.values() if isinstance(item, torch.Tensor))
        if claimed > 2 * size + SPREAD_BYTES or entries > MOST_ENTRIES:
            raise IntegrityError(
                f"{path} has {size} bytes, and its tensors claim {claimed}: no network is stored so", NOT_WEIGHTS
            )
        waiting += group.values()


def file_kind(path: Path) -> FileKind:
    """Tell the container by the first bytes; IntegrityError for the things that are saved in place of weights."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise MissingError(f"{path} does not exist", "check the path") from error
    except OSError as error:
        raise MissingError(f"{path} cannot be read: {error.strerror}", "name a file of weights") from error
    if size == 0:
        raise IntegrityError(f"{path} is empty", NOT_WEIGHTS)
    instead = stand_in(head)
    if instead == "web page":
        raise IntegrityError(
            f"{path} is a web page, not a weight file",
            "the site answered with a page; fetch the file itself in a browser",
        )
    if instead == "Git LFS pointer":
        raise IntegrityError(
            f"{path} is a Git LFS pointer, not the weights", "type: git lfs pull, or fetch the file itself"
        )
    if head.startswith(b"PK\x03\x04"):
        if not zipfile.is_zipfile(path):
            raise IntegrityError(f"{path} is truncated: it ends after {size} bytes without a directory", NOT_WEIGHTS)
        return "zip"
    if head.startswith(LEGACY_MAGIC):
        return "legacy"
    if head[:1] == b"\x80" and len(head) > 1 and head[1] <= pickle.HIGHEST_PROTOCOL:
        return "pickle"
    raise IntegrityError(f"{path} is not a weight file of PyTorch", "name a .pt, .pth or .pkl file")


def unsafe_globals(path: Path, kind: FileKind) -> list[str]:
    """All names beyond tensors and plain values that the file's pickles ask for, sorted; nothing is run."""
    if kind == "zip":
        try:
            with zipfile.ZipFile(path) as archive:
                _require_whole(archive, path)
                pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
                names = set[str]()
                for name in pickles:
                    names |= scan_pickles(io.BytesIO(archive.read(name)), 1, f"{path}")[0]
        except IntegrityError:
            raise
        except Exception as error:  # a damaged directory of an archive gives errors of many kinds
            raise IntegrityError(f"{path} is damaged: {in_one_line(error)}", NOT_WEIGHTS) from error
        if not pickles:
            raise IntegrityError(f"{path} is a zip archive without weights in it", "name a .pt, .pth or .pkl file")
    else:
        with path.open("rb") as stream:
            names, whole = scan_pickles(stream, LEGACY_PICKLES if kind == "legacy" else 1, f"{path}")
        if kind == "pickle" and not whole:
            raise IntegrityError(f"{path} is damaged or truncated: its pickle is not whole", NOT_WEIGHTS)
    return sorted(name for name in names if kind == "pickle" or not _PLAIN.fullmatch(name))


def _require_whole(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise IntegrityError for entries that are compressed, as torch never writes them, or that have changed since."""
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise IntegrityError(f"{path} holds compressed entries, which no checkpoint of PyTorch has", NOT_WEIGHTS)
    damaged = archive.testzip()
    if damaged is not None:
        raise IntegrityError(f"{path} is damaged: the checksum of {damaged} is not the stored one", NOT_WEIGHTS)


def refused(path: Path, names: list[str]) -> IntegrityError:
    """The error for a pickle that would have to run code."""
    shown = ", ".join(in_one_line(name)[:SHOWN] for name in names[:SHOWN_GLOBALS])
    listed = f"{shown}{', ...' if len(names) > SHOWN_GLOBALS else ''}" or "nothing this program knows"
    return IntegrityError(f"{path} is a pickle that needs more than tensors: {listed}", CODE_INSIDE)
