// Accounts, buckets, streams, consumers, dead letters and the plan.

import { arrow, bytes, cell, counted, cut, element, moment, named, number, pill, row, Rows, seconds, serverNow, small, write } from "./making.js";

const place = (id) => document.getElementById(id);

// -- What stands above

// What is said already stays as it is: a screen reader would say it again.
function say(where, lines) {
  const said = JSON.stringify(lines);
  if (where.dataset.said === said) return;
  where.dataset.said = said;
  where.replaceChildren(...lines.map(([options, text]) => element("p", options, text)));
}

export function accounts(state) {
  const wrong = [], shown = [];
  for (const each of state.account.values()) {
    if (each.trouble) wrong.push([{ class: "banner", role: "alert" }, `Account ${cut(each.account)} cannot be read: ${cut(each.trouble, 600)}.${each.server ? " What is shown is from before." : ""}`]);
    for (const lack of each.lacking) wrong.push([{ class: "banner careful" }, `Account ${cut(each.account)}: ${cut(lack, 600)}`]);
    const words = [`Account ${each.account}`];
    if (each.server) words.push(`nats-server ${each.server}`);
    for (const what of ["storage", "memory"]) {
      const [used, most] = each.limits[what] || [0, -1];
      if (used || most > 0) words.push(`${what} ${bytes(used)}${most >= 0 ? " of " + bytes(most) : ""}`);
    }
    if (each.lockedBy) words.push(`locked by ${each.lockedBy}`);
    if (each.last) words.push(`last run ${moment(each.last.time)} by ${each.last.who}: ${each.last.result}`);
    shown.push([{ class: "account" }, cut(words.join(" · "), 600)]);
  }
  say(place("wrong"), wrong);
  say(place("accounts"), shown);
}

function tile(id, label, href) {
  const link = element("a", { href, id: `tile-${id}` }, element("span", { class: "label" }, label), element("span", { class: "count" }, "–"), element("span", { class: "state quiet" }, "not read yet"));
  place("tiles").append(element("li", {}, link));
}

for (const each of [["buckets", "Buckets", "#buckets"], ["streams", "Streams", "#streams"], ["waiting", "Messages waiting", "#consumers"], ["letters", "Dead letters", "#letters"], ["services", "Service instances", "#services"], ["plan", "Planned changes", "#plan"]]) tile(...each);

export function tell(id, count, text, tone) {
  const [, shown, below] = place(`tile-${id}`).children;
  write(shown, count);
  write(below, text, `state ${tone}`);
}

// -- Buckets and streams

function ttl(each) {
  if (each.ttl === null) return element("span", { class: "bad" }, `none yet; should be ${seconds(each.desiredTtl)}`);
  if (each.ttl === each.desiredTtl) return seconds(each.ttl);
  return element("span", { class: "bad" }, `${seconds(each.ttl)}; should be ${seconds(each.desiredTtl)}`);
}

// How old the oldest entry is, as a part of what it may live: at the end, it goes.
function age(part, each) {
  const label = element("span", {});
  const bar = each.ttl ? element("progress", { max: each.ttl, value: 0, "aria-label": `Age of the oldest entry of ${cut(each.name)}` }) : null;
  const tick = () => {
    const old = Math.max(0, serverNow(part) - each.oldest);
    write(label, (each.ttl ? `${seconds(old)} of ${seconds(each.ttl)}` : seconds(old)) || "0 s");
    if (bar) { bar.value = Math.min(old, each.ttl); bar.classList.toggle("over", old > 1.5 * each.ttl + 5); }
  };
  return [element("span", {}, label, bar), tick];
}

function condition(each) {
  if (each.moving) return pill(each.moving, "careful");
  if (each.differs.length) return element("span", {}, pill("differs", "bad"), element("ul", { class: "list" }, ...each.differs.map((text) => element("li", {}, cut(arrow(text))))));
  if (!each.owner) return pill("not provisioned by natsmith", "quiet");
  if (each.named === null) return pill("nothing to compare with", "quiet");
  return each.named ? pill("as the values say", "good") : pill("not in the values", "careful");
}

function last(each) {
  return each.last ? element("span", {}, cut(arrow(each.last.what)), small(moment(each.last.time)), small(`by ${each.last.who}`)) : "";
}

// Whether any account was read: nothing seen is not the same as nothing there.
const isRead = (state) => [...state.account.values()].some((each) => each.server);
const UNREAD = ["–", "not read yet", "quiet"];

const several = (state) => state.account.size > 1;

function object(state, each) {
  const part = state.objects.get(each.account);
  const [shown, tick] = each.oldest === null ? ["", null] : age(part, each);
  const cells = [named(each.name, several(state) ? each.account : each.kind === "object store" ? each.kind : ""), cell(ttl(each)), cell(shown), cell(number(each.entries), "number"), cell(element("span", {}, bytes(each.bytes), each.limit ? small(`of ${bytes(each.limit)}`) : null), "number")];
  if (each.kind === "bucket") cells.push(cell(each.history, "number"));
  return row([...cells, cell(each.replicas, "number"), cell(condition(each)), cell(last(each))], tick);
}

// What needs somebody stands above what does not.
function sorted(parts, chosen) {
  const found = [...parts].flatMap((part) => [...part.rows.values()]).filter(chosen);
  return found.sort((one, other) => (other.differs.length > 0) - (one.differs.length > 0) || (one.name < other.name ? -1 : 1));
}

export function prepare(state) {
  const buckets = new Rows(place("buckets-table"), "There are no buckets.", (each) => object(state, each));
  const streams = new Rows(place("streams-table"), "There are no streams.", (each) => object(state, each));
  const consumed = new Rows(place("consumers"), "There are no durable consumers.", (each) => consumer(state, each));
  const given = new Rows(place("letters"), "There are no dead letters.", letter);

  const objects = () => {
    const parts = [...state.objects.values()];
    for (const [id, table, chosen] of [["buckets", buckets, (each) => each.kind === "bucket"], ["streams", streams, (each) => each.kind !== "bucket"]]) {
      const found = sorted(parts, chosen), wrong = found.filter((each) => each.differs.length).length;
      table.show(found, isRead(state));
      if (!isRead(state)) { tell(id, ...UNREAD); continue; }
      const known = [...state.plan.values()].some((each) => each.plan), strays = found.filter((each) => each.owner && each.named === false).length;
      tell(id, number(found.length), wrong ? `${number(wrong)} ${wrong === 1 ? "differs" : "differ"}` : strays ? `${number(strays)} not in the values` : known ? "as the values say" : "nothing to compare with", wrong ? "bad" : strays ? "careful" : known ? "good" : "quiet");
    }
  };
  const consumers = () => {
    const found = sorted(state.consumers.values(), () => true);
    const sum = (name) => found.reduce((total, each) => total + each[name], 0);
    consumed.show(found, isRead(state));
    if (!isRead(state)) tell("waiting", ...UNREAD);
    else tell("waiting", number(sum("pending")), `${number(sum("unacknowledged"))} handed out, ${number(sum("redelivered"))} redelivered`, "quiet");
  };
  const letters = () => {
    const found = [...state.letters.values()].flatMap((part) => part.letters);
    given.show(found, isRead(state));
    if (!isRead(state)) tell("letters", ...UNREAD);
    else {
      const count = [...state.letters.values()].reduce((total, part) => total + part.count, 0);
      const see = count > found.length ? `given up; see the newest ${number(found.length)}` : "given up; see why";
      tell("letters", number(count), count ? see : "nothing was given up", count ? "bad" : "good");
    }
  };
  const tick = () => { buckets.tick(); streams.tick(); };
  return { objects, consumers, letters, tick };
}

// -- Consumers and dead letters

function consumer(state, each) {
  const counts = ["pending", "unacknowledged", "redelivered"].map((name) => cell(number(each[name]), "number"));
  return row([named(`${each.stream}/${each.name}`, several(state) ? each.account : ""), ...counts, cell(condition(each))]);
}

function letter(each) {
  const inside = each.value === null ? element("span", { class: "quiet" }, "not shown") : element("details", {}, element("summary", {}, "Look inside"), element("pre", {}, cut(each.value, 2000)));
  return row([named(`${each.stream} ${each.sequence}`), cell(each.consumer), cell(each.deliveries || "", "number"), cell(each.reason, "bad"), cell(moment(each.time), "quiet"), cell(inside)]);
}

// -- The plan

function change(each) {
  const tone = each.blocked ? "bad" : each.harmless ? "good" : "careful";
  const title = element("p", {}, pill(each.action, tone), " ", element("strong", {}, cut(each.title)));
  const rows = each.rows.filter(Boolean).map((text) => element("li", {}, cut(arrow(text), 400)));
  const fate = each.fate && !each.rows.some((text) => text.includes(each.fate)) ? element("p", { class: tone }, `Its data: ${cut(each.fate)}`) : null;
  const blocked = each.blocked ? element("p", { class: "bad" }, `Blocked: ${cut(each.blocked, 600)}`) : null;
  return element("article", { class: tone }, title, rows.length ? element("ul", {}, ...rows) : null, fate, blocked);
}

export function plan(state) {
  const shown = [];
  let changes = 0, blocked = 0, known = false;
  for (const part of state.plan.values()) {
    const account = cut(part.account);
    if (!part.plan) { shown.push(element("p", { class: "quiet" }, `Account ${account}: there is no plan.`)); continue; }
    known = true;
    const found = part.plan.changes;
    changes += part.plan.count;
    blocked += part.plan.blocked;
    if (!found.length) shown.push(element("p", { class: "good" }, `Account ${account}: everything is as the values say, ${counted(part.plan.unchanged, "object")}.`));
    else shown.push(element("p", { class: "quiet" }, `Account ${account}: ${counted(part.plan.count, "change")}, ${number(part.plan.unchanged)} unchanged.`), ...found.map(change));
    const rest = part.plan.count + part.plan.told - found.length;
    if (rest > 0) shown.push(element("p", { class: "quiet" }, `And ${number(rest)} more: natsmith plan shows them all.`));
    for (const warning of part.plan.warnings) shown.push(element("p", { class: "careful" }, cut(warning, 400)));
  }
  place("changes").replaceChildren(...shown);
  if (!known) tell("plan", "–", isRead(state) ? "no plan" : "not read yet", "quiet");
  else tell("plan", number(changes), blocked ? `${number(blocked)} need a decision` : changes ? "apply would do it" : "nothing to do", blocked ? "bad" : changes ? "careful" : "good");
}

