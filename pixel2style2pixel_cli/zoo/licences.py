"""The licences of weights: shown before the first byte is fetched, accepted once, remembered."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pixel2style2pixel_cli.errors import MissingError
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.wording import file_size
from pixel2style2pixel_cli.zoo.cards import Card, WeightFile
from pixel2style2pixel_cli.zoo.find import home_folder

LICENCES = Path(__file__).with_name("licences.toml")
ACCEPT_VARIABLE = "P2S2P_ACCEPT_LICENCE"

Ask = Callable[[str], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """A licence id of the cards, one sentence about it, and where its text is (empty where there is none)."""

    id: str
    text: str
    url: str

    @property
    def digest(self) -> str:
        """Hex sha256 of what is shown: another sentence or address has to be accepted anew."""
        return hashlib.sha256(f"{self.text}\n{self.url}".encode()).hexdigest()


def find_licence(name: str) -> Licence:
    """The licence with this id; one that says so where the id is not known."""
    known = tomllib.loads(LICENCES.read_text(encoding="utf-8"))
    row = known.get(name, {"text": "not known to this program; see the model's card", "url": ""})
    return Licence(id=name, text=row["text"], url=row["url"])


def require_licence(
    card: Card,
    weight: WeightFile,
    *,
    accepted: bool = False,
    ask: Ask | None = None,
    on_event: OnEvent = ignore_event,
) -> None:
    """Show the terms of restricted weights and remember that they are accepted; MissingError when they are not.

    Accepted is what an earlier call accepted, what P2S2P_ACCEPT_LICENCE lists, everything with ``accepted``, or what
    ``ask``, given a question, answers with True. Weights that any use is open to need nothing.
    """
    licence = find_licence(card.licence)
    if card.commercial_ok or _remembered().get(licence.id) == licence.digest:
        return
    size = "size not known" if weight.size is None else file_size(weight.size)
    terms = f"licence {licence.id} of {weight.file} ({size}): {licence.text}"
    on_event(Notice(message=f"{terms}; {licence.url}" if licence.url else terms))
    beforehand = {name.strip() for name in os.environ.get(ACCEPT_VARIABLE, "").split(",")}
    if not (accepted or licence.id in beforehand or (ask is not None and ask(f"accept {licence.id}?"))):
        read = f"read {licence.url}, then type" if licence.url else "type"
        raise MissingError(
            f"the licence {licence.id} of {card.name} is not accepted",
            f"{read}: p2s2p models pull {card.name} --accept-licence, or set {ACCEPT_VARIABLE}={licence.id}",
        )
    remembered = {**_remembered(), licence.id: licence.digest}
    write_atomic(_record(), (json.dumps(remembered, indent=1, sort_keys=True) + "\n").encode())


def _record() -> Path:
    return home_folder() / "licences.json"


def _remembered() -> dict[str, object]:
    """Accepted ids and the digests of what was shown; a record that cannot be read only means being asked again."""
    try:
        known = json.loads(_record().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
