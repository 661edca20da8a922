"""Options that belong to commands of several kinds."""

from __future__ import annotations

from typing import Literal

from pixel2style2pixel_cli.options.declare import MODEL, OUTPUT, RUN, Shortcut, declare

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

Backend = Literal["auto", "torch", "openvino", "onnx"]

Existing = Literal["error", "skip", "overwrite", "rename"]

ImageFormat = Literal["png", "jpg", "webp"]

MAX_PIXELS = 200_000_000
MOST_THREADS = 1024
LARGEST_SEED = 2**63 - 1  # what torch takes


def declare_device() -> str:
    """The device of a task or a training."""
    return declare(
        "auto", "--device", metavar="DEVICE", section=MODEL, help="Where to compute: auto, cpu, cuda, cuda:N or mps."
    )


def declare_backend() -> Backend:
    """Who runs the networks of a task."""
    return declare(
        "auto", "--backend", metavar="NAME", section=MODEL,
        help="What runs the networks: auto, torch, openvino or onnx. The last two are prepared for a model at first "
        "use; auto then takes openvino on a CPU.",
    )  # fmt: skip


def declare_threads() -> int | None:
    """How many cores of a CPU are used."""
    return declare(
        None, "--threads", metavar="N", section=RUN, minimum=1, maximum=MOST_THREADS, default_means="one a core",
        help="Threads that compute on a CPU; 1 is best on a machine that is busy with other work.",
    )  # fmt: skip


def declare_seed() -> int:
    """The seed of a task or a training."""
    return declare(
        0, "--seed", metavar="N", section=MODEL, minimum=0, maximum=LARGEST_SEED, help="Seed for everything random."
    )


def declare_recursive() -> bool:
    """Whether folders are searched with their subfolders."""
    return declare(False, "-r", "--recursive", section=OUTPUT, help="Search subfolders too.")


def declare_existing() -> Existing:
    """What becomes of outputs that exist already."""
    return declare(
        "error", "--existing", metavar="POLICY", section=OUTPUT,
        shortcuts=(
            Shortcut(flag="--skip-existing", value="skip", help="Same as --existing skip: continue an earlier run."),
            Shortcut(flag="--overwrite", value="overwrite", help="Same as --existing overwrite."),
        ),
        help="What to do where an output exists already: error, skip, overwrite or rename.",
    )  # fmt: skip


def declare_format() -> ImageFormat:
    """The file type of outputs in a folder."""
    return declare(
        "png", "--format", metavar="TYPE", section=OUTPUT, help="File type of outputs in a folder: png, jpg or webp."
    )


def declare_keep_exif() -> bool:
    """Whether the photograph's EXIF data are copied."""
    return declare(
        False, "--keep-exif/--no-keep-exif", section=OUTPUT,
        help="Copy the photograph's EXIF data, including the GPS position.",
    )  # fmt: skip


def declare_dry_run() -> bool:
    """Whether the plan is all that is wanted."""
    return declare(False, "-n", "--dry-run", section=RUN, help="Print what would be written, then stop.")
