// Draws the picture that /events sends once a second. Texts only ever become text nodes.
"use strict";

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const KEEP = 60;      // seconds that the small curves show
const COLUMNS = 20;   // backends beside each other
const STEP = 22;      // pixels from one backend to the next

let before = null;    // the picture of a second ago
let session = { user: null };
const curves = {};

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes, title) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (title) {
    const text = document.createElementNS(SVG, "title");
    text.textContent = title;
    made.append(text);
  }
  return made;
}

const whole = (n) => Math.round(n).toLocaleString("en");
const time = (s) => s < 0.0995 ? `${(s * 1000).toFixed(1)} ms` : s < 100 ? `${s.toFixed(1)} s` : `${whole(s)} s`;
const size = (n) => n < 1e3 ? `${whole(n)} B` : n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;

// Figures: [label, value of this second, how it is written].
function figures(now) {
  const seconds = before && now.at > before.at ? now.at - before.at : 0;
  const rate = (name) => seconds ? Math.max(0, now[name] - before[name]) / seconds : 0;
  const lent = before ? now.assignments - before.assignments : 0;
  const waited = lent > 0 ? (now.wait_time - before.wait_time) / lent / 1e6 : 0;
  const waiting = now.pools.reduce((sum, pool) => sum + pool.waiting, 0);
  return [
    ["transactions / s", rate("transactions"), whole],
    ["queries / s", rate("queries"), whole],
    ["clients", now.clients, whole],
    ["waiting", waiting, whole],
    ["mean wait", waited, time],
    ["replays / s", rate("replays"), whole],
    ["received / s", rate("received"), size],
    ["sent / s", rate("sent"), size],
    ["loop lag", now.lag, time],
  ];
}

function drawTiles(now) {
  $("tiles").replaceChildren(...figures(now).map(([label, value, written]) => {
    const curve = curves[label] ??= [];
    curve.push(value);
    if (curve.length > KEEP) curve.shift();
    const top = Math.max(...curve, 1e-9);
    const points = curve.map((v, i) => `${(i + KEEP - curve.length) * 100 / (KEEP - 1)},${27 - 25 * v / top}`);
    const chart = drawn("svg", { viewBox: "0 0 100 28", preserveAspectRatio: "none", "aria-hidden": "true" });
    chart.append(drawn("polyline", { points: points.join(" ") }));
    return element("div", { class: "tile" }, element("span", { class: "quiet" }, label),
      element("b", {}, written(value)), chart);
  }));
}

function backendTitle(backend) {
  const held = backend.client === null ? "" : `, client ${backend.client} for ${time(backend.held)}`;
  const pins = backend.pins.length ? `, pinned: ${backend.pins.join(", ")}` : "";
  return `backend ${backend.number}: ${backend.state}${held}${pins}, ${backend.statements} statements`;
}

function drawPool(pool) {
  const shown = pool.backends.length;
  const ears = pool.backends.filter((backend) => backend.state === "listens").length;
  const free = Math.max(0, Math.min(pool.size, 100) - shown + ears - pool.more);
  const rows = Math.max(1, Math.ceil((shown + free) / COLUMNS));
  const queue = pool.waits.length ? 20 : 0;
  const picture = drawn("svg", { viewBox: `0 0 ${COLUMNS * STEP} ${queue + rows * 46}`, role: "img",
    "aria-label": `${shown} backends, ${pool.waiting} clients waiting` });
  pool.waits.slice(0, COLUMNS * 2).forEach((wait, i) => picture.append(
    drawn("circle", { cx: 6 + i * 11, cy: 8, r: 4, class: "dot waiting" }, `waiting for ${time(wait)}`)));
  for (let i = 0; i < shown + free; i++) {
    const x = (i % COLUMNS) * STEP + 2, y = queue + Math.floor(i / COLUMNS) * 46;
    const backend = pool.backends[i];
    if (!backend) { picture.append(drawn("rect", { x, y: y + 26, width: 15, height: 15, rx: 3, class: "box free" })); continue; }
    const kind = backend.pins.length ? "pinned" : backend.state;
    if (backend.client !== null) {
      picture.append(drawn("line", { x1: x + 7.5, y1: y + 8, x2: x + 7.5, y2: y + 28, class: `link ${kind}` }),
        drawn("circle", { cx: x + 7.5, cy: y + 7, r: 4.5, class: `dot ${kind}` }, `client ${backend.client}`));
    }
    picture.append(drawn("rect", { x, y: y + 26, width: 15, height: 15, rx: 3, class: `box ${kind}` }, backendTitle(backend)));
  }
  const state = pool.disabled ? "disabled" : pool.paused ? "paused" : pool.failing ? "server fails" : "";
  const head = element("header", {}, element("b", {}, pool.database), element("span", { class: "quiet" }, `${pool.user} · ${pool.mode}`));
  if (state) head.append(element("span", { class: pool.failing ? "pill lost" : "pill held" }, state));
  if (session.admin) {
    const order = pool.paused ? "RESUME" : "PAUSE";
    const button = element("button", { "data-order": order, "data-database": pool.database }, pool.paused ? "Resume" : "Pause");
    head.append(element("span", { class: "space" }), button);
  }
  const longest = pool.waits.length ? `, the longest for ${time(pool.waits[0])}` : "";
  const more = pool.more ? `, ${pool.more} more not drawn` : "";
  return element("article", { class: "pool" }, head, picture, element("p", { class: "counts" },
    `${pool.active} clients served, ${pool.idle} idle, ${pool.waiting} waiting${longest} · ${shown - ears} of ${pool.size} backends${ears ? " and one that listens" : ""}${more}`));
}

function drawTable(id, rows, columns) {
  const head = element("tr", {}, ...columns.map(([name]) => element("th", {}, name)));
  const lines = rows.map((row) => element("tr", {}, ...columns.map(([, key, kind]) =>
    element("td", { class: kind || "number" }, String(row[key])))));
  const none = element("tr", {}, element("td", { class: "quiet" }, "none"));
  $(id).replaceChildren(...(lines.length ? [head, ...lines] : [none]));
}

function drawDetails(now) {
  $("details").hidden = !now.detailed;
  $("hint").hidden = now.detailed;
  if (!now.detailed) return;
  drawTable("pinned", now.pinned, [["database", "database"], ["client", "client_id"], ["backend", "server_id"],
    ["reason", "reason"], ["seconds", "seconds"], ["statement", "statement", "text"]]);
  drawTable("statements", now.statements, [["database", "database"], ["clients", "clients"],
    ["backends", "backends"], ["statement", "statement", "text"]]);
  drawTable("changed", now.changed, [["setting", "setting"], ["clients", "clients"]]);
  drawTable("configured", now.configured, [["setting", "setting"], ["value", "value", "text"]]);
}

function show(now) {
  const held = now.state.stopping ? "shutting down" : now.state.suspended ? "suspended" : now.state.paused ? "paused" : "";
  $("state").textContent = held || "serving";
  $("state").className = `pill ${held ? "held" : "serving"}`;
  const hours = Math.floor(now.uptime / 3600), minutes = Math.floor(now.uptime / 60) % 60;
  $("uptime").textContent = `up ${hours} h ${minutes} min`;
  drawTiles(now);
  const none = element("p", { class: "quiet" }, "No client has come yet.");
  $("pools").replaceChildren(...(now.pools.length ? now.pools.map(drawPool) : [none]));
  drawDetails(now);
  if (session.user && !now.detailed) knowSession({ user: null });
  before = now;
}

function knowSession(found) {
  session = found;
  $("who").textContent = found.user ? `${found.user}${found.admin ? "" : " (may look)"}` : "";
  $("login").hidden = Boolean(found.user);
  $("logout").hidden = !found.user;
  $("orders").hidden = !found.admin;
}

async function post(path, body) {
  const headers = { "content-type": "application/json", "x-csrf-token": session.token || "" };
  return fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" });
}

async function order(what, database) {
  const on = database ? ` ${database}` : "";
  const answer = await post("api/orders", { order: what, database });
  const words = (await answer.text()).trim();
  $("said").textContent = `${what}${on}: ${words}`;
  setTimeout(() => { $("said").textContent = ""; }, 6000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-order]");
  if (button) order(button.dataset.order, button.dataset.database || "");
});
$("login").addEventListener("click", () => { $("refused").textContent = ""; $("ask").showModal(); });
$("cancel").addEventListener("click", () => $("ask").close());
$("logout").addEventListener("click", async () => { await post("api/logout", {}); knowSession({ user: null }); });
$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await post("api/login", { user: $("user").value, password: $("password").value });
  $("password").value = "";
  if (!answer.ok) { $("refused").textContent = await answer.text(); return; }
  $("ask").close();
  knowSession(await answer.json());
  follow();
});

let source = null;
function follow() {
  if (source) source.close();
  source = new EventSource("events");
  source.onmessage = (event) => show(JSON.parse(event.data));
  source.onerror = () => { $("state").textContent = "no answer"; $("state").className = "pill lost"; };
}

fetch("api/session", { credentials: "same-origin" }).then((answer) => answer.json()).then(knowSession).finally(follow);
