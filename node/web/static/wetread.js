"use strict";
// Keeps the page fresh: the server renders it anew, idiomorph changes only what differs, and finds parts
// with an id again wherever they are. What a person has selected, opened, focused, typed or scrolled to
// stays. Forms that act are sent without leaving the page. Without this file everything works as well.
const AT_MOST_EVERY_MS = 1000;
const WITHOUT_EVENTS_MS = 10000;
const PATIENCE_MS = 12000;
const BACKGROUND = { Accept: "text/html", "X-Wetread-Background": "1" }; // no sign that somebody sits here
const main = document.getElementById("main");
const offline = document.getElementById("offline");
const enlarged = document.getElementById("enlarged");
const token = document.querySelector("meta[name=token]")?.content || "";
const PARTS = ["pages", "state", "main"];
let seen = new Date();
let begun = 0;
let timer = 0;
let stream = null;
const late = new Set();

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
  askAgain();
  entitle(fresh.title);
}

// Pictures of the list are not drawn while images come fast; a refused one is asked for again with the page.
function askAgain() {
  for (const image of [...late]) if (image.isConnected) image.src = image.src;
  late.clear();
}

// At most one at a time, not more often than once a second, and not all tabs in the same moment.
function due(after = AT_MOST_EVERY_MS - (Date.now() - begun) + 300 * Math.random()) {
  if (timer || document.hidden) return;
  timer = setTimeout(refresh, Math.max(0, after));
}

// The node says what has changed; only a tab that is looked at listens.
function listen() {
  if (!main.dataset.live || document.hidden || stream) return;
  const shown = new Set([...main.dataset.live.split(/\s+/), "alarms", "health"]);
  stream = new EventSource("/events");
  stream.addEventListener("revision", (event) => {
    if (event.data.split(" ").some((topic) => shown.has(topic))) due();
  });
  stream.addEventListener("over", () => location.reload()); // the session has ended
  stream.addEventListener("open", () => offline.hidden || due());
  stream.addEventListener("error", () => {
    due(offline.hidden ? 0 : WITHOUT_EVENTS_MS);
    if (stream?.readyState === EventSource.CLOSED) {
      leave();
      setTimeout(listen, WITHOUT_EVENTS_MS);
    }
  });
}

function leave() {
  stream?.close();
  stream = null;
}

async function refresh() {
  clearTimeout(timer);
  begun = Date.now();
  let answered = false;
  try {
    const answer = await ask(location.href, { headers: BACKGROUND });
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
  timer = 0;
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

// How long ago something was goes on by itself: nobody is asked for that.
function tick() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    if (!time.textContent.endsWith(" ago")) continue;
    const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
    const [limit, size, word] = [[90, 1, "s"], [5400, 60, "min"], [129600, 3600, "h"]].find(([most]) => seconds < most) || [0, 86400, "days"];
    time.textContent = `${Math.round(seconds / size)} ${word} ago`;
  }
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

// On a phone the pages' names stand in one line that scrolls: that of the page that is shown is in sight.
function scrollToOwnName() {
  const own = document.querySelector(".top nav a[aria-current]");
  if (!own) return;
  const names = own.closest("nav");
  const [here, line] = [own.getBoundingClientRect(), names.getBoundingClientRect()];
  names.scrollLeft += here.left - line.left - (line.width - here.width) / 2;
}

document.addEventListener("error", ({ target }) => target.matches?.(".c-look img") && late.add(target), true);
for (const image of document.querySelectorAll(".c-look img")) if (image.complete && !image.naturalWidth) late.add(image);
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
document.addEventListener("visibilitychange", () => {
  if (document.hidden) leave();
  else {
    listen();
    if (main.dataset.live) due(0);
  }
});
addEventListener("pagehide", leave);
document.documentElement.classList.add("live");
entitle(document.title);
scrollToOwnName();
listen();
setInterval(tick, 15000);
