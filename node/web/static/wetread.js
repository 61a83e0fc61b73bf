"use strict";
// Keeps the page fresh: the server renders, idiomorph changes only what differs, and finds parts with
// an id again wherever they are. What a person has selected, opened, focused or scrolled to stays.
const EVERY_MS = 2000;
const PATIENCE_MS = 12000;
const status = document.getElementById("status");
const offline = document.getElementById("offline");
const enlarged = document.getElementById("enlarged");
// Whether details are open is the person's: neither opened nor closed by a refresh.
const keepsOpen = (name, node) => !(name === "open" && node.nodeName === "DETAILS");
const MORPH = { morphStyle: "innerHTML", callbacks: { beforeAttributeUpdated: keepsOpen } };
const GUARD = { "X-Wetread": "1", "X-Wetread-Token": document.querySelector("meta[name=token]").content };
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
    Idiomorph.morph(status, await answer.text(), MORPH);
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

async function act(button) {
  button.disabled = true;
  let refused = "";
  try {
    const answer = await ask(button.dataset.post, { method: "POST", headers: GUARD });
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
