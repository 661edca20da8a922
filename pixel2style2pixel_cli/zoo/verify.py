"""Whether weight files are still the bytes they should be; a file is hashed once, then remembered by size and time."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Literal

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, P2S2PError
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.weights.digest import require_digest
from pixel2style2pixel_cli.zoo.cards import Card, Role
from pixel2style2pixel_cli.zoo.find import home_folder

INSTALL_RECORD = "installed.json"
CHUNK_BYTES = 1 << 20


def stand_in(head: bytes) -> Literal["web page", "Git LFS pointer"] | None:
    """What a file that begins with ``head`` is, where it is one of the things that are saved in place of weights."""
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return "web page"
    return "Git LFS pointer" if head.startswith(b"version https://git-lfs") else None


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def remembered_sha256(path: Path, *, fresh: bool = False) -> str:
    """sha256 of a file, taken from the marker of an earlier call while size and time have not changed.

    ``fresh`` hashes the bytes anyway. A home folder that cannot be written only costs the memory of it.
    """
    resolved = path.resolve()
    status = resolved.stat()
    seen = {"path": str(resolved), "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    key = hashlib.sha256(str(resolved).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    marker = home_folder() / "verified" / f"{key}.json"
    if not fresh:
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(marker.read_text(encoding="utf-8"))
            if (
                isinstance(known, dict)
                and {k: known.get(k) for k in seen} == seen
                and isinstance(known.get("sha256"), str)
            ):
                return str(known["sha256"])
    found = sha256_file(resolved)
    with contextlib.suppress(P2S2PError, OSError):
        write_atomic(marker, json.dumps({**seen, "sha256": found}, sort_keys=True).encode())
    return found


def check_sha256(owner: Card, role: Role, path: Path, *, fresh: bool = False) -> str:
    """The sha256 of an installed file; IntegrityError where it is not the one recorded when the file was installed.

    Where none was recorded, as in the folder of a training run, the numbers must be those of which the file's header
    speaks.
    """
    try:
        found, expected = remembered_sha256(path, fresh=fresh), recorded_sha256(owner, role, path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MissingError(f"{path} cannot be read: {reason}", "make the file readable") from error
    if expected is None:
        require_digest(path)
    elif found != expected:
        cure = "reinstall pixel2style2pixel-cli" if owner.bundled else f"type: p2s2p models import {owner.name} FILE"
        raise IntegrityError(f"{path} has sha256 {found}, expected {expected}", f"the file has changed; {cure}")
    return found


def recorded_sha256(card: Card, role: Role, path: Path) -> str | None:
    """The hash recorded when the file was installed, or the card's for a file that ships with it."""
    record = path.parent / INSTALL_RECORD
    if record.is_file():
        try:
            recorded = json.loads(record.read_text(encoding="utf-8"))["files"][role]["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{record} cannot be read", f"type: p2s2p models import {card.name} FILE") from error
        return str(recorded)
    return next((weight.sha256 for weight in card.weights if weight.role == role), None)
