// format.js: figures with their units, as the command line writes them too.

const COUNT = new Intl.NumberFormat("en-US");

/** Zero fields are left out on the wire. */
export const count = (value) => COUNT.format(Number(value ?? 0));

export function duration(ms) {
  const span = Math.max(0, Number(ms ?? 0));
  if (span < 999.5) return `${Math.round(span)} ms`;
  if (span < 59_950) return `${(span / 1_000).toFixed(1)} s`;
  const seconds = Math.round(span / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m ${pad(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} m`;
  return `${Math.floor(minutes / 1_440)} d ${pad(Math.floor(minutes / 60) % 24)} h`;
}

const pad = (value) => String(value).padStart(2, "0");

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

export function bytes(value) {
  const size = Number(value ?? 0);
  if (size < 1_024) return `${size} B`;
  const power = Math.min(UNITS.length, Math.floor(Math.log2(size) / 10));
  const scaled = size / 1_024 ** power;
  return `${scaled < 99.95 ? scaled.toFixed(1) : Math.round(scaled)} ${UNITS[power - 1]}`;
}

const MODES = { MODE_SHARED: "shared", MODE_PERMIT: "permit" };

export function mode(holder, limit) {
  if (holder.mode === "MODE_PERMIT" && limit) return `${holder.take ?? 1} of ${limit} permits`;
  return MODES[holder.mode] ?? "exclusive";
}

/** The client's own name, the principal where it may be seen, and whether it has gone silent. */
export function who({ client, session, principal, silent }) {
  const name = client || session || "unknown";
  return `${name}${principal ? ` (${principal})` : ""}${silent ? ", silent" : ""}`;
}
