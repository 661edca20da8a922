"""Photographs as inputs: faces found, chosen, and aligned as the encoder was trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.face.align import align_face, centre_crop, is_aligned
from pixel2style2pixel_cli.face.detect import Detector, Face, choose_faces, far_weaker
from pixel2style2pixel_cli.files.image import Photo, read_image
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.options.task import SEVERAL, Align, FaceOptions, OnNoFace
from pixel2style2pixel_cli.tasks.base import CodeChange, Pixels, Prepared, Task

if TYPE_CHECKING:
    # imports torch, which a helper process should not wait for
    from pixel2style2pixel_cli.engine.loading import Model

# A picture (H, W, 3) and a size to the crop of that size, always of the same part of the photograph.
Cut: TypeAlias = Callable[[Pixels, int], Pixels]


class Change(Protocol):
    """A task's own step between crop and encoder; picklable, and importable without torch."""

    def __call__(self, found: Prepared, photo: Photo, relative: str, cut: Cut) -> Prepared:
        """The prepared crop of the photograph, changed; ``relative`` is the path below the input's root."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoPreparer:
    """Finds, chooses and aligns faces.

    ``input_size`` is the encoder's side. ``target_size`` is the generator's, or None when no target is needed.
    ``detector`` is None where no face is looked for; then ``centred`` takes the middle of a picture that is not square,
    as the pictures were cut that such generators learned from (StyleGAN2's tool for LSUN). With ``every``, all faces
    are taken where several are asked for, however weak. ``change`` is a task's own step between crop and encoder.
    """

    input_size: int
    target_size: int | None
    detector: Detector | None
    align: Align = "auto"
    face: str = "best"
    every: bool = False
    centred: bool = False
    on_no_face: OnNoFace = "skip"
    change: Change | None = None

    @property
    def holds_interpreter(self) -> bool:
        """Detectors do; decoding and resizing do not."""
        return self.detector is not None

    def read(self, source: Path | bytes, *, name: str, max_pixels: int) -> Photo:
        """Decode a photograph."""
        return read_image(source, name=name, max_pixels=max_pixels)

    def prepare(self, photo: Photo, relative: str) -> list[Prepared]:
        """One entry per chosen face, numbered as the detector ranks them; of several each recipe names all."""
        found = self._prepare(photo, relative)
        if self.face not in SEVERAL:
            return found
        numbers = ",".join(str(number) for number in sorted(each.face or 0 for each in found))
        return [replace(each, recipe={**each.recipe, "faces": numbers}) for each in found]

    def _prepare(self, photo: Photo, relative: str) -> list[Prepared]:
        pixels = photo.pixels
        if self.detector is None:
            return [self._whole(photo, relative)]
        faces = self.detector.detect(pixels)
        if not faces and self.on_no_face == "crop":
            matrix = centre_crop(pixels, output_size=self.input_size).matrix
            found = self._cut(photo, relative, lambda picture, size: centre_crop(picture, output_size=size).crop)
            return [replace(found, matrix=matrix, faceless=True, note="no face found: the centred square was taken")]
        chosen = choose_faces(faces, self.face, every=self.every)
        taken = [self._one(photo, relative, face, index) for index, face in chosen]
        left_out = [] if self.every or self.face not in SEVERAL else far_weaker(faces)
        if left_out:
            taken[0] = replace(taken[0], note=_left_out_note(left_out), left_out=len(left_out))
        return taken

    def _one(self, photo: Photo, relative: str, face: Face, index: int) -> Prepared:
        pixels = photo.pixels
        if self.align == "auto" and is_aligned(face.points, photo.width, photo.height):
            return replace(self._whole(photo, relative), face=index, points=face.points)
        aligned = align_face(pixels, face.points, output_size=self.input_size)

        def cut(picture: Pixels, size: int) -> Pixels:
            if picture is pixels and size == self.input_size:
                return aligned.crop
            return align_face(picture, face.points, output_size=size).crop

        found = self._cut(photo, relative, cut)
        return replace(found, face=index, matrix=aligned.matrix, aligned=True, points=face.points)

    def _whole(self, photo: Photo, relative: str) -> Prepared:
        """The picture as it is, at the encoder's size: an aligned crop already, or the user's word that it is one."""
        if photo.height != photo.width and not (self.detector is None and self.centred):
            raise InputError(
                f"the picture is {photo.width} x {photo.height}, and without alignment it must be square",
                "use --align always",
            )
        matrix = centre_crop(photo.pixels, output_size=self.input_size).matrix
        return replace(self._cut(photo, relative, _resized_middle), matrix=matrix)

    def _cut(self, photo: Photo, relative: str, cut: Cut) -> Prepared:
        target = None if self.target_size is None else cut(photo.pixels, self.target_size)
        crop = cut(photo.pixels, self.input_size)
        found = Prepared(face=None, crop=crop, target=target, matrix=None, aligned=False)
        return found if self.change is None else self.change(found, photo, relative, cut)


def _resized_middle(picture: Pixels, size: int) -> Pixels:
    """The centred square, which of a square picture is all of it."""
    return resize_photo(centre_crop(picture, output_size=min(picture.shape[:2])).crop, size)


def _left_out_note(faces: Sequence[tuple[int, Face]]) -> str:
    """Which detections are too weak beside the best, for one line."""
    named = ", ".join(f"{index} (score {face.score:.2f})" for index, face in faces)
    return f"left out as far weaker than the best: face {named}"


def photo_preparer(
    options: FaceOptions, model: Model, *, needs_target: bool, change: Change | None = None
) -> PhotoPreparer:
    """Photographs for the encoder of a model, with a detector unless they are taken as they are."""
    return PhotoPreparer(
        input_size=model.encoder_spec.input_size,
        target_size=model.generator_spec.resolution if needs_target else None,
        detector=_find_detector(options) if options.looks_for_faces(model.card) else None,
        centred=options.align != "never",
        align=options.align,
        face=options.face,
        every=options.detector_threshold < 0.0,  # who asks for weaker faces is given them
        on_no_face=options.on_no_face,
        change=change,
    )


def photo_task(
    options: FaceOptions,
    model: Model,
    *,
    change: Change | None = None,
    change_codes: CodeChange | None = None,
    finish: Callable[[Prepared, Pixels], Pixels] | None = None,
) -> Task:
    """A task on the faces of photographs."""
    from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS

    preparer = photo_preparer(options, model, needs_target=options.needs_target, change=change)
    batch = INPUT_KINDS[options.kind].batch
    return Task(preparer=preparer, encoder_batch=batch, change=change_codes, finish=finish)


def _find_detector(options: FaceOptions) -> Detector:
    from pixel2style2pixel_cli.face.detectors import load_detector
    from pixel2style2pixel_cli.zoo.landmarks import find_landmarks

    return load_detector(options.detector, landmarks=find_landmarks(), threshold=options.detector_threshold)
