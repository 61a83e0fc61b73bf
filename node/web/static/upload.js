"use strict";
// Sends dropped or chosen files one by one by STOW-RS, some at a time, and tells of each what became of
// it; ZIP archives by the form, whose answer names what was in them. Without this file the form sends
// them all in one request.
const AT_ONCE = 3;
const SHOWN = 500;
const NAMED = 5;
const WITHIN = " › ";
const form = document.getElementById("drop");
const list = document.getElementById("list");
const files = document.getElementById("files");
const folder = document.getElementById("folder");
const bar = document.getElementById("all");
const summed = document.getElementById("summed");
const uploadToken = document.querySelector("meta[name=token]")?.content || "";
const waiting = [];
const count = { all: 0, stored: 0, refused: 0 };
let running = 0;
let rows = 0;

function row(name) {
  if (rows >= SHOWN) return null;
  rows += 1;
  const item = document.createElement("li");
  const [said, badge] = [document.createElement("span"), document.createElement("span")];
  said.textContent = name;
  badge.className = "badge pending";
  badge.textContent = "○ waiting";
  item.append(said, badge);
  list.append(item);
  return { said, badge };
}

function tell(shown, look, words, why = "") {
  if (!shown) return;
  shown.badge.className = `badge ${look}`;
  shown.badge.textContent = words;
  if (why) shown.said.textContent += ` – ${why}`;
}

function sum() {
  const ended = count.stored + count.refused;
  bar.max = Math.max(1, count.all);
  bar.value = ended;
  summed.textContent =
    `${count.stored} of ${count.all} stored` + (count.refused ? `, ${count.refused} refused` : "");
  document.getElementById("under-way").hidden = false;
}

function take(name, file) {
  count.all += 1;
  waiting.push({ file, name, shown: row(name) });
  sum();
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length) send(waiting.shift());
}

async function send(one) {
  running += 1;
  if (await isArchive(one.file)) sendArchive(one);
  else sendFile(one);
}

async function isArchive(file) {
  try {
    const [p, k, third, fourth] = new Uint8Array(await file.slice(0, 4).arrayBuffer());
    return p === 0x50 && k === 0x4b && third < 8 && fourth === third + 1;
  } catch {
    return false; // what cannot be read says so when it is sent
  }
}

function post(one, address, body, headers, ended) {
  const request = new XMLHttpRequest();
  request.open("POST", address);
  headers = { ...headers, "X-Wetread": "1", "X-Wetread-Token": uploadToken };
  for (const name in headers) request.setRequestHeader(name, headers[name]);
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable)
      tell(one.shown, "running", `▶ ${Math.round((100 * event.loaded) / event.total)} %`);
  });
  request.addEventListener("loadend", () => {
    running -= 1;
    ended(request);
    sum();
    next();
  });
  request.send(body);
  return request;
}

function sendFile(one) {
  const headers = { "Content-Type": "application/dicom", Accept: "application/dicom+json" };
  post(one, form.dataset.stow, one.file, headers, (request) => {
    ended(one.name, one.shown, request.status === 200, () => why(request));
  });
}

function sendArchive(one) {
  const body = new FormData();
  body.append("files", one.file, one.name);
  const headers = { Accept: "application/x-ndjson" };
  const request = post(one, form.action, body, headers, (request) => unpacked(one, request));
  request.upload.addEventListener("load", () => tell(one.shown, "running", "▶ unpacking"));
  request.addEventListener("progress", () => {
    const { taken, of } = lastLine(request);
    if (of) tell(one.shown, "running", `▶ ${taken} of ${of} unpacked`);
  });
}

// The last line of an answer that has come whole; the node says how far it is, or what became of all.
function lastLine(request) {
  try {
    return JSON.parse(request.responseText.trimEnd().split("\n").pop());
  } catch {
    return {};
  }
}

// The archive's own line gives way to those of what was in it.
function unpacked(one, request) {
  const { files: found, passed_over: passed, error } = lastLine(request);
  if (request.status !== 200 || !found) {
    const cut = error || "the node stopped before all was unpacked: send it again";
    ended(one.name, one.shown, false, () => (request.status === 200 ? cut : why(request)));
    return;
  }
  count.all += found.length - 1;
  for (const file of found) ended(file.name, row(file.name), file.stored, () => file.why);
  const stored = found.filter((file) => file.stored).length;
  const words = `${stored} in it stored${passed.length ? `, ${passed.length} passed over` : ""}`;
  tell(one.shown, stored ? "done" : "failed", `${stored ? "✓" : "✕"} ${words}`, passedOver(one, passed));
}

function passedOver(one, passed) {
  if (!passed.length) return "";
  const names = passed.slice(0, NAMED).map((name) => name.slice(one.name.length + WITHIN.length));
  const more = passed.length > NAMED ? ` and ${passed.length - NAMED} more` : "";
  return `passed over, no DICOM or a DICOMDIR: ${names.join(", ")}${more}`;
}

function ended(name, shown, stored, why) {
  count[stored ? "stored" : "refused"] += 1;
  if (stored) tell(shown, "done", "✓ stored");
  else tell(shown || row(name), "failed", "✕ refused", why());
}

// The sentence of a refusal: the header Warning of STOW-RS, else an error in JSON.
function why(request) {
  const warning = /"(.*)"/.exec(request.getResponseHeader("Warning") || "");
  if (warning) return warning[1].replace(/^1 of 1 not stored: /, "");
  try {
    return JSON.parse(request.responseText).error || `status ${request.status}`;
  } catch {
    return request.status ? `status ${request.status}` : "the node does not answer";
  }
}

// A folder is read entry by entry; readEntries gives a hundred at a time, and nothing when it is over.
async function walk(entry, path) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    take(path + entry.name, file);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const part = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!part.length) return;
    for (const one of part) await walk(one, `${path}${entry.name}/`);
  }
}

for (const name of ["dragenter", "dragover"]) {
  form.addEventListener(name, (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
}
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((one) => one.webkitGetAsEntry()).filter(Boolean);
  for (const entry of entries) walk(entry, "");
  if (!entries.length) for (const file of event.dataTransfer.files) take(file.name, file);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  for (const input of [files, folder]) {
    for (const file of input.files) take(file.webkitRelativePath || file.name, file);
    input.value = "";
  }
});
for (const id of ["hint", "folders"]) document.getElementById(id).hidden = false;
