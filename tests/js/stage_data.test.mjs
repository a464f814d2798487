/** What the stage knows of a run: the logic of stage_data.js without a browser. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const source = readFileSync(new URL("../../samar/charts/components/stage_data.js", import.meta.url));
const { Member, numbers, smooth, upTo } = await import(`data:text/javascript;base64,${source.toString("base64")}`);

const text = (values) => Buffer.from(new Float32Array(values).buffer).toString("base64");
const table = (columns, from = 0) => ({
  from, columns: Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, text(values)])),
});
const none = { from: 0, added: [] };
const FACTS = { turns: [], now: {} };

function member({ steps = {}, epochs = {}, curvature = {}, facts = FACTS, ...lists }) {
  const run = new Member();
  run.merge({
    facts, planes: none, events: none, answers: none, ...lists,
    tables: { steps: table(steps), epochs: table(epochs), curvature: table(curvature) },
  });
  return run;
}

test("numbers are those of the text", () => {
  assert.deepEqual([...numbers(text([1, NaN, -2.5]))], [1, NaN, -2.5]);
});

test("upTo counts ascending values", () => {
  for (const [limit, count] of [[0, 0], [1, 1], [2, 3], [9, 4]]) assert.equal(upTo([1, 2, 2, 5], limit), count);
});

test("smoothing is that of samar.charts.smoothing", () => {
  const rounded = smooth([1, 1, NaN, 4], 0.5, false).map((value) => Math.round(1000 * value) / 1000);
  assert.deepEqual(rounded, [1, 1, NaN, 2.714]);
  assert.ok(Math.abs(smooth([2, 8], 0.5, true)[1] - 2 * 4 ** (2 / 3)) < 1e-9);
});

test("a message replaces what lies behind its first row", () => {
  const run = member({ steps: { step: [1, 2, 3], lam: [0.1, 0.2, 0.3] }, events: { from: 0, added: ["a", "b"] } });
  run.merge({
    facts: FACTS, planes: none, answers: none, events: { from: 1, added: ["c"] },
    tables: { steps: table({ step: [3, 4], lam: [0.5, 0.75] }, 2), epochs: table({}), curvature: table({}) },
  });
  assert.deepEqual(run.column("steps", "step"), [1, 2, 3, 4]);
  assert.deepEqual(run.column("steps", "lam").slice(2), [0.5, 0.75]);
  assert.deepEqual(run.events, ["a", "c"]);
  assert.equal(run.end("step"), 4);
});

test("planes are squares, and a moment has the newest before it", () => {
  const plane = (step, values) => ({ step, side: 2, z: text(values) });
  const run = member({ planes: { from: 0, added: [plane(2, [1, 2, 3, 4]), plane(6, [5, 6, 7, 8])] } });
  assert.deepEqual(run.planes[0].z, [[1, 2], [3, 4]]);
  for (const [step, at] of [[0, 2], [5, 2], [6, 6], [9, 6]]) assert.equal(run.entry("planes", step).step, at);
});

test("a place on the axis of gradients and its step", () => {
  const run = member({ steps: { step: [1, 2, 3], grad_evals: [2, 4, 6] }, curvature: { step: [0, 2] } });
  assert.equal(run.place(2, "grad_evals"), 4);
  assert.equal(run.step(5, "grad_evals"), 2);
  assert.deepEqual(run.places("curvature", "grad_evals"), [0, 4]);
  assert.deepEqual(run.places("curvature", "step"), [0, 2]);
});

test("the newest value is said, not the mean of its bucket", () => {
  const run = member({ steps: { step: [2, 4], lam: [1, 0.5] }, facts: { turns: [], now: { lam: 0 } } });
  assert.equal(run.value("steps", "lam", 4), 0);
  assert.equal(run.value("steps", "lam", 3), 1);
});

test("a value of another optimizer is forgotten", () => {
  const run = member({
    steps: { step: [1, 2, 3, 4], lam: [1, 1, NaN, NaN], loss: [4, 3, 2, 1] }, facts: { turns: [2], now: { loss: 1 } },
  });
  assert.equal(run.value("steps", "lam", 2), 1);
  assert.ok(Number.isNaN(run.value("steps", "lam", 3)));
  assert.equal(run.value("steps", "loss", 3), 2);
});
