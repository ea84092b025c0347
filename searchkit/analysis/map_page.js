"use strict";
// One page without a library: points are painted into a buffer of pixels, which stays quick at 100,000 of
// them on machines without WebGL, and a lasso tests each point once, when it is let go.
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const n = data.x.length;
const byId = (id) => document.getElementById(id);
const map = byId("map"), over = byId("over"), stage = byId("stage"), tip = byId("tip");
const pen = map.getContext("2d", { alpha: false }), lines = over.getContext("2d");
const X = Float64Array.from(data.x, (v) => v / data.unit);
const Y = Float64Array.from(data.y, (v) => 1 - v / data.unit); // screens count downwards
const shown = new Uint8Array(n).fill(1), match = new Uint8Array(n).fill(1), chosen = new Uint8Array(n);
const rank = new Map(data.hits);
let searching = false, chosenCount = 0, hovered = -1, pinned = -1, mode = "pan", path = null;
let width = 1, height = 1, ratio = 1;
const view = { zoom: 1, x: 0, y: 0 }; // x, y: the point of the map in the middle of the screen
let fit = 1;
const number = new Intl.NumberFormat("en");

// ---------------------------------------------------------------- facts of a point

const where = (i) => data.names[data.name[i]] + data.place[i];
const heading = (i) => data.headings[data.heading[i]];
const label = (i) => data.labels[data.label[i]];
const record = (i) => ({
  passage_id: data.id[i], document: data.names[data.name[i]], where: where(i), heading: heading(i),
  field: data.field, value: data.raws[data.raw[i]], x: data.x[i] / data.unit, y: data.y[i] / data.unit, text: data.text[i],
});

// ---------------------------------------------------------------- colours

const dark = matchMedia("(prefers-color-scheme: dark)");
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const FEW = 1500; // points that stand out get a rim
let back, ink, inked, colours;
function readColours() {
  const style = getComputedStyle(document.documentElement);
  back = rgb(style.getPropertyValue("--back").trim());
  ink = style.getPropertyValue("--ink").trim();
  inked = rgb(ink);
  const light = (c) => (dark.matches ? c.map((v) => Math.round(v + (255 - v) * 0.28)) : c);
  colours = (data.categories ? data.categories.map((one) => one.colour) : [...data.scale.colours, data.grey])
    .map((hex) => light(rgb(hex)));
}
function colourOf(i) {
  const value = data.value[i];
  if (data.categories) return value;
  const steps = data.scale.colours.length;
  return value === null ? steps : Math.min(steps - 1, Math.floor(value * steps));
}
const kind = Uint8Array.from({ length: n }, (_, i) => colourOf(i));

// ---------------------------------------------------------------- where things are

const low = [Infinity, Infinity], high = [-Infinity, -Infinity];
for (let i = 0; i < n; i++) {
  low[0] = Math.min(low[0], X[i]); high[0] = Math.max(high[0], X[i]);
  low[1] = Math.min(low[1], Y[i]); high[1] = Math.max(high[1], Y[i]);
}
function whole() {
  view.zoom = 1;
  view.x = n ? (low[0] + high[0]) / 2 : 0.5;
  view.y = n ? (low[1] + high[1]) / 2 : 0.5;
}
const scale = () => fit * view.zoom;
const screenX = (x) => width / 2 + (x - view.x) * scale();
const screenY = (y) => height / 2 + (y - view.y) * scale();
const mapX = (px) => view.x + (px - width / 2) / scale();
const mapY = (py) => view.y + (py - height / 2) / scale();
const radius = () => Math.min(9, Math.max(1.3, 8 - 1.35 * Math.log10(n + 1)) * Math.pow(view.zoom, 0.3));

// Points by the cell of a grid that they lie in, one cell after the other.
const CELLS = 128, cellAt = (v) => Math.min(CELLS - 1, Math.max(0, Math.floor(v * CELLS)));
const starts = new Uint32Array(CELLS * CELLS + 1), inCells = new Uint32Array(n);
(() => {
  const cell = Uint32Array.from({ length: n }, (_, i) => cellAt(Y[i]) * CELLS + cellAt(X[i]));
  for (const one of cell) starts[one + 1]++;
  for (let c = 0; c < CELLS * CELLS; c++) starts[c + 1] += starts[c];
  const next = starts.slice();
  for (let i = 0; i < n; i++) inCells[next[cell[i]]++] = i;
})();
function nearest(px, py) {
  const reach = radius() + 5, x = mapX(px), y = mapY(py), around = reach / scale();
  let best = -1, least = reach * reach;
  for (let row = cellAt(y - around); row <= cellAt(y + around); row++)
    for (let at = starts[row * CELLS + cellAt(x - around)]; at < starts[row * CELLS + cellAt(x + around) + 1]; at++) {
      const i = inCells[at];
      if (!shown[i]) continue;
      const dx = (X[i] - x) * scale(), dy = (Y[i] - y) * scale(), d = dx * dx + dy * dy;
      if (d < least || (d === least && stands(i))) { least = d; best = i; }
    }
  return best;
}

// ---------------------------------------------------------------- painting

// While something is looked for, what is found stands out, whatever is selected: its number is told beside.
const stands = (i) => (searching ? match[i] === 1 : !chosenCount || chosen[i] === 1);
function disc(r) { // coverage of each pixel, 0 to 255
  const size = Math.ceil(r) * 2 + 1, middle = Math.ceil(r), mask = new Uint8Array(size * size);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++)
      mask[y * size + x] = 255 * Math.min(1, Math.max(0, r + 0.5 - Math.hypot(x - middle, y - middle)));
  return { size, middle, mask };
}
function stamp(pixels, w, h, px, py, { size, middle, mask }, [red, green, blue], strength) {
  const left = Math.round(px) - middle, top = Math.round(py) - middle;
  if (left >= w || top >= h || left + size <= 0 || top + size <= 0) return;
  for (let y = Math.max(0, -top); y < size && top + y < h; y++)
    for (let x = Math.max(0, -left); x < size && left + x < w; x++) {
      const cover = mask[y * size + x] * strength;
      if (!cover) continue;
      const at = ((top + y) * w + left + x) * 4, share = cover / 255;
      pixels[at] += (red - pixels[at]) * share;
      pixels[at + 1] += (green - pixels[at + 1]) * share;
      pixels[at + 2] += (blue - pixels[at + 2]) * share;
    }
}
let frame = 0, image = null;
function draw() { frame = frame || requestAnimationFrame(paint); }
function paint() {
  frame = 0;
  const w = map.width, h = map.height;
  if (!image || image.width !== w || image.height !== h) image = pen.createImageData(w, h);
  const pixels = image.data, ground = (255 << 24 | back[2] << 16 | back[1] << 8 | back[0]) >>> 0;
  new Uint32Array(pixels.buffer).fill(ground);
  const some = searching || chosenCount > 0, r = radius() * ratio, s = scale() * ratio;
  const x0 = width / 2 * ratio - view.x * s, y0 = height / 2 * ratio - view.y * s;
  const strength = n > 20000 ? 0.7 : 0.85;
  const all = (wanted, mask, tints, cover) => {
    for (let i = 0; i < n; i++)
      if (shown[i] && (!some || stands(i) === wanted))
        stamp(pixels, w, h, X[i] * s + x0, Y[i] * s + y0, mask, tints[kind[i]], cover);
  };
  if (some) {
    let few = 0;
    for (let i = 0; i < n && few <= FEW; i++) if (shown[i] && stands(i)) few++;
    // A pale colour that covers, for what is faint adds up in a crowd and hides what stands out.
    all(false, disc(r), colours.map((c) => c.map((v, at) => back[at] + (v - back[at]) * 0.2)), 0.6);
    const loud = few <= FEW ? Math.max(1.3 * r, 4 * ratio) : 1.15 * r;
    if (few <= FEW) all(true, disc(loud + ratio), colours.map(() => inked), 1);
    all(true, disc(loud), colours, few <= FEW ? 1 : strength);
  } else all(true, disc(r), colours, strength);
  pen.putImageData(image, 0, 0);
  paintOver();
}
function paintOver() {
  lines.setTransform(ratio, 0, 0, ratio, 0, 0);
  lines.clearRect(0, 0, width, height);
  lines.strokeStyle = lines.fillStyle = ink;
  const ring = (i, more, thick) => {
    lines.lineWidth = thick;
    lines.beginPath();
    lines.arc(screenX(X[i]), screenY(Y[i]), radius() + more, 0, 7);
    lines.stroke();
  };
  lines.font = "600 11px system-ui, sans-serif";
  for (const [i, place] of rank) {
    if (!shown[i]) continue;
    ring(i, 3, 1.5);
    if (place <= 10) lines.fillText(String(place), screenX(X[i]) + radius() + 5, screenY(Y[i]) + 4);
  }
  for (const i of new Set([hovered, pinned])) if (i >= 0) ring(i, 2, 2);
  if (path) {
    lines.beginPath();
    path.forEach(([x, y], at) => (at ? lines.lineTo(x, y) : lines.moveTo(x, y)));
    lines.closePath();
    lines.lineWidth = 1.5;
    lines.setLineDash([5, 4]);
    lines.stroke();
    lines.setLineDash([]);
    lines.globalAlpha = 0.08;
    lines.fill();
    lines.globalAlpha = 1;
  }
}
function resize() {
  width = Math.max(1, stage.clientWidth);
  height = Math.max(1, stage.clientHeight);
  ratio = Math.min(2, devicePixelRatio || 1);
  for (const one of [map, over]) { one.width = Math.round(width * ratio); one.height = Math.round(height * ratio); }
  const room = 0.92;
  fit = Math.min(width * room / Math.max(high[0] - low[0], 0.02), Math.max(height - 66, 40) / Math.max(high[1] - low[1], 0.02));
  if (!Number.isFinite(fit)) fit = Math.min(width, height);
  fit = Math.min(fit, Math.max(width, height) * 2);
  paint();
}

// ---------------------------------------------------------------- what is under the pointer

function add(parent, tag, text, name) {
  const made = document.createElement(tag);
  if (text) made.textContent = text; // texts are data: never read as HTML
  if (name) made.className = name;
  parent.append(made);
  return made;
}
const named = (i) => [data.field + ": " + (label(i) || "none"), rank.has(i) ? "hit " + rank.get(i) : ""]
  .filter(Boolean).join(" · ");
function hover(i, px, py) {
  if (i !== hovered) { hovered = i; paintOver(); }
  tip.hidden = i < 0;
  map.style.cursor = mode === "pan" ? (i < 0 ? "grab" : "pointer") : "crosshair";
  if (i < 0) return;
  if (tip.dataset.point !== String(i)) {
    tip.dataset.point = i;
    tip.replaceChildren();
    add(tip, "b", where(i));
    if (heading(i)) add(tip, "i", heading(i));
    add(tip, "i", named(i));
    add(tip, "span", data.text[i].slice(0, 900));
  }
  const left = px + 16 + tip.offsetWidth > width ? px - 16 - tip.offsetWidth : px + 16;
  const top = Math.min(py + 12, height - tip.offsetHeight - 4);
  tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
}
function pin(i) {
  pinned = i;
  byId("point").hidden = i < 0;
  if (i >= 0) {
    byId("pwhere").textContent = where(i);
    byId("phead").textContent = heading(i);
    byId("pvalue").textContent = named(i);
    byId("ptext").textContent = data.text[i];
  }
  paintOver();
}

// ---------------------------------------------------------------- searching

// Without accents and case, as the search for words has it.
const plainly = (text) => (/^[\x00-\x7f]*$/.test(text) ? text : text.normalize("NFKD").replace(/\p{M}/gu, ""))
  .toLowerCase();
let texts = null;
function search(asked) {
  const words = plainly(asked).split(/\s+/).filter(Boolean);
  searching = words.length > 0;
  texts = texts || Array.from({ length: n }, (_, i) => plainly(`${where(i)}\n${heading(i)}\n${data.text[i]}\n${data.further ? data.further[i] : ""}`));
  let count = 0;
  for (let i = 0; i < n; i++) {
    match[i] = words.every((word) => texts[i].includes(word)) ? 1 : 0;
    count += match[i] & shown[i];
  }
  byId("found").textContent = searching ? number.format(count) + (count === 1 ? " match" : " matches") : "";
  byId("take").hidden = !searching || !count;
  draw();
}

// ---------------------------------------------------------------- choosing

function choose(test, more) {
  if (!more) chosen.fill(0);
  for (let i = 0; i < n; i++) if (shown[i] && test(i)) chosen[i] = 1;
  list();
  draw();
}
const selected = () => Array.from(chosen.keys()).filter((i) => chosen[i] && shown[i]);
const LISTED = 200;
function list() { // what the legend hides is neither counted nor saved, and is back when it is shown again
  chosenCount = 0;
  let hidden = 0;
  for (let i = 0; i < n; i++) { chosenCount += chosen[i] & shown[i]; hidden += chosen[i] & (1 - shown[i]); }
  byId("selection").hidden = !chosenCount && !hidden;
  for (const one of ["csv", "json"]) byId(one).disabled = !chosenCount;
  byId("chosen").textContent = number.format(chosenCount) + " selected" +
    (hidden ? `, ${number.format(hidden)} hidden and left out` : "");
  byId("list").replaceChildren();
  for (const i of chosenCount ? selected().slice(0, LISTED) : []) {
    const row = add(add(byId("list"), "li"), "button", where(i));
    add(row, "small", data.text[i].slice(0, 120));
    row.addEventListener("click", () => pin(i));
  }
  if (chosenCount > LISTED) add(byId("list"), "li", `and ${number.format(chosenCount - LISTED)} more, in the files`);
}
function inside(outline) {
  const ring = outline.map(([px, py]) => [mapX(px), mapY(py)]);
  const xs = ring.map((one) => one[0]), ys = ring.map((one) => one[1]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  return (i) => {
    const x = X[i], y = Y[i];
    if (x < left || x > right || y < top || y > bottom) return false;
    let odd = false;
    for (let a = 0, b = ring.length - 1; a < ring.length; b = a++)
      if (ys[a] > y !== ys[b] > y && x < (xs[b] - xs[a]) * (y - ys[a]) / (ys[b] - ys[a]) + xs[a]) odd = !odd;
    return odd;
  };
}
const NUMERIC = /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/;
// A spreadsheet would calculate what begins so; the apostrophe says that it is text.
const inert = (value) => (typeof value === "string" && /^[=+\-@\t\r]/.test(value) && !NUMERIC.test(value) ? "'" + value : value);
function csv() {
  const cell = (given) => {
    const value = given === null ? "" : String(inert(given));
    return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  };
  const rows = selected().map(record), names = Object.keys(record(0));
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((row) => row.map(cell).join(",") + "\n").join("");
}
const json = () => JSON.stringify(selected().map(record), null, 1) + "\n";
function save(text, ending, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = `${data.collection}-selection.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// ---------------------------------------------------------------- the hand

let press = null, pinch = null;
const fingers = new Map(); // what touches the map, by pointer
function pinched() { // the middle of two fingers, and how far they are apart
  const [[ax, ay], [bx, by]] = fingers.values();
  return { px: (ax + bx) / 2, py: (ay + by) / 2, apart: Math.max(10, Math.hypot(ax - bx, ay - by)) };
}
const at = (event) => { const box = map.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
map.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  map.setPointerCapture(event.pointerId);
  const [px, py] = at(event), how = event.shiftKey ? "lasso" : mode;
  fingers.set(event.pointerId, [px, py]);
  if (fingers.size > 1) {
    press = path = null;
    pinch = fingers.size === 2 ? pinched() : null;
    hover(-1);
    paintOver();
    return;
  }
  press = { px, py, how, moved: false, x: view.x, y: view.y };
  if (how !== "pan") path = [[px, py]];
});
map.addEventListener("pointermove", (event) => {
  const [px, py] = at(event);
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, [px, py]);
  if (pinch) {
    const now = pinched();
    view.x -= (now.px - pinch.px) / scale();
    view.y -= (now.py - pinch.py) / scale();
    zoomBy(now.apart / pinch.apart, now.px, now.py);
    pinch = now;
    return;
  }
  if (fingers.size > 1) return;
  if (!press) return fingers.size || hover(nearest(px, py), px, py);
  press.moved = press.moved || Math.hypot(px - press.px, py - press.py) > 3;
  if (!press.moved) return;
  hover(-1);
  if (press.how === "pan") {
    view.x = press.x - (px - press.px) / scale();
    view.y = press.y - (py - press.py) / scale();
    map.style.cursor = "grabbing";
    draw();
  } else {
    if (press.how === "lasso") path.push([px, py]);
    else path = [[press.px, press.py], [px, press.py], [px, py], [press.px, py]];
    paintOver();
  }
});
function letGo(event, kept) {
  fingers.delete(event.pointerId);
  pinch = fingers.size === 2 ? pinched() : null; // a finger that stays does nothing until it is lifted
  if (!press) return;
  const { how, moved, px, py } = press, outline = path;
  press = path = null;
  if (kept && moved && how !== "pan") choose(inside(outline), event.ctrlKey || event.metaKey);
  else if (kept && !moved) pin(nearest(px, py));
  paintOver();
}
map.addEventListener("pointerup", (event) => letGo(event, true));
map.addEventListener("pointercancel", (event) => letGo(event, false));
map.addEventListener("lostpointercapture", (event) => letGo(event, false));
map.addEventListener("pointerleave", () => hover(-1));
function zoomBy(factor, px = width / 2, py = height / 2) {
  const x = mapX(px), y = mapY(py);
  view.zoom = Math.min(400, Math.max(0.5, view.zoom * factor));
  view.x = x - (px - width / 2) / scale();
  view.y = y - (py - height / 2) / scale();
  hover(-1);
  draw();
}
map.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...at(event));
}, { passive: false });
map.addEventListener("dblclick", (event) => zoomBy(2, ...at(event)));

function setMode(to) {
  mode = to;
  for (const button of document.querySelectorAll("[data-mode]"))
    button.setAttribute("aria-pressed", String(button.dataset.mode === to));
  hover(-1);
}
for (const button of document.querySelectorAll("[data-mode]"))
  button.addEventListener("click", () => setMode(button.dataset.mode));
const back2whole = () => { whole(); draw(); };
byId("whole").addEventListener("click", back2whole);
byId("in").addEventListener("click", () => zoomBy(1.4));
byId("out").addEventListener("click", () => zoomBy(1 / 1.4));
byId("clear").addEventListener("click", () => choose(() => false));
byId("csv").addEventListener("click", () => save("\ufeff" + csv(), "csv", "text/csv"));
byId("json").addEventListener("click", () => save(json(), "json", "application/json"));
byId("take").addEventListener("click", () => choose((i) => match[i]));
let waiting = 0;
byId("search").addEventListener("input", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => search(event.target.value), n > 20000 ? 250 : 60);
});
const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
document.addEventListener("keydown", (event) => {
  const typing = event.target === byId("search");
  if (event.key === "Escape") {
    if (typing && byId("search").value) { byId("search").value = ""; search(""); }
    else if (press) { press = path = null; paintOver(); }
    else { choose(() => false); pin(-1); }
  } else if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.key === "/") { event.preventDefault(); byId("search").focus(); }
  else if (event.key === "+" || event.key === "=") zoomBy(1.4);
  else if (event.key === "-") zoomBy(1 / 1.4);
  else if (event.key === "0") back2whole();
  else if (moves[event.key] && !event.target.closest?.("aside")) { // there they scroll
    event.preventDefault();
    view.x += moves[event.key][0] * 60 / scale();
    view.y += moves[event.key][1] * 60 / scale();
    draw();
  }
});

// ---------------------------------------------------------------- the legend

function swatch(parent, colour) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  for (const [name, value] of Object.entries({ cx: 6, cy: 6, r: 5.5, fill: `rgb(${colour.join(",")})` }))
    circle.setAttribute(name, value);
  svg.append(circle);
  parent.append(svg);
}
const off = new Set();
function toggle(category, alone) {
  if (alone) {
    const others = [...data.categories.keys()].filter((one) => one !== category);
    const only = off.size === data.categories.length - 1 && !off.has(category);
    off.clear();
    if (!only) for (const one of others) off.add(one);
  } else if (!off.delete(category)) off.add(category);
  for (let i = 0; i < n; i++) shown[i] = off.has(kind[i]) ? 0 : 1;
  legend();
  list();
  search(byId("search").value);
}
function legend() {
  const focused = document.activeElement && document.activeElement.dataset.category;
  byId("field").textContent = data.heading_of_legend;
  byId("legend").replaceChildren();
  if (data.categories) {
    data.categories.forEach((one, category) => {
      const row = add(byId("legend"), "button");
      row.dataset.category = category;
      row.title = "show or hide; with Shift only this";
      row.setAttribute("aria-pressed", String(!off.has(category)));
      swatch(row, colours[category]);
      add(row, "span", one.name, "name");
      add(row, "span", number.format(one.count), "count");
      row.addEventListener("click", (event) => toggle(category, event.shiftKey));
      if (focused === String(category)) row.focus();
    });
    return;
  }
  const bar = add(byId("legend"), "canvas", "", "bar");
  bar.width = data.scale.colours.length;
  bar.height = 1;
  data.scale.colours.forEach((_, at) => {
    bar.getContext("2d").fillStyle = `rgb(${colours[at].join(",")})`;
    bar.getContext("2d").fillRect(at, 0, 1, 1);
  });
  const ends = add(byId("legend"), "div", "", "ends");
  for (const text of data.scale.ends) add(ends, "span", text);
  if (data.scale.without) {
    const row = add(byId("legend"), "button");
    row.disabled = true;
    swatch(row, colours[colours.length - 1]);
    add(row, "span", "none", "name");
    add(row, "span", number.format(data.scale.without), "count");
  }
}

// ---------------------------------------------------------------- beginning

byId("title").textContent = data.title;
byId("search").placeholder = `Search ${data.level}s ( / )`;
byId("about").textContent = data.about;
map.setAttribute("aria-label", `${data.title}: ${data.about}`);
readColours();
legend();
whole();
new ResizeObserver(resize).observe(stage);
dark.addEventListener("change", () => { readColours(); legend(); draw(); });
resize();

// For the console, and for tests.
window.searchkitMap = {
  points: n, record, selected: () => selected().map(record), csv, json,
  matches: () => [...match.keys()].filter((i) => searching && shown[i] && match[i]),
  shown: () => shown.reduce((sum, one) => sum + one, 0),
  place: (i) => { const box = map.getBoundingClientRect(); return [box.left + screenX(X[i]), box.top + screenY(Y[i])]; },
  zoom: () => view.zoom, paint,
};
})();
