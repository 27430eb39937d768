// Who is registered: told a few at a time, drawn a group at a time, and only what is open and changed.

import { tell } from "./tables.js";
import { ago, cell, counted, cut, element, named, number, pill, row, Rows, serverNow, write } from "./making.js";

const OPEN = 5; // groups, up to which all are open at first
const GROUPS = 200; // groups that are drawn; the others are found by their names
const LATE = 0.7; // of its life: two heartbeats are missing then
const TITLES = ["Instance", "Status", "Heartbeat", "Metadata"];

const place = (id) => document.getElementById(id);
const groups = new Map(); // by account and service, those that are drawn
let drawn = false;

const isLate = (now, each) => now - each.heartbeat > LATE * each.lives;

function lateOf(part, found) {
  const now = serverNow(part);
  let late = 0;
  for (const each of found) late += isLate(now, each);
  return late;
}

function heartbeat(part, each) {
  const shown = element("span", {});
  const tick = () => {
    const now = serverNow(part), late = isLate(now, each);
    write(shown, `${Math.max(0, now - each.heartbeat).toFixed(0)} s ago${late ? ", stale" : ""}`, late ? "pill careful" : "");
  };
  return [shown, tick];
}

function instance(part, each) {
  const tone = { healthy: "good", unhealthy: "bad" }[each.status] || "careful";
  const [shown, tick] = heartbeat(part, each);
  const cells = [named(each.id), cell(pill(each.status, tone)), cell(shown)];
  if (each.metadata !== undefined) cells.push(cell(each.metadata, "quiet"));
  return row(cells, tick);
}

class Group {
  constructor(key, service) {
    this.words = element("span", {});
    this.table = null;
    this.whole = element("details", { class: "group", "data-key": key }, element("summary", {}, element("strong", {}, cut(service)), this.words));
    this.whole.addEventListener("toggle", () => this.fill());
  }

  show(part, found) {
    this.part = part;
    this.found = found;
    this.fill();
  }

  fill() {
    this.count();
    if (!this.whole.open) return;
    if (!this.table) this.begin();
    this.table.show([...this.found].sort((one, other) => (one.id < other.id ? -1 : 1)));
  }

  begin() {
    const titles = TITLES.slice(0, this.found.some((each) => each.metadata !== undefined) ? 4 : 3);
    const head = element("thead", { role: "rowgroup" }, row(titles.map((title) => element("th", { scope: "col", role: "columnheader" }, title))));
    const table = element("table", { role: "table" }, head, element("tbody", { role: "rowgroup" }));
    this.whole.append(element("div", { class: "wide" }, table));
    this.table = new Rows(table, "Nobody is registered.", (each) => instance(this.part, each));
  }

  tick() {
    if (this.whole.open) this.table?.tick();
    this.count();
  }

  count() {
    const late = lateOf(this.part, this.found);
    write(this.words, counted(this.found.length, "instance") + (late ? `, ${number(late)} stale` : ""), late ? "careful" : "quiet");
  }
}

function byService(part, looked) {
  const found = new Map();
  for (const each of part.rows.values()) {
    if (looked && !`${each.service} ${each.id}`.toLowerCase().includes(looked)) continue;
    if (!found.has(each.service)) found.set(each.service, []);
    found.get(each.service).push(each);
  }
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1));
}

export function services(state) {
  const looked = place("find").value.trim().toLowerCase();
  const wanted = new Map(), lines = [];
  let instances = 0, late = 0, heard = false;
  for (const part of state.services.values()) {
    const found = byService(part, looked);
    instances += part.rows.size;
    late += lateOf(part, part.rows.values());
    heard ||= !part.trouble;
    const what = looked ? `${counted(found.length, "service")} found` : `${counted(part.rows.size, "instance")} of ${counted(found.length, "service")} in bucket ${part.bucket}`;
    lines.push(part.trouble ? `${part.account}: ${part.trouble}` : `${part.account}: ${what}`);
    if (part.lacking) lines.push(part.lacking);
    for (const [service, each] of found.slice(0, GROUPS)) wanted.set(JSON.stringify([part.account, service]), [part, service, each]);
    if (found.length > GROUPS) lines.push(`the first ${GROUPS} are shown`);
  }
  for (const [key, group] of groups) if (!wanted.has(key)) { group.whole.remove(); groups.delete(key); }
  let at = place("groups").firstElementChild;
  for (const [key, [part, service, found]] of wanted) {
    const group = groups.get(key) || new Group(key, service);
    if (!groups.has(key)) { groups.set(key, group); group.found = found; group.part = part; group.whole.open = !drawn && wanted.size <= OPEN; }
    group.show(part, found);
    if (group.whole === at) at = at.nextElementSibling;
    else place("groups").insertBefore(group.whole, at);
  }
  unread(state, at);
  drawn ||= wanted.size > 0;
  const away = [...state.account.values()].some((each) => each.trouble);
  write(place("services-line"), cut(lines.join(" · "), 600));
  tell("services", heard ? number(instances) : "–", late ? `${number(late)} stale` : heard ? "all heard from" : away ? "not heard now" : "no registry here", late ? "careful" : heard ? "good" : "quiet");
}

function unread(state, at) {
  while (at) { const next = at.nextElementSibling; at.remove(); at = next; }
  for (const part of state.services.values()) for (const each of part.unread || []) place("groups").append(element("p", { class: "careful" }, `Not understood: ${cut(each.key)}: ${cut(each.why)}`));
}

export function prepareServices(state, again) {
  const leading = new Rows(place("leaders"), "No group has a leader.", (each) => {
    const shown = element("span", {});
    const tick = () => { const old = Math.max(0, serverNow(each.part) - each.heard); write(shown, `${old.toFixed(0)} s ago${each.ttl && old > each.ttl ? ", over" : ""}`); };
    return row([named(each.group), cell(each.id), cell(number(each.token), "number"), cell(shown)], tick);
  });
  const went = new Rows(place("gone"), "Nobody went since the monitor began.", (each) => {
    const shown = element("span", {});
    return row([named(`${each.service} ${each.id}`), cell(pill(each.why, each.why === "expired" ? "bad" : "quiet")), cell(shown)], () => write(shown, ago(serverNow(each.part) - each.at)));
  });
  place("find").addEventListener("input", again);
  const leaders = () => {
    leading.show([...state.services.values()].flatMap((part) => (part.leaders || []).map((each) => ({ ...each, part, key: `${part.account}/${each.group}` }))));
  };
  const gone = () => went.show([...state.services.values()].flatMap((part) => part.gone));
  const tick = () => { for (const each of groups.values()) each.tick(); leading.tick(); went.tick(); };
  return { services: () => services(state), leaders, gone, tick };
}
