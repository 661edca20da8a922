"""Shards: what is packed is what folders give, the same bytes each time, whole or not at all, and made only once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_training_pairs import drawn, source_of, write_pair
from tiny_runs import SIDE

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.inputs.labels import BISENET_19
from pixel2style2pixel_cli.training import pack as packing
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.training.partners import GIVEN, PARTNERS, PartnerKind

OPTION = {"labels": "label_maps", "sketch": "sketches", "frontal": "frontal", "mask": "masks", "small": "small"}


def packed(photos: Path, beside: Path, kind: PartnerKind, out: Path, **options: Any) -> dict[str, Any]:
    schema = {"labels": BISENET_19.name} if kind == "labels" else {}
    return api.pack_data([photos], out, **{OPTION[kind]: [beside]}, **schema, **options)


def opened(out: Path, kind: PartnerKind) -> PictureSource:
    return PictureSource(
        [out],
        SIDE,
        labels="required" if kind == "labels" else "unused",
        frontal=kind == "frontal",
        given=(kind, SIDE // 2) if kind in GIVEN.values() else None,
    )


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as shard:
        return dict(shard)


@pytest.mark.parametrize("kind", PARTNERS)
def test_shards_give_what_their_folders_give(kind: PartnerKind, tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, kind, {"photos": ".png", "beside": ".png"}, count=5)
    out = tmp_path / "packed"
    found = packed(photos, beside, kind, out, shard=2)
    assert {key: found[key] for key in ("pictures", "left_out", "unpaired", "shards", "written", "beside")} == {
        "pictures": 5, "left_out": 0, "unpaired": 0, "shards": 3, "written": 3, "beside": [PARTNERS[kind].several],
    }  # fmt: skip
    assert sorted(path.name for path in out.iterdir()) == [f"shard-{n:05d}.npz" for n in range(3)]
    assert found["bytes"] == sum(path.stat().st_size for path in out.iterdir())
    ours, theirs = opened(out, kind), source_of(photos, beside, kind)
    assert len(ours) == len(theirs) == 5
    flips = [False, True, False, True, False]
    batch, wanted = ours.batch(range(5), flips), theirs.batch(range(5), flips)
    assert torch.equal(batch.image, wanted.image)
    for name in ("labels", "frontal"):
        one, other = getattr(batch, name), getattr(wanted, name)
        assert (one is None) == (other is None) == (name != kind)
        assert one is None or torch.equal(one, other)
    for one, other in zip(batch.given or [], wanted.given or [], strict=True):
        assert one is not None and np.array_equal(one, other)


def test_the_same_data_give_the_same_bytes_and_are_packed_once(tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, "labels", {"photos": ".jpg", "beside": ".png"}, count=6)
    out, other = tmp_path / "one", tmp_path / "other"
    assert packed(photos, beside, "labels", out, shard=2, size=16)["written"] == 3
    packed(photos, beside, "labels", other, shard=2, size=16)
    bytes_of = {path.name: path.read_bytes() for path in out.iterdir()}
    assert bytes_of == {path.name: path.read_bytes() for path in other.iterdir()}
    stamps = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "shard-00001.npz").unlink()  # as where a run was killed before it
    assert packed(photos, beside, "labels", out, shard=2, size=16)["written"] == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == bytes_of
    assert stamps[out / "shard-00000.npz"] == (out / "shard-00000.npz").stat().st_mtime_ns
    drawn(9, None).save(photos / "a" / "1.jpg")
    with pytest.raises(UsageError, match=r"shard-00000\.npz was packed from other data") as caught:
        packed(photos, beside, "labels", out, shard=2, size=16)
    assert "--overwrite" in caught.value.hint
    assert packed(photos, beside, "labels", out, shard=2, size=16, overwrite=True)["written"] == 1
    with pytest.raises(UsageError, match=r"holds shard-00001\.npz, which these data do not fill"):
        packed(photos, beside, "labels", out, shard=6, size=16)
    assert packed(photos, beside, "labels", out, shard=6, size=16, overwrite=True)["shards"] == 1
    assert [path.name for path in out.iterdir()] == ["shard-00000.npz"]


def test_what_cannot_be_used_is_named_and_counted_each_time(tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, "frontal", {"photos": ".png", "beside": ".png"}, count=6)
    (photos / "a" / "1.png").write_bytes(b"no picture")
    drawn(4, "frontal").resize((30, 20)).save(beside / "a" / "4.png")
    (beside / "a" / "5.png").unlink()
    for time in (1, 2):
        events: list[Event] = []
        found = packed(photos, beside, "frontal", tmp_path / "out", on_event=events.append)
        assert (found["pictures"], found["left_out"], found["unpaired"]) == (3, 2, 1)
        assert found["written"] == (1 if time == 1 else 0)
        news = [event.message for event in events if isinstance(event, Notice)]
        assert len(news) == 3 and "1 picture (a/5.png)" in news[0]
        assert "1.png" in news[1] and "4.png is 30x20" in news[2]
    assert list(read(tmp_path / "out" / "shard-00000.npz")["name"]) == ["a/0.png", "a/2.png", "a/3.png"]
    assert len(opened(tmp_path / "out", "frontal")) == 3
    found = packed(photos, beside, "frontal", tmp_path / "cut", crop=True)
    assert (found["pictures"], found["left_out"]) == (4, 1)
    for path in photos.rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(UsageError, match="none of the 5 pictures can be used"):
        packed(photos, beside, "frontal", tmp_path / "none")


def test_sizes_crops_and_the_bytes_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    wide = np.zeros((8, 12, 3), np.uint8)
    wide[:, 2:10] = 200
    Image.fromarray(wide).save(folder / "wide.png")
    drawn(0, None).save(folder / "square.jpg", quality=80)
    found = api.pack_data([folder], tmp_path / "plain")
    assert (found["pictures"], found["left_out"], found["beside"]) == (1, 1, [])
    shard = read(tmp_path / "plain" / "shard-00000.npz")
    assert shard["image_blob"].tobytes() == (folder / "square.jpg").read_bytes(), "as it is where nothing changes"
    assert shard["left_out"].tolist() == [f"{folder / 'wide.png'} is 12x8, training pictures are square"]
    found = api.pack_data([folder], tmp_path / "cut", crop=True, size=16)
    assert (found["pictures"], found["left_out"]) == (2, 0)
    source = PictureSource([tmp_path / "cut"], 16)
    assert [source.stored_side(index) for index in range(2)] == [16, 16]
    assert bool((source.pixels(1) == 200).all()), "the middle of the wide one"


def test_what_cannot_be_packed_is_refused(tmp_path: Path) -> None:
    photos, beside = write_pair(tmp_path, "labels", {"photos": ".png", "beside": ".png"})
    with pytest.raises(UsageError, match="holds the pictures, and the shards would lie among them"):
        api.pack_data([photos], photos)
    with pytest.raises(UsageError, match="there are none"):
        api.pack_data([photos], tmp_path / "out", labels="bisenet-19")
    with pytest.raises(UsageError, match="unknown label schema 'mine'"):
        api.pack_data([photos], tmp_path / "out", label_maps=[beside], labels="mine")
    found = api.pack_data([photos], photos / "packed")  # below the pictures, of which it is none
    assert found["pictures"] == 4
    assert api.pack_data([photos], photos / "packed")["written"] == 0
    with pytest.raises(UsageError, match=r"shard-00000\.npz is a packed shard already"):
        api.pack_data([photos / "packed"], tmp_path / "again")
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_stopped_keeps_whole_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos, beside = write_pair(tmp_path, "small", {"photos": ".png", "beside": ".png"}, count=6)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    packed(photos, beside, "small", whole, shard=2)
    write, calls = packing.write_atomic, list[Path]()

    def stop(path: Path, data: bytes) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(packing, "write_atomic", stop)
    with pytest.raises(KeyboardInterrupt):
        packed(photos, beside, "small", cut, shard=2)
    assert [path.name for path in cut.iterdir()] == ["shard-00000.npz"]
    assert packed(photos, beside, "small", cut, shard=2)["written"] == 2
    assert {p.name: p.read_bytes() for p in whole.iterdir()} == {p.name: p.read_bytes() for p in cut.iterdir()}
