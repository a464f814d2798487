/**
 * Optimizers on a loss of two weights, step by step: what the classes of samar.optim do, computed in
 * the browser so that a slider is answered while it is dragged. A test holds both to each other.
 *
 * A step's mini-batch is a random tilt: f_k(x) = f(x) + σ ξ_k·x with ξ_k ~ N(0, I), the same for all
 * optimizers and for both gradients of a step.
 */

const SMOOTHING = 0.1; // temperature T of the soft minimum that joins two valleys
const FAR = 10; // a point so many widths of the plane from its middle counts as diverged
const LEAST = 1e-12; // of a norm that is divided by, and of a sharpness
const [TAIL, NEAR, PROGRESS] = [20, 0.5, 0.92]; // of what became of a path

const sum = (values) => values.reduce((total, value) => total + value, 0);
const mean = (values) => sum(values) / values.length;
const lerp = (from, to, share) => from + share * (to - from);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Hash 32 bits (the finalizer of MurmurHash3). */
function mixed(bits) {
  let hash = bits >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The two standard normal numbers of a step (Box and Muller's transform of two hashes). */
export function normals(seed, step) {
  const start = mixed(seed + 1);
  const [u, v] = [2 * step, 2 * step + 1].map((place) =>
    (mixed(start + Math.imul(place + 1, 0x9e3779b9)) + 0.5) / 2 ** 32);
  const radius = Math.sqrt(-2 * Math.log(u));
  return [radius * Math.cos(2 * Math.PI * v), radius * Math.sin(2 * Math.PI * v)];
}

/** Losses of two weights: value, gradient [∂x, ∂y], Hessian [xx, xy, yy], and the valley of a point. */
export const LOSSES = {
  /** f = −T log(e^(−q₁/T) + e^(−q₂/T)), the soft minimum of two round parabolas. */
  valleys({ sharp, flat, distance, depth }) {
    const [h, c, floor] = [[sharp, flat], [-distance / 2, distance / 2], [0, depth]];
    const q = (x, y) => [0, 1].map((k) => 0.5 * h[k] * ((x - c[k]) ** 2 + y * y) + floor[k]);
    const share = (x, y) => {
      const [left, right] = q(x, y);
      return 0.5 * (1 + Math.tanh((right - left) / (2 * SMOOTHING)));
    };
    const names = sharp === flat ? ["left", "right"]
      : sharp > flat ? ["sharp", "flat"] : ["flat", "sharp"];
    return {
      value(x, y) {
        const [left, right] = q(x, y);
        const apart = Math.exp(-Math.abs(left - right) / SMOOTHING);
        return Math.min(left, right) - SMOOTHING * Math.log1p(apart);
      },
      gradient(x, y) {
        const [a, b] = [share(x, y) * h[0], (1 - share(x, y)) * h[1]];
        return [a * (x - c[0]) + b * (x - c[1]), (a + b) * y];
      },
      hessian(x, y) {
        const w = share(x, y);
        const [across, along] = [h[0] * (x - c[0]) - h[1] * (x - c[1]), (h[0] - h[1]) * y];
        const [mixing, middle] = [(w * (1 - w)) / SMOOTHING, w * h[0] + (1 - w) * h[1]];
        return [middle - mixing * across ** 2, -mixing * across * along, middle - mixing * along ** 2];
      },
      valley(x, y) {
        const k = share(x, y) >= 0.5 ? 0 : 1;
        return { name: names[k], x: c[k], y: 0 };
      },
    };
  },

  /** f = ½(h₁x² + h₂y²) + ¼w(x⁴ + y⁴). */
  bowl({ steep, shallow, walls }) {
    const both = (x, y, of) => [of(x, steep), of(y, shallow)];
    return {
      value: (x, y) => sum(both(x, y, (v, h) => 0.5 * h * v ** 2 + 0.25 * walls * v ** 4)),
      gradient: (x, y) => both(x, y, (v, h) => h * v + walls * v ** 3),
      hessian(x, y) {
        const [xx, yy] = both(x, y, (v, h) => h + 3 * walls * v ** 2);
        return [xx, 0, yy];
      },
      valley: () => ({ name: "bowl", x: 0, y: 0 }),
    };
  },

  /** f = [(1 − x)² + b(y − x²)²] / 5 (Rosenbrock 1960, scaled). */
  ravine({ bend }) {
    return {
      value: (x, y) => ((1 - x) ** 2 + bend * (y - x * x) ** 2) / 5,
      gradient(x, y) {
        const wall = bend * (y - x * x);
        return [(-2 * (1 - x) - 4 * x * wall) / 5, (2 * wall) / 5];
      },
      hessian: (x, y) =>
        [(2 - 4 * bend * (y - 3 * x * x)) / 5, (-4 * bend * x) / 5, (2 * bend) / 5],
      valley: () => ({ name: "ravine", x: 1, y: 1 }),
    };
  },

  /** f = ½h(x² + y²) + a[2 − cos(2πx/ℓ) − cos(2πy/ℓ)]. */
  ripples({ bowl, height, length }) {
    const k = (2 * Math.PI) / length;
    const slope = (v) => bowl * v + height * k * Math.sin(k * v);
    const curvature = (v) => bowl + height * k * k * Math.cos(k * v);
    const bottom = (v) => {
      let at = Math.round(v / length) * length;
      for (let n = 0; n < 20; n++) // Newton's method, inward from ℓ's multiples
        at -= slope(at) / Math.max(curvature(at), 0.5 * (bowl + height * k * k));
      return at;
    };
    return {
      value: (x, y) =>
        0.5 * bowl * (x * x + y * y) + height * (2 - Math.cos(k * x) - Math.cos(k * y)),
      gradient: (x, y) => [slope(x), slope(y)],
      hessian: (x, y) => [curvature(x), 0, curvature(y)],
      valley(x, y) {
        const [bx, by] = [bottom(x), bottom(y)];
        const inner = Math.max(Math.abs(bx), Math.abs(by)) < length / 2;
        return { name: inner ? "middle dent" : "side dent", x: bx, y: by };
      },
    };
  },
};

/** The eigenvalues of a loss's Hessian at a point, the larger first. */
export function curvatures(loss, x, y) {
  const [xx, xy, yy] = loss.hessian(x, y);
  const half = Math.hypot((xx - yy) / 2, xy);
  return [(xx + yy) / 2 + half, (xx + yy) / 2 - half];
}

const band = (lam, ratio, { tau, up, down }) =>
  (ratio > 1 + tau ? lam * up : ratio < 1 - tau ? lam / down : lam);

/** λ rules: λ_{k+1} from λ_k, the ratio and the share, before it is clipped; see samar.optim.rules. */
export const RULES = {
  share: { losses: true, update: (lam, ratio, share, { scale }) => scale * share },
  dead_band: { update: (lam, ratio, share, s) => band(lam, ratio, s) },
  trend: { trend: true, update: (lam, ratio, share, s) => band(lam, ratio, s) },
  trend_power: {
    trend: true, even: true, update: (lam, ratio, share, { gain }) => lam * ratio ** gain,
  },
  power: { update: (lam, ratio, share, { gamma }) => lam * ratio ** gamma },
  additive: { update: (lam, ratio, share, { delta }) => lam + delta * Math.sign(ratio - 1) },
  fixed: { update: (lam) => lam },
};

/** Whether a step takes its second gradient, or only measures with it; see samar.optim.second_pass. */
export const POLICIES = {
  always: () => "take",
  late: ({ progress }, { begin }) => (progress >= begin ? "take" : "skip"),
  threshold({ progress, norm }, { spread_first: first, spread_last: last }, memory) {
    const size = norm * norm;
    const middle = lerp(memory.mean ?? size, size, 0.1);
    const variance = lerp(memory.variance ?? 0, (size - middle) ** 2, 0.1);
    if (!Number.isFinite(variance)) return "take";
    Object.assign(memory, { mean: middle, variance });
    const factor = (1 - progress) * first + progress * last;
    return size >= middle + factor * Math.sqrt(variance) ? "take" : "skip";
  },
  dither({ lam, measured }, { strength, longest }, memory) {
    const before = memory.due ?? 0.5;
    const due = before + Math.min(lam / strength, 1);
    const since = (memory.since ?? 0) + 1;
    const taken = due >= 1 - 1e-9 && lam > 0;
    if (!taken && since < longest && measured) {
      Object.assign(memory, { due: Math.min(due, 1), since });
      return "skip";
    }
    Object.assign(memory, { due: taken ? due - 1 : before, since: 0 });
    return taken ? "take" : "measure";
  },
};

/** SAMAR's λ with what it remembers; see samar.optim.samar. */
class Strength {
  constructor(settings) {
    this.settings = settings;
    this.rule = RULES[settings.rule];
    this.held = settings.lam_held ?? null;
    const fixed = settings.rule === "fixed";
    this.bounds = fixed ? [settings.lam, settings.lam] : [settings.lam_min, settings.lam_max];
    this.lam = this.held ?? settings.lam;
    [this.average, this.reference, this.level, this.blank] = [LEAST, NaN, null, true];
    [this.memory, this.counted, this.measured, this.ratio] = [{}, 0, 0, NaN];
    const usual = fixed ? "always" : "dither";
    this.policy = settings.second_pass === "auto" ? usual : settings.second_pass;
  }

  decide(progress, norm) {
    const moment = { progress, norm, lam: this.lam, measured: this.measured };
    const decision = POLICIES[this.policy](moment, this.settings, this.memory);
    return this.held !== null && this.policy === "dither" ? "measure" : decision;
  }

  /** d_k of the two gradients of a step, and λ_{k+1} of its losses. */
  direction(first, second, decision, sharpness) {
    const lam = this.lam;
    this.measured++;
    if (!this.settings.rho) return second;
    const stronger = decision === "take" && this.policy === "dither";
    const weight = stronger ? Math.max(lam, this.settings.strength) : lam;
    this.follow(sharpness, first.loss);
    if ((this.held ?? this.bounds[1]) === 0 && !stronger) return first.slope;
    return first.slope.map((g, k) => weight * second[k] + (1 - weight) * g);
  }

  follow(sharpness, loss) {
    const [{ settings, rule, lam, blank }, [low, high]] = [this, this.bounds];
    const pace = 1 - settings.beta;
    this.counted++;
    let size = Math.max(Math.abs(sharpness), LEAST);
    if (!(size < Infinity)) size = this.average;
    this.average = lerp(blank ? size : this.average, size, pace);
    if (blank) [this.reference, this.blank] = [this.average, this.average <= LEAST];
    const share = rule.losses ? this.share(loss, pace, blank) : NaN;
    if (this.counted > 1) this.ratio = this.average / this.reference;
    if (this.held === null && (rule.losses || this.counted > 1)) {
      const moved = this.blank ? lam : rule.update(lam, this.ratio, share, settings);
      this.lam = clamp(moved, low, high);
    }
    let rate = rule.trend ? 1 / settings.memory : 1;
    if (rule.even) rate = Math.max(rate, 1 / this.counted);
    this.reference = rate === 1 ? this.average : lerp(this.reference, this.average, rate);
  }

  /** How much of the worst-case loss is sharpness, both averaged. */
  share(loss, pace, blank) {
    let before = this.level ?? 0;
    const value = loss < Infinity ? loss : before;
    if (blank) before = value;
    this.level = lerp(before, value, this.level === null ? 1 : pace);
    return this.average / (this.level + this.average);
  }
}

/** The optimizers that can be stepped here. */
export const OPTIMIZERS = ["sgd", "sam", "vasso", "samar"];

/** One optimizer with what it remembers from step to step. */
class Optimizer {
  constructor(settings, name) {
    [this.settings, this.name] = [settings, name];
    if (name === "samar") this.strength = new Strength(settings);
  }

  /** One step from a point; `evaluate` gives the mini-batch's loss there, its gradient and f. */
  step(at, evaluate, progress) {
    const { settings, strength } = this;
    const first = evaluate(at);
    const row = { gradient: first.slope, loss: first.plain, lam: strength?.lam ?? NaN };
    const decision = this.name === "sgd" ? "skip"
      : strength?.decide(progress, Math.hypot(...first.slope)) ?? "take";
    let direction = first.slope;
    if (decision !== "skip") {
      const ahead = this.perturbation(at, first.slope).map((e, k) => at[k] + e);
      const second = evaluate(ahead);
      const sharpness = strength && settings.sharpness === "first_order"
        ? settings.rho * this.norm : second.loss - first.loss;
      const perturbation = ahead.map((v, k) => v - at[k]);
      Object.assign(row, { perturbation, perturbed: second.slope, perturbed_loss: second.plain, sharpness });
      direction = strength
        ? strength.direction(first, second.slope, decision, sharpness) : second.slope;
    }
    row.ratio = strength?.ratio ?? NaN;
    const { momentum, lr } = settings;
    this.buffer = this.buffer && momentum
      ? this.buffer.map((v, k) => momentum * v + direction[k]) : direction;
    return { ...row, direction, to: at.map((v, k) => v - lr * this.buffer[k]) };
  }

  /** ε = ρ T²v / ‖Tv‖ along the gradient, or VaSSO's average; T is 1, or |x| if adaptive. */
  perturbation(at, slope) {
    const { rho, theta, adaptive } = this.settings;
    if (this.name === "vasso")
      slope = this.average = (this.average ?? slope).map((v, k) => lerp(v, slope[k], theta));
    const scaled = adaptive ? slope.map((v, k) => v * at[k]) : slope;
    this.norm = Math.hypot(...scaled);
    return scaled.map((v, k) => (rho * (adaptive ? v * at[k] : v)) / Math.max(this.norm, LEAST));
  }
}

/**
 * One optimizer's path: `positions` x_0 … x_n, `loss` f there, `rows` of its n steps, and whether it
 * `diverged`, with which the path ends. `along`, where given, are the points its steps are taken from.
 */
export function descend(settings, name, { x_range: [left, right], y_range }, along = null) {
  const loss = LOSSES[settings.landscape](settings);
  const optimizer = new Optimizer(settings, name);
  const middle = [(left + right) / 2, mean(y_range)];
  const path = { name, positions: [[settings.x, settings.y]], rows: [], diverged: false };
  for (let step = 0; step < (along?.length ?? settings.steps); step++) {
    const tilt = normals(settings.seed, step).map((v) => settings.noise * v);
    const evaluate = ([x, y]) => {
      const plain = loss.value(x, y);
      const slope = loss.gradient(x, y).map((v, k) => v + tilt[k]);
      return { plain, loss: plain + tilt[0] * x + tilt[1] * y, slope };
    };
    const at = along ? along[step] : path.positions.at(-1);
    const row = optimizer.step(at, evaluate, step / settings.steps);
    const away = Math.max(...row.to.map((v, k) => Math.abs(v - middle[k])));
    if (!(away <= FAR * (right - left))) { // also where it is not a number
      path.diverged = true;
      break;
    }
    path.rows.push(row);
    path.positions.push(row.to);
  }
  path.loss = path.positions.map(([x, y]) => loss.value(x, y));
  return path;
}

/**
 * What became of a path: `kind` is diverged, reached (a valley's bottom), moving (towards one) or held
 * (in a valley, and not getting nearer); with the valley, its curvature, and the distance from it.
 */
export function outcome(settings, { positions, diverged }) {
  const loss = LOSSES[settings.landscape](settings);
  const { name, x, y } = loss.valley(...positions.at(-1));
  const offsets = positions.slice(-TAIL).map(([px, py]) => [px - x, py - y]);
  const first = Math.ceil(offsets.length / 2);
  const [before, after] = [offsets.slice(0, first), offsets.slice(first)].map((half) =>
    Math.hypot(...[0, 1].map((k) => mean(half.map((offset) => offset[k])))));
  const kind = after < NEAR ? "reached" : after < PROGRESS * before ? "moving" : "held";
  return {
    kind: diverged ? "diverged" : kind, valley: name, curvature: curvatures(loss, x, y)[0],
    end_curvature: curvatures(loss, ...positions.at(-1))[0], distance: Math.hypot(...offsets.at(-1)),
  };
}

const round = (value, digits = 3) => String(+value.toPrecision(digits));
const listed = (names) => [names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(" and ");

/** One sentence for all optimizers that fared alike, and one on λ; what matters is `**strong**`. */
export function story(settings, paths, titles) {
  const groups = new Map();
  for (const path of paths) {
    const ended = outcome(settings, path);
    const key = ended.kind === "diverged" ? ended.kind : `${ended.kind} ${ended.valley}`;
    groups.set(key, [...(groups.get(key) ?? []), { path, ended }]);
  }
  const told = [...groups.values()].map((group) => {
    const who = listed(group.map(({ path }) => titles[path.name]));
    const [{ kind, valley, curvature }, one] = [group[0].ended, group.length === 1];
    if (kind === "diverged") {
      const steps = group.map(({ path }) => path.rows.length).sort((a, b) => a - b);
      const after = [...new Set([steps[0], steps.at(-1)])].join(" to ");
      return `${who} **diverged** after ${after} step${after === "1" ? "" : "s"}: the steps grew without bound.`;
    }
    const place = `**${valley}**${settings.landscape === "valleys" ? " valley" : ""}`;
    const bend = `curvature ${round(curvature)}`;
    const apart = round(mean(group.map(({ ended }) => ended.distance)), 2);
    if (kind === "reached") return `${who} ended at the bottom of the ${place} (${bend}).`;
    if (kind === "moving")
      return `${who} ${one ? "is" : "are"} in the ${place} (${bend}), ${apart} from its bottom and nearing.`;
    return `${who} ${one ? "stays" : "stay"} in the ${place}, ${apart} away from its bottom (${bend} there).`;
  });
  const lams = paths.find(({ name }) => name === "samar")?.rows.map(({ lam }) => lam) ?? [];
  if (lams.length) {
    const [low, high] = [Math.min(...lams), Math.max(...lams)];
    const title = titles.samar;
    told.push(high - low < 5e-3 ? `${title}'s λ stayed at ${round(lams.at(-1), 2)}.`
      : `${title}'s λ moved between ${low.toFixed(2)} and ${high.toFixed(2)} and ended at ${lams.at(-1).toFixed(2)}.`);
  }
  return told.join(" ");
}

/** Every step of every path as a table of comma-separated values. */
export function table(paths) {
  const pairs = ["gradient", "perturbation", "perturbed", "direction"];
  const numbers = ["perturbed_loss", "sharpness", "lam", "ratio"];
  const head = [...["optimizer", "step", "x", "y", "loss"],
    ...pairs.flatMap((name) => ["x", "y"].map((axis) =>
      `${name.replace(/^perturbed$/, "perturbed_gradient")}_${axis}`)), ...numbers];
  const lines = paths.flatMap(({ name, positions, loss, rows }) => positions.map((position, step) => {
    const row = rows[step] ?? {};
    const cells = [...pairs.flatMap((pair) => row[pair] ?? [NaN, NaN]), ...numbers.map((key) => row[key])];
    return [name, step, ...position, loss[step], ...cells.map((v) => (Number.isFinite(v) ? v : ""))];
  }));
  return [head, ...lines].map((cells) => `${cells.join(",")}\n`).join("");
}
