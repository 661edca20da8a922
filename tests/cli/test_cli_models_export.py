"""``models export``: every format read by others, with its terms, compared with the model; what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_run import FACES, RealRun
from tiny_zoo import ENCODER, GENERATOR, SIDE, tiny_model, write_restyle_zoo

from pixel2style2pixel_cli.engine import onnx_toolkit
from pixel2style2pixel_cli.engine.loading import load_generator_file, load_model
from pixel2style2pixel_cli.install import export, export_formats
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.zoo.cards import load_card
from pixel2style2pixel_cli.zoo.resolve import resolve

Call = Callable[..., RealRun]
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "run_onnx.py"


@pytest.fixture
def call(real: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("P2S2P_HOME", str(tmp_path / "home"))
    return real


def picture(count: int = 1, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_an_onnx_file_runs_without_this_program(call: Call, tiny_zoo: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    found = call("models", "export", "tiny-invert", "-o", "model.onnx", "--json")
    assert found.code == 0, found.err
    row = found.rows[0]
    assert (row["event"], row["format"], row["part"], row["same"]) == ("export", "onnx", "whole", True)
    assert (
        row["grey_levels"] <= 1 and row["codes_difference"] < 1e-4 and row["bytes"] == Path("model.onnx").stat().st_size
    )
    # neither torch nor this package: the file and the example alone
    Image.open(FACES[0]).resize((SIDE, SIDE)).save("face.png")
    blocked = (
        "import sys, runpy; sys.modules.update(torch=None, pixel2style2pixel_cli=None)\n"
        "sys.argv[:] = ['x', 'model.onnx', 'face.png', 'out.png']\n"
        f"runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"tiny-invert MIT (1, {GENERATOR.n_styles}, {GENERATOR.style_dim})")
    call("invert", "face.png", "-o", "ours.png", "--align", "never", "--optimize", 0, "--backend", "torch")
    ours, theirs = (np.asarray(Image.open(name)).astype(int) for name in ("ours.png", "out.png"))
    assert ours.shape == (SIDE, SIDE, 3) and np.abs(ours - theirs).max() <= 1 and ours.std() > 5


def test_metadata_hold_sizes_digests_terms_and_the_average(call: Call, tiny_zoo: Path) -> None:
    onnx = pytest.importorskip("onnx")
    assert call("models", "export", "tiny-invert", "-o", "model.onnx").code == 0
    held = {row.key: row.value for row in onnx.load("model.onnx").metadata_props}
    facts = json.loads(held["p2s2p"])
    assert held["licence"] == facts["licence"]["id"] == "MIT" and facts["licence"]["text"]
    assert facts["spec"]["generator"]["resolution"] == SIDE and facts["spec"]["encoder"]["kind"] == ENCODER.kind
    model = load_model(resolve(load_card(tiny_zoo / "tiny-invert")), torch.device("cpu"), torch.float32)
    assert facts["digest"]["generator"] == model.generator_digest
    assert np.allclose(json.loads(held["latent_avg"]), model.generator.latent_avg.numpy(), atol=0)
    assert facts["inputs"] == {"picture": [-1, 3, SIDE, SIDE]} and facts["outputs"] == ["codes", "image"]


def test_openvino_files_hold_the_same(call: Call) -> None:
    openvino = pytest.importorskip("openvino")
    found = call("models", "export", "tiny-invert", "-o", "model.xml", "--json")
    assert found.code == 0 and found.rows[0]["files"] == {"xml": "model.xml", "bin": "model.bin"}
    model = openvino.Core().read_model("model.xml")
    assert [given.any_name for given in model.inputs] == ["picture"]
    assert [given.any_name for given in model.outputs] == ["codes", "image"]
    assert json.loads(model.get_rt_info(["p2s2p", "p2s2p"]).value)["name"] == "tiny-invert"
    assert len(json.loads(model.get_rt_info(["p2s2p", "latent_avg"]).value)) == GENERATOR.style_dim


@pytest.mark.parametrize("part", ["encoder", "generator"])
def test_parts_by_themselves(part: str, call: Call, tiny_zoo: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    assert call("models", "export", "tiny-invert", "-o", "part.onnx", "--part", part).code == 0
    session = runtime.InferenceSession("part.onnx", providers=["CPUExecutionProvider"])
    model = load_model(resolve(load_card(tiny_zoo / "tiny-invert")), torch.device("cpu"), torch.float32)
    with torch.no_grad():
        codes = model.encoder(picture(3))
        wanted, given = (codes, picture(3)) if part == "encoder" else (model.generator(codes), codes)
    (name,) = [each.name for each in session.get_inputs()]
    (made,) = session.run(None, {name: given.numpy()})
    torch.testing.assert_close(torch.from_numpy(made), wanted, rtol=1e-4, atol=1e-4)


def test_a_restyle_model_makes_its_passes(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    zoo = write_restyle_zoo(tmp_path / "restyle")
    monkeypatch.setenv("P2S2P_ZOO", str(zoo))
    assert call("models", "export", "tiny-restyle", "-o", "whole.onnx").code == 0
    assert call("models", "export", "tiny-restyle", "-o", "encoder.onnx", "--part", "encoder").code == 0
    names = [each.name for each in runtime.InferenceSession("encoder.onnx").get_inputs()]
    assert names == ["picture", "start"]
    Image.open(FACES[0]).resize((SIDE, SIDE)).save("face.png")
    call("invert", "face.png", "-o", "ours.png", "--model", "tiny-restyle", "--align", "never", "--optimize", 0)
    done = subprocess.run(
        [sys.executable, EXAMPLE, "whole.onnx", "face.png", "out.png"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = (np.asarray(Image.open(name)).astype(int) for name in ("ours.png", "out.png"))
    assert np.abs(ours - theirs).max() <= 1 and ours.std() > 5


@pytest.mark.parametrize("part", ["encoder", "generator"])
def test_safetensors_are_weight_files_of_ours(part: str, call: Call) -> None:
    found = call("models", "export", "tiny-invert", "-o", "net.safetensors", "--part", part, "--json")
    assert found.code == 0 and found.rows[0]["same"] is True
    header = read_weight_header(Path("net.safetensors"))
    assert header.kind == part and header.licence == "MIT"
    if part == "generator":
        network, digest = load_generator_file(Path("net.safetensors"), torch.device("cpu"), torch.float32)
        assert digest == header.digest and torch.equal(network.constant, tiny_model().generator["constant"])


def test_the_published_layout_goes_round(call: Call, tiny_zoo: Path, tmp_path: Path) -> None:
    assert call("models", "export", "tiny-invert", "-o", "model.pt", "--json").rows[0]["same"] is True
    assert call("models", "import", "again", "model.pt").code == 0
    first, second = (
        load_model(resolve(load_card(folder)), torch.device("cpu"), torch.float32)
        for folder in (tiny_zoo / "tiny-invert", tmp_path / "home" / "models" / "again")
    )
    with torch.no_grad():
        assert torch.equal(first.encoder(picture(2)), second.encoder(picture(2)))
        codes = first.encoder(picture(2))
        assert torch.equal(first.generator(codes), second.generator(codes))


def test_a_generator_alone_is_the_published_file_of_one(call: Call) -> None:
    assert call("models", "export", "tiny-generator", "-o", "generator.pt").code == 0
    content = torch.load("generator.pt", weights_only=True)
    assert set(content) == {"g_ema", "latent_avg"} and "convs.0.conv.blur.kernel" in content["g_ema"]
    assert call("models", "import", "again", "generator.pt").code == 0


REFUSED = [
    (("tiny-invert", "-o", "model.bin"), 2, "says no format"),
    (("tiny-invert", "-o", "model.onnx", "--format", "pt"), 2, "ends with .pt or .pth"),
    (("tiny-invert", "-o", "model.safetensors"), 2, "holds one network"),
    (("tiny-invert", "-o", "model.pt", "--part", "encoder"), 2, "no file of an encoder alone"),
    (("tiny-generator", "-o", "model.onnx", "--part", "encoder"), 2, "has no encoder"),
    (("tiny-nothing", "-o", "model.onnx"), 4, "no model is called"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED)
def test_what_cannot_be_written_is_refused(
    arguments: tuple[str, ...], code: int, message: str, call: Call, folder: Path
) -> None:
    found = call("models", "export", *arguments, "-q")
    assert found.code == code and message in found.problems[0][0]
    assert list(folder.iterdir()) == []


def test_an_encoder_without_a_published_layout_has_no_pt(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("P2S2P_ZOO")
    found = call("models", "export", "mini-invert", "-o", "model.pt", "-q")
    assert found.code == 2 and "no published layout" in found.problems[0][0] and list(folder.iterdir()) == []


def test_a_file_that_exists_stays_unless_told_otherwise(call: Call) -> None:
    Path("model.safetensors").write_text("mine")
    given = ("models", "export", "tiny-generator", "-o", "model.safetensors")
    found = call(*given)
    assert found.code == 2 and Path("model.safetensors").read_text() == "mine"
    assert call(*given, "--overwrite").code == 0
    assert read_weight_header(Path("model.safetensors")).kind == "generator"


@pytest.mark.parametrize(("name", "package"), [("model.onnx", "onnx"), ("model.xml", "openvino")])
def test_a_missing_package_is_named(
    name: str, package: str, call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (onnx_toolkit, export_formats):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    found = call("models", "export", "tiny-invert", "-o", name, "-q")
    ((error, hint),) = found.problems
    assert found.code == 4 and f"the package {package}" in error and f"[{package}]" in hint
    assert list(folder.iterdir()) == []


def test_a_file_that_draws_something_else_is_not_kept(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    write = export_formats.write_onnx

    def wrong(subject: export_formats.Subject, suffix: str) -> export_formats.Written:
        made = write(subject, suffix)
        assert made.run is not None
        return export_formats.Written(files=made.files, run=lambda arrays: [each + 0.1 for each in made.run(arrays)])  # type: ignore[misc]

    monkeypatch.setitem(export.WRITERS, "onnx", wrong)
    found = call("models", "export", "tiny-generator", "-o", "model.onnx", "-q")
    assert found.code == 4 and "does not draw what tiny-generator draws" in found.problems[0][0]
    assert list(folder.iterdir()) == []


def test_the_page_shows_the_example() -> None:
    assert "examples/run_onnx.py" in (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 25
