"""Results put back into the photographs that they were made from, which their recipes name."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pixel2style2pixel_cli.errors import InputError, P2S2PError, UsageError
from pixel2style2pixel_cli.events import ImageDone, Progress, Status, Summary
from pixel2style2pixel_cli.face.paste import Pixels, paste_face
from pixel2style2pixel_cli.files.atomic import remove_abandoned
from pixel2style2pixel_cli.files.glance import glance
from pixel2style2pixel_cli.files.image import Photo, encode_image, read_image
from pixel2style2pixel_cli.files.recipe import Recipe, parse_recipe, recipe_json, xmp_packet
from pixel2style2pixel_cli.jobs.expand import Expansion, Source, expand_inputs
from pixel2style2pixel_cli.jobs.finished import Finished
from pixel2style2pixel_cli.jobs.naming import OutputNames, parse_template
from pixel2style2pixel_cli.jobs.outputs import Draft, refuse_collisions, refuse_unwritable, settle_existing
from pixel2style2pixel_cli.jobs.photographs import Photographs
from pixel2style2pixel_cli.jobs.place import File, Places
from pixel2style2pixel_cli.jobs.plan import finished_item
from pixel2style2pixel_cli.jobs.target import Target, check_single, choose_target, still
from pixel2style2pixel_cli.options.paste import PasteOptions
from pixel2style2pixel_cli.tasks.outcome import as_outcome
from pixel2style2pixel_cli.variants import SINGLE, Variant

_WRITTEN = frozenset({".png", ".jpg", ".jpeg", ".webp"})  # what results are stored as
_BESIDE = ("_pair", "_row", "_input", "_crop", "_landmarks")  # endings of pictures that lie beside a result
NO_MODEL = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    """A picture with its recipe, and the photograph that the recipe is about."""

    source: Source
    recipe: Recipe
    photo: Path

    @property
    def variant(self) -> Variant:
        """Which of several pictures of one face it is."""
        values = {key: value for key, value in self.recipe.variant.items() if isinstance(value, int | float | str)}
        key = "_".join(f"{name.removesuffix('_seed')}{value}" for name, value in values.items())
        return Variant(key, key, values) if key else SINGLE

    @property
    def run(self) -> str:
        """What the results of one run on one photograph have in common, whatever their face."""
        made = self.recipe
        return json.dumps(
            [made.input_sha256, made.command, made.model, made.weights_sha256, made.seed, made.variant, made.options],
            sort_keys=True,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """Faces that go into one photograph, and where that is written."""

    draft: Draft
    results: Sequence[_Result]


def paste_results(options: PasteOptions) -> Summary:
    """Put results into their photographs; all faces that one run made of a photograph go into one picture.

    What concerns one result is an event. Raises UsageError as the planning of a task does.
    """
    started = time.perf_counter()
    target = choose_target(None if options.out is None else str(options.out), "paste", options.format)
    run = _PasteRun(options, target)
    expansion = _expand(options, target)
    results = list(run.understood(without_companions(expansion)))
    jobs = _plan(results, options, target)
    run.total = len(results) + run.counts["failed"]
    if target.kind != "stdout" and not options.dry_run:
        remove_abandoned({Path(job.draft.names.picture()).parent for job in jobs})
    for job in jobs:
        run.do(job)
    return Summary(
        ok=run.counts["ok"], skipped=run.counts["skipped"], no_face=0, failed=run.counts["failed"],
        ignored=expansion.ignored, seconds=time.perf_counter() - started, device="none", dtype="none", model=NO_MODEL,
    )  # fmt: skip


def _expand(options: PasteOptions, target: Target) -> Expansion:
    if str(options.result) == "-" or str(options.photo) == "-":
        raise UsageError("paste reads its pictures from files, not from standard input", "save them first")
    return expand_inputs(
        [str(options.result)],
        recursive=options.recursive,
        output_root=target.folder if target.kind == "folder" else None,
        stdin=lambda: b"",
        suffixes=_WRITTEN,
    )


def without_companions(expansion: Expansion) -> list[Source]:
    """Results without the comparisons and crops that lie beside them, which are counted as ignored."""
    paths = {os.path.splitext(source.path)[0] for source in expansion.sources if source.path is not None}  # noqa: PTH122
    kept = []
    for source in expansion.sources:
        stem = os.path.splitext(source.path or "")[0]  # noqa: PTH122
        if any(stem.endswith(ending) and stem.removesuffix(ending) in paths for ending in _BESIDE):
            expansion.ignored += 1
        else:
            kept.append(source)
    return kept


def _plan(results: Sequence[_Result], options: PasteOptions, target: Target) -> list[_Job]:
    """Where each photograph is written; nothing is changed on the disk."""
    groups: dict[str, list[_Result]] = {}
    for result in results:
        group = groups.setdefault(result.run, [])
        if any(other.recipe.face == result.recipe.face for other in group):  # a copy, which collides below
            group = groups.setdefault(result.run + result.source.label, [])
        group.append(result)
    if groups:
        check_single(target, len(groups), many=False, beside=False)
    template = parse_template(options.name if target.kind == "folder" else "{stem}", target.suffix)
    jobs = []
    for index, group in enumerate(groups.values()):
        first, folder = group[0], target.folder
        stem = target.stem
        if target.kind == "folder":
            folder = os.path.join(folder, os.path.dirname(first.source.relative))  # noqa: PTH118, PTH120
            stem = "_".join(filter(None, (first.photo.stem, first.variant.key)))
        values: dict[str, str | int] = {
            "stem": stem, "command": first.recipe.command, "model": first.recipe.model, "seed": first.recipe.seed,
            "index": index,
        }  # fmt: skip
        names = OutputNames(
            folder=folder, template=template, values=values, many_faces=False, face=first.recipe.face or 0,
            suffix="" if target.kind == "stdout" else target.suffix,
        )  # fmt: skip
        draft = Draft(
            index=index, source=first.source, names=names, endings=(target.suffix,), once=(), variants=(SINGLE,),
            problem=None, hint="",
        )  # fmt: skip
        jobs.append(_Job(draft=draft, results=group))
    if target.kind != "stdout":
        drafts = [job.draft for job in jobs]
        claimed = refuse_collisions(drafts, (), target.folder)
        read = itertools.chain.from_iterable((result.source.path, str(result.photo)) for result in results)
        settle_existing(drafts, [], options.existing, claimed, read, Finished((SINGLE,), (target.suffix,), ()))
        refuse_unwritable({os.path.dirname(d.files[0]) for d in drafts if not d.done})  # noqa: PTH120
    return jobs


class _PasteRun:
    """Does one job after the other and reports what came of each result."""

    def __init__(self, options: PasteOptions, target: Target) -> None:
        self.options, self.target = options, target
        self.places = Places(options.existing)
        self.counts: dict[Status, int] = {"ok": 0, "skipped": 0, "failed": 0}
        self.total = 0

    def understood(self, sources: Sequence[Source]) -> Iterator[_Result]:
        """The results whose recipe and photograph are known; the others are reported."""
        photographs = Photographs(str(self.options.photo), recursive=self.options.recursive)
        for source in sources:
            try:
                recipe = _recipe_of(source)
                photo = photographs.find(recipe.input_name, recipe.input_sha256, source.label)
                yield _Result(source=source, recipe=recipe, photo=photo)
            except InputError as error:
                self._emit(source, error=error)

    def do(self, job: _Job) -> None:
        """Write one photograph, or say why that cannot be done."""
        output = str(job.draft.names.picture())
        if job.draft.done or self.options.dry_run:
            self._report(job, "skipped" if job.draft.done else "ok", output)
            return
        try:
            self._report(job, "ok", self._write(job))
        except Exception as error:
            outcome = as_outcome(error, job.results[0].source.label)
            for result in job.results:
                self._emit(result.source, result, error=outcome)

    def _write(self, job: _Job) -> str:
        options, first = self.options, job.results[0]
        photo = read_image(first.photo, name=first.photo.name, max_pixels=options.max_pixels)
        pixels = self._pasted(photo, job.results)
        recipe = recipe_json(_pasted_recipe(job.results)) if options.metadata else None
        data = encode_image(
            pixels,
            still(self.target.format),
            recipe=recipe,
            xmp=xmp_packet(composite=True),
            exif=photo.exif if options.keep_exif else None,
        )
        if self.target.kind == "stdout":
            options.stdout(data)
            return "-"
        item = finished_item(job.draft, latents=False)
        names = self.places.write(item, [File(self.target.suffix, data, 0)], item.present)
        return str(names.picture())

    def _pasted(self, photo: Photo, results: Sequence[_Result]) -> Pixels:
        """The photograph with all these faces; the best one comes last, so that it lies on top where two meet."""
        pixels = photo.pixels
        for result in sorted(results, key=lambda result: result.recipe.face or 0, reverse=True):
            name = result.source.label
            face = read_image(Path(result.source.path or ""), name=name, max_pixels=self.options.max_pixels).pixels
            if face.shape[0] != face.shape[1]:
                raise InputError(
                    f"{name} is {face.shape[1]} x {face.shape[0]}, and a result is square", "name the result itself"
                )
            pixels = paste_face(
                pixels,
                face,
                np.array(result.recipe.matrix, dtype=np.float64),
                crop_size=result.recipe.crop_size or len(face),
                match_colours=result.recipe.command != "inpaint",  # a hole has no colours to match
            )
        return pixels

    def _report(self, job: _Job, status: Status, output: str) -> None:
        for result in job.results:
            self._emit(result.source, result, status=status, output=output)

    def _emit(
        self,
        source: Source,
        result: _Result | None = None,
        *,
        status: Status = "failed",
        output: str | None = None,
        error: P2S2PError | None = None,
    ) -> None:
        self.counts[status] += 1
        self.options.on_event(
            ImageDone(
                input=source.label,
                status=status,
                model=NO_MODEL if result is None else result.recipe.model,
                face=None if result is None else result.recipe.face,
                variant=SINGLE if result is None else result.variant,
                output=output,
                message=None if error is None else error.message,
                hint=None if error is None else error.hint,
            )
        )
        done = sum(self.counts.values())
        self.options.on_event(Progress(done=done, total=max(done, self.total), label="paste"))


def _recipe_of(source: Source) -> Recipe:
    """The recipe of a result; InputError where it does not say what place in which photograph that is."""
    if source.problem is not None:
        raise InputError(source.problem, source.hint)
    look = glance(Path(source.path or ""))
    if look.recipe is None:
        raise InputError(
            f"{source.label} holds no recipe of p2s2p, which would say where in its photograph it belongs",
            "name a picture made by p2s2p, without --no-metadata",
        )
    recipe = parse_recipe(look.recipe)
    if recipe.options.get("paste") or recipe.faces:
        raise InputError(f"{source.label} was put back into its photograph already", "name a result without --paste")
    if recipe.matrix is None or not recipe.crop_size:
        raise InputError(
            f"{source.label} was not cut out of a photograph, so it has no place in one",
            f"paste takes results of photographs, and this was made by p2s2p {recipe.command}",
        )
    return recipe


def _pasted_recipe(results: Sequence[_Result]) -> Recipe:
    """The recipe of a photograph with these faces, as the same run with ``--paste`` would have written it."""
    recipes = [replace(result.recipe, options={**result.recipe.options, "paste": True}) for result in results]
    if len(recipes) == 1:
        return recipes[0]
    return replace(
        recipes[0],
        face=None,
        matrix=None,
        crop_size=None,
        faces=[
            {"face": one.face, "matrix": [[*row] for row in one.matrix or ()], "crop_size": one.crop_size}
            for one in recipes
        ],
    )
