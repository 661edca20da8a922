"""Additive angular margin loss: a face must be nearer to its own person by an angle to spare (ArcFace).

Source: Deng et al. 2019, equation 3. Shape suffixes: B batch, K persons.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def margin_loss(cosine_BK: Tensor, person_B: Tensor, *, scale: float, margin: float) -> Tensor:
    """Mean cross entropy of ``scale`` times the cosines, the own person's angle made larger by ``margin`` radians.

    ``cosine_BK`` are those of embeddings and persons' centres, ``person_B`` the numbers of the right ones. An angle of
    more than pi - margin would become smaller by it; there the published code goes on with a straight line.
    """
    own_B1 = cosine_BK.gather(1, person_B[:, None])
    sine_B1 = (1 - own_B1.square()).clamp(min=1e-12).sqrt()
    larger_B1 = own_B1 * math.cos(margin) - sine_B1 * math.sin(margin)
    beyond_B1 = own_B1 - margin * math.sin(math.pi - margin)
    further_B1 = torch.where(own_B1 > math.cos(math.pi - margin), larger_B1, beyond_B1)
    return F.cross_entropy(scale * cosine_BK.scatter(1, person_B[:, None], further_B1), person_B)
