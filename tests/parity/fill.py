"""The deterministic fill rule of the golden numbers (needs NumPy and zlib only).

value(key) is drawn from  numpy.random.default_rng(zlib.crc32((salt + ":" + key).encode("ascii")))
where `key` is the state-dict name inside the COMPONENT (no "encoder."/"decoder." prefix) and `salt`
names the case. N = rng.standard_normal(shape) in float64, U = rng.random(shape) in float64; the
formula is evaluated in float64 and then cast to float32.
"""

import math
import zlib

import numpy as np


def rng_for(salt, key):
    return np.random.default_rng(zlib.crc32((salt + ":" + key).encode("ascii")))


def draw(salt, key, shape):
    """A plain float32 standard-normal array: used for all inputs (z, w, images, noise)."""
    return rng_for(salt, key).standard_normal(tuple(shape)).astype(np.float32)


def uniform(salt, key, shape, lo=-1.0, hi=1.0):
    return (lo + (hi - lo) * rng_for(salt, key).random(tuple(shape))).astype(np.float32)


def image(salt, key, shape, channels_onehot=False):
    """A smooth picture-like input in [-1, 1]: 8x8 uniform grid, bilinearly enlarged, plus fine noise.

    shape is (n, c, h, w). Bilinear: sample positions (i + 0.5) * 8 / h - 0.5 clamped to [0, 7].
    """
    n, c, h, w = shape
    r = rng_for(salt, key)
    g = r.random((n, c, 8, 8)) * 2 - 1
    fine = r.standard_normal((n, c, h, w)) * 0.05

    def taps(size):
        p = np.clip((np.arange(size) + 0.5) * 8 / size - 0.5, 0, 7)
        i = np.minimum(p.astype(int), 6)
        return i, p - i

    iy, fy = taps(h)
    ix, fx = taps(w)
    rows = g[:, :, iy] * (1 - fy)[:, None] + g[:, :, iy + 1] * fy[:, None]
    full = rows[..., ix] * (1 - fx) + rows[..., ix + 1] * fx
    out = np.clip(full + fine, -1, 1)
    if channels_onehot:  # label maps: one-hot of the largest channel
        k = out.argmax(1)
        out = (np.arange(c)[None, :, None, None] == k[:, None]).astype(np.float64)
    return out.astype(np.float32)


def value(family, key, shape, keys, salt):
    """The array for one state-dict entry, or None where the entry keeps its constructed value.

    family: "g" StyleGAN2 generator (rosinality layout), "d" StyleGAN2 discriminator,
            "e" any encoder / ArcFace, "mlp" LatentCodesDiscriminator, "ada" NVIDIA generator.
    keys:   the set of all names of that component (tells BatchNorm from PReLU).
    """
    shape = tuple(shape)
    leaf = key.rsplit(".", 1)[-1]
    if leaf in ("kernel", "resample_filter"):
        return None  # blur filters: as constructed from [1, 3, 3, 1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    r = rng_for(salt, key)
    N = r.standard_normal
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1

    if family == "g":
        if key.startswith("style.") and leaf == "weight":
            v = 100.0 * N(shape)  # lr_mul = 0.01
        elif key.startswith("style.") and leaf == "bias":
            v = 10.0 * N(shape)
        elif key.endswith("modulation.bias"):
            v = 1.0 + 0.1 * N(shape)
        elif key.endswith("noise.weight"):
            v = 0.1 + 0.02 * N(shape)
        elif leaf == "bias":  # activate.bias and the toRGB bias
            v = 0.1 * N(shape)
        elif key.startswith("to_rgb") and key.endswith("conv.weight"):
            v = 0.3 * N(shape)  # toRGB is not demodulated: keeps images near [-1, 1]
        else:  # conv / modulation weights, const input, noises
            v = N(shape)
    elif family == "ada":
        if key.startswith("mapping.fc") and leaf == "weight":
            v = 100.0 * N(shape)
        elif key.startswith("mapping.fc") and leaf == "bias":
            v = 10.0 * N(shape)
        elif leaf == "w_avg":
            v = 0.3 * N(shape)
        elif key.endswith("affine.bias"):
            v = 1.0 + 0.1 * N(shape)
        elif leaf == "noise_strength":
            v = 0.1 + 0.02 * N(shape)
        elif leaf == "bias":
            v = 0.1 * N(shape)
        elif key.endswith("torgb.weight"):
            v = 0.3 * N(shape)
        else:
            v = N(shape)
    elif family == "d":
        v = (0.1 if leaf == "bias" else 1.0) * N(shape)
    elif family == "e":
        stem = key.rsplit(".", 1)[0]
        is_bn = stem + ".running_mean" in keys
        if leaf == "running_mean":
            v = 0.1 * N(shape)
        elif leaf == "running_var":
            v = 0.5 + r.random(shape)
        elif leaf == "bias":
            v = 0.1 * N(shape)
        elif len(shape) == 1:
            v = 1.0 + 0.1 * N(shape) if is_bn else 0.25 + 0.05 * N(shape)  # BatchNorm : PReLU
        elif len(shape) == 4:
            v = math.sqrt((2.0 if key.startswith("styles.") else 1.0) / fan_in) * N(shape)
        elif key.endswith("linear.weight"):  # EqualLinear (scaled at run time)
            v = 0.25 * N(shape)
        else:  # plain nn.Linear
            v = math.sqrt(1.0 / fan_in) * N(shape)
    elif family == "mlp":
        v = 0.1 * N(shape) if leaf == "bias" else math.sqrt(2.0 / fan_in) * N(shape)
    else:
        raise ValueError(family)
    return np.asarray(v, np.float64).astype(np.float32)


def latent_avg(salt, shape):
    return (0.5 * rng_for(salt, "latent_avg").standard_normal(tuple(shape))).astype(np.float32)


def fill_module(module, family, salt):
    """Fill a torch module in place; the module must use the published parameter names."""
    import torch

    sd = module.state_dict()
    keys = set(sd)
    with torch.no_grad():
        for k, t in sd.items():
            v = value(family, k, t.shape, keys, salt)
            if v is not None:
                t.copy_(torch.from_numpy(v.reshape(tuple(t.shape))))
    return module.eval()


def digest(a, stride=None, keep=4096):
    """What is stored for a big array: strided flat slice + statistics."""
    a = np.ascontiguousarray(a)
    f = a.reshape(-1)
    if stride is None:
        stride = max(1, f.size // keep)
        while stride > 1 and any(stride % p == 0 for p in (2, 3)):  # avoid aliasing with widths/channels
            stride += 1
    d = f.astype(np.float64)
    return {
        "shape": np.array(a.shape),
        "stride": np.array(stride),
        "slice": f[::stride].copy(),
        "stats": np.array([d.mean(), d.std(), d.min(), d.max(), np.abs(d).sum(), (d * d).sum()]),
    }
