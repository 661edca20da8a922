"""Defaults from variables and files: the order, the conversions, and every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.options.configured import config_files, load_defaults, read_toml
from pixel2style2pixel_cli.options.declare import declarations_of
from pixel2style2pixel_cli.options.messages import MessageOptions
from pixel2style2pixel_cli.options.models import PullOptions
from pixel2style2pixel_cli.options.schedulers import scheduled_share
from pixel2style2pixel_cli.options.task import FaceOptions
from pixel2style2pixel_cli.options.training import GeneratorTrainingOptions

TALK = declarations_of(MessageOptions)
COMMANDS = {
    "invert": (*declarations_of(FaceOptions), *TALK),
    "train.generator": declarations_of(GeneratorTrainingOptions),
    "models.pull": tuple(option for option in declarations_of(PullOptions) if option.flags),
    "show": TALK,
}


def load(command: str, *texts: str, folder: Path, **environment: str) -> dict[str, object]:
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.toml")
        files[-1].write_text(text, encoding="utf-8")
    return load_defaults(command, COMMANDS, files=files, environment=environment)


def test_environment_beats_files_and_the_first_file_beats_the_second(tmp_path: Path) -> None:
    first, second = "[invert]\nseed = 2\nmodel = 'a'\n", "[invert]\nseed = 3\nmodel = 'b'\nbatch_size = 4\n"
    found = load("invert", first, second, folder=tmp_path, P2S2P_INVERT_SEED="1")
    assert found == {"seed": 1, "model": "a", "batch_size": 4}


def test_specific_variables_beat_shared_ones(tmp_path: Path) -> None:
    found = load("invert", folder=tmp_path, P2S2P_DEVICE="cpu", P2S2P_INVERT_DEVICE="cuda", P2S2P_MODEL_INVERT="psp")
    assert found == {"device": "cuda", "model": "psp"}
    assert load("train.generator", folder=tmp_path, P2S2P_DEVICE="cpu", P2S2P_MODEL_INVERT="psp") == {"device": "cpu"}
    assert load("show", folder=tmp_path, P2S2P_DEVICE="cpu", HF_HUB_OFFLINE="1") == {}


@pytest.mark.parametrize("name", ["P2S2P_OFFLINE", "HF_HUB_OFFLINE", "P2S2P_MODELS_PULL_OFFLINE"])
@pytest.mark.parametrize(("text", "value"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("no", False)])
def test_switches_in_variables(tmp_path: Path, name: str, text: str, value: bool) -> None:
    assert load("models.pull", folder=tmp_path, **{name: text}) == {"offline": value}


def test_empty_variables_are_unset(tmp_path: Path) -> None:
    assert load("invert", folder=tmp_path, P2S2P_INVERT_SEED="", P2S2P_DEVICE="", P2S2P_INVERT_NONSENSE="") == {}


def test_kinds(tmp_path: Path) -> None:
    assert load("invert", "[invert]\npaste = true\nverbose = 2\nseed = 7\n", folder=tmp_path) == {
        "paste": True, "verbose": 2, "seed": 7,
    }  # fmt: skip
    text = "[train.generator]\ndata = 'my data'\n[train.generator.set]\nlr = 0.002\nada = true\nname = 'x y'\n"
    assert load("train.generator", text, folder=tmp_path) == {
        "data": ["my data"], "set": {"lr": "0.002", "ada": "true", "name": "x y"},
    }  # fmt: skip


def test_lists_in_variables(tmp_path: Path) -> None:
    import os

    variables = {"P2S2P_TRAIN_GENERATOR_DATA": f"my data{os.pathsep}b", "P2S2P_TRAIN_GENERATOR_SET": "a=1 b=2"}
    assert load("train.generator", folder=tmp_path, **variables) == {
        "data": ["my data", "b"], "set": {"a": "1", "b": "2"},
    }  # fmt: skip


def test_slurm_tasks_share_the_inputs(tmp_path: Path) -> None:
    job = {"SLURM_PROCID": "2", "SLURM_NTASKS": "8"}
    assert load("invert", folder=tmp_path, **job) == {"shard": "2/8"}
    assert load("invert", folder=tmp_path, **job, P2S2P_INVERT_SHARD="0/2") == {"shard": "0/2"}
    assert load("invert", folder=tmp_path, SLURM_PROCID="0", SLURM_NTASKS="1") == {}
    assert load("show", folder=tmp_path, **job) == {}


@pytest.mark.parametrize(
    ("variables", "shard"),
    [
        ({"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "8"}, "2/8"),
        ({"SLURM_ARRAY_TASK_ID": "8", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_ARRAY_TASK_MIN": "1"}, "7/8"),
        (
            {
                "SLURM_ARRAY_TASK_ID": "30", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "10",
            },
            "2/4",
        ),
        # four jobs of an array, of two tasks each
        (
            {
                "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_PROCID": "1", "SLURM_NTASKS": "2",
            },
            "7/8",
        ),
        ({"SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": "3"}, "1/3"),
        ({"SKYPILOT_NODE_RANK": "0", "SKYPILOT_NUM_NODES": "1"}, None),
        ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1"}, None),
        # a list of numbers, whose places nobody tells
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "1"}, None),
        ({"SLURM_ARRAY_TASK_ID": "x", "SLURM_ARRAY_TASK_COUNT": "3"}, None),
    ],
)  # fmt: skip
def test_shares_of_arrays_and_nodes(tmp_path: Path, variables: dict[str, str], shard: str | None) -> None:
    assert load("invert", folder=tmp_path, **variables) == ({} if shard is None else {"shard": shard})


def test_every_share_is_taken_once() -> None:
    found = [
        scheduled_share({
            "SLURM_ARRAY_TASK_ID": str(job), "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "5",
            "SLURM_PROCID": str(task), "SLURM_NTASKS": "4",
        })
        for job in (5, 6, 7) for task in range(4)
    ]  # fmt: skip
    assert [each[:2] for each in found if each is not None] == [(i, 12) for i in range(12)]


@pytest.mark.parametrize(
    ("text", "named", "near"),
    [
        ("[invert]\nsede = 1\n", "invert.sede", "invert.seed"),
        ("[inver]\nseed = 1\n", "inver", "invert"),
        ("[train]\nsteps = 1\n", "train.steps", ""),
        ("[train.generatr]\nsteps = 1\n", "train.generatr", "train.generator"),
        ("device = 'cpu'\n", "device", "invert.device"),
    ],
)
@pytest.mark.parametrize("command", ["invert", "show"])
def test_every_section_is_checked(tmp_path: Path, command: str, text: str, named: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(command, text, folder=tmp_path)
    assert f"{named} in {tmp_path / '0.toml'}" in caught.value.message
    assert near in caught.value.hint


@pytest.mark.parametrize(
    ("text", "named", "found"),
    [
        ("[invert]\nseed = [1]\n", "invert.seed", "is [1], expected one value"),
        ("[invert]\nseed = {a = 1}\n", "invert.seed", "is {'a': 1}, expected one value"),
        ("[invert]\nseed = -1\n", "invert.seed", "is '-1', expected a whole number from 0 to "),
        ("[invert]\nseed = 1.5\n", "invert.seed", "is '1.5', expected a whole number from 0 to "),
        (f"[invert]\nseed = {2**63}\n", "invert.seed", f"is '{2**63}', expected a whole number from 0 to "),
        ("[invert]\nmix-alpha = nan\n", "invert.mix-alpha", "is 'nan', expected a number from 0 to 1"),
        ("[invert]\ndetector-threshold = inf\n", "invert.detector-threshold", "is 'inf', expected a number"),
        ("[invert]\ngrid = 'pairs'\n", "invert.grid", "is 'pairs', expected none, pair, row or sheet"),
        ("[invert]\nbatch-size = 0\n", "invert.batch-size", "is '0', expected auto or a whole number of at least 1"),
        ("[invert]\nface = -1\n", "invert.face", "is '-1', expected best, largest, all, left-to-right or an index"),
        ("[invert]\npaste = 'perhaps'\n", "invert.paste", "is 'perhaps', expected true or false"),
        ("[invert]\npaste = [true]\n", "invert.paste", "is [True], expected true or false"),
        ("[invert]\nverbose = true\n", "invert.verbose", "is True, expected a whole number"),
        ("[invert]\nout = '~nosuchuser/x'\n", "invert.out", "is '~nosuchuser/x', expected a path; there is no home"),
        ("[train.generator]\ndata = 3\n", "train.generator.data", "is 3, expected a list"),
        ("[train.generator]\nset = 'steps'\n", "train.generator.set", "is 'steps', expected NAME=VALUE"),
        ("[train.generator.set]\na = [1]\n", "train.generator.set", "is [1], expected one value"),
    ],
)
@pytest.mark.parametrize("command", ["invert", "show"])
def test_every_value_is_checked(tmp_path: Path, command: str, text: str, named: str, found: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(command, text, folder=tmp_path)
    assert f"{named} in {tmp_path / '0.toml'} {found}" in caught.value.message


def test_the_home_folder_is_put_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    text = "[invert]\nout = '~/faces'\nname = '~{stem}'\n"
    assert load("invert", text, folder=tmp_path) == {"out": str(tmp_path / "faces"), "name": "~{stem}"}
    variable = load("train.generator", folder=tmp_path, P2S2P_TRAIN_GENERATOR_DATA="~/a")
    assert variable == {"data": [str(tmp_path / "a")]}


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load("invert", "[invert]\nsede = 1\nseeed = 2\n", "[shw]\n", folder=tmp_path, P2S2P_INVERT_SEDE="1")
    for name in ("P2S2P_INVERT_SEDE", "invert.sede, invert.seeed in", "shw"):
        assert name in caught.value.message
    assert "\n" not in caught.value.message


def test_which_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    project, user = tmp_path / "project", tmp_path / "user"
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: user)
    assert config_files(None, project) == []
    for folder in (project, user):
        folder.mkdir()
        (folder / "p2s2p.toml").touch()
    assert config_files(None, project) == [project / "p2s2p.toml", user / "p2s2p.toml"]
    assert config_files("mine.toml", project) == [Path("mine.toml")]


def test_a_file_of_the_user_that_may_not_be_read_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    import platformdirs

    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: tmp_path)
    (tmp_path / "p2s2p.toml").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert config_files(None, tmp_path / "work") == []


@pytest.mark.parametrize(
    "data", [b"x = [", b"\xff\xfe", b"x = " + b"[" * 5000, b"x = " + b"1" * 5000, b" " * 2_000_000, None]
)
def test_files_that_cannot_be_read(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "x.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=r"x\.toml") as caught:
        read_toml(path)
    assert caught.value.hint and "\n" not in caught.value.message


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbf[invert]\nformat = 'jpg'\n")
    assert read_toml(tmp_path / "x.toml") == {"invert": {"format": "jpg"}}


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    import os

    places = [tmp_path]
    if os.name != "nt":
        os.mkfifo(tmp_path / "pipe")
        places += [tmp_path / "pipe", Path("/dev/zero")]
    for place in places:
        with pytest.raises(UsageError, match="is not a file"):
            read_toml(place)
    with pytest.raises(UsageError, match="cannot read"):
        read_toml(Path("a\0b"))
