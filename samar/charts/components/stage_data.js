/**
 * What the stage knows of one run, grown by the differences that each message brings.
 *
 * Tables of columns: `steps` (one row per step, or per bucket of steps in a long run), `epochs`, and
 * `curvature` and `estimates` of accuracy (one row per measurement); `planes` are the landscapes, `events` the marks on the timeline.
 */

/** The numbers of a base64 text of float32. */
export function numbers(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/** How many of ascending values are at most a limit. */
export function upTo(values, limit) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** An exponential moving average without the pull towards zero at its beginning; NaN takes no part. */
export function smooth(values, weight, geometric) {
  let [mean, share] = [0, 1];
  return values.map((value) => {
    const drawn = geometric ? Math.log(value) : value;
    if (!Number.isFinite(drawn)) return NaN;
    mean = weight * mean + (1 - weight) * drawn;
    share *= weight;
    const corrected = mean / (1 - share);
    return geometric ? Math.exp(corrected) : corrected;
  });
}

const OWN = ["lam", "ratio", "sharpness", "kappa"]; // what not every optimizer has

export class Member {
  constructor() {
    this.tables = { steps: {}, epochs: {}, curvature: {}, estimates: {} };
    this.planes = [];
    this.events = [];
    this.answers = [];
  }

  /** Take in what is new: each table from a row on, the lists from an entry on. */
  merge(part) {
    if (part.facts) this.facts = part.facts;
    if (part.images) [this.images, this.pictures] = [part.images, JSON.stringify(part.images)]; // sent once
    for (const [name, { from, columns }] of Object.entries(part.tables ?? {}))
      for (const [column, text] of Object.entries(columns)) {
        const held = (this.tables[name][column] ??= []);
        held.length = Math.min(held.length, from);
        for (const value of numbers(text)) held.push(value);
      }
    for (const plane of part.planes?.added ?? []) plane.z = rows(numbers(plane.z), plane.side);
    for (const list of ["planes", "events", "answers"]) {
      if (!part[list]) continue;
      this[list].length = Math.min(this[list].length, part[list].from);
      this[list].push(...part[list].added);
    }
  }

  column(table, name) {
    return this.tables[table][name] ?? [];
  }

  /** Where this run ends on an axis. */
  end(axis) {
    return this.column("steps", axis).at(-1) ?? 0;
  }

  /** Where a step lies on an axis. */
  place(step, axis) {
    const steps = this.column("steps", "step");
    if (axis === "step" || !steps.length) return step;
    const at = upTo(steps, step) - 1;
    return at < 0 ? 0 : this.column("steps", axis)[at];
  }

  /** Where the rows of a table lie on an axis; a measurement knows its step alone. */
  places(table, axis) {
    if (this.tables[table][axis]) return this.column(table, axis);
    return this.column(table, "step").map((step) => this.place(step, axis));
  }

  /** The step that was the last one at a place on an axis. */
  step(place, axis) {
    if (axis === "step") return place;
    const last = (table) => this.column(table, "step")[upTo(this.column(table, axis), place) - 1] ?? 0;
    return Math.max(last("steps"), last("epochs")); // a bucket's end may lie before an epoch's
  }

  /** The newest finite value of a column at a step, of what is its optimizer's own since that took over. */
  value(table, name, step) {
    const [values, steps] = [this.column(table, name), this.column(table, "step")];
    const turn = this.facts.turns.findLast((each) => each < step && OWN.includes(name)) ?? -1;
    const newest = upTo(steps, step) - 1;
    if (table === "steps" && newest === steps.length - 1) return this.facts.now[name] ?? NaN;
    let first = upTo(steps, turn);
    if (table === "steps" && (steps[first - 1] ?? Math.min(turn, 0)) < turn) first++; // a bucket of both
    for (let at = newest; at >= first; at--)
      if (Number.isFinite(values[at])) return values[at];
    return NaN;
  }

  /** The newest entry of a list, such as the planes, at a step; the first before there was one. */
  entry(list, step) {
    const at = upTo(this[list].map((each) => each.step), step) - 1;
    return this[list][Math.max(at, 0)];
  }
}

function rows(values, width) {
  const found = [];
  for (let at = 0; at < values.length; at += width) found.push([...values.subarray(at, at + width)]);
  return found;
}
