"""Whether weight files are still the bytes they should be; a file is hashed once, then remembered by size and time."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Literal

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, P2S2PError
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.find import home_folder, installed_files, lent_file, owner_of

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


def verify_installed(card: Card, *, fresh: bool = False) -> dict[str, str]:
    """Check every installed file of a model against its recorded sha256 and return the hashes by role.

    Raises MissingError when the model is not installed, IntegrityError when a file has changed.
    """
    files = installed_files(card)
    if files is None:
        raise MissingError(f"the model {card.name} is not installed", f"see p2s2p models show {card.name}")
    hashes: dict[str, str] = {}
    for role, path in files.items():
        owner = owner_of(card, role)
        hashes[role] = remembered_sha256(path, fresh=fresh)
        expected = _expected_sha256(owner, lent_file(role), path)
        if expected is not None and hashes[role] != expected:
            cure = (
                "reinstall pixel2style2pixel-cli" if owner.bundled else f"type: p2s2p models import {owner.name} FILE"
            )
            raise IntegrityError(
                f"{path} has sha256 {hashes[role]}, expected {expected}", f"the file has changed; {cure}"
            )
    return hashes


def _expected_sha256(card: Card, role: str, path: Path) -> str | None:
    """The hash recorded when the file was installed, or the card's for a file that ships with it."""
    record = path.parent / INSTALL_RECORD
    if record.is_file():
        try:
            recorded = json.loads(record.read_text(encoding="utf-8"))["files"][role]["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"{record} cannot be read", f"type: p2s2p models import {card.name} FILE") from error
        return str(recorded)
    return next((weight.sha256 for weight in card.weights if weight.role == role), None)
