"""A photograph of a face as a drawing: flat tones, strong colours, ink lines, larger eyes.

Smoothing and soft steps of tone follow Winnemöller, Olsen and Gooch 2006 ("Real-time video abstraction"), the lines
the thresholded difference of Gaussians of Winnemöller 2011 ("XDoG"). Nothing is random.

Shape suffixes: B batch, C channels, H W height and width. Pictures are in [-1, 1], everything inside in [0, 1].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.errors import check_shape
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK

# Luminance of Rec. 601 and two differences of colour, and back.
RGB_TO_YUV = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))
YUV_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344, -0.714), (1.0, 1.772, 0.0))

REACHES, TOLERANCE = (1, 2, 3, 2, 1), 0.055
TONES, SATURATION, CONTRAST, INK = 7, 1.32, 0.035, 0.88
# Eyes grow more in height than in width: that opens them.
EYE_WIDER, EYE_HIGHER = 1.35, 1.7
EYES = ("l_eye", "r_eye")
LIPS = ("mouth", "u_lip", "l_lip")
# A line is drawn around each of these, whatever the picture shows there.
OUTLINED = (
    ("skin", "nose", "glasses", *EYES, "l_brow", "r_brow", "l_ear", "r_ear", *LIPS),
    ("hair",), ("hat",), ("neck", "necklace"), ("cloth",),
)  # fmt: skip


@torch.no_grad()
def cartoon(image_BCHW: Tensor, strength: float, labels_BHW: Tensor | None = None) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] as drawings; ``strength`` 0 leaves them as they are, 1 is all of it.

    CelebAMask-HQ classes ``labels_BHW`` say which eyes to enlarge and where outlines run; without them there are the
    lines that the picture itself has.
    """
    check_shape(image_BCHW, (None, 3, None, None), "picture")
    if strength == 0:
        return image_BCHW
    scale = image_BCHW.shape[-1] / 128  # of everything that is a number of pixels
    if labels_BHW is not None:
        grid_BHW2 = _enlarge_eyes(labels_BHW.to(image_BCHW.device), strength)
        labels_BHW = _resample(labels_BHW[:, None].to(image_BCHW), grid_BHW2, "nearest")[:, 0].round().to(torch.uint8)
        image_BCHW = _resample(image_BCHW, grid_BHW2, "bicubic").clamp(-1, 1)
    yuv_BCHW = _turn(image_BCHW / 2 + 0.5, RGB_TO_YUV)
    for reach in REACHES:
        yuv_BCHW = _bilateral(yuv_BCHW, max(1, round(reach * scale)))
    tone_B1HW, colour_BCHW = yuv_BCHW[:, :1], yuv_BCHW[:, 1:] * SATURATION
    ink_B1HW, drawn_B1HW = _lines(tone_B1HW, scale), _posterise(tone_B1HW)
    if labels_BHW is not None:
        eyes_B1HW = _soft(labels_BHW, EYES, 0.7 * scale)
        drawn_B1HW = torch.lerp(drawn_B1HW, _clear_eyes(tone_B1HW, eyes_B1HW, scale), eyes_B1HW)
        colour_BCHW = colour_BCHW * (1 - 0.35 * eyes_B1HW)
        ink_B1HW = torch.maximum(ink_B1HW * (1 - 0.8 * eyes_B1HW), _outlines(labels_BHW, scale))
    drawn_BCHW = _turn(torch.cat([drawn_B1HW, colour_BCHW], dim=1), YUV_TO_RGB).clamp(0, 1)
    # An illustrator's line is a dark shade of what lies under it, rather than black.
    drawn_BCHW = drawn_BCHW * (1 - INK * ink_B1HW)
    return torch.lerp(image_BCHW, drawn_BCHW * 2 - 1, strength)


def _turn(image_BCHW: Tensor, matrix: Sequence[Sequence[float]]) -> Tensor:
    """Every pixel's three numbers times a matrix."""
    return torch.einsum("oc,bchw->bohw", torch.tensor(matrix).to(image_BCHW), image_BCHW)


def _resample(image_BCHW: Tensor, grid_BHW2: Tensor, mode: str) -> Tensor:
    return F.grid_sample(image_BCHW, grid_BHW2, mode=mode, padding_mode="border", align_corners=False)


def _bilateral(image_BCHW: Tensor, reach: int) -> Tensor:
    """Mean over nine pixels ``reach`` apart, those of other colours left out: smooth within surfaces only."""
    height, width = image_BCHW.shape[-2:]
    padded = F.pad(image_BCHW, [reach] * 4, mode="replicate")
    total, weights = image_BCHW.clone(), torch.ones_like(image_BCHW[:, :1])
    for down, across in itertools.product(range(3), repeat=2):
        if (down, across) == (1, 1):
            continue
        near = padded[..., down * reach : down * reach + height, across * reach : across * reach + width]
        distance = (near - image_BCHW).square_().sum(dim=1, keepdim=True)
        weight = distance.mul_(-0.5 / TOLERANCE**2).exp_().mul_(0.8 if 1 in (down, across) else 0.6)
        total.addcmul_(weight, near)
        weights += weight
    return total / weights


def _posterise(tone_B1HW: Tensor) -> Tensor:
    """Steps of luminance with soft borders, after a little more contrast."""
    tone_B1HW = (tone_B1HW - CONTRAST * torch.sin(tone_B1HW * 2 * torch.pi)).clamp(0, 1) * TONES
    middle = tone_B1HW.floor() + 0.5
    return (middle + 0.5 * torch.tanh((tone_B1HW - middle) * 6) / math.tanh(3)) / TONES


def _lines(tone_B1HW: Tensor, scale: float) -> Tensor:
    """Ink, 0 to 1, where the picture is darker than its surroundings."""
    inner, outer = _blur(tone_B1HW, 0.8 * scale), _blur(tone_B1HW, 1.9 * scale)
    return ((outer - inner - 0.012) * 16).clamp(0, 1)


def _clear_eyes(tone_B1HW: Tensor, eyes_B1HW: Tensor, scale: float) -> Tensor:
    """Luminance of eyes as drawn: the white is white whatever the light, the iris darker by contrast."""
    side = 2 * round(4 * scale) + 1
    white = F.max_pool2d(tone_B1HW * eyes_B1HW, side, stride=1, padding=side // 2).clamp(min=0.05)
    return (tone_B1HW / white).clamp(0, 1).pow(1.4) * 0.97


def _outlines(labels_BHW: Tensor, scale: float) -> Tensor:
    """Ink, 0 to 1, around groups of classes, along the upper lids and, faintly, around lips and eyes."""
    groups = [_border(_soft(labels_BHW, names, 1.1 * scale)) * 0.9 for names in OUTLINED]
    eyes = _soft(labels_BHW, EYES, 0.8 * scale)
    reach = max(1, round(scale))
    padded = F.pad(eyes, [0, 0, reach, reach], mode="replicate")
    lids = (padded[..., 2 * reach :, :] - padded[..., : -2 * reach, :]).mul(2.2).clamp(0, 1)
    lips = _border(_soft(labels_BHW, LIPS, 0.8 * scale)) * 0.35
    # Frames are so thin that the smoothing swallows them; the class is frame and lens, but for the eye behind it.
    lenses = _border(_soft(labels_BHW, ("glasses", *EYES), 0.8 * scale))
    frames = lenses * (3 * _soft(labels_BHW, ("glasses",), 1.5 * scale)).clamp(max=1) * 0.8
    return torch.cat([*groups, lids, _border(eyes) * 0.35, lips, frames], dim=1).amax(dim=1, keepdim=True)


def _soft(labels_BHW: Tensor, names: Sequence[str], sigma: float) -> Tensor:
    """Share (B, 1, H, W) of some classes around each pixel: 1 inside, 0 outside, one half at the border."""
    classes = torch.tensor([CELEBAMASK.index(name) for name in names], dtype=torch.uint8, device=labels_BHW.device)
    return _blur(torch.isin(labels_BHW, classes)[:, None].float(), sigma)


def _border(share_B1HW: Tensor) -> Tensor:
    """1 where a share is one half, falling off to both sides."""
    return (4 * share_B1HW * (1 - share_B1HW)).square()


def _blur(image_B1HW: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of one channel."""
    radius = max(1, round(3 * sigma))
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1).to(image_B1HW) / sigma).square())
    taps = taps / taps.sum()
    padded = F.pad(image_B1HW, [radius] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))


def _enlarge_eyes(labels_BHW: Tensor, strength: float) -> Tensor:
    """Where each pixel comes from, (B, H, W, 2) in [-1, 1]: a smooth magnifying glass over each eye."""
    batch, height, width = labels_BHW.shape
    x = (torch.arange(width, device=labels_BHW.device) + 0.5) * 2 / width - 1
    y = (torch.arange(height, device=labels_BHW.device) + 0.5) * 2 / height - 1
    place_BHW2 = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).expand(batch, -1, -1, -1)
    grid_BHW2 = place_BHW2
    shrink = strength * (1 - 1 / torch.tensor([EYE_WIDER, EYE_HIGHER], device=labels_BHW.device))
    for name in EYES:
        inside = (labels_BHW == CELEBAMASK.index(name)).float()[..., None]
        area = inside.sum(dim=(1, 2), keepdim=True).clamp(min=1)
        offset = place_BHW2 - (place_BHW2 * inside).sum(dim=(1, 2), keepdim=True) / area
        spread = ((offset[..., :1].square() * inside).sum(dim=(1, 2), keepdim=True) / area).sqrt()
        # An ellipse's standard deviation is half its radius; the glass is about twice as wide as the eye.
        reach = (spread * 4.6).clamp(min=1e-6)
        distance = offset.square().sum(dim=-1, keepdim=True) / reach.square()
        grid_BHW2 = grid_BHW2 - offset * shrink * (1 - distance.square()).clamp(min=0).square()
    return grid_BHW2
