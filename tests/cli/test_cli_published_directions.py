"""``p2s2p edit import``: the layouts of published directions, and files that are refused."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_server import COMMIT, HubFile, hub_server
from real_run import Call
from tiny_zoo import GENERATOR, tiny_model

from pixel2style2pixel_cli.engine.directions import draw_codes
from pixel2style2pixel_cli.jobs import published
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights.directions import load_direction

WIDTH, ROWS = GENERATOR.style_dim, GENERATOR.n_styles


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    generator = Generator(GENERATOR)
    generator.load_state_dict(tiny_model().generator)
    return draw_codes(generator.eval())


def test_interfacegan_in_w_and_w_plus_in_deviations(real: Call, folder: Path, codes: torch.Tensor) -> None:
    chance = torch.Generator().manual_seed(0)
    normal = torch.randn(1, WIDTH, generator=chance)
    rows = torch.randn(1, ROWS, WIDTH, generator=chance)
    rows[0, 3] = 0
    torch.save(normal, folder / "smile.pt")
    torch.save(rows, folder / "pose.pt")
    np.save(folder / "age.npy", rows[0].numpy())
    for name in ("smile.pt", "pose.pt", "age.npy"):
        result = real("edit", "import", name, "--model", "tiny-invert", "-o", "d", "--json")
        assert result.code == 0, result.err
    smile, pose, age = (load_direction(folder / f"d/{name}.safetensors") for name in ("smile", "pose", "age"))
    unit = normal / normal.norm()
    assert np.allclose(smile.step, (unit * (codes @ unit[0]).std()).numpy(), atol=1e-5) and smile.space == "W"
    assert pose.space == "W+" and np.array_equal(pose.step, age.step) and not pose.step[3].any() and pose.step[4].any()
    assert smile.made["source_sha256"] == hashlib.sha256((folder / "smile.pt").read_bytes()).hexdigest()


def test_the_axes_of_ganspace(real: Call, folder: Path) -> None:
    axes = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(1)))[0][:5]
    torch.save({"comp": axes[:, None], "std": torch.tensor([5.0, 4, 3, 2, 1]), "mean": axes[:1]}, folder / "pca.pt")
    result = real("edit", "import", "pca.pt", "--model", "tiny-invert", "--axes", "3", "-o", "d", "--json")
    assert result.code == 0 and [row["direction"] for row in result.rows] == ["pca-0", "pca-1", "pca-2"], result.err
    assert np.allclose(load_direction(folder / "d/pca-1.safetensors").step, 4 * axes[1:2].numpy(), atol=1e-6)
    assert real("edit", "import", "pca.pt", "--model", "tiny-invert", "-o", "d").code == 2
    assert real("edit", "import", "pca.pt", "--model", "tiny-invert", "-o", "x.safetensors").code == 2


def test_a_known_file_belongs_to_its_models(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(torch.ones(1, WIDTH), folder / "smile.pt")
    digest = hashlib.sha256((folder / "smile.pt").read_bytes()).hexdigest()
    known = {digest: {"name": "smile", "models": ["psp-ffhq-encode"], "url": ""}}
    monkeypatch.setattr(published, "known_directions", lambda: known)
    result = real("edit", "import", "smile.pt", "--model", "tiny-invert")
    assert result.code == 2 and "was made for psp-ffhq-encode, not for tiny-invert" in result.err


def test_the_table_of_known_files_is_whole() -> None:
    table = published.known_directions()
    assert len(table) == 6
    for sha256, row in table.items():
        assert len(sha256) == 64 and row["models"] and row["url"].startswith("https://") and row["name"]


def test_a_known_name_is_fetched_checked_and_converted(
    real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(torch.ones(1, WIDTH), folder / "there.pt")
    content = (folder / "there.pt").read_bytes()
    (folder / "there.pt").unlink()
    with hub_server() as hub:
        hub.add("o/n", "smile.pt", HubFile(content))
        url = f"{hub.store}/o/n/{COMMIT}/smile.pt"
        row = {"name": "smile", "models": ["tiny-invert"], "url": url, "size": len(content)}
        known = {hashlib.sha256(content).hexdigest(): row}
        monkeypatch.setattr(published, "known_directions", lambda: known)
        line = ("edit", "import", "smile", "--model", "tiny-invert", "-o", "d")
        done = real(*line)
        assert done.code == 0, done.err
        assert load_direction(folder / "d" / "smile.safetensors").name == "smile"
        assert len(hub.asked("GET")) == 1
        # Other content under the address is no direction of this name.
        known["0" * 64] = known.pop(hashlib.sha256(content).hexdigest())
        wrong = real(*line, "--overwrite")
        assert wrong.code == 4 and "p2s2p edit import smile.pt" in wrong.err, wrong.err
    known["0" * 64]["models"] = ["psp-ffhq-encode"]
    other = real(*line, "--overwrite")
    assert other.code == 2 and "smile was made for psp-ffhq-encode, not for tiny-invert" in other.err
    monkeypatch.setenv("P2S2P_OFFLINE", "1")
    known["0" * 64]["models"] = ["tiny-invert"]
    alone = real(*line, "--overwrite")
    assert alone.code == 4 and "no connection may be opened (offline)" in alone.err and "yourself, then" in alone.err


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize(
    "name", ["absent.pt", "wide.pt", "many.pt", "nan.pt", "words.pt", "axes.pt", "code.pt", "objects.npy"]
)
def test_other_files_are_refused(real: Call, folder: Path, name: str) -> None:
    torch.save(torch.ones(1, WIDTH + 1), folder / "wide.pt")
    torch.save(torch.ones(5, WIDTH), folder / "many.pt")
    torch.save(torch.full((1, WIDTH), torch.nan), folder / "nan.pt")
    torch.save({"a": torch.ones(3)}, folder / "words.pt")
    torch.save({"comp": torch.ones(3, 1, WIDTH), "std": torch.ones(2)}, folder / "axes.pt")
    (folder / "code.pt").write_bytes(pickle.dumps(Harmful()))
    np.save(folder / "objects.npy", np.array([Harmful()]), allow_pickle=True)
    result = real("edit", "import", name, "--model", "tiny-invert")
    assert result.code in (2, 3, 4) and b"run" not in result.out, result.err
    assert len([line for line in result.err.splitlines() if line.startswith(("error: ", "hint: "))]) == 2
    assert not (folder / "p2s2p-out").exists()
