"use strict";
// Keeps the page fresh: the server renders it anew, idiomorph changes only what differs, and finds parts
// with an id again wherever they are. What a person has selected, opened, focused, typed or scrolled to
// stays. Forms that act are sent without leaving the page. Without this file everything works as well.
const EVERY_MS = 2000;
const PATIENCE_MS = 12000;
const main = document.getElementById("main");
const offline = document.getElementById("offline");
const enlarged = document.getElementById("enlarged");
const token = document.querySelector("meta[name=token]")?.content || "";
const PARTS = ["pages", "state", "main"];
let seen = new Date();
let timer = 0;

// Whether details are open is the person's; so is what he has begun to write.
const keepsOpen = (name, node) => !(name === "open" && node.nodeName === "DETAILS");
const keepsTyped = (node) => !(node.nodeName === "FORM" && node.dataset.typed);
const MORPH = {
  morphStyle: "innerHTML",
  callbacks: { beforeAttributeUpdated: keepsOpen, beforeNodeMorphed: keepsTyped },
};

function show(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const id of PARTS) {
    const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
    if (old && now) Idiomorph.morph(old, now.innerHTML, MORPH);
  }
  const state = fresh.getElementById("state");
  if (state) document.getElementById("state").dataset.well = state.dataset.well;
  seen = new Date();
  offline.hidden = true;
  entitle(fresh.title);
}

async function refresh() {
  clearTimeout(timer);
  let answered = false;
  try {
    const answer = await ask(location.href, { headers: { Accept: "text/html" } });
    answered = true;
    if (!answer.ok) throw new Error(await sentence(answer));
    if (answer.redirected) location.reload(); // the session has ended
    show(await answer.text());
  } catch (fault) {
    const why = answered ? `Not fresh: ${fault.message}` : "The node does not answer.";
    offline.textContent = `✕ ${why} This is how it stood at ${seen.toLocaleTimeString()}.`;
    offline.hidden = false;
    entitle(document.title.replace(/^✕ /, ""));
  }
  clearTimeout(timer);
  if (main.dataset.live && !document.hidden) timer = setTimeout(refresh, EVERY_MS);
}

function ask(path, options = {}) {
  return fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
}

// Why not, of an answer that is a page or JSON.
async function sentence(answer) {
  const text = await answer.text();
  if ((answer.headers.get("content-type") || "").includes("json")) {
    return JSON.parse(text).error || `status ${answer.status}`;
  }
  const page = new DOMParser().parseFromString(text, "text/html");
  return page.querySelector(".notice p")?.textContent || `status ${answer.status}`;
}

// The tab says whether someone must act.
function entitle(title) {
  const well = document.getElementById("state")?.dataset.well !== "no" && offline.hidden;
  document.title = `${well ? "" : "✕ "}${title}`;
}

async function act(path, options, button) {
  if (button) button.disabled = true;
  let refused = "";
  try {
    const answer = await ask(path, { method: "POST", ...options });
    if (!answer.ok) refused = await sentence(answer);
    else if (answer.redirected && new URL(answer.url).pathname !== location.pathname) {
      location.assign(answer.url);
      return;
    }
  } catch {
    refused = "the node does not answer";
  }
  if (button) button.disabled = false;
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

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form.action")) return;
  event.preventDefault();
  if (form.dataset.ask && !confirm(form.dataset.ask)) return;
  act(form.action, { body: new URLSearchParams(new FormData(form)) }, event.submitter);
});
document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form) form.dataset.typed = "yes";
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-post]");
  const link = event.target.closest("a.preview");
  if (button) act(button.dataset.post, { headers: { "X-Wetread": "1", "X-Wetread-Token": token } }, button);
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
entitle(document.title);
if (main.dataset.live) timer = setTimeout(refresh, EVERY_MS);
