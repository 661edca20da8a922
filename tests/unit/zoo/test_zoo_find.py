"""Where cards and weights are looked for, and which model a task takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixel2style2pixel_cli.errors import MissingError, UsageError
from pixel2style2pixel_cli.zoo import cards as cards_module
from pixel2style2pixel_cli.zoo import find
from pixel2style2pixel_cli.zoo.catalogue import card_fields, model_rows, verified
from pixel2style2pixel_cli.zoo.choose import choose_model
from pixel2style2pixel_cli.zoo.find import find_card, home_folder, list_cards, read_cards, zoo_folder
from pixel2style2pixel_cli.zoo.resolve import locate


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("P2S2P_ZOO", str(tmp_path / "zoo"))
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    (tmp_path / "zoo").mkdir()
    return tmp_path / "zoo"


def make(
    parent: Path, name: str, *lines: str, rank: int = 0, tasks: str = '["invert"]', files: tuple[str, ...] = ()
) -> Path:
    folder = parent / name
    folder.mkdir(parents=True)
    top = [f'name = "{name}"', f"rank = {rank}", f"tasks = {tasks}", 'licence = "mit"']
    body = lines or ('[spec.encoder]\nkind = "psp"', "[spec.generator]\nresolution = 64")
    keys, tables = [line for line in body if "[" not in line], [line for line in body if "[" in line]
    (folder / "model.toml").write_text("\n".join([*top, *keys, *tables]), encoding="utf-8")
    for file in files:
        (folder / file).write_bytes(b"x")
    return folder


BOTH = ("encoder.safetensors", "generator.safetensors")
ENCODER = '[spec.encoder]\nkind = "psp"'
GENERATOR = "[spec.generator]\nresolution = 64"


def test_the_checkout_is_found_without_any_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("P2S2P_ZOO")
    assert (zoo_folder() / "psp-ffhq-encode" / "model.toml").is_file()


def test_a_wheel_keeps_its_cards_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("P2S2P_ZOO")
    package = tmp_path / "site-packages" / "pixel2style2pixel_cli"
    (package / "_models").mkdir(parents=True)
    monkeypatch.setattr(find, "PACKAGE_FOLDER", package)
    assert zoo_folder() == package / "_models"


def test_a_folder_called_models_beside_the_package_is_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("P2S2P_ZOO")
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(find, "PACKAGE_FOLDER", tmp_path / "pixel2style2pixel_cli")
    with pytest.raises(MissingError):
        zoo_folder()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "pixel2style2pixel-cli"\n', encoding="utf-8")
    assert zoo_folder() == tmp_path / "models"


def test_a_zoo_that_is_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("P2S2P_ZOO", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="P2S2P_ZOO"):
        zoo_folder()


def test_home_without_a_setting_is_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("P2S2P_HOME")
    assert "p2s2p" in home_folder().parts[-1].lower()


def test_installed_beside_the_card_or_in_the_home_folder(zoo: Path) -> None:
    make(zoo, "here", files=BOTH)
    make(zoo, "there")
    here = locate(find_card("here"))
    assert here is not None
    assert here.files == {
        "encoder": zoo / "here" / "encoder.safetensors",
        "generator": zoo / "here" / "generator.safetensors",
    }
    assert locate(find_card("there")) is None
    home = home_folder() / "models" / "there"
    home.mkdir(parents=True)
    (home / "encoder.safetensors").write_bytes(b"x")
    assert locate(find_card("there")) is None  # half a model is none
    (home / "generator.safetensors").write_bytes(b"x")
    there = locate(find_card("there"))
    assert there is not None
    assert there.files["encoder"].parent == home


def test_a_shared_generator_comes_from_its_own_card(zoo: Path) -> None:
    make(zoo, "gen", GENERATOR, tasks="[]")
    make(zoo, "enc", ENCODER, 'generator_model = "gen"', files=("encoder.safetensors",))
    assert locate(find_card("enc")) is None
    (zoo / "gen" / "generator.safetensors").write_bytes(b"x")
    model = locate(find_card("enc"))
    assert model is not None
    assert model.files["generator"] == zoo / "gen" / "generator.safetensors"
    assert (model.parts["encoder"].name, model.parts["generator"].name) == ("enc", "gen")
    assert model.generator.resolution == 64


def test_a_generator_model_without_a_generator_is_refused(zoo: Path) -> None:
    make(zoo, "base", GENERATOR)
    make(zoo, "first", ENCODER, 'generator_model = "base"', files=("encoder.safetensors",))
    make(zoo, "second", ENCODER, 'generator_model = "first"', files=("encoder.safetensors",))
    with pytest.raises(UsageError, match="which has none"):
        locate(find_card("second"))


def test_auto_takes_the_best_installed_model_that_can(zoo: Path) -> None:
    make(zoo, "low", rank=1, files=BOTH)
    make(zoo, "middle", rank=2, files=BOTH)
    make(zoo, "high", rank=3)  # not installed
    make(zoo, "other", rank=9, tasks='["mix"]', files=BOTH)
    assert choose_model("invert").name == "middle"
    assert choose_model("mix").name == "other"
    assert choose_model("invert", "low").name == "low"


def test_mini_is_the_bundled_one(zoo: Path) -> None:
    make(zoo, "mini-invert", "bundled = true", ENCODER, GENERATOR, files=BOTH)
    make(zoo, "big", rank=9, files=BOTH)
    assert choose_model("invert", "mini").name == "mini-invert"
    assert choose_model("invert").name == "big"


def test_a_model_by_path(zoo: Path, tmp_path: Path) -> None:
    folder = make(tmp_path / "elsewhere", "mine", files=BOTH)
    assert choose_model("invert", str(folder / "model.toml")).card.folder == folder
    assert choose_model("invert", str(folder)).name == "mine"


def test_unknown_unable_and_absent_models_say_what_to_type(zoo: Path) -> None:
    weights = (
        '[[weights]]\nrole = "checkpoint"\nfile = "w.pt"\nsha256 = "' + "a" * 64 + '"\nsources = [{ gdrive = "ID" }]'
    )
    make(zoo, "portrait", ENCODER, GENERATOR, weights)
    with pytest.raises(MissingError) as unknown:
        choose_model("invert", "portrai")
    assert "did you mean portrait?" in unknown.value.hint
    with pytest.raises(UsageError, match="cannot mix; it does: invert"):
        choose_model("mix", "portrait")
    for name in ("portrait", "auto"):
        with pytest.raises(MissingError) as absent:
            choose_model("invert", name)
        assert absent.value.exit_code == 4
        assert "p2s2p models import portrait w.pt" in absent.value.hint
        assert "https://drive.google.com/file/d/ID/view" in absent.value.hint
        assert "a" * 64 in absent.value.hint
    with pytest.raises(MissingError, match="no installed model can fly"):
        choose_model("fly")


def test_where_a_program_may_fetch_the_hint_names_pull(zoo: Path) -> None:
    sources = ", ".join(f'{{ hf = "o/{name}", revision = "{name * 40}", path = "w.pt" }}' for name in "ab")
    weights = f'[[weights]]\nrole = "checkpoint"\nfile = "w.pt"\nsources = [{sources}, {{ gdrive = "ID" }}]'
    make(zoo, "hashed", ENCODER, GENERATOR, f'{weights}\nsha256 = "{"a" * 64}"')
    make(zoo, "unhashed", ENCODER, GENERATOR, weights)
    with pytest.raises(MissingError) as absent:
        choose_model("invert", "hashed")
    assert absent.value.hint.startswith("type: p2s2p models pull hashed; or fetch w.pt (sha256 aaaa")
    assert absent.value.hint.endswith(
        f"from https://huggingface.co/o/a/blob/{'a' * 40}/w.pt or https://drive.google.com/file/d/ID/view, "
        "then type: p2s2p models import hashed w.pt"
    )
    with pytest.raises(MissingError) as absent:
        choose_model("invert", "unhashed")
    assert absent.value.hint.startswith("fetch w.pt from")


def test_auto_leaves_alone_what_draws_no_faces(zoo: Path) -> None:
    make(zoo, "faces", rank=1, files=BOTH)
    make(zoo, "cars", "auto = false", ENCODER, GENERATOR, rank=9, files=BOTH)
    assert choose_model("invert").name == "faces"
    assert choose_model("invert", "cars").name == "cars"


DEEP = "x = " + "[" * 5000
BROKEN = {
    "toml": "name = ",
    "deep": DEEP,
    "huge-number": f"rank = {'9' * 5000}",
    "huge-network": 'name = "huge-network"\nlicence = "mit"\n[spec.generator]\nresolution = 64\n[spec.encoder]\n'
    'kind = "psp"\nunits = [100000000, 1, 1, 1]',
    "out": 'name = "out"\nlicence = "mit"\ngenerator_model = "../../elsewhere/gen"',
}
REASONS = {
    "toml": "cannot be read",
    "deep": "cannot be read",
    "huge-number": "cannot be read",
    "huge-network": "encoder units of 100000000, expected 1 to 200",
    "out": "generator_model is '../../elsewhere/gen', expected the name of a model, not a path",
}


@pytest.mark.parametrize("place", ["home", "zoo"])
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_card_is_named_and_costs_nobody_else(zoo: Path, fault: str, place: str) -> None:
    make(zoo, "good", files=BOTH)
    make(home_folder() / "models", "mine", rank=4, files=BOTH)
    bad = make(zoo if place == "zoo" else home_folder() / "models", fault, rank=9, files=BOTH)
    (bad / "model.toml").write_text(BROKEN[fault], encoding="utf-8")
    cards, broken = read_cards()
    assert [card.name for card in cards] == [card.name for card in list_cards()] == ["mine", "good"]
    assert list(broken) == [fault] and REASONS[fault] in broken[fault].message
    assert choose_model("invert").name == "mine"
    rows = {row["name"]: row.get("error") for row in model_rows()}
    assert rows == {"mine": None, "good": None, fault: broken[fault].message}
    with pytest.raises(UsageError):
        find_card(fault)


@pytest.mark.parametrize("lender", ["nope", "good"])
def test_a_card_with_a_faulty_lender_is_named_and_left_out(zoo: Path, lender: str) -> None:
    """A lender that does not exist, and one that has a fault of its own."""
    make(zoo, "good", files=BOTH)
    make(zoo, "last", files=BOTH)
    make(zoo, "lost", ENCODER, f'generator_model = "{lender}"', rank=9, files=("encoder.safetensors",))
    if lender == "good":
        (zoo / "good" / "model.toml").write_text("name = ", encoding="utf-8")
    errors = {row["name"]: row.get("error") for row in model_rows()}
    assert lender in errors["lost"] and errors["last"] is None
    assert choose_model("invert").name == ("last" if lender == "good" else "good")
    with pytest.raises(UsageError, match=lender):
        choose_model("invert", "lost")
    assert [name for name, ok, _ in verified(["lost"]) if not ok] == ["lost"]


def test_mini_can_be_shown(zoo: Path) -> None:
    make(zoo, "mini-invert", "bundled = true", ENCODER, GENERATOR, files=BOTH)
    assert card_fields("mini")["name"] == "mini-invert"


def test_a_card_is_parsed_once_and_again_when_it_changes(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(zoo, "gen", GENERATOR, tasks="[]", files=("generator.safetensors",))
    folder = make(zoo, "enc", ENCODER, 'generator_model = "gen"', files=("encoder.safetensors",))
    make(zoo, "published", ENCODER, GENERATOR, '[[weights]]\nrole = "checkpoint"\nfile = "w.pt"', rank=9)
    seen: list[str] = []
    real = cards_module.tomllib.loads

    def counting(text: str) -> dict[str, object]:
        seen.append(text.split('"')[1])
        return real(text)

    monkeypatch.setattr(cards_module.tomllib, "loads", counting)
    for _ in range(3):
        assert choose_model("invert").generator.resolution == 64
    assert sorted(seen) == ["enc", "gen"], "a published model that is not there is not parsed at all"
    (folder / "model.toml").write_text((folder / "model.toml").read_text() + "\n[invert]\noptimize = 3\n")
    assert choose_model("invert").card.optimize == 3
    assert sorted(seen) == ["enc", "enc", "gen"]
