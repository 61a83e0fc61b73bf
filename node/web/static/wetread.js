"use strict";
// Keeps the page fresh: the server renders, this swaps. Open details stay open.
const status = document.getElementById("status");
let shown = "";

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(`/fragment?offset=${status.dataset.offset}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    if (text !== shown) swap(text);
    shown = text;
  } catch {
    const health = status.querySelector(".health");
    if (health) {
      health.className = "health unwell";
      health.textContent = "✕ The node does not answer; this page is old";
    }
    shown = "";
  }
}

function swap(text) {
  const open = new Set([...status.querySelectorAll("details[open]")].map((one) => one.dataset.key));
  const images = new Map([...status.querySelectorAll("img")].map((one) => [one.src, one]));
  const fresh = document.createElement("template");
  fresh.innerHTML = text;
  for (const one of fresh.content.querySelectorAll("details")) one.open = open.has(one.dataset.key);
  status.replaceChildren(fresh.content);
  for (const one of status.querySelectorAll("img")) {
    if (images.has(one.src)) one.replaceWith(images.get(one.src));
  }
}

status.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button) return;
  button.disabled = true;
  const answer = await fetch(button.dataset.post, { method: "POST", headers: { "X-Wetread": "1" } });
  if (!answer.ok) {
    button.textContent = (await answer.json()).error || "refused";
    return;
  }
  refresh();
});

setInterval(refresh, 2000);
