"""Checkpoints that are damaged or mean harm: refused by name within seconds, whatever they claim to hold."""

from __future__ import annotations

import io
import pickle
import random
import time
import zipfile
from pathlib import Path

import pytest
import torch
from tiny_checkpoints import generator_state, nvidia_state, psp_checkpoint

from pixel2style2pixel_cli.convert.layout import convert_checkpoint
from pixel2style2pixel_cli.convert.nvidia_pickle import Record, _modules, _tensor
from pixel2style2pixel_cli.convert.pickle_scan import scan_pickles
from pixel2style2pixel_cli.convert.safe_pickle import load_checkpoint
from pixel2style2pixel_cli.errors import IntegrityError


def refused(path: Path) -> str:
    started = time.process_time()
    with pytest.raises(IntegrityError) as caught:
        load_checkpoint(path)
    assert time.process_time() - started < 10
    return caught.value.message


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(psp_checkpoint(average=torch.zeros(8, 16)), path)
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda entry: entry.file_size)
    data = bytearray(path.read_bytes())
    data[entry.header_offset + 512] ^= 1
    path.write_bytes(data)
    assert f"the checksum of {entry.filename}" in refused(path)


def test_a_compressed_archive_is_refused_unread(tmp_path: Path) -> None:
    torch.save(generator_state(), tmp_path / "x.pt")
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(tmp_path / "x.pt") as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for entry in archive.infolist():
            bomb.writestr(entry.filename, archive.read(entry))
        bomb.writestr("x/data/bomb", bytes(100 << 20))
    assert "compressed entries" in refused(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_that_claim_more_than_the_file_holds(tmp_path: Path, zipped: bool) -> None:
    huge = torch.zeros(1).expand(50_000, 50_000)
    torch.save({"g_ema": {**generator_state(), "x": huge}}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    assert "claim" in refused(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (3, (2,), (1,)), (0, (2, 2), (3, 1)), (0, (10**9,), (0,)), (-1, (1,), (1,)), (0, (-4,), (1,))],
)
def test_no_tensor_reaches_beyond_its_storage(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    storage = torch.storage.TypedStorage(wrap_storage=torch.arange(4.0).untyped_storage(), dtype=torch.float32)
    assert torch.equal(_tensor(storage, 1, (2,), (2,)), torch.tensor([1.0, 3.0]))
    with pytest.raises(ValueError, match="a tensor of"):
        _tensor(storage, offset, size, stride)


def test_modules_that_refer_to_each_other_are_no_network() -> None:
    record = Record("Layer", {})
    for _ in range(50):
        record = Record("Layer", {"_modules": {"a": record, "b": record}})
    with pytest.raises(ValueError, match="occurs twice"):
        list(_modules(record, "", set()))


@pytest.mark.parametrize("layout", ["psp", "rosinality", "nvidia"])
def test_any_tensors_under_known_names_convert_or_are_refused(layout: str) -> None:
    """Seeded mutations of each layout: shapes, types, names and options at random."""
    chance = random.Random(layout)
    for _ in range(60):
        checkpoint: dict[str, object]
        if layout == "psp":
            checkpoint = psp_checkpoint(average=torch.zeros(8, 16))
        else:
            checkpoint = dict(generator_state() if layout == "rosinality" else nvidia_state())
        for _ in range(chance.randint(1, 3)):
            mutate(checkpoint, chance)
        try:
            convert_checkpoint(checkpoint)
        except IntegrityError as error:
            assert error.message and error.exit_code == 4


def mutate(checkpoint: dict[str, object], chance: random.Random) -> None:
    """Change one thing in a checkpoint."""
    places = [checkpoint, *(value for value in checkpoint.values() if isinstance(value, dict))]
    place = chance.choice([place for place in places if place])
    key = chance.choice(list(place))
    value = place[key]
    shape = tuple(chance.randint(0, 4) for _ in range(chance.randint(0, 5)))
    others: list[object] = [
        torch.zeros(shape), torch.zeros(()), torch.zeros(1, dtype=torch.int64), torch.zeros(2, dtype=torch.complex64),
        None, "text", -1, 10**30, float("nan"), [], {}, {"a": {}},
    ]  # fmt: skip
    if isinstance(value, torch.Tensor) and value.ndim:
        others.append(value[:0])
    action = chance.random()
    if action < 0.2:
        del place[key]
    elif action < 0.3:
        place[chance.choice(["", "convs.99.conv1.0.weight", "styles.0.convs.x.weight", "to_rgbs.5.bias"])] = value
    else:
        place[key] = chance.choice(others)


def test_a_pickle_that_nests_without_end(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.PROTO + b"\x02" + b"(" * 200_000 + b"." * 3)
    refused(tmp_path / "x.pkl")


def doubled(levels: int) -> bytes:
    """Instructions for a tuple that holds another one twice, and that a third one twice."""
    steps = [b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(levels)]
    return b")q\x00" + b"0".join([b"", *steps])


RECORD = b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"


@pytest.mark.parametrize("container", ["zip", "legacy", "pickle"])
def test_tuples_that_hold_each_other_twice_are_refused_unhashed(tmp_path: Path, container: str) -> None:
    harm = b"\x80\x02}" + doubled(60) + b"K\x01s."
    path = tmp_path / "x.pt"
    if container == "zip":
        torch.save(generator_state(), tmp_path / "whole.pt")
        with zipfile.ZipFile(tmp_path / "whole.pt") as archive, zipfile.ZipFile(path, "w") as copy:
            for entry in archive.infolist():
                copy.writestr(entry.filename, harm if entry.filename.endswith(".pkl") else archive.read(entry))
    elif container == "legacy":
        torch.save(generator_state(), path, _use_new_zipfile_serialization=False)
        data = path.read_bytes()
        start = data.index(b"\x80\x02", data.index(b"\x80\x02", data.index(b"\x80\x02", 2) + 2) + 2)
        path.write_bytes(data[:start] + harm + data[start:])
    else:
        path.write_bytes(b"\x80\x02" + RECORD + b"0" + harm[2:])
    assert "a tuple of more than 100000 values" in refused(path)


def test_a_place_far_away_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02" + RECORD + b"r\xff\xff\xff\x7f.")
    assert "remembers a value at place 2147483647" in refused(tmp_path / "x.pkl")


def test_instructions_without_end(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02" + RECORD + b"N0" * 2_000_000 + b".")
    assert "more than 300000 instructions" in refused(tmp_path / "x.pkl")


def test_groups_within_groups_are_looked_at_once(tmp_path: Path) -> None:
    group: dict[str, object] = {"x": torch.zeros(2)}
    for _ in range(4):
        group = {str(number): group for number in range(2_000)}
    torch.save({"g_ema": {**generator_state()}, "extra": group}, tmp_path / "x.pt")
    started = time.process_time()
    load_checkpoint(tmp_path / "x.pt")
    assert time.process_time() - started < 10


def test_names_in_a_pickle_are_found_whatever_the_protocol() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps([Path.home, time.perf_counter, (1, (2, "a b"), {"x": [pickle.loads]})], protocol)
        names, whole = scan_pickles(io.BytesIO(data), 1, "x")
        assert whole and any(name.endswith("pickle.loads") for name in names) and "time.perf_counter" in names
        assert all(not scan_pickles(io.BytesIO(data[:end]), 1, "x")[1] for end in range(0, len(data), 7))


def test_an_archive_whose_names_are_no_text(tmp_path: Path) -> None:
    torch.save(generator_state(), tmp_path / "x.pt")
    data = bytearray((tmp_path / "x.pt").read_bytes())
    at = data.rindex(b"PK\x01\x02")  # an entry of the directory: its name follows 46 bytes, the UTF-8 flag is bit 11
    data[at + 9] |= 8
    data[at + 46] = 0xFF
    (tmp_path / "x.pt").write_bytes(data)
    assert "is damaged" in refused(tmp_path / "x.pt")
