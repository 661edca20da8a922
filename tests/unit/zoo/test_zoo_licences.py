"""Terms of weights: what needs no question, what is remembered, and that new terms are asked for anew."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from pixel2style2pixel_cli.errors import MissingError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.zoo import licences
from pixel2style2pixel_cli.zoo.cards import Card, load_card
from pixel2style2pixel_cli.zoo.licences import Licence, find_licence, require_licence

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(autouse=True)
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    monkeypatch.delenv("P2S2P_ACCEPT_LICENCE", raising=False)
    return tmp_path / "licences.json"


@pytest.fixture
def card() -> Card:
    return load_card(MODELS / "psp-ffhq-encode")


def test_every_licence_of_a_card_is_known() -> None:
    cards = [load_card(path.parent) for path in MODELS.glob("*/model.toml")]
    assert cards
    for card in cards:
        assert "not known" not in find_licence(card.licence).text, card.name
    assert "not known" in find_licence("another").text


def test_free_weights_need_no_question(card: Card, record: Path) -> None:
    events: list[Event] = []
    require_licence(dataclasses.replace(card, commercial_ok=True), card.weights[0], on_event=events.append)
    assert events == [] and not record.exists()


def test_accepted_once_and_again_when_the_terms_change(
    card: Card, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []

    def agree(question: str) -> bool:
        questions.append(question)
        return True

    for _ in range(2):
        require_licence(card, card.weights[0], ask=agree)
    assert questions == ["accept nvidia-nc?"]
    assert json.loads(record.read_text()) == {"nvidia-nc": find_licence("nvidia-nc").digest}
    changed = Licence(id="nvidia-nc", text="new terms", url="")
    monkeypatch.setattr(licences, "find_licence", lambda name: changed)
    with pytest.raises(MissingError, match="the licence nvidia-nc of psp-ffhq-encode is not accepted"):
        require_licence(card, card.weights[0])


def test_a_record_that_cannot_be_read_only_means_a_question(card: Card, record: Path) -> None:
    record.write_text("[1, 2", encoding="utf-8")
    events: list[Event] = []
    require_licence(card, card.weights[0], accepted=True, on_event=events.append)
    (notice,) = events
    assert isinstance(notice, Notice)
    assert notice.message.startswith(
        "licence nvidia-nc of psp_ffhq_encode.pt (1.2 GB): contains or derives from NVIDIA"
    )
    assert list(json.loads(record.read_text())) == ["nvidia-nc"]
