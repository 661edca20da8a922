"""Inversion: the faces of a photograph, aligned as the encoder was trained."""

from __future__ import annotations

from dataclasses import dataclass

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.face.align import AlignedFace, align_face, centre_crop, is_aligned
from pixel2style2pixel_cli.face.detect import Detector, Face, choose_faces
from pixel2style2pixel_cli.files.image import Photo
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.tasks.base import Align, OnNoFace, Pixels, Prepared


@dataclass(frozen=True, kw_only=True, slots=True)
class InvertTask:
    """Finds, chooses and aligns faces.

    ``input_size`` is the encoder's side. ``target_size`` is the generator's, or None when no target is needed.
    ``detector`` is None only with ``align`` never.
    """

    input_size: int
    target_size: int | None
    detector: Detector | None
    align: Align = "auto"
    face: str = "best"
    on_no_face: OnNoFace = "skip"

    @property
    def holds_interpreter(self) -> bool:
        """Detectors do; decoding and resizing do not."""
        return self.detector is not None

    def prepare(self, photo: Photo) -> list[Prepared]:
        """One entry per chosen face, numbered as the detector ranks them."""
        if self.detector is None:
            return [self._whole(photo.pixels)]
        faces = self.detector.detect(photo.pixels)
        if not faces and self.on_no_face == "crop":
            warning = "no face found: the centred square was taken"
            return [self._from_crop(photo.pixels, None, warning)]
        return [self._one(photo, face, index) for index, face in choose_faces(faces, self.face)]

    def _one(self, photo: Photo, face: Face, index: int) -> Prepared:
        if self.align == "auto" and is_aligned(face.points, photo.width, photo.height):
            return self._whole(photo.pixels, face=index, face_points=face)
        aligned = align_face(photo.pixels, face.points, output_size=self.input_size)
        return self._prepared(aligned, index, face, self._target(photo.pixels, face))

    def _target(self, pixels: Pixels, face: Face) -> Pixels | None:
        if self.target_size is None:
            return None
        return align_face(pixels, face.points, output_size=self.target_size).crop

    def _prepared(self, aligned: AlignedFace, index: int, face: Face, target: Pixels | None) -> Prepared:
        return Prepared(
            face=index, crop=aligned.crop, target=target, matrix=aligned.matrix, aligned=True, points=face.points
        )

    def _whole(self, pixels: Pixels, *, face: int | None = None, face_points: Face | None = None) -> Prepared:
        """The picture as it is, at the encoder's size: an aligned crop already, or the user's word that it is one."""
        height, width = pixels.shape[:2]
        if height != width:
            raise InputError(
                f"the picture is {width} x {height}, and without alignment it must be square", "use --align always"
            )
        return Prepared(
            face=face,
            crop=resize_photo(pixels, self.input_size),
            target=None if self.target_size is None else resize_photo(pixels, self.target_size),
            matrix=centre_crop(pixels, output_size=self.input_size).matrix,
            aligned=False,
            points=None if face_points is None else face_points.points,
        )

    def _from_crop(self, pixels: Pixels, face: int | None, warning: str) -> Prepared:
        crop = centre_crop(pixels, output_size=self.input_size)
        target = None if self.target_size is None else centre_crop(pixels, output_size=self.target_size).crop
        return Prepared(face=face, crop=crop.crop, target=target, matrix=crop.matrix, aligned=False, warning=warning)
