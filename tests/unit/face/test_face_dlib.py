"""The dlib detector on rendered faces and on one photograph."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixel2style2pixel_cli.errors import IntegrityError, MissingError, ShapeError
from pixel2style2pixel_cli.face import dlib_detector
from pixel2style2pixel_cli.face.detect import Detector, Face, choose_faces, rank
from pixel2style2pixel_cli.face.detectors import load_detector
from pixel2style2pixel_cli.face.dlib_detector import DlibDetector


def upper_half(face: Face, height: int) -> bool:
    return (face.box[1] + face.box[3]) / 2 < height / 2


def test_astronaut_false_face_of_equal_size_does_not_win(detector: Detector, astronaut: np.ndarray) -> None:
    """The emblem on the suit is reported too: score 0.12 against 1.16, side 89.5 against 90."""
    found = detector.detect(astronaut)
    assert len(found) == 2, "without the false face this test tests nothing"
    best, false = found
    assert upper_half(best, 512) and not upper_half(false, 512)
    assert false.size > 0.98 * best.size
    assert best.score == pytest.approx(1.16, abs=0.05)
    assert false.score == pytest.approx(0.12, abs=0.05)
    assert rank(best) > 8 * rank(false)
    assert choose_faces(found, "best")[0][1] is best
    assert len(found) > 1 and choose_faces(found, "all") == [(0, best)], "the badge on the suit is no second face"


@pytest.mark.parametrize("enlarged", [1.1, 1.25, 1.6, 2.0])
def test_astronaut_at_other_sizes(detector: Detector, astronaut: np.ndarray, enlarged: float) -> None:
    side = round(512 * enlarged)
    photo = np.array(Image.fromarray(astronaut).resize((side, side), Image.Resampling.BICUBIC))
    best = detector.detect(photo)[0]
    assert upper_half(best, side)


def test_points_lie_on_the_face(detector: Detector, astronaut: np.ndarray) -> None:
    best = detector.detect(astronaut)[0]
    assert best.points.shape == (68, 2)
    assert best.points.dtype == np.float64
    eyes, mouth = best.points[36:48].mean(axis=0), best.points[48:68].mean(axis=0)
    assert np.allclose(eyes, (221, 103), atol=6)
    assert np.allclose(mouth, (223, 144), atol=6)


def test_every_rendered_face_is_found_once(detector: Detector, faces: list[Image.Image]) -> None:
    assert [len(detector.detect(np.array(face))) for face in faces] == [1, 1, 1, 1]


def test_two_faces(detector: Detector, two_faces: np.ndarray) -> None:
    found = detector.detect(two_faces)
    assert len(found) == 2
    assert found[0].box[0] > found[1].box[0], "the larger one, on the right, is the best"
    assert [index for index, _ in choose_faces(found, "left-to-right")] == [1, 0]


def test_rotated_face(detector: Detector, faces: list[Image.Image]) -> None:
    turned = faces[0].resize((256, 256)).rotate(40, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128))
    best = detector.detect(np.array(turned))[0]
    between_eyes = best.points[42:48].mean(axis=0) - best.points[36:42].mean(axis=0)
    assert np.degrees(np.arctan2(*between_eyes[::-1])) == pytest.approx(-40, abs=6)


def test_face_of_24_pixels_is_too_small(detector: Detector, faces: list[Image.Image]) -> None:
    assert detector.detect(np.array(faces[0].resize((24, 24), Image.Resampling.LANCZOS))) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 500, 3), (500, 2, 3), (120, 160, 3)])
def test_pictures_without_a_face(detector: Detector, shape: tuple[int, int, int]) -> None:
    gradient = np.linspace(0, 255, shape[0] * shape[1] * 3).reshape(shape).astype(np.uint8)
    assert detector.detect(gradient) == []


def test_threshold_finds_more(landmarks: Path, astronaut: np.ndarray) -> None:
    lower, higher = (DlibDetector(landmarks, threshold).detect(astronaut) for threshold in (-0.3, 0.5))
    assert len(lower) == 3
    assert len(higher) == 1


def test_large_photograph_is_searched_small_and_measured_large(
    detector: Detector, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = np.array(Image.fromarray(astronaut).resize((1200, 1200), Image.Resampling.BICUBIC))
    whole = detector.detect(photo)[0]
    monkeypatch.setattr(dlib_detector, "SEARCHED_SIDE", 600)
    monkeypatch.setattr(dlib_detector, "LANDMARK_SIDE", 100)
    reduced = detector.detect(photo)[0]
    assert np.abs(np.subtract(reduced.box, whole.box)).max() < 30
    assert np.abs(reduced.points - whole.points).mean() < 4, "of a face 210 pixels wide"


def test_views_and_odd_layouts_are_taken(detector: Detector, faces: list[Image.Image]) -> None:
    mirrored = np.array(faces[0])[:, ::-1]
    assert len(detector.detect(mirrored)) == 1
    with pytest.raises(ShapeError, match="photograph has shape"):
        detector.detect(np.zeros((40, 40), np.uint8))


def test_threads_agree(detector: Detector, faces: list[Image.Image], two_faces: np.ndarray) -> None:
    pictures = [np.array(faces[0]), two_faces, np.array(faces[3])]
    alone = [[face.points for face in detector.detect(picture)] for picture in pictures]
    results: dict[int, list[list[np.ndarray]]] = {}

    def work(number: int) -> None:
        results[number] = [[face.points for face in detector.detect(picture)] for picture in pictures]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results.values():
        assert all(np.array_equal(a, b) for x, y in zip(alone, result, strict=True) for a, b in zip(x, y, strict=True))


def test_detector_can_be_sent_to_another_process(detector: Detector, faces: list[Image.Image]) -> None:
    copy = pickle.loads(pickle.dumps(detector))
    picture = np.array(faces[2])
    assert np.array_equal(copy.detect(picture)[0].points, detector.detect(picture)[0].points)
    assert copy.name == "dlib"


def test_landmark_file_missing_or_broken(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"shape\.dat is missing") as caught:
        load_detector("dlib", landmarks=tmp_path / "shape.dat")
    assert caught.value.hint
    assert str(tmp_path) not in caught.value.message
    (tmp_path / "shape.dat").write_bytes(b"junk" * 100)
    with pytest.raises(IntegrityError, match="not a 68-point landmark model"):
        load_detector("dlib", landmarks=tmp_path / "shape.dat")
