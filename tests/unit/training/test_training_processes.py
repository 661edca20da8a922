"""Two processes that torchrun starts, against one: the same losses at every step, and the same weights at the end.

How near: sums of two halves differ from the sum of the whole in the last bits, and an optimiser that divides by the
size of a gradient enlarges that for weights whose gradient is next to nothing. In a generator there are none such:
losses agree to 1e-5 and weights to 1e-4 of their size. In an encoder or a recogniser the biases before a batch
normalisation have no gradient but that noise, so losses are compared: to 1e-4, and to 1e-2 under Adam.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file
from test_training_recogniser import SETTINGS as FACES
from test_training_recogniser import write_people
from tiny_runs import SIDE, Z, write_shard
from torch import nn

from pixel2style2pixel_cli.training.processes import SharedBatchNorm, share_batch_norms

RUN = "[run]\nsteps = 6\nbatch = 8\nlog_every = 1\ncheckpoint_every = 3\nheld_out = 4\n"
PRESETS = {
    "generator": f"""
[generator]
resolution = {SIDE}
style_dim = 8
z_dim = {Z}
channel_multiplier = 0.03125
channel_max = 16
mapping_layers = 2
[discriminator]
resolution = {SIDE}
channel_multiplier = 0.03125
channel_max = 16
{RUN}
[losses]
adversarial = 1.0
r1_every = 2
path_every = 2
[ada]
images = 100
every = 1
target = -0.5
""",
    "encoder": f"""
[encoder]
kind = "e4e"
input_size = {SIDE}
units = [1, 1, 1, 1]
widths = [8, 8, 8, 16]
head_width = 8
[task]
method = "e4e"
[progressive]
start = 2
every = 2
{RUN}
[losses]
lpips = 0.0
id = 0.0
pyramid = 1.0
delta = 0.1
adversarial = 0.1
[rates]
encoder = 0.001
ema_images = 20.0
[augmentation]
colour = 1.0
blur = 1.0
noise = 1.0
jpeg = 1.0
shift = 1.0
""",
    "recogniser": FACES,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("accelerate")
    folder = tmp_path_factory.mktemp("processes")
    write_shard(folder / "discs.npz", 28)
    write_people(folder / "people", 24)
    for kind, text in PRESETS.items():
        (folder / f"{kind}.toml").write_text(text)
    return folder


def train(folder: Path, kind: str, out: str, *more: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    """One whole command, in so many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = [*(launcher if processes > 1 else []), "-m", "pixel2style2pixel_cli", "train", kind]
    data = "people" if kind == "recogniser" else "discs.npz"
    words += ["--data", data, "-o", out, "--preset", f"{kind}.toml", "--device", "cpu", *more]
    if kind == "encoder":
        words += ["--generator", "generator-1"]
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def rows(folder: Path, out: str) -> list[dict[str, float]]:
    lines = map(json.loads, (folder / out / "log.jsonl").read_text().splitlines())
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def compare_logs(folder: Path, one: str, other: str, *, within: float) -> None:
    first, second = rows(folder, one), rows(folder, other)
    assert len(first) == len(second) >= 6
    for expected, found in zip(first, second, strict=True):
        assert found == pytest.approx(expected, rel=within, abs=within)


def test_a_generator_with_its_discriminator(folder: Path) -> None:
    """R1, path lengths, style mixing, groups of the discriminator, adaptive augmentation."""
    assert train(folder, "generator", "generator-1").returncode == 0
    done = train(folder, "generator", "generator-2", processes=2)
    assert done.returncode == 0, done.stderr
    compare_logs(folder, "generator-1", "generator-2", within=1e-5)
    one, two = (load_file(folder / f"generator-{n}" / "checkpoint.safetensors") for n in (1, 2))
    for key, value in one.items():
        if key.startswith("module/"):
            torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-5, msg=key)
    assert (folder / "generator-2" / "model.toml").is_file()
    assert done.stdout.count("generator.safetensors") == 1, "one process speaks for both"


def test_an_encoder_goes_on_in_another_number_of_processes(folder: Path) -> None:
    """Batch normalisation over both, faults of the input, the discriminator of codes and its pools; two, then one."""
    if not (folder / "generator-1").exists():
        assert train(folder, "generator", "generator-1").returncode == 0
    assert train(folder, "encoder", "encoder-1").returncode == 0
    begun = train(folder, "encoder", "encoder-2", "--minutes", "0", processes=2)
    assert begun.returncode == 0, begun.stderr
    assert rows(folder, "encoder-2")[-1]["step"] == 1
    assert train(folder, "encoder", "encoder-2").returncode == 0
    whole = [row for row in rows(folder, "encoder-1") if "l2" in row]
    parts = [row for row in rows(folder, "encoder-2") if "l2" in row]
    assert [row["step"] for row in parts] == [1, 2, 3, 4, 5, 6]
    for expected, found in zip(whole, parts, strict=True):
        assert found == pytest.approx(expected, rel=1e-4)


def test_a_recogniser(folder: Path) -> None:
    done = train(folder, "recogniser", "recogniser-2", processes=2)
    assert done.returncode == 0, done.stderr
    assert train(folder, "recogniser", "recogniser-1").returncode == 0
    compare_logs(folder, "recogniser-1", "recogniser-2", within=1e-2)
    first = [next(row["margin"] for row in rows(folder, f"recogniser-{n}")) for n in (1, 2)]
    assert first[0] == pytest.approx(first[1], rel=1e-5)
    assert (folder / "recogniser-2" / "verification.json").is_file()


def test_what_cannot_be_done_together_is_refused(folder: Path) -> None:
    done = train(folder, "generator", "refused", "--check", processes=2)
    assert done.returncode != 0 and "--check tries out one process" in done.stderr, done.stderr
    assert not (folder / "refused").exists()


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 4, 3)])
def test_shared_normalisation_is_the_usual_one_in_one_process(tmp_path: Path, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    usual = nn.Sequential(nn.BatchNorm1d(5) if len(shape) == 2 else nn.BatchNorm2d(5))
    with torch.no_grad():
        usual[0].weight.uniform_(0.5, 2)
        usual[0].bias.uniform_(-1, 1)
    shared = nn.Sequential(nn.BatchNorm1d(5) if len(shape) == 2 else nn.BatchNorm2d(5))
    shared.load_state_dict(usual.state_dict())
    share_batch_norms(shared)
    assert isinstance(shared[0], SharedBatchNorm) and list(shared.state_dict()) == list(usual.state_dict())
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        inputs = [torch.randn(shape, generator=torch.Generator().manual_seed(1)).mul(3).requires_grad_() for _ in "ab"]
        wanted = torch.randn(shape)
        for module, x in zip((usual, shared), inputs, strict=True):
            (module(x) * wanted).sum().backward()
        torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-4, atol=1e-5)
        for (key, value), found in zip(usual.state_dict().items(), shared.state_dict().values(), strict=True):
            torch.testing.assert_close(found, value, rtol=1e-5, atol=1e-6, msg=key)
        for a, b in zip(usual.parameters(), shared.parameters(), strict=True):
            torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(shared.eval()(inputs[1]), usual.eval()(inputs[0]))
    finally:
        torch.distributed.destroy_process_group()
