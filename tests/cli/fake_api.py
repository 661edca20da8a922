"""Stands in for ``api``: remembers how it was called and reports a run of a few made-up pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pixel2style2pixel_cli.events import Event, ImageDone, Notice, Progress, Summary

MODEL = "mini-invert@3f2c"


@dataclass(frozen=True)
class Result:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@dataclass
class FakeApi:
    """The functions of ``api`` that the command line calls; ``before`` may raise or change the events of a run."""

    events: list[Event] = field(default_factory=list)
    calls: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    pause: float = 0.0
    verified: list[tuple[str, bool, str]] = field(default_factory=lambda: [("mini-invert", True, "2 files")])
    result: dict[str, Any] = field(default_factory=lambda: {"run": "runs/x", "steps": 20})

    def invert(self, inputs: list[str], **options: Any) -> Summary:
        self.calls["invert"] = ((inputs,), options)
        self.before()
        if options["out"] == "-":
            options["stdout"](b"\x89PNG\r\n\x1a\nbytes")
        for event in self.events:
            time.sleep(self.pause)
            options["on_event"](event)
        return next(event for event in reversed(self.events) if isinstance(event, Summary))

    def list_faces(self, inputs: list[str], **options: Any) -> list[dict[str, Any]]:
        self.calls["list_faces"] = ((inputs,), options)
        for event in self.events:
            options["on_event"](event)
        return [{"input": "a/1.jpg", "face": 0, "score": 1.25, "box": [10.0, 20.0, 110.4, 120.0]}]

    def train_generator(self, data: list[str], out: Any, **options: Any) -> dict[str, Any]:
        self.calls["train_generator"] = ((data, out), options)
        return self.result

    def train_encoder(self, data: list[str], out: Any, **options: Any) -> dict[str, Any]:
        self.calls["train_encoder"] = ((data, out), options)
        return self.result

    def train_recogniser(self, data: list[str], out: Any, **options: Any) -> dict[str, Any]:
        self.calls["train_recogniser"] = ((data, out), options)
        return self.result

    def pack_data(self, data: list[str], out: Any, **options: Any) -> dict[str, Any]:
        self.calls["pack_data"] = ((data, out), options)
        return {"pictures": 3, "left_out": len(data) - 1, "unpaired": 0}

    def list_models(self) -> list[dict[str, Any]]:
        mini = {"name": "mini-invert", "title": "Small inversion model", "tasks": ["invert"], "size": 9_700_000}
        psp = {"name": "psp-ffhq-encode", "title": "pSp, FFHQ inversion", "tasks": ["invert", "mix"], "size": None}
        return [
            mini | {"installed": True, "bundled": True, "licence": "MIT", "commercial_ok": True},
            psp | {"installed": False, "bundled": False, "licence": "nvidia-nc", "commercial_ok": False},
        ]

    def show_model(self, name: str) -> dict[str, Any]:
        return {"name": name, "encoder": {"kind": "psp", "input_size": 256}, "tasks": ["invert"], "measured": {}}

    def verify_models(self, names: list[str]) -> list[tuple[str, bool, str]]:
        self.calls["verify_models"] = ((names,), {})
        return self.verified

    def import_model(self, name: str, file: Any, *, on_event: Any) -> dict[str, Any]:
        self.calls["import_model"] = ((name, file), {})
        on_event(Notice(message="reading the file"))
        return {"name": name, "folder": "models/x"}

    def blend_models(self, structure: str, look: str, name: str, **options: Any) -> dict[str, Any]:
        self.calls["blend_models"] = ((structure, look, name), options)
        return {"name": name, "structure": structure, "look": look, **options}

    def pull_models(self, names: list[str], **options: Any) -> list[dict[str, Any]]:
        self.calls["pull_models"] = ((names,), options)
        self.before()
        options["on_event"](Progress(done=1_000_000, total=2_000_000, label="psp.pt", unit="bytes"))
        return [{"name": name, "status": "installed"} for name in names]

    def remove_models(self, names: list[str]) -> list[dict[str, Any]]:
        self.calls["remove_models"] = ((names,), {})
        return [{"name": name, "freed": 1_200_000} for name in names]

    def show_file(self, path: Any) -> dict[str, Any]:
        self.calls["show_file"] = ((path,), {})
        return {"kind": "recipe", "command": "invert", "seed": 0}


def summary(**counts: Any) -> Summary:
    """A summary of a run on a CPU with the given counts."""
    base: dict[str, Any] = {"ok": 0, "skipped": 0, "no_face": 0, "failed": 0, "ignored": 0, "seconds": 5.1}
    return Summary(**(base | counts), device="cpu", dtype="float32", model=MODEL)


def image(name: str, status: Any = "ok", **fields: Any) -> ImageDone:
    """The outcome of one picture; an ok one has an output, a time and a face."""
    done = {"face": 0, "output": f"out/{name}.png", "seconds": 0.084, "aligned": True} if status == "ok" else {}
    return ImageDone(input=name, status=status, model=MODEL, **(done | fields))


def mixed_run() -> list[Event]:
    """Two written, one skipped, one without a face, one unreadable."""
    return [
        Notice(message="model: mini-invert (bundled, 128 px)"),
        Notice(message="device: cpu"),
        Progress(done=0, total=5, label="invert"),
        image("a/1.jpg"),
        Progress(done=1, total=5, label="invert"),
        image("a/2.jpg", "no_face", message="no face found"),
        Progress(done=2, total=5, label="invert"),
        image("a/3.jpg", "failed", message="not an image: empty file", hint="remove it or fetch it again"),
        image("a/4.jpg", "skipped", output="out/a/4.jpg.png"),
        Progress(done=4, total=5, label="invert"),
        image("a/5.jpg"),
        Progress(done=5, total=5, label="invert"),
        summary(ok=2, skipped=1, no_face=1, failed=1, ignored=3),
    ]
