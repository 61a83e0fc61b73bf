"use strict";
// Keeps the page fresh: the server renders, this changes only what differs. What a person has
// selected, opened, focused or scrolled to stays as it is.
const EVERY_MS = 2000;
const PATIENCE_MS = 12000;
const status = document.getElementById("status");
const offline = document.getElementById("offline");
const enlarged = document.getElementById("enlarged");
let seen = new Date();
let timer = 0;

async function refresh() {
  clearTimeout(timer);
  let answered = false;
  try {
    const answer = await ask(`/fragment?${status.dataset.query}`);
    answered = true;
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) {
      throw new Error((await answer.json()).error || `status ${answer.status}`);
    }
    const fresh = document.createElement("template");
    fresh.innerHTML = await answer.text();
    morph(status, fresh.content);
    seen = new Date();
    offline.hidden = true;
  } catch (fault) {
    const why = answered ? `Not fresh: ${fault.message}.` : "The node does not answer.";
    offline.textContent = `✕ ${why} This is how it stood at ${seen.toLocaleTimeString()}.`;
    offline.hidden = false;
  }
  entitle();
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
}

function ask(path, options = {}) {
  return fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
}

// The tab says whether someone must act.
function entitle() {
  const head = status.querySelector("header");
  const alarms = Number(head.dataset.alarms);
  const well = head.dataset.well === "yes" && offline.hidden;
  document.title = `${well ? "" : "✕ "}${alarms ? `(${alarms}) ` : ""}${status.dataset.title} · Wetread`;
}

// Parts with a data-key are found again wherever they are; the rest is matched in order.
function morph(old, fresh) {
  const known = byKey(old);
  const kept = byKey(fresh);
  let here = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const found = known.get(keyOf(wanted));
    if (found) here = bring(old, found, here, kept);
    if (here && alike(here, wanted)) {
      adopt(here, wanted);
      here = here.nextSibling;
    } else {
      old.insertBefore(wanted, here);
    }
  }
  while (here) here = drop(here);
}

// Moving a node takes focus and selection from it: what is stale before it goes first.
function bring(old, found, here, kept) {
  while (here && here !== found && !kept.has(keyOf(here))) here = drop(here);
  if (here !== found) old.insertBefore(found, here);
  return found;
}

function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function keyOf(node) {
  return node.dataset?.key;
}

function byKey(parent) {
  return new Map([...parent.children].filter(keyOf).map((child) => [keyOf(child), child]));
}

function alike(one, other) {
  if (one.nodeType !== other.nodeType || one.nodeName !== other.nodeName) return false;
  return one.nodeType !== Node.ELEMENT_NODE || keyOf(one) === keyOf(other);
}

function adopt(one, wanted) {
  if (one.nodeType !== Node.ELEMENT_NODE) {
    if (one.data !== wanted.data) one.data = wanted.data;
    return;
  }
  for (const { name, value } of wanted.attributes) {
    if (one.getAttribute(name) !== value) one.setAttribute(name, value);
  }
  for (const { name } of [...one.attributes]) {
    const people = name === "open" && one.nodeName === "DETAILS";
    if (!people && !wanted.hasAttribute(name)) one.removeAttribute(name);
  }
  morph(one, wanted);
}

async function act(button) {
  button.disabled = true;
  let refused = "";
  try {
    const answer = await ask(button.dataset.post, { method: "POST", headers: { "X-Wetread": "1" } });
    if (!answer.ok) refused = (await answer.json()).error || `status ${answer.status}`;
  } catch {
    refused = "the node does not answer";
  }
  await refresh();
  if (refused) alert(`Not done: ${refused}`);
}

function enlarge(link) {
  const small = link.querySelector("img");
  const large = enlarged.querySelector("img");
  large.src = link.href;
  large.alt = small.alt;
  enlarged.showModal();
}

status.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-post]");
  const link = event.target.closest("a.preview");
  if (button) act(button);
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    enlarge(link);
  }
});
enlarged.addEventListener("click", (event) => {
  if (event.target !== enlarged.querySelector("button")) enlarged.close();
});
document.addEventListener("visibilitychange", () => document.hidden || refresh());
document.documentElement.classList.add("live");
entitle();
timer = setTimeout(refresh, EVERY_MS);
