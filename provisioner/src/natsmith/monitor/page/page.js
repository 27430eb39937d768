// The page: it is told parts of the picture and shows them. Every text is put in as text, never as markup.
"use strict";

const FIRST = 100; // rows of one service that are shown at first
const state = { accounts: new Map(), objects: new Map(), consumers: new Map(), plan: new Map(), services: new Map() };
const stale = new Set(); // parts to draw in the next frame
const all = new Set(); // services of which every row is shown
let drawing = false;

// -- Building

function element(tag, options = {}, ...children) {
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
  return String(text).replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

function cut(text, most = 200) {
  const shown = visible(String(text).slice(0, most + 1));
  return shown.length > most ? shown.slice(0, most) + "…" : shown;
}

const cell = (text, kind = "") => element("td", { class: kind }, text === null || text === undefined ? "" : text instanceof Node ? text : cut(text));
const name = (text) => element("th", { scope: "row" }, cut(text));
const row = (...cells) => element("tr", {}, ...cells);

function seconds(count) {
  if (count === null || count === undefined) return "";
  if (count === 0) return "for ever";
  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  for (const [unit, size] of units) if (count >= 2 * size) return (Math.round((count / size) * 10) / 10) + " " + unit;
  return Math.round(count * 10) / 10 + " s";
}

function bytes(count) {
  let size = count, unit = 0;
  while (size >= 1024 && unit < 4) { size /= 1024; unit += 1; }
  return (unit ? size.toFixed(1) : size) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][unit];
}

function replace(selector, rows, columns, nothing) {
  const body = document.querySelector(selector);
  body.replaceChildren(...(rows.length ? rows : [row(element("td", { colspan: columns, class: "quiet" }, nothing))]));
}

// -- Drawing

function accounts() {
  const shown = [];
  for (const each of state.accounts.values()) {
    if (each.trouble) shown.push(element("p", { class: "banner", role: "alert" }, `Account ${cut(each.account)} cannot be read: ${cut(each.trouble, 600)}. What is shown is from before.`));
    for (const lack of each.lacking) shown.push(element("p", { class: "banner" }, `Account ${cut(each.account)}: ${cut(lack, 600)}`));
    const words = [`Account ${each.account}`];
    if (each.server) words.push(`nats-server ${each.server}`);
    for (const [what, [used, most]] of Object.entries(each.limits)) words.push(`${what} ${bytes(used)}${most >= 0 ? " of " + bytes(most) : ""}`);
    if (each.lockedBy) words.push(`locked by ${each.lockedBy}`);
    if (each.last) words.push(`last run ${moment(each.last.time)} by ${each.last.who}: ${each.last.result}`);
    shown.push(element("p", { class: "account" }, cut(words.join(" · "), 600)));
  }
  document.getElementById("accounts").replaceChildren(...shown);
}

function ttl(each) {
  if (each.ttl === null) return element("span", { class: "bad" }, `none yet; should be ${seconds(each.desiredTtl)}`);
  if (each.ttl === each.desiredTtl) return element("span", {}, seconds(each.ttl));
  return element("span", { class: "bad" }, `${seconds(each.ttl)}; should be ${seconds(each.desiredTtl)}`);
}

function age(each) {
  if (each.age === null) return "";
  if (!each.ttl) return seconds(each.age) || "0 s";
  const label = `${seconds(each.age)} of ${seconds(each.ttl)}`;
  return element("span", { class: "together" }, element("progress", { max: each.ttl, value: Math.min(each.age, each.ttl), "aria-label": label }), " " + seconds(each.age));
}

function condition(each) {
  if (each.moving) return element("span", { class: "careful" }, cut(each.moving));
  if (each.differs.length) return element("span", { class: "bad" }, cut("differs: " + each.differs.join("; ")));
  return element("span", { class: each.owner ? "good" : "quiet" }, each.owner ? "as the values say" : "not provisioned by natsmith");
}

function last(each) {
  return each.last ? cut(`${moment(each.last.time)} ${each.last.who}: ${each.last.what}`) : "";
}

// A time as everybody reads it, in the zone of who looks.
function moment(time) {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return time;
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function objects() {
  const buckets = [], streams = [];
  for (const { objects: found } of state.objects.values()) {
    for (const each of found) {
      const shared = [cell(ttl(each)), cell(age(each)), cell(each.entries, "number"), cell(bytes(each.bytes), "number")];
      const end = [cell(each.replicas, "number"), cell(condition(each)), cell(last(each), "quiet")];
      if (each.kind === "bucket") buckets.push(row(name(each.name), ...shared, cell(each.history, "number"), ...end));
      else streams.push(row(name(each.name), ...shared, ...end));
    }
  }
  replace("#buckets tbody", buckets, 9, "There are no buckets.");
  replace("#streams-table tbody", streams, 8, "There are no streams.");
}

function consumers() {
  const rows = [], letters = [];
  for (const part of state.consumers.values()) {
    for (const each of part.consumers) {
      const differs = each.differs.length ? element("span", { class: "bad" }, cut("differs: " + each.differs.join("; "))) : each.owner ? element("span", { class: "good" }, "as the values say") : element("span", { class: "quiet" }, "not provisioned by natsmith");
      rows.push(row(name(`${each.stream}/${each.name}`), cell(each.pending, "number"), cell(each.unacknowledged, "number"), cell(each.redelivered, "number"), cell(differs)));
    }
    for (const each of part.letters) {
      const about = element("span", {}, cut(`${each.stream} ${each.sequence}`));
      if (each.value !== null) about.append(element("pre", {}, cut(each.value, 2000)));
      letters.push(row(cell(about), cell(each.consumer), cell(each.deliveries || "", "number"), cell(each.reason, "bad"), cell(moment(each.time), "quiet")));
    }
  }
  replace("#consumers tbody", rows, 5, "There are no durable consumers.");
  replace("#letters tbody", letters, 5, "There are no dead letters.");
}

function plan() {
  const shown = [];
  for (const part of state.plan.values()) {
    if (!part.plan) shown.push(element("p", { class: "quiet" }, `Account ${cut(part.account)}: no values were given, so there is nothing to compare with.`));
    else if (!part.plan.changes.length) shown.push(element("p", { class: "good" }, `Account ${cut(part.account)}: everything is as the values say, ${part.plan.unchanged} objects.`));
    else for (const each of part.plan.changes) {
      const tone = each.blocked ? "bad" : each.harmless ? "good" : "careful";
      const rows = element("ul", {}, ...each.rows.filter(Boolean).map((text) => element("li", {}, cut(text, 400))));
      const title = element("p", {}, element("strong", { class: tone }, cut(`${each.action} ${each.title}`)), each.fate ? ` ${cut(each.fate)}` : "");
      shown.push(element("article", {}, title, rows, each.blocked ? element("p", { class: "bad" }, "Blocked: " + cut(each.blocked, 600)) : null));
    }
    for (const warning of part.plan ? part.plan.warnings : []) shown.push(element("p", { class: "careful" }, cut(warning, 400)));
  }
  document.getElementById("changes").replaceChildren(...shown);
}

// -- Services: told one by one, drawn group by group

const serverNow = (part) => part.now + (performance.now() - part.heardAt) / 1000;

function lateness(part, each) {
  const old = Math.max(0, serverNow(part) - each.heartbeat);
  return { old, late: old > 0.7 * each.lives };
}

function groups() {
  const place = document.getElementById("groups");
  const open = new Set([...place.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  const focused = document.activeElement?.closest?.("details")?.dataset.key;
  const made = [], lines = [];
  for (const part of state.services.values()) {
    const byService = new Map();
    for (const each of part.instances.values()) byService.set(each.service, [...(byService.get(each.service) || []), each]);
    lines.push(part.trouble ? `${part.account}: ${part.trouble}` : `${part.account}: ${part.instances.size} instances of ${byService.size} services in bucket ${part.bucket}`);
    for (const [service, found] of [...byService].sort(([one], [other]) => (one < other ? -1 : 1))) {
      const key = part.account + "/" + service;
      const group = element("details", { "data-key": key }, element("summary", {}));
      group.told = part;
      group.found = found.sort((one, other) => (one.id < other.id ? -1 : 1));
      group.addEventListener("toggle", () => fill(group));
      if (open.has(key) || (byService.size <= 5 && !place.dataset.drawn)) group.open = true;
      made.push(group);
      fill(group);
    }
    for (const each of part.unread) made.push(element("p", { class: "careful" }, `Not understood: ${cut(each.key)}: ${cut(each.why)}`));
  }
  if (made.length) place.dataset.drawn = "yes";
  place.replaceChildren(...made);
  if (focused) [...place.querySelectorAll("details")].find((each) => each.dataset.key === focused)?.querySelector("summary").focus();
  document.getElementById("services-line").textContent = cut(lines.join(" · "), 600);
}

function fill(group) {
  const { told: part, found } = group;
  const late = found.filter((each) => lateness(part, each).late).length;
  const words = `${found.length} ${found.length === 1 ? "instance" : "instances"}${late ? `, ${late} stale` : ""}`;
  const summary = group.querySelector("summary");
  summary.replaceChildren(element("strong", {}, cut(found[0].service)), " ", element("span", { class: late ? "careful" : "quiet" }, words));
  group.querySelector("div")?.remove();
  if (!group.open) return;
  const shown = all.has(group.dataset.key) ? found : found.slice(0, FIRST);
  const body = element("tbody", {}, ...shown.map((each) => instance(part, each)));
  const titles = ["Instance", "Status", "Heartbeat", "Metadata"].slice(0, shown.some((each) => each.metadata) ? 4 : 3);
  const head = element("thead", {}, row(...titles.map((title) => element("th", { scope: "col" }, title))));
  const inner = element("div", { class: "wide" }, element("table", {}, head, body));
  if (shown.length < found.length) {
    const more = element("button", { type: "button" }, `Show all ${found.length}`);
    more.addEventListener("click", () => { all.add(group.dataset.key); fill(group); });
    inner.append(more);
  }
  group.append(inner);
}

function instance(part, each) {
  const tone = { healthy: "good", unhealthy: "bad" }[each.status] || "careful";
  const made = row(name(each.id), cell(each.status, tone), cell(""), each.metadata ? cell(JSON.stringify(each.metadata), "quiet") : null);
  made.tick = () => {
    const { old, late } = lateness(part, each);
    made.children[2].textContent = `${old.toFixed(0)} s ago${late ? ", stale" : ""}`;
    made.children[2].className = late ? "careful" : "";
  };
  made.tick();
  return made;
}

function leaders() {
  const rows = [];
  for (const part of state.services.values()) for (const each of part.leaders) {
    const made = row(name(each.group), cell(each.id), cell(each.token, "number"), cell(""));
    made.tick = () => { const old = Math.max(0, serverNow(part) - each.heard); made.children[3].textContent = `${old.toFixed(0)} s ago${each.ttl && old > each.ttl ? ", over" : ""}`; };
    made.tick();
    rows.push(made);
  }
  replace("#leaders tbody", rows, 4, "No group has a leader.");
}

function gone() {
  const rows = [];
  for (const part of state.services.values()) for (const each of part.gone) {
    const made = row(name(`${each.service} ${each.id}`), cell(each.why, each.why === "expired" ? "bad" : ""), cell(""));
    made.tick = () => { made.children[2].textContent = seconds(Math.max(1, Math.round(serverNow(part) - each.at))) + " ago"; };
    made.tick();
    rows.push(made);
  }
  replace("#gone tbody", rows.slice(0, 50), 3, "Nobody went while this page was open.");
}

const DRAWN = { accounts, objects, consumers, plan, groups, leaders, gone };

function draw(...parts) {
  for (const part of parts) stale.add(part);
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const now = [...stale];
    stale.clear();
    for (const part of now) DRAWN[part]();
  });
}

// Ages go on though nobody tells anything; only what can be seen is written.
setInterval(() => {
  for (const group of document.querySelectorAll("#groups details")) {
    if (group.open) for (const each of group.querySelectorAll("tbody tr")) each.tick();
    else fill(group);
  }
  for (const each of document.querySelectorAll("#leaders tbody tr, #gone tbody tr")) each.tick?.();
}, 1000);

// -- Being told

function hear(source, kind, take) {
  source.addEventListener(kind, (event) => take(JSON.parse(event.data)));
}

function listen() {
  const line = document.getElementById("line");
  const source = new EventSource("api/events");
  const say = (text, tone) => { line.textContent = text; line.className = tone; };
  source.onopen = () => say("live", "good");
  source.onerror = () => say("the monitor does not answer; what is shown is from before. Trying again …", "bad");
  for (const [kind, drawn] of [["account", "accounts"], ["objects", "objects"], ["consumers", "consumers"], ["plan", "plan"]]) {
    hear(source, kind, (part) => { state[drawn].set(part.account, part); draw(drawn); });
  }
  hear(source, "services", (part) => {
    part.instances = new Map(part.instances.map((each) => [each.key, each]));
    part.heardAt = performance.now();
    state.services.set(part.account, part);
    draw("groups", "leaders", "gone");
  });
  const known = (told) => {
    const part = state.services.get(told.account);
    if (part && told.now) { part.now = told.now; part.heardAt = performance.now(); }
    return part;
  };
  hear(source, "instance", (told) => {
    const part = known(told);
    if (part) { part.instances.set(told.key, told); draw("groups"); }
  });
  hear(source, "beats", (told) => {
    const part = known(told);
    if (part) for (const [key, heartbeat] of Object.entries(told.beats)) {
      const each = part.instances.get(key);
      if (each) each.heartbeat = heartbeat;
    }
  });
  hear(source, "gone", (told) => {
    const part = known(told);
    if (!part) return;
    part.instances.delete(told.key);
    part.gone.unshift(told);
    part.gone.length = Math.min(part.gone.length, 200);
    draw("groups", "gone");
  });
  hear(source, "leaders", (told) => {
    const part = known(told);
    if (part) { part.leaders = told.leaders; draw("leaders"); }
  });
}

listen();
