// why.js: one lock in full: the sentence, its holders, its queue.
import { ask } from "./feed.js";
import { count, mode, who } from "./format.js";
import { showRows } from "./tables.js";

const $ = (id) => document.getElementById(id);

let shown;
let opener;

export function initWhy() {
  $("why-title").tabIndex = -1; // So that a choice can move the reader there.
  $("close-why").addEventListener("click", closeWhy);
  $("why").addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeWhy();
  });
}

export async function openWhy(name) {
  opener = document.activeElement;
  shown = name;
  $("why-title").textContent = name;
  $("why-sentence").textContent = "Asking ...";
  $("why").hidden = false;
  await refreshWhy().catch((error) => {
    $("why-sentence").textContent = error.message;
  });
  $("why-title").focus();
}

function closeWhy() {
  shown = undefined;
  $("why").hidden = true;
  if (opener?.isConnected) opener.focus();
}

/** Does nothing while no lock is chosen. */
export async function refreshWhy() {
  const name = shown;
  if (name === undefined) return;
  const response = await ask("/v1/why", { body: { name } });
  const why = await response.json();
  if (shown !== name) return; // Another was chosen meanwhile.
  const { holders = [], waiters = [], waiting = 0, limit = 0, related = [] } = why;
  setText("why-sentence", why.sentence ?? "");
  showRows(
    $("why-holders"),
    holders.map((holder) => holderRow(holder, limit)),
    "Nobody holds it.",
  );
  showRows($("why-waiters"), waiters.map(waiterRow), "Nobody waits.");
  const more = waiting > waiters.length ? [`Showing ${count(waiters.length)} of ${count(waiting)} waiters.`] : [];
  const blocked = related.length > 0 ? [`Blocked through its tree by: ${related.join(", ")}.`] : [];
  setText("why-related", [...more, ...blocked].join(" "));
}

const holderRow = (holder, limit) => ({
  key: `${holder.session} ${holder.token}`,
  cells: [
    { text: who(holder), warn: holder.silent === true },
    { text: holder.session },
    { text: mode(holder, limit) },
    { sinceMs: holder.heldMs ?? 0, number: true },
    { text: holder.token, number: true },
  ],
});

const waiterRow = (waiter) => ({
  key: waiter.reference,
  cells: [
    { text: count(waiter.position), number: true },
    { text: who(waiter), warn: waiter.silent === true },
    { text: waiter.session },
    { text: mode(waiter) },
    { sinceMs: waiter.waitedMs ?? 0, number: true },
    { text: waiter.reference },
  ],
});

/** A live region speaks when it is written to: only write what is new. */
function setText(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}
