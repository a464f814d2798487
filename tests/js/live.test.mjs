/** News, orders and redraws of a tab, without a browser and a server. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mock, test } from "node:test";
import { webcrypto } from "node:crypto";

const source = readFileSync(new URL("../../samar/charts/components/live.js", import.meta.url));
const { Orders, Redraw, Stream } = await import(`data:text/javascript;base64,${source.toString("base64")}`);

globalThis.crypto ??= webcrypto;
const heard = {};
globalThis.document = {
  hidden: false, baseURI: "http://host/under/train?run=1", cookie: 'a=b; _streamlit_xsrf="2|token"',
  addEventListener: (name, act) => (heard[name] = act), removeEventListener: (name) => delete heard[name],
};

class Source {
  static CLOSED = 2;
  static open = [];
  constructor(url) {
    [this.url, this.readyState, this.beats] = [url, 1, []];
    Source.open.push(this);
  }
  addEventListener(_, act) {
    this.beat = act;
  }
  close() {
    this.readyState = Source.CLOSED;
  }
}
globalThis.EventSource = Source;

const settled = () => new Promise((resolve) => setImmediate(resolve));
const since = (url) => new URL(url).searchParams.get("since");

function stream(t) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  Source.open = [];
  const told = [];
  const made = new Stream("live/3?view=stage", (message) => told.push(message));
  t.after(() => made.close());
  return { made, told, source: () => Source.open.at(-1) };
}

test("a hidden tab closes its stream and goes on from its cursor", (t) => {
  const { told, source } = stream(t);
  assert.equal(source().url, "http://host/under/live/3?view=stage&since=");
  source().onmessage({ data: '{"a":1}', lastEventId: "x-1" });
  document.hidden = true;
  heard.visibilitychange();
  assert.equal(source().readyState, Source.CLOSED);
  document.hidden = false;
  heard.visibilitychange();
  assert.equal(since(source().url), "x-1");
  source().onmessage({ data: '{"a":2}', lastEventId: "x-2" });
  assert.deepEqual(told, [{ a: 1 }, { a: 2 }]);
});

test("a stream that falls silent is asked for again, one that beats is kept", (t) => {
  const { source } = stream(t);
  source().beat();
  source().onmessage({ data: "{}", lastEventId: "x-1" });
  t.mock.timers.tick(14_000);
  source().beat();
  t.mock.timers.tick(14_000);
  assert.equal(Source.open.length, 1);
  t.mock.timers.tick(2_000); // a laptop that slept
  assert.equal(Source.open.length, 2);
  assert.equal(Source.open[0].readyState, Source.CLOSED);
  assert.equal(since(source().url), "x-1");
});

test("where streams are held back it polls, from cursor to cursor", async (t) => {
  const asked = [];
  const answers = [{ messages: [["x-1", '{"a":1}'], ["x-2", '{"a":2}']] }, { messages: [] }, { problem: "It is gone." }];
  globalThis.fetch = async (url) => (asked.push(since(url)), { json: async () => answers.shift() });
  const { told } = stream(t);
  t.mock.timers.tick(4_000); // nothing came, not even a beat
  for (let turn = 0; turn < 5; turn++) await settled();
  assert.deepEqual(asked, ["", "x-2", "x-2"]);
  assert.deepEqual(told, [{ a: 1 }, { a: 2 }, { gone: "It is gone." }]);
});

function orders() {
  const [sent, answers] = [[], []];
  const made = new Orders({ post: (job, order) => (sent.push({ job, ...order }), new Promise((resolve) => answers.push(resolve))) });
  const answer = async (reply) => (answers.shift()(reply), settled());
  return { made, sent, answer };
}

test("orders are numbered, and one is in flight", async () => {
  const { made, sent, answer } = orders();
  made.press(3, "pause");
  made.press(3, "step");
  made.press(3, "step");
  assert.equal(sent.length, 1);
  await answer({ order: 11 });
  await answer({ order: 12 });
  assert.deepEqual(sent.map(({ command, number }) => [command, number]), [["pause", 1], ["step", 2], ["step", 3]]);
  assert.equal(new Set(sent.map(({ tab }) => tab)).size, 1);
});

test("the moves of one drag are merged while they wait, presses never", async () => {
  const { made, sent, answer } = orders();
  for (const rho of [0.1, 0.2, 0.3]) made.drag(3, "rho", rho);
  made.press(3, "change", { lam_held: 0 });
  made.press(3, "change", { lam_held: 1 });
  for (const rho of [0.4, 0.5]) made.drag(3, "rho", rho);
  assert.equal(made.wanted("rho"), 0.5);
  for (let order = 1; order <= 5; order++) await answer({ order });
  assert.deepEqual(sent.map(({ detail }) => detail), [{ rho: 0.1 }, { rho: 0.3 }, { lam_held: 0 }, { lam_held: 1 }, { rho: 0.5 }]);
});

test("an order is on its way until the stream says that it was obeyed", async () => {
  const { made, answer } = orders();
  made.heard(10);
  made.press(3, "pause");
  await answer({ order: 11 });
  assert.equal(made.pending.length, 1);
  made.heard(11);
  assert.equal(made.pending.length, 0);
  made.press(3, "resume");
  made.heard(12); // before the answer
  await answer({ order: 12 });
  assert.equal(made.pending.length, 0);
  made.press(3, "stop");
  await answer({ problem: "It is over." });
  assert.equal(made.pending.length, 0);
});

test("a page is drawn anew when it is out of date, not more often than it can be", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  mock.method(performance, "now", () => now);
  const pass = (milliseconds) => ((now += milliseconds), t.mock.timers.tick(milliseconds));
  const asked = [];
  const page = new Redraw((state) => asked.push(state));
  page.drew("a");
  page.stands("a");
  pass(10);
  assert.deepEqual(asked, []);
  page.stands("b");
  pass(0);
  page.stands("c");
  pass(900); // it is being drawn
  assert.deepEqual(asked, ["b"]);
  page.drew("b");
  pass(999);
  assert.deepEqual(asked, ["b"]);
  pass(1);
  assert.deepEqual(asked, ["b", "c"]);
  pass(5000); // that request was lost
  assert.deepEqual(asked, ["b", "c", "c"]);
  page.drew("c");
  pass(5000);
  assert.deepEqual(asked, ["b", "c", "c"]);
});
