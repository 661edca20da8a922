"""Writing converted weights: safetensors that explain themselves, a record of hashes, and one rename at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from pixel2style2pixel_cli.errors import OutputError, UsageError
from pixel2style2pixel_cli.files.atomic import PART_SUFFIX, hidden_beside
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.weights.header import METADATA_SCHEMA
from pixel2style2pixel_cli.weights.read import require_finite
from pixel2style2pixel_cli.weights.write import save_weights
from pixel2style2pixel_cli.zoo.cards import CARD_FILE, Card, Role
from pixel2style2pixel_cli.zoo.find import require_space
from pixel2style2pixel_cli.zoo.recover import OLD_SUFFIX, recover_models, remove_folder
from pixel2style2pixel_cli.zoo.verify import INSTALL_RECORD, sha256_file

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RESERVED_NAMES = {"auto", "mini"}


def check_name(name: str) -> None:
    """Raise UsageError for what cannot be a model's name."""
    if not NAME_PATTERN.fullmatch(name) or name in RESERVED_NAMES:
        raise UsageError(
            f"{name!r} cannot be a model's name", "use lower-case letters, digits, dots, dashes; not auto or mini"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where weights come from: the file, its hash, how it was checked, and the licence it is under."""

    file: str
    sha256: str
    checked_by: str
    licence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One file to write: its role, tensors and sizes; ``generator`` is the digest of the one an encoder belongs to."""

    role: Role
    state: Mapping[str, Tensor]
    spec: EncoderSpec | GeneratorSpec
    generator: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What an import did: the card, the files and tensor digests by role, and how the source was checked."""

    card: Card
    files: dict[str, Path]
    digests: dict[str, str]
    source_sha256: str
    checked_by: str


def install(parts: Sequence[Part], destination: Path, origin: Origin, card_text: str | None) -> dict[str, str]:
    """Put weights, record and, if given, a card into the folder ``destination``; returns the tensor digests by role.

    An earlier content of the folder is replaced as a whole. After a failure it is as it was: IntegrityError for numbers
    that are not finite, OutputError for what cannot be written.
    """
    for part in parts:
        require_finite(part.state, f"the {part.role} of {origin.file}")
    digests: dict[str, str] = {}
    entries: dict[str, dict[str, object]] = {}
    with _replaced_folder(destination, _bytes_of(parts)) as folder:
        for part in parts:
            role: str = part.role
            path = folder / f"{role}.safetensors"
            state = {key: tensor.detach().contiguous() for key, tensor in part.state.items()}
            spec = dataclasses.asdict(part.spec)
            digests[role] = save_weights(path, role, state, spec, origin.licence, origin.sha256, part.generator)
            entries[role] = {
                "file": path.name,
                "sha256": sha256_file(path),
                "size": path.stat().st_size,
                "digest": digests[role],
            }
        source = {"file": origin.file, "sha256": origin.sha256, "checked_by": origin.checked_by}
        record = {"schema": METADATA_SCHEMA, "files": entries, "source": source}
        listed = folder / INSTALL_RECORD
        listed.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        for role in digests:
            # safetensors writes files that only their owner may read
            shutil.copymode(listed, folder / f"{role}.safetensors")
        if card_text is not None:
            (folder / CARD_FILE).write_text(card_text, encoding="utf-8")
    return digests


def _bytes_of(parts: Sequence[Part]) -> int:
    return sum(tensor.numel() * tensor.element_size() for part in parts for tensor in part.state.values())


@contextlib.contextmanager
def _replaced_folder(destination: Path, needed: int) -> Iterator[Path]:
    """A new folder beside ``destination`` that takes its place when the block ends well, and vanishes otherwise."""
    folder, old = hidden_beside(destination, PART_SUFFIX), hidden_beside(destination, OLD_SUFFIX)
    recover_models(destination.parent)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        require_space(destination.parent, needed)
        folder.mkdir()
        yield folder
        if destination.exists():
            destination.rename(old)
        folder.rename(destination)
    except BaseException as error:  # an interrupt must not leave half a model behind either
        if old.exists() and not destination.exists():
            old.rename(destination)
        remove_folder(folder)
        if isinstance(error, (OSError, SafetensorError)):
            raise _explained(error, destination) from error
        raise
    remove_folder(old)


def uninstall(folder: Path) -> int:
    """Remove an installed model's folder and return its size in bytes; OutputError leaves all of it in place."""
    gone = hidden_beside(folder, PART_SUFFIX)  # not to be recovered where a kill leaves some of it
    recover_models(folder.parent)
    try:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        folder.rename(gone)
    except OSError as error:
        raise OutputError(f"{folder} cannot be removed: {error.strerror}", "close what uses it, then repeat") from error
    remove_folder(gone)
    return size


def _explained(error: OSError | SafetensorError, destination: Path) -> OutputError:
    """A failure to write, in words."""
    full = getattr(error, "errno", None) == errno.ENOSPC or f"os error {errno.ENOSPC})" in str(error)
    hint = "set P2S2P_HOME to a folder that can be written"
    if full:
        return OutputError(f"no space left on the disk for {destination}", f"free some space, or {hint}")
    return OutputError(f"{destination} cannot be written: {getattr(error, 'strerror', None) or error}", hint)
