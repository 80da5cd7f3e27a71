// tables.js: rows of a table kept in step with a list. A row that stays keeps its elements, so that neither focus nor selection
// is lost when figures change. Text only ever goes in as text: names are other people's.
import { duration } from "./format.js";

/**
 * @param {HTMLTableSectionElement} body
 * @param {{ key: string, cells: Cell[] }[]} rows
 * @param {string} whenEmpty
 * @typedef {{ text?: string, sinceMs?: number, suffix?: string, number?: boolean, warn?: boolean, choose?: () => void }} Cell
 *   `sinceMs` is an age, which grows by itself between two updates.
 */
export function showRows(body, rows, whenEmpty) {
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  if (rows.length === 0) {
    body.replaceChildren(emptyRow(body, whenEmpty));
    return;
  }
  let place = body.firstElementChild;
  for (const { key, cells } of rows) {
    const row = known.get(key) ?? newRow(key, cells);
    known.delete(key);
    fill(row, cells);
    if (row === place) place = place.nextElementSibling;
    else body.insertBefore(row, place);
  }
  for (const row of known.values()) row.remove();
}

function emptyRow(body, text) {
  const row = document.createElement("tr");
  const cell = row.insertCell();
  cell.colSpan = body.parentElement.tHead.rows[0].cells.length;
  cell.className = "empty";
  cell.textContent = text;
  return row;
}

function newRow(key, cells) {
  const row = document.createElement("tr");
  row.dataset.key = key;
  for (const [index, { number, choose }] of cells.entries()) {
    const cell = document.createElement(index === 0 && !number ? "th" : "td");
    if (cell.tagName === "TH") cell.scope = "row";
    if (number) cell.className = "number";
    if (choose) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "name";
      button.addEventListener("click", choose);
      cell.append(button);
    }
    row.append(cell);
  }
  return row;
}

function fill(row, cells) {
  for (const [index, { text = "", sinceMs, suffix = "", warn = false }] of cells.entries()) {
    const cell = row.cells[index];
    cell.classList.toggle("warn", warn);
    if (sinceMs === undefined) {
      delete cell.dataset.born;
      setText(cell.querySelector("button") ?? cell, text);
    } else {
      cell.dataset.born = String(performance.now() - sinceMs);
      cell.dataset.suffix = suffix;
      showAge(cell);
    }
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Writes all ages anew. */
export function tickAges() {
  for (const cell of document.querySelectorAll("[data-born]")) showAge(cell);
}

function showAge(cell) {
  setText(cell, duration(performance.now() - Number(cell.dataset.born)) + cell.dataset.suffix);
}
