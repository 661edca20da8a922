"""A page on which people choose between two pictures without knowing whose they are: the papers' user study, static.

Everything is in the one file: pictures as data, no request goes out, answers stay in the browser until they are saved.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.files.image import encode_image

Pixels = NDArray[np.uint8]
OURS = "pSp"
QUESTIONS = {
    "labels": "Which picture is the better photograph of a face with these parts?",
    "sketch": "Which picture is the better photograph of the face that is drawn?",
}
EACH = 6  # inputs of every pair of systems


def blind_page(shown: Mapping[str, Mapping[str, Sequence[Pixels]]]) -> str:
    """The page; ``shown`` are pictures by kind of input and by system, beside ``input`` and ``true``."""
    pictures: list[str] = []
    trials: list[dict[str, Any]] = []
    for kind, columns in shown.items():
        systems = [name for name in columns if name not in ("input", "true")]
        pairs = [pair for pair in itertools.combinations(systems, 2) if any(name.startswith(OURS) for name in pair)]
        for number in range(min(EACH, len(columns["input"]))):
            place = {name: len(pictures) + i for i, name in enumerate(("input", *systems))}
            pictures += [_as_data(columns[name][number]) for name in place]
            trials += [
                {"kind": kind, "number": number, "input": place["input"], "systems": list(pair),
                 "pictures": [place[name] for name in pair]}
                for pair in pairs
            ]  # fmt: skip
    data = json.dumps({"pictures": pictures, "trials": trials, "questions": QUESTIONS}).replace("</", "<\\/")
    return PAGE.replace("@DATA@", data).replace("@TITLE@", html.escape("Which picture is better?"))


def _as_data(picture: Pixels) -> str:
    content = encode_image(np.ascontiguousarray(picture), "webp", quality=88)
    return f"data:image/webp;base64,{base64.b64encode(content).decode('ascii')}"


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>@TITLE@</title>
<style>
 body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem; color: #1d1d1f; }
 .row { display: flex; gap: 1rem; justify-content: center; flex-wrap: wrap; margin: 1rem 0; }
 img { width: 256px; height: 256px; image-rendering: auto; display: block; }
 #given img { width: 176px; height: 176px; }
 button { font: inherit; padding: .5rem; border: 2px solid #bbb; border-radius: .5rem; background: #fff; }
 button { cursor: pointer; }
 button:hover, button:focus-visible { border-color: #2a62c9; outline: none; }
 table { border-collapse: collapse; margin: 1rem 0; }
 th, td { text-align: left; padding: .25rem .75rem; border-bottom: 1px solid #ddd; }
 p.small { color: #555; font-size: .9rem; }
 [hidden] { display: none; }
</style>
</head>
<body>
<h1>@TITLE@</h1>
<section id="start">
 <p>You will see an input and two pictures that were made of it by two programs. Choose the better one; when both seem
 alike, choose by feeling. Nothing says which program made which, and sides and order are drawn anew each time.</p>
 <p>Keys: left and right arrow. Answers stay in this page until you save them.</p>
 <button id="begin">Begin</button>
</section>
<section id="trial" hidden>
 <p id="question"></p>
 <div class="row" id="given"></div>
 <div class="row">
  <button id="left" aria-label="left picture"></button>
  <button id="right" aria-label="right picture"></button>
 </div>
 <p class="small" id="progress" aria-live="polite"></p>
 <button id="end">End here</button>
</section>
<section id="result" hidden>
 <h2>Your answers</h2>
 <table><thead><tr><th>Input</th><th>Chosen</th><th>over</th><th>times</th><th>chance alone</th></tr></thead>
 <tbody id="rows"></tbody></table>
 <p class="small">Chance alone: how often a coin would favour one of the two at least as clearly (two-sided binomial
 test).</p>
 <button id="save">Save answers as JSON</button>
</section>
<script>
const data = @DATA@;
const show = name => document.getElementById(name);
const answers = [];
let order = [], at = 0, sides = null, began = 0;
function random(below) {
  const values = new Uint32Array(1), most = Math.floor(2 ** 32 / below) * below;
  do { crypto.getRandomValues(values); } while (values[0] >= most);
  return values[0] % below;
}
function shuffled(items) {
  const found = items.slice();
  for (let i = found.length - 1; i > 0; i--) {
    const j = random(i + 1);
    [found[i], found[j]] = [found[j], found[i]];
  }
  return found;
}
function picture(number, text) {
  const image = new Image();
  image.src = data.pictures[number];
  image.alt = text;
  return image;
}
function next() {
  if (at >= order.length) { finish(); return; }
  const trial = order[at];
  sides = random(2) ? [0, 1] : [1, 0];
  show("question").textContent = data.questions[trial.kind];
  show("given").replaceChildren(picture(trial.input, "input"));
  show("left").replaceChildren(picture(trial.pictures[sides[0]], "left picture"));
  show("right").replaceChildren(picture(trial.pictures[sides[1]], "right picture"));
  show("progress").textContent = `${at + 1} of ${order.length}`;
  began = performance.now();
}
function choose(side) {
  if (show("trial").hidden) return;
  const trial = order[at], chosen = sides[side];
  answers.push({
    kind: trial.kind, input: trial.number, chosen: trial.systems[chosen], other: trial.systems[1 - chosen],
    side: side ? "right" : "left", seconds: Math.round(performance.now() - began) / 1000,
  });
  at += 1;
  next();
}
function chance(wins, all) {
  const most = Math.max(wins, all - wins);
  let term = 1, sum = 0;
  for (let k = 0; k <= all; k++) {
    if (k) term = term * (all - k + 1) / k;
    if (k >= most) sum += term;
  }
  return Math.min(1, 2 * sum / 2 ** all);
}
function finish() {
  const pairs = new Map();
  for (const answer of answers) {
    const names = [answer.chosen, answer.other].sort(), key = JSON.stringify([answer.kind, ...names]);
    const row = pairs.get(key) || { kind: answer.kind, names, wins: 0, all: 0 };
    row.all += 1;
    row.wins += answer.chosen === names[0];
    pairs.set(key, row);
  }
  show("rows").replaceChildren(...[...pairs.values()].map(row => {
    const first = row.wins * 2 >= row.all, names = first ? row.names : [row.names[1], row.names[0]];
    const wins = first ? row.wins : row.all - row.wins, line = document.createElement("tr");
    for (const text of [row.kind, names[0], names[1], `${wins} of ${row.all}`, chance(wins, row.all).toPrecision(2)]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      line.append(cell);
    }
    return line;
  }));
  show("trial").hidden = true;
  show("result").hidden = false;
}
function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answers, null, 1)], { type: "application/json" }));
  link.download = "answers.json";
  link.click();
  URL.revokeObjectURL(link.href);
}
show("begin").onclick = () => {
  order = shuffled(data.trials);
  show("start").hidden = true;
  show("trial").hidden = false;
  next();
};
show("left").onclick = () => choose(0);
show("right").onclick = () => choose(1);
show("end").onclick = finish;
show("save").onclick = save;
addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") choose(0);
  if (event.key === "ArrowRight") choose(1);
});
</script>
</body>
</html>
"""
