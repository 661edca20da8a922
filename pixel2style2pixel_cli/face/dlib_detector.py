"""dlib's frontal face detector and its 68-point landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, check_shape, in_one_line
from pixel2style2pixel_cli.face.detect import Face, best_first

# Longest side that is searched, before upsampling: half a second for 1500 x 1125 on one core. With one upsampling a
# face of 1/37 of it is still found.
SEARCHED_SIDE = 1500
# The landmark model compares single pixels of a face of about this size; on larger ones it reads noise.
LANDMARK_SIDE = 400


class DlibDetector:
    """Finds upright faces of 40 pixels and more; larger photographs are searched scaled down.

    ``threshold`` is dlib's adjustment: lower finds more, true and false. ``upsample``: each halves the smallest face.
    """

    name = "dlib"

    def __init__(self, landmarks: Path, threshold: float = 0.0, upsample: int = 1) -> None:
        self.threshold = threshold
        self.upsample = upsample
        self._landmarks = landmarks
        self._predictor = _load_predictor(landmarks)
        self._spare: list[Any] = []

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Faces of a uint8 (H, W, 3) RGB photograph, best first."""
        check_shape(image, (None, None, 3), "photograph")
        image = np.ascontiguousarray(image)
        height, width = image.shape[:2]
        searched = _shrink(image, SEARCHED_SIDE / max(height, width))
        step_x, step_y = width / searched.shape[1], height / searched.shape[0]
        detector = self._take_detector()
        try:
            rectangles, scores, _ = detector.run(searched, self.upsample, self.threshold)
        finally:
            self._spare.append(detector)
        faces = []
        for rectangle, score in zip(rectangles, scores, strict=True):
            box = (
                (rectangle.left() + 0.5) * step_x - 0.5,
                (rectangle.top() + 0.5) * step_y - 0.5,
                (rectangle.right() + 0.5) * step_x - 0.5,
                (rectangle.bottom() + 0.5) * step_y - 0.5,
            )
            faces.append(Face(box=box, score=float(score), points=self._points(image, box)))
        return best_first(faces)

    def __reduce__(self) -> tuple[type[DlibDetector], tuple[Path, float, int]]:
        # so that a spawned worker process can be given the detector
        return type(self), (self._landmarks, self.threshold, self.upsample)

    def _take_detector(self) -> Any:
        # Scanning changes the detector's buffers, so no two calls share one; making one takes a quarter of a second, so
        # they are kept. Reading the landmark model changes nothing: its 100 MB are shared.
        try:
            return self._spare.pop()
        except IndexError:
            import dlib

            return dlib.get_frontal_face_detector()

    def _points(self, image: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.float64]:
        """The 68 points of the face in ``box``, predicted at the size the model was made for."""
        import dlib

        left, top, right, bottom = box
        scale = LANDMARK_SIDE / max(right - left, bottom - top, 1.0)
        x, y, step_x, step_y = 0, 0, 1.0, 1.0
        if scale < 0.5:
            # a generous surrounding: chins and brows lie outside the box
            margin_x, margin_y = right - left, bottom - top
            x, y = max(int(left - margin_x), 0), max(int(top - margin_y), 0)
            region = image[y : max(int(bottom + margin_y), y + 1), x : max(int(right + margin_x), x + 1)]
            image = _shrink(region, scale)
            step_x, step_y = region.shape[1] / image.shape[1], region.shape[0] / image.shape[0]
        rectangle = dlib.rectangle(
            round((left - x + 0.5) / step_x - 0.5),
            round((top - y + 0.5) / step_y - 0.5),
            round((right - x + 0.5) / step_x - 0.5),
            round((bottom - y + 0.5) / step_y - 0.5),
        )
        shape = self._predictor(image, rectangle)
        found = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
        return (found + 0.5) * (step_x, step_y) - 0.5 + (x, y)


def _shrink(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """The picture scaled down with antialiasing; unchanged when ``scale`` is 1 or more."""
    if scale >= 1.0:
        return image
    height, width = image.shape[:2]
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    # reducing_gap: whole factors by box first, which is ten times faster on a large photograph and looks the same
    picture = Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.array(picture)


def _load_predictor(landmarks: Path) -> Any:
    try:
        import dlib
    except ImportError as error:
        raise MissingError("the package dlib is not installed", "pip install dlib-bin") from error
    if not landmarks.is_file():
        raise MissingError(
            f"the landmark file {landmarks.name} is missing", "pip install face_recognition_models, which contains it"
        )
    try:
        return dlib.shape_predictor(str(landmarks))
    except RuntimeError as error:
        raise IntegrityError(
            f"{landmarks.name} is not a 68-point landmark model: {in_one_line(error)}",
            "pip install --force-reinstall face_recognition_models",
        ) from error
