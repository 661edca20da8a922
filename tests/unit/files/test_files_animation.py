"""Animations: the frames that went in, what they say about themselves, and what cannot be written."""

from __future__ import annotations

import builtins
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixel2style2pixel_cli.errors import MissingError, ShapeError
from pixel2style2pixel_cli.files.animation import AnimationFormat, encode_animation
from pixel2style2pixel_cli.files.glance import glance
from pixel2style2pixel_cli.files.recipe import xmp_packet

RECIPE = '{"command":"morph","note":"a < b & c > d, \\u00e4"}'
FORMATS: tuple[AnimationFormat, ...] = ("webp", "gif", "mp4")


def frames(count: int = 7, height: int = 41, width: int = 33) -> list[np.ndarray]:
    """A bright square that moves over a slope of colours."""
    y, x = np.mgrid[:height, :width]
    slope = np.stack([x * 6, y * 5, x * 0 + 90], axis=2).astype(np.uint8)
    made = [slope.copy() for _ in range(count)]
    for i, frame in enumerate(made):
        frame[10:20, 2 + 3 * i : 10 + 3 * i] = (250, 240, 20)
    return made


def decoded(data: bytes, format: str) -> list[np.ndarray]:
    if format == "mp4":
        av = pytest.importorskip("av")
        with av.open(io.BytesIO(data)) as container:
            return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with Image.open(io.BytesIO(data)) as film:
        found = []
        for i in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(i)
            found.append(np.asarray(film.convert("RGB")))
        return found


@pytest.mark.parametrize("format", FORMATS)
def test_the_frames_come_out_in_their_order(format: AnimationFormat) -> None:
    if format == "mp4":
        pytest.importorskip("av")
    made = frames()
    data = encode_animation(made, format, fps=25, recipe=RECIPE, xmp=xmp_packet())
    assert data == encode_animation(made, format, fps=25, recipe=RECIPE, xmp=xmp_packet())
    found = decoded(data, format)
    assert len(found) == len(made)
    for ours, theirs in zip(made, found, strict=True):
        height, width = theirs.shape[:2]
        error = np.abs(ours[:height, :width].astype(int) - theirs).mean()
        others = [np.abs(other[:height, :width].astype(int) - theirs).mean() for other in made if other is not ours]
        assert error < 6 and error < min(others)
    assert found[0].shape == ((40, 32, 3) if format == "mp4" else (41, 33, 3))


@pytest.mark.parametrize("format", FORMATS)
def test_they_say_what_they_are(tmp_path: Path, format: AnimationFormat) -> None:
    if format == "mp4":
        pytest.importorskip("av")
    path = tmp_path / f"x.{format}"
    data = encode_animation(frames(), format, fps=12, recipe=RECIPE, xmp=xmp_packet())
    path.write_bytes(data)
    assert (glance(path).damage, glance(path).recipe, glance(path).ours) == (None, RECIPE, True)
    for end in (len(data) // 3, len(data) - 1):
        path.write_bytes(data[:end])
        assert glance(path).damage == "ends too early"
    path.write_bytes(encode_animation(frames(), format, fps=12, xmp=xmp_packet()))
    assert (glance(path).damage, glance(path).recipe, glance(path).ours) == (None, None, True)
    path.write_bytes(encode_animation(frames(), format, fps=12))
    assert (glance(path).damage, glance(path).recipe, glance(path).ours) == (None, None, False)


def test_times_and_repetition() -> None:
    with Image.open(io.BytesIO(encode_animation(frames(), "gif", fps=10))) as film:
        assert (film.info["duration"], film.info["loop"]) == (100, 0)
    with Image.open(io.BytesIO(encode_animation(frames(), "gif", fps=50))) as film:
        assert film.info["duration"] == 20
    with Image.open(io.BytesIO(encode_animation(frames(), "webp", fps=10))) as film:
        film.seek(1)
        film.load()
        assert film.info["duration"] == 100 and film.info["loop"] == 0


def test_a_video_that_every_player_takes() -> None:
    av = pytest.importorskip("av")
    data = encode_animation(frames(), "mp4", fps=24)
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == 24


def test_one_frame_is_an_animation_too() -> None:
    for format in ("webp", "gif"):
        assert len(decoded(encode_animation(frames(1), format, fps=24), format)) == 1  # type: ignore[arg-type]


def test_frames_of_several_sizes_are_refused() -> None:
    with pytest.raises(ShapeError):
        encode_animation([*frames(2), *frames(1, height=20)], "webp", fps=24)


def test_what_to_install_for_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "av":
            raise ImportError("No module named 'av'")
        return whole(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingError, match="MP4 needs PyAV") as caught:
        encode_animation(frames(), "mp4", fps=24)
    assert "[video]" in caught.value.hint
