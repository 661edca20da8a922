"""Frames to animations: GIF and WebP by Pillow, MP4 by PyAV; each with its recipe and the mark as synthetic."""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from pixel2style2pixel_cli.errors import MissingError, OutputError, check_shape, reason_of
from pixel2style2pixel_cli.files import metadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

AnimationFormat = Literal["webp", "gif", "mp4"]

GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
# What follows the packet: whoever reads it as blocks of a GIF lands on the last byte, wherever they come from.
_GIF_XMP_END = bytes([1, *range(255, -1, -1), 0])
MP4_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # the box that XMP part 3 reserves for the packet

_COLOURS, _SAMPLES = 256, 16  # of the palette that all frames of a GIF share, and frames that it is made of
_CRF = "18"  # of x264: about where a difference can no longer be seen


def encode_animation(
    frames: Sequence[NDArray[np.uint8]],
    format: AnimationFormat,
    *,
    fps: float,
    recipe: str | None = None,
    xmp: str | None = None,
    quality: int = 90,
) -> bytes:
    """The bytes of an animation of uint8 frames (H, W, 3) of one size that repeats for ever, an MP4 as the player says.

    ``recipe`` is JSON text, ``xmp`` an XMP packet. Raises MissingError where MP4 is asked for without PyAV, OutputError
    where the frames cannot be encoded.
    """
    for frame in frames:
        check_shape(frame, frames[0].shape, "a frame")
    check_shape(frames[0], (None, None, 3), "a frame")
    packet = metadata.pack_xmp(recipe, xmp)
    try:
        if format == "gif":
            return _gif(frames, fps, packet)
        return _webp(frames, fps, packet, quality) if format == "webp" else _mp4(frames, fps, packet)
    except (ValueError, OSError) as error:
        height, width = frames[0].shape[:2]
        raise OutputError(
            f"{len(frames)} frames of {width} x {height} cannot be written as {format}: {reason_of(error)}",
            "use --format png for the frames themselves",
        ) from error


def require_video() -> None:
    """Raise MissingError where MP4 cannot be written."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise MissingError(
            "MP4 needs PyAV, which is not installed",
            "pip install 'pixel2style2pixel-cli[video]', or use --format webp or gif",
        ) from error


def _webp(frames: Sequence[NDArray[np.uint8]], fps: float, packet: str | None, quality: int) -> bytes:
    first, *rest = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    options = {} if packet is None else {"xmp": packet.encode()}
    out = io.BytesIO()
    first.save(
        out, "WEBP", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, quality=quality, method=4,
        **options,
    )  # fmt: skip
    return out.getvalue()


def _gif(frames: Sequence[NDArray[np.uint8]], fps: float, packet: str | None) -> bytes:
    """One palette for all frames: one each would flicker where colours hardly change."""
    chosen = np.linspace(0, len(frames) - 1, min(_SAMPLES, len(frames))).round().astype(int)
    montage = Image.fromarray(np.concatenate([frames[i] for i in chosen]))
    palette = montage.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT)
    first, *rest = [
        Image.fromarray(np.ascontiguousarray(frame)).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        for frame in frames
    ]
    # Times are in hundredths of a second, and browsers take what is under two of them for ten.
    hundredths = max(2, round(100 / fps))
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=rest, duration=10 * hundredths, loop=0, disposal=1)
    data = out.getvalue()
    if packet is None:
        return data
    colours = 3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0
    at = 13 + colours  # behind header, screen and palette
    return b"GIF89a" + data[6:at] + GIF_XMP + packet.encode() + _GIF_XMP_END + data[at:]


def _mp4(frames: Sequence[NDArray[np.uint8]], fps: float, packet: str | None) -> bytes:
    """H.264 in 4:2:0 with the index in front, as every player and browser takes it; odd sides lose a pixel."""
    require_video()
    import av

    height, width = (side - side % 2 for side in frames[0].shape[:2])
    with tempfile.TemporaryDirectory() as folder:  # in memory the index cannot be moved to the front
        path = Path(folder) / "frames.mp4"
        _write_h264(av, path, [frame[:height, :width] for frame in frames], fps)
        data = path.read_bytes()
    if packet is None:
        return data
    body = packet.encode()
    return data + struct.pack(">I4s", 24 + len(body), b"uuid") + MP4_XMP + body


def _write_h264(av: ModuleType, path: Path, frames: Sequence[NDArray[np.uint8]], fps: float) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        # One thread, and none that looks ahead: otherwise the same frames now and then make other bytes.
        options = {"crf": _CRF, "threads": "1", "x264-params": "sync-lookahead=0"}
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000), options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
