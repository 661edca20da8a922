"""Training pictures: what is found, the order of an epoch, what is held out, mirrored pictures and their vectors."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import SIDE, Z, disc, write_shard

from pixel2style2pixel_cli.errors import InputError, UsageError
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.training.data import (
    Batch,
    PictureSource,
    held_out_batches,
    preview_batch,
    training_batches,
)


@pytest.fixture
def source(discs: Path) -> PictureSource:
    return PictureSource([discs], SIDE)


def batches(source: PictureSource, count: int, *, start: int = 0, seed: int = 1, flip: bool = False) -> list[Batch]:
    return list(islice(training_batches(source, batch=4, seed=seed, start=start, held_out=4, flip=flip), count))


def numbers(batch: Batch, source: PictureSource) -> list[int]:
    """Which pictures of the source a batch holds, mirrored or not."""
    every = source.batch(range(len(source)), [False] * len(source)).image
    found = []
    for image in batch.image:
        same = [(every == picture).flatten(1).all(dim=1) for picture in (image, image.flip(-1))]
        found.append(int((same[0] | same[1]).nonzero()[0]))
    return found


def test_order_depends_on_seed_and_step_alone(source: PictureSource) -> None:
    whole = batches(source, 10)
    for start in (0, 3, 7):
        for ours, theirs in zip(batches(source, 3, start=start), whole[start : start + 3], strict=True):
            assert torch.equal(ours.image, theirs.image) and torch.equal(ours.z, theirs.z)  # type: ignore[arg-type]
    other = batches(source, 10, seed=2)
    assert any(not torch.equal(a.image, b.image) for a, b in zip(whole, other, strict=True))


def test_an_epoch_holds_every_picture_once_and_none_that_is_held_out(source: PictureSource) -> None:
    epochs = [[i for b in batches(source, 4, start=4 * e) for i in numbers(b, source)] for e in range(3)]
    assert all(sorted(epoch) == list(range(16)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    held = [i for b in held_out_batches(source, batch=3, held_out=4) for i in numbers(b, source)]
    assert held == [16, 17, 18, 19]


@pytest.mark.parametrize("size", [SIDE // 2, SIDE, 2 * SIDE])
def test_shards_of_any_size_are_read_at_the_size_asked_for(discs: Path, size: int) -> None:
    source = PictureSource([discs], size)
    assert source.pixels(3).shape == (size, size, 3)
    assert source.batch([0, 3], [False, True]).image.shape == (2, 3, size, size)
    assert source.stored_side(3) == SIDE


def test_mirrored_pictures_are_not_paired(source: PictureSource) -> None:
    flipped = batches(source, 8, flip=True)
    plain = batches(source, 8, flip=False)
    assert all(b.paired.all() for b in plain)
    mirrored = [not bool(p) for b in flipped for p in b.paired]
    assert 4 < sum(mirrored) < 28
    for ours, theirs in zip(flipped, plain, strict=True):
        for image, clean, paired in zip(ours.image, theirs.image, ours.paired, strict=True):
            assert torch.equal(image, clean if paired else clean.flip(-1))


def test_vectors_belong_to_their_pictures(source: PictureSource) -> None:
    batch = source.batch([3, 11], [False, False])
    assert source.z_dim == Z and batch.z is not None
    for image, z in zip(batch.image, batch.z, strict=True):
        pixels = torch.from_numpy(disc(z.numpy())).permute(2, 0, 1).float()
        torch.testing.assert_close(image, pixels / 127.5 - 1, rtol=0, atol=1e-6)


def test_folders_hold_pictures_and_shards_at_any_depth(discs: Path, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    write_shard(tmp_path / "a" / "x.npz", 2)
    picture = disc(np.zeros(Z, np.float32))
    (tmp_path / "a" / "b" / "one.png").write_bytes(encode_image(picture, "png"))
    (tmp_path / "two.png").write_bytes(encode_image(picture.repeat(2, axis=0).repeat(2, axis=1), "png"))
    (tmp_path / "notes.txt").write_text("no picture")
    source = PictureSource([tmp_path], SIDE)
    assert len(source) == 4 and source.z_dim is None  # two of them have no vector
    np.testing.assert_array_equal(source.pixels(0), picture)
    assert source.pixels(3).shape == (SIDE, SIDE, 3)  # twice the size on disk
    batch = source.batch([0, 1], [False, True])
    assert batch.z is None and batch.image.shape == (2, 3, SIDE, SIDE)
    assert len(PictureSource([tmp_path, discs], SIDE)) == 24
    assert PictureSource([write_shard(tmp_path / "plain.npz", 3, with_z=False)], SIDE).z_dim is None


def test_what_cannot_be_used_is_named(discs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no training data at"):
        PictureSource([tmp_path / "absent"], SIDE)
    with pytest.raises(UsageError, match="no pictures in"):
        PictureSource([tmp_path], SIDE)
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(UsageError, match=r"other\.npz is not a packed shard.*image_blob"):
        PictureSource([tmp_path], SIDE)
    (tmp_path / "other.npz").write_bytes(b"PK broken")
    with pytest.raises(UsageError, match=r"other\.npz is not a packed shard"):
        PictureSource([tmp_path], SIDE)
    (tmp_path / "wide.png").write_bytes(encode_image(np.zeros((4, 6, 3), np.uint8), "png"))
    with pytest.raises(InputError, match=r"wide\.png is 6x4, training pictures are square"):
        PictureSource([tmp_path / "wide.png"], SIDE).pixels(0)
    with pytest.raises(UsageError, match="20 pictures, 18 held out: not enough for a batch of 4"):
        next(training_batches(PictureSource([discs], SIDE), batch=4, seed=0, start=0, held_out=18, flip=False))


def test_preview(source: PictureSource) -> None:
    assert numbers(preview_batch(source, held_out=0), source) == list(range(12, 20))
    assert numbers(preview_batch(source, held_out=4), source) == list(range(12, 20))
    assert numbers(preview_batch(source, held_out=15), source) == list(range(5, 13))
    assert len(preview_batch(source, held_out=0, count=30).image) == 20


def test_what_runs_and_systems_leave_behind_is_no_data(tmp_path: Path) -> None:
    picture = encode_image(disc(np.zeros(Z, np.float32)), "png")
    kept = ["a.png", "b/c.png", "runs/notes/d.png"]
    left_out = [
        ".hidden.png", "._a.png", "b/._c.png", ".thumbnails/e.png", "b/.git/f.png",
        "runs/one/samples/000100.png", "runs/one/snapshots/000200/x.png", "runs/two/samples/check.png",
        "runs/new/samples/check.png",
    ]  # fmt: skip
    for name in kept + left_out:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(picture if "._" not in name else b"\0\5\x16\7 Mac OS X")
    (tmp_path / "runs" / "one" / "checkpoint.safetensors").write_bytes(b"x")
    (tmp_path / "runs" / "two" / "log.jsonl").write_text("")
    source = PictureSource([tmp_path], SIDE, out=tmp_path / "runs" / "new")
    assert [entry.name for entry in source._entries] == [str(tmp_path / name) for name in kept]
    # a folder of samples is data where it is named itself
    assert len(PictureSource([tmp_path / "runs" / "one" / "samples"], SIDE)) == 1
    for data in (tmp_path / "runs" / "new", tmp_path / "runs" / "new" / "samples"):
        with pytest.raises(UsageError, match="is the run folder"):
            PictureSource([data], SIDE, out=tmp_path / "runs" / "new")


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="needs links")
def test_a_link_loop_ends(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_image(disc(np.zeros(Z, np.float32)), "png"))
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert len(PictureSource([tmp_path], SIDE)) == 1
