// The page is told parts of the picture, keeps them, and draws in the next frame what changed.

import { accounts, plan, prepare } from "./tables.js";
import { prepareServices } from "./services.js";

const state = { account: new Map(), objects: new Map(), consumers: new Map(), letters: new Map(), plan: new Map(), services: new Map() };
const GONE = 200; // who went, that are remembered
const waiting = new Set(); // what to draw in the next frame

function draw(...parts) {
  if (!waiting.size) requestAnimationFrame(() => {
    const now = [...waiting];
    waiting.clear();
    for (const part of now) drawing[part]();
  });
  for (const part of parts) waiting.add(part);
}

const tables = prepare(state);
const registered = prepareServices(state, () => draw("services"));
const drawing = { ...tables, ...registered, account: () => { accounts(state); tables.objects(); tables.consumers(); tables.letters(); plan(state); }, plan: () => { plan(state); tables.objects(); } };

// Ages go on though nobody tells anything.
setInterval(() => { if (!document.hidden) { tables.tick(); registered.tick(); } }, 1000);

// -- Being told

function part(of, told) {
  if (!of.has(told.account)) of.set(told.account, { rows: new Map(), gone: [] });
  const known = of.get(told.account);
  if (told.now) { known.now = told.now; known.heardAt = performance.now(); }
  return known;
}

function rows(kind) {
  return (told) => {
    const known = part(state[kind], told);
    if (told.anew) known.rows.clear();
    for (const key of told.gone) known.rows.delete(key);
    for (const each of told.changed) known.rows.set(each.key, { ...each, account: told.account, key: `${told.account}/${each.key}` });
    draw(kind);
  };
}

function services(told) {
  const known = part(state.services, told);
  for (const name of ["account", "bucket", "trouble", "lacking", "unread", "leaders"]) if (name in told) known[name] = told[name];
  if (told.anew) { known.rows.clear(); known.gone = []; }
  for (const each of told.anew ? [] : told.gone) known.rows.delete(each.key);
  const went = told.gone.map((each) => ({ ...each, part: known, key: `${told.account}/${each.key}/${each.at}` }));
  known.gone = [...(told.anew ? went : went.reverse()), ...known.gone].slice(0, GONE);
  for (const each of told.changed) known.rows.set(each.key, each);
  for (const [key, heartbeat] of Object.entries(told.beats || {})) {
    const each = known.rows.get(key);
    if (each) each.heartbeat = heartbeat;
  }
  if (told.anew || told.changed.length || told.gone.length || "trouble" in told || "lacking" in told || "unread" in told) draw("services");
  if (told.anew || told.gone.length) draw("gone");
  if ("leaders" in told) draw("leaders");
}

function letters(told) {
  const before = new Map((state.letters.get(told.account)?.letters || []).map((each) => [each.key, each]));
  const found = told.letters.map((each) => ({ ...each, key: JSON.stringify([told.account, each]) }));
  state.letters.set(told.account, { count: told.deadLetters, letters: found.map((each) => before.get(each.key) || each) });
  draw("letters");
}

// When a page comes, what it is told may have been put together a while ago.
const clock = (told) => part(state[told.of], told);

const hearing = { clock, objects: rows("objects"), consumers: rows("consumers"), services, letters };
for (const kind of ["account", "plan"]) hearing[kind] = (told) => { state[kind].set(told.account, told); draw(kind); };

const line = document.getElementById("line");
function say(text, tone) {
  line.textContent = text;
  line.className = `pill ${tone}`;
}

const AGAIN = 2000; // milliseconds until a connection that was refused is tried again

function listen() {
  const source = new EventSource("api/events");
  source.onopen = () => say("live", "good");
  source.onerror = () => {
    say("the monitor does not answer; what is shown is from before. Trying again …", "bad");
    // A browser tries again by itself unless it was told no, as by a monitor that has too many pages.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN);
  };
  for (const [kind, hear] of Object.entries(hearing)) source.addEventListener(kind, (event) => hear(JSON.parse(event.data)));
}

listen();
