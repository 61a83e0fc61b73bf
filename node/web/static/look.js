"use strict";
// Makes the viewer's page quick: slices come as numbers and are put into shades here, so that the
// window follows the hand and the pointer reads values; what lies over them comes as pictures of the
// node. Without this script every choice of the page is a link that the node answers.
(() => {
const look = document.getElementById("look");
const view = document.getElementById("look-view");
const img = document.getElementById("look-img");
const canvas = document.getElementById("look-canvas");
if (!look || !img) return;

const FRAME_BYTES = 192 * 1024 * 1024;
const AT_ONCE = 4; // of six connections: the page's events and the slice that is looked at have the others
const base = look.dataset.base;
const count = Number(look.dataset.count);
const isGrey = look.dataset.grey === "1";
const state = {
  index: Number(look.dataset.number) - 1,
  window: look.dataset.low === undefined ? null
    : { low: Number(look.dataset.low), high: Number(look.dataset.high), negative: look.dataset.negative === "1" },
  objects: look.dataset.objects,
  without: new Set(look.dataset.without ? look.dataset.without.split(",") : []),
  filled: look.dataset.filled === "1",
  opacity: Number(look.dataset.opacity) / 100,
  shown: true,
  zoom: 1, x: 0, y: 0,
  drag: "window",
};
let stack = null;
const by = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// --- what is loaded ---

async function answered(path, signal) {
  const answer = await fetch(path, { signal, cache: "no-store" });
  if (!answer.ok) {
    let why = `status ${answer.status}`;
    try { why = (await answer.json()).error || why; } catch { /* no words */ }
    throw new Error(why);
  }
  return answer;
}

const CELLS = { u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array };

async function loadNumbers(index, signal) {
  const answer = await answered(`${base}/${index + 1}/values`, signal);
  const said = (name) => answer.headers.get(`Wetread-${name}`);
  const [rows, columns] = said("Size").split(",").map(Number);
  const [slope, intercept] = said("Scale").split(",").map(Number);
  const padding = said("Padding") ? said("Padding").split(",").map(Number) : null;
  const cells = new CELLS[said("Cells")](await answer.arrayBuffer());
  return { rows, columns, slope, intercept, padding, cells, negative: said("Negative") === "1" };
}

async function loadPicture(key, signal) {
  const answer = await answered(key, signal);
  return createImageBitmap(await answer.blob());
}

const numbers = new Loads(loadNumbers, (one) => one.cells.byteLength, FRAME_BYTES);
const pictures = new Loads(loadPicture, (one) => one.width * one.height * 4, FRAME_BYTES / 2);
const overlays = new Loads(loadPicture, (one) => one.width * one.height * 4, FRAME_BYTES);
const travel = new Travel(count);

const asksNumbers = () => isGrey && state.window !== null;
const frameKey = (index) => (asksNumbers() ? index : pictureKey(index));
const frames = () => (asksNumbers() ? numbers : pictures);
const pictureKey = (index) => `${base}/${index + 1}/picture.webp?object=none&window=given&longest=1400`;
function overlayKey(index) {
  if (!state.objects) return "";
  const without = state.without.size ? `&without=${[...state.without].join(",")}` : "";
  return `${base}/${index + 1}/over.png?object=${state.objects}&style=${state.filled ? "filled" : "outlined"}${without}`;
}

// --- shades ---

const plain = document.createElement("canvas");
let painted = "";

function shade(frame) {
  const { low, high, negative } = state.window;
  const turned = negative !== frame.negative;
  const image = new ImageData(frame.columns, frame.rows);
  const out = new Uint32Array(image.data.buffer);
  const factor = 255 / Math.max(high - low, 1e-12);
  const [from, to] = frame.padding || [1, 0];
  const grey = (stored) => {
    const value = stored * frame.slope + frame.intercept;
    const level = stored >= from && stored <= to ? 0 : clamp((value - low) * factor, 0, 255);
    const one = (turned ? 255 - level : level) | 0;
    return (0xff000000 | (one << 16) | (one << 8) | one) >>> 0;
  };
  const { cells } = frame;
  if (cells.BYTES_PER_ELEMENT <= 2) {
    const least = cells instanceof Int16Array ? -32768 : cells instanceof Int8Array ? -128 : 0;
    const table = new Uint32Array(cells.BYTES_PER_ELEMENT === 2 ? 65536 : 256);
    for (let i = 0; i < table.length; i += 1) table[i] = grey(i + least);
    for (let i = 0; i < cells.length; i += 1) out[i] = table[cells[i] - least];
  } else {
    for (let i = 0; i < cells.length; i += 1) out[i] = grey(cells[i]);
  }
  plain.width = frame.columns;
  plain.height = frame.rows;
  plain.getContext("2d").putImageData(image, 0, 0);
}

// --- the picture: where the slice lies on the canvas ---

function proportions() {
  const one = stack && stack.slices[drawnIndex() ?? state.index];
  if (!one) return img.width / img.height;
  const mm = one.mm || [1, 1];
  return (one.size[1] * mm[1]) / (one.size[0] * mm[0]);
}

function fitted() {
  const ratio = proportions();
  const box = canvas.getBoundingClientRect();
  const width = Math.min(box.width, box.height * ratio) * state.zoom;
  const height = width / ratio;
  return { left: (box.width - width) / 2 + state.x, top: (box.height - height) / 2 + state.y, width, height, box };
}

// The slice that is looked at; until it is there, the nearest that is.
function drawnIndex() {
  const { there } = frames();
  for (let away = 0; away < count; away += 1) {
    const sides = [state.index - away * travel.direction, state.index + away * travel.direction];
    const found = sides.find((one) => there.has(frameKey(one)));
    if (found !== undefined) return found;
  }
  return undefined;
}

function draw() {
  const index = drawnIndex();
  if (index === undefined) return false;
  const frame = frames().get(frameKey(index));
  let source = frame;
  if (asksNumbers()) {
    const { low, high, negative } = state.window;
    const now = `${index} ${low} ${high} ${negative}`;
    if (painted !== now) { shade(frame); painted = now; }
    source = plain;
  }
  canvas.hidden = false;
  const place = fitted();
  const dense = window.devicePixelRatio || 1;
  const width = Math.round(place.box.width * dense);
  const height = Math.round(place.box.height * dense);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const pen = canvas.getContext("2d");
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, place.box.width, place.box.height);
  pen.imageSmoothingEnabled = state.zoom < 8; // beyond, single pixels are what is looked for
  pen.imageSmoothingQuality = "high";
  pen.drawImage(source, place.left, place.top, place.width, place.height);
  const over = state.shown && overlayKey(index) && overlays.get(overlayKey(index));
  if (over) {
    pen.globalAlpha = state.opacity;
    pen.imageSmoothingEnabled = true;
    pen.drawImage(over, place.left, place.top, place.width, place.height);
    pen.globalAlpha = 1;
  }
  img.style.visibility = "hidden";
  drawn(index, over ? overlayKey(index) : "");
  scaleBar(place);
  return index === state.index;
}

// What is on the canvas is said: another slice than the one that is looked at is never taken for it.
function drawn(index, over) {
  const isExact = index === state.index;
  const instead = by("look-instead");
  instead.hidden = isExact;
  instead.textContent = isExact ? "" : `slice ${index + 1} · ${state.index + 1} is loading`;
  look.dataset.instead = isExact ? "" : String(index + 1);
  if (isExact) Object.assign(look.dataset, { drawn: String(index + 1), over });
}

const LENGTHS_MM = [1, 2, 5, 10, 20, 50, 100, 200];
function scaleBar(place) {
  const bar = by("look-bar");
  const one = stack && stack.slices[state.index];
  if (!bar || !one || !one.mm) return;
  const perMm = place.width / (one.size[1] * one.mm[1]);
  const length = LENGTHS_MM.filter((mm) => mm * perMm <= 0.35 * place.box.width).pop();
  if (!length) return;
  bar.querySelector("line").setAttribute("x2", String(length * perMm));
  by("look-bar-said").textContent = length >= 10 ? `${length / 10} cm` : `${length} mm`;
}

let waits = 0;
function later() { // one drawing a frame of the screen
  if (!waits) waits = requestAnimationFrame(() => { waits = 0; draw(); });
}

// --- which slice ---

let told = -1; // the slice that was last shown, or asked for

function show() {
  told = state.index;
  broken.delete(told);
  delete look.dataset.preloaded;
  say();
  callOff();
  load();
  if (draw()) { fault(""); readAgain(); }
}

const near = () => travel.near(state.index).slice(0, Math.min(frames().fits(), overlays.fits()));

function callOff() {
  const wanted = near();
  numbers.only(new Set(wanted));
  pictures.only(new Set(wanted.map(pictureKey)));
  overlays.only(new Set(wanted.map(overlayKey)));
}

// --- what is loaded next: the slice that is looked at, those that the hand goes to, each tenth ---

const loading = new Map(); // which slices, by what is asked for
const broken = new Set(); // not asked for again before they are looked at

const isThere = (index) => frames().there.has(frameKey(index));
const hasOver = (index) => !state.shown || !overlayKey(index) || overlays.there.has(overlayKey(index));

function load() {
  const wanted = near();
  const left = wanted.filter((one) => !broken.has(one) && !(isThere(one) && hasOver(one)));
  if (!left.length) look.dataset.preloaded = String(state.index + 1);
  const rest = travel.far(state.index).filter((one) => !broken.has(one) && !isThere(one));
  const next = [...left, ...(frames().hasRoom() ? rest : [])].filter((one) => !loading.has(sliceKey(one)));
  for (const one of next) {
    if (one === state.index && loading.size > AT_ONCE) giveWay(wanted);
    else if (one !== state.index && loading.size >= AT_ONCE) return;
    fetched(one, wanted.includes(one));
  }
}

// The slice that is looked at does not wait: what is wanted last, or no more, is called off for it.
function giveWay(wanted) {
  const rank = (one) => (wanted.includes(one) ? wanted.indexOf(one) : Infinity);
  const last = [...loading.values()].reduce((one, other) => (rank(other) > rank(one) ? other : one));
  frames().off(frameKey(last));
  overlays.off(overlayKey(last));
}

const sliceKey = (index) => `${frameKey(index)} ${state.shown ? overlayKey(index) : ""}`;

async function fetched(index, withOver) {
  const key = sliceKey(index);
  const begun = performance.now();
  loading.set(key, index);
  try {
    const frame = frames().ask(frameKey(index));
    const over = withOver && !hasOver(index) ? overlays.ask(overlayKey(index)) : null;
    await frame;
    arrived(index);
    if (over) await over;
    arrived(index);
    travel.loaded((performance.now() - begun) / 1000);
  } catch (error) {
    if (error.name !== "AbortError") failed(index, error);
  }
  loading.delete(key);
  load();
}

function arrived(index) {
  if (index === state.index) fault("");
  if (index === state.index || look.dataset.instead || !look.dataset.drawn) draw();
  if (index === state.index) readAgain();
}

function failed(index, error) {
  broken.add(index);
  if (index === state.index) fault(`This slice cannot be shown: ${error.message}.`);
}

// Many steps between two pictures of the screen are one.
let turning = 0;
function go(index) {
  const to = clamp(index, 0, count - 1);
  if (to === state.index) return;
  travel.move(state.index, to, performance.now());
  state.index = to;
  address();
  if (turning) return;
  show();
  turning = requestAnimationFrame(() => { turning = 0; if (told !== state.index) show(); });
}

// Another series, at the same place: a picture of the node, once the hand rests.
let resting = 0;
function besides() {
  const figure = by("look-beside");
  if (!figure || !stack || !stack.beside.length) return;
  clearTimeout(resting);
  resting = setTimeout(() => {
    const picture = figure.querySelector("img");
    const to = `${figure.dataset.base}/${stack.beside[state.index] + 1}/picture.webp?object=none`;
    if (picture.getAttribute("src") !== to) picture.src = to;
  }, 60);
}

function fault(text) {
  const said = by("look-said");
  said.textContent = text;
  said.classList.toggle("seen", Boolean(text));
}

function say() {
  const one = stack && stack.slices[state.index];
  by("look-number").textContent = String(state.index + 1);
  by("look-slider").value = String(state.index + 1);
  by("look-slider").setAttribute("aria-valuetext", `slice ${state.index + 1} of ${count}`);
  besides();
  if (one) {
    by("look-place").textContent = one.place ? ` · ${one.place}` : "";
    ["left", "right", "top", "bottom"].forEach((side, i) => { by(`look-${side}`).textContent = one.sides[i]; });
  }
  for (const link of document.querySelectorAll("[data-move]")) {
    const ends = { first: 0, last: count - 1 };
    const to = clamp(ends[link.dataset.move] ?? state.index + Number(link.dataset.move), 0, count - 1);
    if (to === state.index) link.setAttribute("aria-disabled", "true"); else link.removeAttribute("aria-disabled");
  }
}

// The address says what is seen: it can be sent to a colleague, and a reload shows the same.
let settling = 0;
function address() {
  clearTimeout(settling);
  settling = setTimeout(() => history.replaceState(null, "", asShown(look.dataset.query)), 250);
}

// A query of this series with the slice, the window and the rest as they are now.
function asShown(search) {
  const query = new URLSearchParams(search);
  query.set("slice", String(state.index + 1));
  if (state.window) query.set("window", `${short(state.window.low)},${short(state.window.high)}${state.window.negative ? ",negative" : ""}`);
  else if (isGrey) query.set("window", "given");
  if (state.filled) query.delete("style"); else query.set("style", "outlined");
  if (state.opacity === 1) query.delete("opacity"); else query.set("opacity", String(Math.round(state.opacity * 100)));
  if (state.without.size) query.set("without", [...state.without].join(",")); else query.delete("without");
  return `?${query.toString().replaceAll("%2C", ",")}`;
}

const short = (value) => String(Number(value.toPrecision(6)));

// --- window, zoom, overlay ---

function setWindow(found) {
  state.window = found;
  by("look-window").textContent = found ? `${written(found.low)} to ${written(found.high)} ${look.dataset.unit === "(stored)" ? "" : look.dataset.unit}`.trim() : "";
  for (const link of document.querySelectorAll("[data-window]")) {
    const one = stack && stack.shades.presets[Number(link.dataset.window)];
    const same = one && (found ? one.low !== undefined && short(one.low) === short(found.low) && short(one.high) === short(found.high) : one.low === undefined);
    if (same) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  }
  show(); address();
}

const written = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))).replace("-", "−");

function startingWindow() {
  if (state.window) return state.window;
  const frame = numbers.get(state.index);
  return stack.shades.presets.map((one) => one).filter((one) => one.low !== undefined).pop()
    || (frame && { low: 0, high: 1, negative: false });
}

function zoomAt(factor, clientX, clientY) {
  const place = fitted();
  const zoom = clamp(state.zoom * factor, 0.5, 24);
  const real = zoom / state.zoom;
  const x = clientX - place.box.left - place.box.width / 2;
  const y = clientY - place.box.top - place.box.height / 2;
  state.x = x - (x - state.x) * real;
  state.y = y - (y - state.y) * real;
  state.zoom = zoom;
  later();
}

function fit() { Object.assign(state, { zoom: 1, x: 0, y: 0 }); later(); }

function toggleOverlay() {
  state.shown = !state.shown;
  const link = document.querySelector("[data-toggle=overlay]");
  if (link) link.textContent = state.shown ? "Hide all" : "Show all";
  show();
}

function setFilled(filled) {
  state.filled = filled;
  for (const link of document.querySelectorAll("[data-filled]")) {
    if ((link.dataset.filled === "1") === filled) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  }
  show(); address();
}

function setOpacity(share) {
  state.opacity = clamp(share, 0, 1);
  const slider = by("look-opacity");
  if (slider) slider.value = String(Math.round(state.opacity * 100));
  later(); address();
}

function toggleEntry(link) {
  const key = link.dataset.entry;
  if (state.without.has(key)) state.without.delete(key); else state.without.add(key);
  link.setAttribute("aria-checked", String(!state.without.has(key)));
  show(); address();
}

// --- what the pointer reads ---

let pointed = null;
function readAgain() { if (pointed) read(pointed.x, pointed.y); }

function read(clientX, clientY) {
  pointed = { x: clientX, y: clientY };
  const at = by("look-at");
  const place = fitted();
  const one = stack && stack.slices[state.index];
  const across = (clientX - place.box.left - place.left) / place.width;
  const down = (clientY - place.box.top - place.top) / place.height;
  at.hidden = !one || Boolean(look.dataset.instead) || across < 0 || across >= 1 || down < 0 || down >= 1;
  if (at.hidden) return;
  const row = Math.floor(down * one.size[0]);
  const column = Math.floor(across * one.size[1]);
  const lines = [valueAt(row, column)];
  if (one.at) {
    const [corner, along, downwards] = one.at;
    const mm = corner.map((start, i) => start + along[i] * column * one.mm[1] + downwards[i] * row * one.mm[0]);
    lines.push(mm.map((value) => value.toFixed(0).replace("-", "−")).join(" · ") + " mm");
  }
  at.textContent = lines.filter(Boolean).join("\n");
}

function valueAt(row, column) {
  const frame = isGrey && numbers.get(state.index);
  if (!frame) return "";
  const stored = frame.cells[row * frame.columns + column];
  if (frame.padding && stored >= frame.padding[0] && stored <= frame.padding[1]) return "not measured";
  return `${written(stored * frame.slope + frame.intercept)} ${look.dataset.unit}`.trim();
}

// --- hands ---

const touches = new Map();
let held = null;

view.addEventListener("pointerdown", (event) => {
  if (event.target.closest("a, button, input")) return;
  view.focus({ preventScroll: true });
  view.setPointerCapture(event.pointerId);
  touches.set(event.pointerId, { x: event.clientX, y: event.clientY });
  const moves = event.shiftKey || event.button === 1;
  const kind = moves ? "move" : event.button === 2 ? "zoom" : event.pointerType === "touch" && state.drag === "window" && !look.dataset.chosen ? "scroll" : state.drag;
  held = { kind, x: event.clientX, y: event.clientY, index: state.index, window: state.window || (stack && startingWindow()), from: { x: state.x, y: state.y }, zoom: state.zoom };
  if (event.button === 1) event.preventDefault();
});

view.addEventListener("pointermove", (event) => {
  if (!touches.has(event.pointerId)) { read(event.clientX, event.clientY); return; }
  const before = new Map(touches);
  touches.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (touches.size === 2) { pinch([...before.values()], [...touches.values()]); return; }
  if (held && touches.size === 1) drag(event.clientX - held.x, event.clientY - held.y);
});

for (const end of ["pointerup", "pointercancel"]) {
  view.addEventListener(end, (event) => { touches.delete(event.pointerId); held = null; });
}
view.addEventListener("pointerleave", () => { pointed = null; by("look-at").hidden = true; });
view.addEventListener("contextmenu", (event) => event.preventDefault());

function drag(across, down) {
  if (held.kind === "scroll") go(held.index + Math.round(down / Math.max(view.clientHeight / Math.min(count, 60), 3)));
  else if (held.kind === "move") { state.x = held.from.x + across; state.y = held.from.y + down; later(); }
  else if (held.kind === "zoom") { state.zoom = clamp(held.zoom * 2 ** (-down / 150), 0.5, 24); later(); }
  else if (held.window && isGrey) {
    const width = Math.max(held.window.high - held.window.low, 1e-6);
    const centre = (held.window.low + held.window.high) / 2 + (down / 400) * width;
    const wide = width * 2 ** (across / 200);
    setWindow({ low: centre - wide / 2, high: centre + wide / 2, negative: held.window.negative });
  }
}

function pinch(before, after) {
  const middle = (points) => ({ x: (points[0].x + points[1].x) / 2, y: (points[0].y + points[1].y) / 2 });
  const apart = (points) => Math.hypot(points[0].x - points[1].x, points[0].y - points[1].y) || 1;
  const [from, to] = [middle(before), middle(after)];
  state.x += to.x - from.x;
  state.y += to.y - from.y;
  zoomAt(apart(after) / apart(before), to.x, to.y);
}

let rolled = 0;
view.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.ctrlKey) { zoomAt(2 ** (-event.deltaY / 300), event.clientX, event.clientY); return; }
  rolled += event.deltaMode === 1 ? event.deltaY * 33 : event.deltaY;
  const steps = Math.abs(rolled) >= 100 ? Math.trunc(rolled / 100) : 0;
  if (steps) { rolled -= steps * 100; go(state.index + steps); }
}, { passive: false });

const KEYS = {
  ArrowDown: () => go(state.index + 1), ArrowUp: () => go(state.index - 1),
  ArrowRight: () => go(state.index + 1), ArrowLeft: () => go(state.index - 1),
  PageDown: () => go(state.index + PAGE), PageUp: () => go(state.index - PAGE),
  Home: () => go(0), End: () => go(count - 1),
  "+": () => zoomMiddle(1.25), "=": () => zoomMiddle(1.25), "-": () => zoomMiddle(0.8), 0: fit,
  o: toggleOverlay, f: () => setFilled(!state.filled),
  "[": () => setOpacity(state.opacity - 0.1), "]": () => setOpacity(state.opacity + 0.1),
};

function zoomMiddle(factor) {
  const box = canvas.getBoundingClientRect();
  zoomAt(factor, box.left + box.width / 2, box.top + box.height / 2);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  const preset = /^[1-9]$/.test(event.key) && document.querySelectorAll("[data-window]")[Number(event.key) - 1];
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (preset) preset.click(); else if (act) act(); else return;
  event.preventDefault();
});

look.addEventListener("click", (event) => {
  const object = event.target.closest(".look-object");
  if (object) object.search = asShown(object.search); // and the browser follows it
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const link = event.target.closest("[data-move], [data-window], [data-filled], [data-toggle], [data-opacity], [data-entry], [data-drag], #look-fit");
  if (!link || !look.contains(link) || link === look) return;
  const { move, window: preset, filled, toggle, opacity, entry, drag: tool } = link.dataset;
  if (preset !== undefined && !stack) return;
  event.preventDefault();
  if (move !== undefined) go(move === "first" ? 0 : move === "last" ? count - 1 : state.index + Number(move));
  else if (preset !== undefined) {
    const one = stack.shades.presets[Number(preset)];
    setWindow(one.low === undefined ? null : { low: one.low, high: one.high, negative: one.negative });
  } else if (filled !== undefined) setFilled(filled === "1");
  else if (toggle !== undefined) toggleOverlay();
  else if (opacity !== undefined) setOpacity(Number(opacity) / 100);
  else if (entry !== undefined) toggleEntry(link);
  else if (tool !== undefined) {
    state.drag = tool;
    look.dataset.chosen = tool;
    for (const one of document.querySelectorAll("[data-drag]")) one.setAttribute("aria-checked", String(one === link));
  } else fit();
});

by("look-slider").addEventListener("input", (event) => go(Number(event.target.value) - 1));
if (by("look-opacity")) by("look-opacity").addEventListener("input", (event) => setOpacity(Number(event.target.value) / 100));
new ResizeObserver(later).observe(view);

// --- begin ---

document.documentElement.classList.add("looking");
for (const one of [by("look-slider").parentNode, by("look-drags"), by("look-keys"), by("look-opacity") && by("look-opacity").parentNode]) if (one) one.hidden = false;
if (by("look-opacities")) by("look-opacities").hidden = true;
fetch(`${base}/stack${look.dataset.query}`, { cache: "no-store" })
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then((told) => { stack = told; say(); later(); })
  .catch((error) => fault(`The slices cannot be listed: ${error.message}.`));
show();
})();
