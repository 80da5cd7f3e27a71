// main.js: the status page: reads the state when told to, and shows it. Staying up to date: feed.js. One lock: why.js.
import { ask, Feed, useToken } from "./feed.js";
import { bytes, count, duration, mode, who } from "./format.js";
import { showRows, tickAges } from "./tables.js";
import { initWhy, openWhy, refreshWhy } from "./why.js";

/** Rows of each table: what a browser lays out at ease several times a second. The filter finds the others. */
const ROWS_MAX = 200;

const $ = (id) => document.getElementById(id);

let lastShownMs;

async function refresh() {
  const prefix = $("filter").value;
  const [state, found] = await Promise.all([readState(), prefix === "" ? undefined : find(prefix)]);
  lastShownMs = Date.now();
  showStatus(state.status ?? {});
  showLocks(found?.locks ?? page(state.locks, state.locksTotal), prefix);
  showSessions(page(state.sessions, state.sessionsTotal));
  showFiles(found?.files ?? page(state.files, state.filesTotal), prefix);
  await refreshWhy();
}

async function readState() {
  return (await ask(`/v1/state?limit=${ROWS_MAX}`)).json();
}

/** Filtering is the server's work: what is looked for may be far behind the first rows. */
async function find(prefix) {
  const body = { prefix, limit: ROWS_MAX };
  const [locks, files] = await Promise.all([ask("/v1/list-locks", { body }), ask("/v1/list-files", { body })]);
  const [foundLocks, foundFiles] = [await locks.json(), await files.json()];
  return {
    locks: { rows: foundLocks.locks ?? [], more: foundLocks.more === true },
    files: { rows: foundFiles.files ?? [], more: foundFiles.more === true },
  };
}

const page = (rows = [], total = rows.length) => ({ rows: rows.slice(0, ROWS_MAX), total: Number(total) });

function showStatus(status) {
  $("stopped").hidden = !status.stopped;
  if (status.stopped) $("stopped").textContent = `The server takes no new work: ${status.stopped}`;
  const facts = [
    ["Version", status.version ?? ""],
    ["Durability", status.durable ? "durable" : "relaxed"],
    ["Uptime", duration(status.uptimeMs)],
    ["Sessions", count(status.sessions)],
    ["Grants held", count(status.grants)],
    ["Waiting", count(status.waiting)],
    ["Files", count(status.files)],
    ["Operations kept", count(status.operations)],
    ["Connections", count(status.connections)],
    ["Partitions", count(status.partitions)],
    ["Log", bytes(status.logBytes)],
    ["Epoch", count(status.epoch)],
  ];
  const list = $("status");
  for (const [index, [term, value]] of facts.entries()) {
    const fact = list.children[index] ?? list.appendChild(newFact());
    fact.firstElementChild.textContent = term;
    fact.lastElementChild.textContent = value;
  }
}

function newFact() {
  const fact = document.createElement("div");
  fact.append(document.createElement("dt"), document.createElement("dd"));
  return fact;
}

function showLocks({ rows, total, more }, prefix) {
  showRows($("locks"), rows.map(lockRow), prefix === "" ? "No lock is held." : `No lock begins with ${prefix}.`);
  tellCount("locks-count", { rows, total, more });
}

function lockRow(lock) {
  const { name, holders = [], waiting = 0, waitedMs = 0, limit = 0 } = lock;
  const [first] = holders;
  const others = holders.length > 1 ? ` and ${count(holders.length - 1)} more` : "";
  return {
    key: name,
    cells: [
      { text: name, choose: () => void openWhy(name) },
      { text: first === undefined ? "" : mode(first, limit) },
      { text: first === undefined ? "nobody" : who(first) + others, warn: first?.silent === true },
      first === undefined ? { number: true } : { sinceMs: first.heldMs ?? 0, number: true },
      { text: first?.token ?? "", number: true },
      { text: waiting === 0 ? "" : count(waiting), number: true },
      waiting === 0 ? { number: true } : { sinceMs: waitedMs, number: true },
    ],
  };
}

function showSessions({ rows, total }) {
  showRows($("sessions"), rows.map(sessionRow), "No session is open.");
  tellCount("sessions-count", { rows, total });
}

const sessionRow = (session) => ({
  key: session.session,
  cells: [
    { text: session.session },
    { text: who({ ...session, session: "" }), warn: session.waiting === true },
    { text: count(session.grants), number: true },
    { text: count(session.waits), number: true },
    { sinceMs: session.silentMs ?? 0, suffix: " ago", number: true },
    { text: duration(session.ttlMs), number: true },
    { text: duration(session.lagMs), number: true },
  ],
});

function showFiles({ rows, total, more }, prefix) {
  showRows($("files"), rows.map(fileRow), prefix === "" ? "There are no files." : `No file begins with ${prefix}.`);
  tellCount("files-count", { rows, total, more });
}

const fileRow = (file) => ({
  key: file.name,
  cells: [
    { text: file.name },
    { text: bytes(file.length), number: true },
    { text: count(file.records), number: true },
    { text: count(file.version), number: true },
  ],
});

function tellCount(id, { rows, total, more }) {
  const all = total === undefined || total <= rows.length;
  const text = more
    ? `showing the first ${count(rows.length)}; type more of the name to see others`
    : all
      ? count(rows.length)
      : `showing ${count(rows.length)} of ${count(total)}`;
  if ($(id).textContent !== text) $(id).textContent = text; // A live region speaks when it is written to.
}

const LINK_TEXTS = {
  live: () => "Live",
  polling: () => "No live events; reading every 5 s",
  lost: (why) => `Connection lost${why === "" ? "" : ` (${why})`}, reconnecting ... ${seen()}`,
  "signed out": () => "Waiting for a token",
};

const seen = () => (lastShownMs === undefined ? "" : `Last seen ${new Date(lastShownMs).toLocaleTimeString()}.`);

function tellLink(state, why) {
  const link = $("link");
  const text = LINK_TEXTS[state](why);
  link.dataset.state = state;
  if (link.textContent !== text) link.textContent = text;
  document.body.toggleAttribute("data-stale", state === "lost");
  if (state === "signed out" && $("sign-in").hidden) {
    $("sign-in").hidden = false;
    $("token").focus();
  } else if (state === "live" || state === "polling") $("sign-in").hidden = true;
}

const feed = new Feed(refresh, tellLink);
$("filter").addEventListener("input", () => feed.want());
const signIn = () => {
  useToken($("token").value.trim());
  $("token").value = "";
  feed.want();
};
$("use-token").addEventListener("click", signIn);
$("token").addEventListener("keydown", (event) => {
  if (event.key === "Enter") signIn();
});
initWhy();
// Whoever has no mouse scrolls with the keys, and not every browser lets a scrolling area be reached by itself.
for (const area of document.querySelectorAll(".scroll")) area.tabIndex = 0;
setInterval(() => {
  if (!document.body.hasAttribute("data-stale")) tickAges(); // Ages of what is lost are not known to grow.
}, 1_000);
feed.start();
