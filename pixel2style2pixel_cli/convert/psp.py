"""The container of pSp, e4e and ReStyle: encoder, generator and average latent in one file, told apart by options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pixel2style2pixel_cli.convert.irse import batch_norm_rows, linear_rows, trunk_rows, trunk_sizes
from pixel2style2pixel_cli.convert.names import Row, component, fit, rename, tensor_state
from pixel2style2pixel_cli.convert.resnet import INPUT_LAYER as RESNET_INPUT
from pixel2style2pixel_cli.convert.resnet import resnet_rows, resnet_sizes
from pixel2style2pixel_cli.convert.rosinality import convert_generator
from pixel2style2pixel_cli.errors import IntegrityError, shown_value
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event
from pixel2style2pixel_cli.networks.families import ENCODER_FAMILIES
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.restyle import LAST_STRIDE
from pixel2style2pixel_cli.networks.specs import EncoderKind, EncoderSpec, GeneratorSpec, level_of_row

# What the options of a checkpoint call each kind. pSp's and e4e's have the same tensors, with ReStyle too: nothing else
# tells them apart.
KINDS: dict[str, EncoderKind] = {name: kind for kind, family in ENCODER_FAMILIES.items() for name in family.published}
PUBLISHED_INPUT_SIZE = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """What a checkpoint became: specs and tensors under our names; no encoder where the file holds a generator only.

    ``encoder`` also holds ``latent_avg`` (n_styles, style_dim), the code that its output is an offset from.
    """

    generator_spec: GeneratorSpec
    generator: dict[str, Tensor]
    encoder_spec: EncoderSpec | None = None
    encoder: dict[str, Tensor] | None = None
    dataset: str | None = None


def convert_psp(checkpoint: Mapping[str, object], on_event: OnEvent = ignore_event) -> Converted:
    """A pSp, e4e or ReStyle checkpoint as ours; IntegrityError when its options do not say which of them it is."""
    options = read_options(checkpoint)
    kind = encoder_kind(options)
    state = tensor_state(checkpoint["state_dict"], "state_dict")
    average = checkpoint.get("latent_avg")
    if average is not None and not isinstance(average, Tensor):
        raise IntegrityError(f"latent_avg is {type(average).__name__}, expected a tensor", "name another file")
    stray = [key for key in state if not key.startswith(("encoder.", "decoder."))]
    if stray:
        raise IntegrityError(
            f"state_dict holds {shown_value(stray[0])}, expected encoder.* and decoder.* only", "name another file"
        )
    generator_spec, generator = convert_generator(component(state, "decoder."), average, on_event)
    _check_resolution(options, generator_spec)
    encoder_spec, encoder = convert_encoder(component(state, "encoder."), kind, generator_spec)
    if options.get("start_from_latent_avg", True):
        offset = generator["latent_avg"] if average is None else average.float()
    else:
        on_event(Notice(message="the encoder was trained without an average latent to start from"))
        offset = torch.zeros(generator_spec.style_dim)
    encoder["latent_avg"] = spread_average(offset, generator_spec)
    dataset = options.get("dataset_type")
    return Converted(
        generator_spec=generator_spec,
        generator=generator,
        encoder_spec=encoder_spec,
        encoder=encoder,
        dataset=dataset if isinstance(dataset, str) else None,
    )


def read_options(checkpoint: Mapping[str, object]) -> dict[str, object]:
    """The training options stored in the file; paths in them are never used."""
    options = checkpoint.get("opts")
    if not isinstance(options, dict):
        raise IntegrityError(
            f"opts is {type(options).__name__}, expected the training options", "the file cannot be told apart"
        )
    return options


def encoder_kind(options: Mapping[str, object]) -> EncoderKind:
    """Which encoder the options name."""
    name = options.get("encoder_type")
    if not isinstance(name, str):
        raise IntegrityError(
            "the file does not say whether its encoder is pSp's or e4e's: opts has no encoder_type",
            "the two have the same tensors; ask the file's author which it is",
        )
    if name not in KINDS:
        raise IntegrityError(
            f"the encoder is {shown_value(name)}, expected one of {', '.join(KINDS)}",
            "this kind cannot be converted yet",
        )
    return KINDS[name]


def _check_resolution(options: Mapping[str, object], spec: GeneratorSpec) -> None:
    said = options.get("output_size", options.get("stylegan_size", spec.resolution))
    if said != spec.resolution:
        raise IntegrityError(
            f"opts speaks of {shown_value(said)} px, the generator draws {spec.resolution} px",
            "the file contradicts itself",
        )


def spread_average(average: Tensor, spec: GeneratorSpec) -> Tensor:
    """(n, D) from the forms files hold it in: (n, D), (1, D) of an encoder into W, and (D,)."""
    rows = average.reshape(-1, spec.style_dim) if average.shape[-1:] == (spec.style_dim,) else average
    if rows.ndim != 2 or rows.shape[-1] != spec.style_dim or rows.shape[0] not in (1, spec.n_styles):
        raise IntegrityError(
            f"latent_avg has shape {tuple(average.shape)}, expected {spec.n_styles} x {spec.style_dim}",
            "name another file",
        )
    return rows.expand(spec.n_styles, -1).contiguous()


def convert_encoder(
    state: Mapping[str, Tensor], kind: EncoderKind, generator: GeneratorSpec
) -> tuple[EncoderSpec, dict[str, Tensor]]:
    """A published encoder under our names."""
    spec = encoder_spec(state, kind)
    ours = rename(state, encoder_rows(spec, generator.n_styles), what="the encoder")
    ours["latent_avg"] = torch.zeros(generator.n_styles, generator.style_dim)  # stored elsewhere in the file
    with torch.device("meta"):
        module = build_encoder(spec, generator.n_styles, generator.style_dim)
    fit(module, ours, "the encoder")
    return spec, ours


def encoder_spec(state: Mapping[str, Tensor], kind: EncoderKind) -> EncoderSpec:
    """Sizes of an encoder, read off its tensors."""
    size, head, layout = PUBLISHED_INPUT_SIZE, 512, ENCODER_FAMILIES[kind].layout
    resnet = layout == "last_map_resnet"
    units, widths = resnet_sizes(state) if resnet else trunk_sizes(state)
    if layout in ("pyramid", "last_map", "last_map_resnet"):
        first = [key for key in state if key.startswith("styles.0.convs.") and key.endswith(".weight")]
        if not first:
            raise IntegrityError("the encoder has no styles, expected one block per row", "name another file")
        size, head = 16 * 2 ** len(first), state["styles.0.convs.0.weight"].shape[0]
    elif layout == "naive_w_plus" and "output_layer_2.3.weight" in state:
        head = state["output_layer_2.3.weight"].shape[0]
    return EncoderSpec(
        kind=kind,
        input_channels=state[RESNET_INPUT if resnet else "input_layer.0.weight"].shape[1],
        input_size=size,
        units=units,
        widths=widths,
        head_width=head,
    )


def encoder_rows(spec: EncoderSpec, n_styles: int) -> list[Row]:
    """Published and our names of an encoder's tensors, but for the average latent, which is stored elsewhere."""
    layout = ENCODER_FAMILIES[spec.kind].layout
    rows = (resnet_rows if layout == "last_map_resnet" else trunk_rows)(spec.units, spec.widths)
    if layout == "into_w":
        return rows + linear_rows("linear", "linear")
    if layout == "naive_w_plus":
        rows += batch_norm_rows("output_layer_2.0", "normalise")
        return rows + linear_rows("output_layer_2.3", "flatten_linear") + linear_rows("linear", "linear")
    if layout == "pyramid":
        rows += linear_rows("latlayer1", "lateral_middle") + linear_rows("latlayer2", "lateral_fine")
    for row in range(n_styles):
        side = spec.input_size // ((16, 8, 4)[level_of_row(row)] if layout == "pyramid" else LAST_STRIDE)
        for i in range(int(math.log2(side))):
            rows += linear_rows(f"styles.{row}.convs.{2 * i}", f"heads.{row}.convs.{2 * i}")
        rows += linear_rows(f"styles.{row}.linear", f"heads.{row}.linear")
    return rows
