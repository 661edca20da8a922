"""Model cards: what is read, and that everything wrong is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixel2style2pixel_cli.errors import MissingError, UsageError
from pixel2style2pixel_cli.networks.specs import EncoderSpec
from pixel2style2pixel_cli.zoo.card_text import card_text
from pixel2style2pixel_cli.zoo.cards import Source, load_card
from pixel2style2pixel_cli.zoo.find import list_cards

CARD = """
name = "small"
title = "A small model"
tasks = ["invert", "mix"]
rank = 5
licence = "mit"
commercial_ok = true
generator_model = "small-generator"
[spec.encoder]
kind = "psp"
units = [1, 2, 2, 1]
[input]
kind = "labels"
align = "none"
schema = "celebamask-19"
[mixing]
layers = "8-11"
[[weights]]
role = "checkpoint"
file = "small.pt"
size = 12
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
grade = "B"
container = "psp-pt"
sources = [
  { hf = "owner/name", revision = "abc", path = "a/small.pt" },
  { gdrive = "ID" },
  { dist = "package", version = "1.0", path = "x" },
  { https = "https://example.org/small.pt" },
]
[measured]
seconds = 0.5
"""


def written(folder: Path, text: str, name: str = "small") -> Path:
    (folder / name).mkdir()
    (folder / name / "model.toml").write_text(text, encoding="utf-8")
    return folder / name


def test_every_field_is_read(tmp_path: Path) -> None:
    card = load_card(written(tmp_path, CARD))
    assert (card.name, card.title, card.tasks, card.rank) == ("small", "A small model", ("invert", "mix"), 5)
    assert (card.licence, card.commercial_ok, card.generator_model, card.bundled) == (
        "mit",
        True,
        "small-generator",
        False,
    )
    assert card.encoder == EncoderSpec(kind="psp", units=(1, 2, 2, 1)) and card.generator is None
    assert (card.input.kind, card.input.align, card.input.schema) == ("labels", "none", "celebamask-19")
    assert card.mixing_layers == "8-11"
    assert card.roles == ("encoder",)
    assert card.measured == {"seconds": 0.5}
    weight = card.weight("checkpoint")
    assert weight is not None
    assert (weight.file, weight.size, weight.sha256, weight.container) == ("small.pt", 12, "0" * 64, "psp-pt")
    assert (weight.grade, weight.fetchable, card.auto) == ("B", True, True)
    assert weight.sources[0] == Source(kind="hf", address="owner/name", revision="abc", path="a/small.pt")
    assert [source.link for source in weight.sources] == [
        "https://huggingface.co/owner/name/blob/abc/a/small.pt",
        "https://drive.google.com/file/d/ID/view",
        "the Python distribution package",
        "https://example.org/small.pt",
    ]


def test_a_short_card_has_defaults(tmp_path: Path) -> None:
    card = load_card(written(tmp_path, 'name = "small"\nlicence = "mit"\n[spec.generator]\nresolution = 64\n'))
    assert (card.title, card.tasks, card.rank, card.weights, card.roles) == ("small", (), 0, (), ("generator",))
    assert (card.input.kind, card.input.align) == ("photo", "ffhq")


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = CARD.replace("rank = 5", 'rank = "5"').replace('licence = "mit"', "colour = 1")
    text = text.replace('kind = "labels"', 'kind = "video"').replace("size = 12", "size = true\nspeed = 3")
    text = text.replace('{ gdrive = "ID" }', '{ gdrive = "ID", https = "x" }').replace(
        '["invert", "mix"]', '["invert", 3]'
    )
    text = text.replace('sha256 = "0000', 'sha256 = "XYZ')
    with pytest.raises(UsageError) as caught:
        load_card(written(tmp_path, text))
    message = caught.value.message
    wanted = (
        "rank is '5', expected int",
        "licence is missing",
        "colour is not a known key",
        "input.kind is 'video', expected one of photo, sketch, labels, lowres",
        "weights[0].size is True, expected int",
        "weights[0].speed is not a known key",
        "weights[0].sources[1] names 2 places",
        "tasks holds 3, expected text",
        "64 lower-case hex digits",
    )
    assert [part for part in wanted if part not in message] == []
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('generator_model = "small-generator"', "", "neither spec.generator nor generator_model"),
        ("[input]", "[spec.generator]\nresolution = 64\n[input]", "both given"),
        ("units = [1, 2, 2, 1]", "units = [1, 2]", "units is [1, 2], expected 4 whole numbers"),
        ("units = [1, 2, 2, 1]", "units = [1, 2, 2, 999]", "encoder units of 999, expected 1 to 200"),
        ("units = [1, 2, 2, 1]", "colour = 3", "spec.encoder is wrong: colour is not a known key"),
        ('kind = "psp"', 'kind = "hyperstyle"', "unknown encoder kind 'hyperstyle'"),
        ("[input]", "[spec.generator]\nresolution = true\n[input]", "resolution is True, expected a whole number"),
        ("[input]", "[spec.generator]\nstyle_dim = 40000\n[input]", "resolution is missing"),
        ("[input]", "[spec.generator]\nresolution = 64\nstyle_dim = 40000\n[input]", "expected 1 to 4096"),
        ("[input]", "[spec.generator]\nresolution = 64\nchannel_multiplier = nan\n[input]", "multiplier is nan"),
        ("[mixing]", "[invert]\noptimize = 100000000000000000000\n[mixing]", "expected 0 to 100000 steps"),
        ("[mixing]", "[invert]\noptimize_size = 4097\n[mixing]", "optimize_size is 4097, expected 0 to 4096 pixels"),
        ("[mixing]", "[invert]\noptimize_whole = -1\n[mixing]", "optimize_whole is -1, expected 0 to 100000 steps"),
        ("[mixing]", "[invert]\npasses = 0\n[mixing]", "passes is 0, expected 1 to 100 passes"),
        ('"small-generator"', '"../small-generator"', "expected the name of a model, not a path"),
        ('"small-generator"', '"/etc"', "expected the name of a model, not a path"),
        ('file = "small.pt"', 'file = "../small.pt"', "expected a name without folders"),
        ("[[weights]]", "[weights]", "weights is"),
        ('grade = "B"', 'grade = "D"', "weights[0].grade is 'D', expected one of A, B, C, none"),
        ('path = "a/', 'repo_type = "gist", path = "a/', "repo_type is 'gist', expected one of model, space, dataset"),
        ('name = "small"', 'name = "large"', "expected the folder's name 'small'"),
        ('name = "small"', "name = ", "cannot be read"),
    ],
)
def test_a_wrong_card_is_refused(tmp_path: Path, old: str, new: str, part: str) -> None:
    assert old in CARD
    with pytest.raises(UsageError) as caught:
        load_card(written(tmp_path, CARD.replace(old, new, 1)))
    assert part in caught.value.message


def test_what_invert_does_is_read_and_written_again(tmp_path: Path) -> None:
    rule = "[invert]\noptimize = 16\noptimize_size = 128\noptimize_whole = 4\npasses = 3\n"
    card = load_card(written(tmp_path, CARD.replace("[mixing]", f"{rule}[mixing]", 1)))
    assert (card.optimize, card.optimize_size, card.optimize_whole, card.passes) == (16, 128, 4, 3)
    assert rule in card_text(card)
    plain = load_card(written(tmp_path, CARD.replace('name = "small"', 'name = "plain"'), "plain"))
    assert (plain.optimize, plain.optimize_size, plain.optimize_whole, plain.passes) == (0, 0, 0, 5)
    assert "[invert]" not in card_text(plain)


def test_no_card(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no model card at"):
        load_card(tmp_path / "absent")


def test_the_cards_of_the_project_are_sound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("P2S2P_ZOO", raising=False)
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path))
    cards = {card.name: card for card in list_cards()}
    assert {"psp-ffhq-encode", "e4e-ffhq-encode"} <= set(cards)
    for card in cards.values():
        assert card.bundled == ("checkpoint" not in {weight.role for weight in card.weights})
        assert (card.folder / "README.md").is_file(), card.name
    published = [card for card in cards.values() if not card.bundled]
    assert len(published) >= 14
    assert all(not card.commercial_ok and card.licence in ("nvidia-nc", "unclear") for card in published)
    weights = [weight for card in published for weight in card.weights]
    assert all(weight.sources and (weight.sha256 is None) == (weight.grade == "none") for weight in weights)
    fetched = [weight for weight in weights if weight.fetchable]
    assert len(fetched) >= 9
    revisions = [s.revision or "" for weight in weights for s in weight.sources if s.kind == "hf"]
    assert revisions
    assert all(len(revision) == 40 for revision in revisions)
