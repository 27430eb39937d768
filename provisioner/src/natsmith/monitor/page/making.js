// Elements, words for numbers, and tables whose rows are kept. Every text is put in as text, never as markup.

const SHOWN = 100; // rows that are shown at first, and how many more with each click

export function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") made.className = value;
    else if (value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Control characters would move what stands around them; they are written out.
function visible(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

export function cut(text, most = 200) {
  const shown = visible(String(text).slice(0, most + 1));
  return shown.length > most ? shown.slice(0, most) + "…" : shown;
}

export const pill = (text, tone) => element("span", { class: `pill ${tone}` }, cut(text));
// What changes from one thing to another, on one line where that fits.
export const arrow = (text) => text.replaceAll(" -> ", " → ");
export const small = (text) => element("span", { class: "small" }, cut(text));

export function seconds(count) {
  if (count === null || count === undefined) return "";
  if (count === 0) return "for ever";
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  for (const [unit, size] of units) if (count >= 2 * size || count === size) return `${Math.round((count / size) * 10) / 10} ${unit}`;
  return `${Math.round(count * 10) / 10} s`;
}

export const ago = (count) => `${seconds(Math.max(1, Math.round(count)))} ago`;

export function bytes(count) {
  let size = count, unit = 0;
  while (size >= 1024 && unit < 4) { size /= 1024; unit += 1; }
  return `${unit ? size.toFixed(1) : size} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

export const number = (count) => (count === null || count === undefined ? "" : count.toLocaleString("en").replaceAll(",", "\u202f"));
export const counted = (count, one, many = one + "s") => `${number(count)} ${count === 1 ? one : many}`;

// A time as everybody reads it, in the zone of who looks.
export function moment(time) {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return time;
  const two = (part) => String(part).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

// The server's time, from when it was told last.
export const serverNow = (part) => part.now + (performance.now() - part.heardAt) / 1000;

export function write(node, text, kind) {
  if (node.textContent !== text) node.textContent = text;
  if (kind !== undefined && node.className !== kind) node.className = kind;
}

export function cell(content, kind = "") {
  const inside = element("div", {}, content instanceof Node ? content : content === null || content === undefined ? "" : cut(content));
  return element("td", { class: content === "" || content === null ? `${kind} nothing` : kind, role: "cell" }, inside);
}

export const named = (text, below = "") => element("th", { scope: "row", role: "rowheader" }, cut(text), below ? small(below) : null);

export function row(cells, tick) {
  const made = element("tr", { role: "row" }, ...cells);
  if (tick) { made.tick = tick; tick(); }
  return made;
}

// A table that keeps the rows of items that are still the same, so that thousands of changes cost what is seen of them.
export class Rows {
  constructor(table, nothing, make) {
    this.body = table.tBodies[0];
    this.titles = [...table.tHead.rows[0].cells].map((each) => each.textContent);
    this.make = make;
    this.known = new Map();
    this.most = SHOWN;
    this.more = element("button", { type: "button", hidden: "" });
    this.more.addEventListener("click", () => { this.most += SHOWN; this.show(this.items); });
    this.words = nothing;
    this.nothing = row([element("td", { colspan: this.titles.length, role: "cell", class: "quiet" }, nothing)]);
    table.parentNode.append(this.more);
    this.show([]);
  }

  show(items, known = true) {
    this.items = items;
    write(this.nothing.cells[0], known ? this.words : "Nothing was read yet.");
    const wanted = items.slice(0, this.most);
    const kept = new Set(wanted.map((each) => each.key));
    for (const [key, made] of this.known) if (!kept.has(key)) { made.remove(); this.known.delete(key); }
    if (wanted.length) this.nothing.remove(); else this.body.append(this.nothing);
    const rows = wanted.map((item) => this.rowOf(item)); // some replace others, so they are all made before they are put in order
    let at = this.body.firstElementChild;
    for (const made of rows) {
      if (made === at) at = at.nextElementSibling;
      else this.body.insertBefore(made, at);
    }
    const rest = items.length - wanted.length;
    this.more.hidden = !rest;
    write(this.more, `Show ${Math.min(rest, SHOWN)} more of ${number(rest)}`);
  }

  rowOf(item) {
    const before = this.known.get(item.key);
    if (before?.item === item) return before;
    const made = this.make(item);
    made.item = item;
    [...made.cells].forEach((each, index) => { if (index) each.dataset.label = this.titles[index]; });
    this.known.set(item.key, made);
    before?.replaceWith(made);
    return made;
  }

  tick() {
    for (const made of this.known.values()) made.tick?.();
  }
}
