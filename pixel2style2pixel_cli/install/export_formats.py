"""One function a format: the files that a model becomes, and a way to run what was written.

ONNX and OpenVINO carry what is known of the model as text: ``p2s2p`` (JSON: sizes, digests, terms, what it reads) and
``latent_avg`` (JSON: the average code).
"""

from __future__ import annotations

import dataclasses
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor

from pixel2style2pixel_cli.convert.layout import convert_checkpoint
from pixel2style2pixel_cli.convert.publish import published_generator, published_model, same_tensors
from pixel2style2pixel_cli.convert.safe_pickle import load_checkpoint
from pixel2style2pixel_cli.engine.graphs import Graph, Part, export_graph, tracing
from pixel2style2pixel_cli.engine.onnx_toolkit import onnx_bytes
from pixel2style2pixel_cli.engine.openvino_toolkit import import_openvino
from pixel2style2pixel_cli.errors import MissingError, UsageError
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.version import __version__
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.write import weight_metadata
from pixel2style2pixel_cli.zoo.cards import Card
from pixel2style2pixel_cli.zoo.licences import find_licence

Format = Literal["onnx", "openvino", "safetensors", "pt"]
SUFFIXES: dict[Format, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "openvino": (".xml",),
    "safetensors": (".safetensors",),
    "pt": (".pt", ".pth"),
}

Arrays: TypeAlias = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is exported: the networks on the CPU in float32, which of them, and the card they belong to."""

    card: Card
    encoder: Encoder | None
    generator: Generator
    part: Part

    @property
    def graph(self) -> Graph:
        """The part as a graph."""
        return export_graph(self.part, self.encoder, self.generator, self.card.passes)

    @property
    def networks(self) -> dict[str, Encoder | Generator]:
        """The networks that the part is made of."""
        both: dict[str, Encoder | Generator] = {"generator": self.generator}
        if self.encoder is not None:
            both["encoder"] = self.encoder
        return both if self.part == "whole" else {self.part: both[self.part]}

    @property
    def facts(self) -> dict[str, str]:
        """What a file says of itself."""
        card, licence = self.card, find_licence(self.card.licence)
        graph = self.graph
        told = {
            "schema": 1,
            "program": f"pixel2style2pixel-cli {__version__}",
            "name": card.name,
            "part": self.part,
            "tasks": list(card.tasks),
            "licence": {"id": licence.id, "text": licence.text, "url": licence.url},
            "commercial_ok": card.commercial_ok,
            "spec": {role: dataclasses.asdict(network.spec) for role, network in self.networks.items()},
            "digest": {role: tensor_digest(network.state_dict()) for role, network in self.networks.items()},
            "reads": {"kind": card.input.kind, "align": card.input.align, "schema": card.input.schema},
            "inputs": dict(zip(graph.inputs, graph.shapes, strict=True)),
            "outputs": list(graph.outputs),
        }
        average = self.generator.latent_avg.tolist()
        return {"p2s2p": json.dumps(told), "latent_avg": json.dumps(average), "licence": licence.id}


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The files of a format by suffix, and what runs the inputs of the graph on what was written.

    ``run`` is None, and ``unread`` says why, where nothing here can; for a format of tensors alone it says ``same``.
    """

    files: dict[str, bytes]
    run: Callable[[Arrays], Arrays] | None = None
    unread: str = ""
    same: bool | None = None


def write_onnx(subject: Subject, suffix: str) -> Written:
    """One file with graph, weights, average code and terms."""
    data = onnx_bytes(subject.graph)
    import onnx

    model = onnx.load_model_from_string(data)
    for key, value in subject.facts.items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name, model.producer_version = "pixel2style2pixel-cli", __version__
    data = model.SerializeToString()
    if find_spec("onnxruntime") is None:
        return Written(files={suffix: data}, unread="onnxruntime is not installed")
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return Written(files={suffix: data}, run=lambda arrays: session.run(None, dict(zip(names, arrays, strict=True))))


def write_openvino(subject: Subject, suffix: str) -> Written:
    """OpenVINO's two files, the graph (.xml) and the weights (.bin)."""
    if find_spec("openvino") is None:
        raise MissingError(
            "OpenVINO files are written with the package openvino, which is not installed",
            "pip install 'pixel2style2pixel-cli[openvino]'",
        )
    library, graph = import_openvino(), subject.graph
    with tracing():
        model = library.convert_model(graph.module, example_input=graph.example, input=list(graph.shapes))
    for given, name in zip((*model.inputs, *model.outputs), (*graph.inputs, *graph.outputs), strict=True):
        given.set_names({name})
    for key, value in subject.facts.items():
        model.set_rt_info(value, ["p2s2p", key])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        library.save_model(model, str(path), compress_to_fp16=False)
        files = {suffix: path.read_bytes(), ".bin": path.with_suffix(".bin").read_bytes()}
    compiled = library.Core().compile_model(
        library.Core().read_model(files[suffix], files[".bin"]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(arrays: Arrays) -> Arrays:
        found = compiled(list(arrays))
        return [found[i] for i in range(len(graph.outputs))]

    return Written(files=files, run=run)


def write_safetensors(subject: Subject, suffix: str) -> Written:
    """Our own format, one network a file: tensors under our names, sizes and terms in the header."""
    if subject.part == "whole":
        raise UsageError("a safetensors file holds one network", "add --part encoder, or --part generator")
    network = subject.networks[subject.part]
    state = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
    of = tensor_digest(subject.generator.state_dict()) if subject.part == "encoder" else ""
    spec, licence = dataclasses.asdict(network.spec), subject.card.licence
    data = save(state, weight_metadata(subject.part, spec, tensor_digest(state), licence, "", of))
    return Written(files={suffix: data}, same=same_tensors(load(data), state))


def write_pt(subject: Subject, suffix: str) -> Written:
    """The published layout, which is a pickle because the programs that read it want one."""
    generator = {key: tensor.clone() for key, tensor in subject.generator.state_dict().items()}
    encoder: dict[str, Tensor] = {}
    if subject.encoder is not None and subject.part != "generator":
        if subject.part == "encoder":
            raise UsageError("the published layout has no file of an encoder alone", "leave out --part")
        encoder = {key: tensor.clone() for key, tensor in subject.encoder.state_dict().items()}
        content = published_model(subject.encoder.spec, encoder, subject.generator.spec, generator)
    else:
        content = published_generator(subject.generator.spec, generator)
    out = io.BytesIO()
    torch.save(content, out)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        path.write_bytes(out.getvalue())
        read = convert_checkpoint(load_checkpoint(path))
    # the layout has one average code; ours are a generator's and an encoder's, which is a mean of floats apart
    found: dict[str, Any] = {**read.generator, "latent_avg": generator["latent_avg"]}
    same = same_tensors(found, generator) and same_tensors(read.encoder or {}, encoder)
    return Written(files={suffix: out.getvalue()}, same=same)


WRITERS: dict[Format, Callable[[Subject, str], Written]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "safetensors": write_safetensors,
    "pt": write_pt,
}
