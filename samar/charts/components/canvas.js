/** Drawing on 2-D canvases: curves over axes, and a grid of heights as a surface or a map. */

const STOPS = ["440154", "482878", "3e4a89", "31688e", "26828e", "1f9e89", "35b779", "6dcd59",
  "b4de2c", "fde725"].map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));
const COLORS = 64; // of the scale, each in SHADES
const SHADES = 16;
const SMOOTH = 24; // cells along a side of a surface
const DASHES = { dot: [1.5, 3], dash: [7, 4], dashdot: [7, 3, 1.5, 3], longdash: [12, 5] };

/** Red, green and blue of viridis at a share from 0 to 1. */
export function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  return STOPS[low].map((from, of) => from + (at - low) * (STOPS[low + 1][of] - from));
}

const palette = Array.from({ length: COLORS }, (_, color) => Array.from({ length: SHADES + 1 },
  (__, shade) => {
    const light = 0.62 + (0.43 * shade) / SHADES;
    return `rgb(${viridis(color / (COLORS - 1)).map((v) => Math.min(255, Math.round(light * v)))})`;
  }));

/** A colour of the scale; `light` from 0 to 1. */
const shaded = (share, light) => palette[Math.round(Math.min(Math.max(share, 0), 1) * (COLORS - 1))][
  Math.round(Math.min(Math.max(light, 0), 1) * SHADES)];

/** Round numbers from low to high, about as many as asked for. */
export function ticks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  if (!(raw > 0) || !Number.isFinite(raw)) return [];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.7) * power;
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++)
    found.push(k * step);
  return found;
}

/** Round numbers on a logarithmic axis: powers of ten, with 2 and 5 where they are few. */
export function logTicks(low, high) {
  const found = [];
  const wide = Math.log10(high / low) > 2;
  const every = Math.ceil(Math.log10(high / low) / 6);
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const factor of wide ? [1] : [1, 2, 5]) {
      const tick = factor * 10 ** power;
      if (tick >= low && tick <= high && (!wide || power % every === 0)) found.push(tick);
    }
  return found;
}

/** A number beside an axis: 10k, 0.25, 3e-4. */
export function label(value) {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(0).replace("e+", "e");
  if (size >= 1e4) return `${+(value / 1000).toPrecision(3)}k`;
  return String(+value.toPrecision(4));
}

/** The ends of an axis that shows all of some numbers. */
export function reach(values, { log = false, zero = false }) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values)
    if (Number.isFinite(value) && (!log || value > 0)) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  if (log) {
    const room = low === high ? 2 : (high / low) ** 0.06;
    return [low / room, high * room];
  }
  if (zero) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
  const room = low === high ? Math.abs(low) / 2 || 0.5 : 0.06 * (high - low);
  return [zero && low === 0 ? 0 : low - room, zero && high === 0 ? 0 : high + room];
}

/** A canvas that fills its box. */
export class Sheet {
  constructor(box) {
    this.canvas = document.createElement("canvas");
    this.canvas.ariaHidden = "true";
    box.append(this.canvas);
    // Where Chromium emulates a graphics card an accelerated canvas is fifteen times as slow.
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  /** Wipe it, at the size and resolution it has now; false where it cannot be seen. */
  clear() {
    const { canvas, context } = this;
    const ratio = window.devicePixelRatio || 1;
    [this.width, this.height] = [canvas.clientWidth, canvas.clientHeight];
    const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    return width > 0 && height > 0;
  }
}

/**
 * Curves over axes.
 *
 * `traces` have x, y, line, opacity, mode, marker and connectgaps as plotly's; `x` and `y` are
 * {range, log, ticks}; `levels` and `band` lie behind them; `notes` have text, x, y, color. Returns
 * the area within the axes.
 */
export function drawCurves(sheet, { traces, x, y, levels = [], band = null, notes = [] }, theme) {
  if (!sheet.clear()) return null;
  const { context: c, width, height } = sheet;
  const { size } = theme;
  c.font = `${size}px ${theme.font}`;
  const rows = y.ticks ?? (y.log ? logTicks(...y.range) : ticks(...y.range, height / (3.2 * size)));
  const wide = Math.max(...rows.map((tick) => c.measureText(label(tick)).width), 2.2 * size);
  const area = { l: wide + 0.7 * size, t: 0.6 * size };
  [area.w, area.h] = [width - area.l - 0.8 * size, height - area.t - 1.8 * size];
  if (area.w < 20 || area.h < 10) return null;
  const share = (value, { range: [low, high], log }) =>
    log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  const left = (value) => area.l + area.w * share(value, x);
  const top = (value) => area.t + area.h * (1 - share(value, y));
  const line = (x0, y0, x1, y1) => {
    c.beginPath();
    c.moveTo(x0, y0);
    c.lineTo(x1, y1);
    c.stroke();
  };

  c.fillStyle = theme.muted;
  [c.strokeStyle, c.lineWidth] = [theme.grid, 1];
  [c.textAlign, c.textBaseline] = ["right", "middle"];
  let above = Infinity;
  for (const tick of rows) {
    const at = Math.round(top(tick)) + 0.5;
    if (at < area.t - 1 || at > area.t + area.h + 1) continue;
    line(area.l, at, area.l + area.w, at);
    if (above - at < 1.05 * size) continue; // numbers would lie over each other
    c.fillText(label(tick), area.l - 0.4 * size, (above = at));
  }
  [c.textAlign, c.textBaseline] = ["center", "top"];
  for (const tick of ticks(...x.range, Math.min(5, area.w / (5 * size)))) {
    const at = Math.round(left(tick)) + 0.5;
    line(at, area.t, at, area.t + area.h);
    const half = c.measureText(label(tick)).width / 2;
    c.fillText(label(tick), Math.min(at, width - half), area.t + area.h + 0.35 * size);
  }

  c.save();
  c.beginPath();
  c.rect(area.l - 3, area.t - 3, area.w + 6, area.h + 6);
  c.clip();
  if (band) {
    c.fillStyle = "rgba(128,128,128,.25)";
    c.fillRect(area.l, top(band[1]), area.w, top(band[0]) - top(band[1]));
  }
  for (const { y: value, dash } of levels) {
    c.setLineDash(DASHES[dash] ?? []);
    [c.strokeStyle, c.lineWidth] = [theme.muted, 1];
    line(area.l, top(value), area.l + area.w, top(value));
  }
  for (const trace of traces) drawTrace(c, trace, left, top, x.range, Boolean(y.log));
  c.restore();

  c.textBaseline = "bottom";
  c.textAlign = "right";
  for (const note of notes) {
    c.fillStyle = note.color ?? theme.muted;
    c.fillText(note.text, Math.min(left(note.x), area.l + area.w), top(note.y) - 2);
  }
  return area;
}

function drawTrace(c, trace, left, top, [from, to], log) {
  const { x, y, line = {}, opacity = 1, mode = "lines", marker = {}, connectgaps } = trace;
  c.globalAlpha = opacity;
  [c.strokeStyle, c.lineWidth] = [line.color, line.width ?? 2];
  c.setLineDash((DASHES[line.dash] ?? []).map((length) => (length * (0.5 + c.lineWidth / 3))));
  c.lineJoin = "round";
  const marks = [];
  if (mode.includes("lines")) c.beginPath();
  // Of many points in one column of pixels the first, the lowest and the highest are enough.
  let [pen, column, low, high] = [false, NaN, 0, 0];
  const column_ends = () => {
    if (low < high) c.lineTo(column, low), c.lineTo(column, high);
  };
  for (let at = 0; at < x.length; at++) {
    if (x[at] > to && x[at - 1] > to) break;
    if (x[at + 1] < from) continue;
    if (!Number.isFinite(y[at]) || (log && y[at] <= 0)) {
      if (!connectgaps) pen = false;
      continue;
    }
    const [px, py] = [left(x[at]), top(y[at])];
    marks.push([px, py]);
    if (!mode.includes("lines")) continue;
    if (pen && Math.abs(px - column) < 0.5) {
      [low, high] = [Math.min(low, py), Math.max(high, py)];
      continue;
    }
    if (pen) column_ends(), c.lineTo(px, py);
    else c.moveTo(px, py);
    [pen, column, low, high] = [true, px, py, py];
  }
  column_ends();
  if (mode.includes("lines")) c.stroke();
  c.setLineDash([]);
  if (mode.includes("markers") || marks.length === 1) {
    const half = (marker.size ?? 5) / 2;
    for (const [px, py] of marks) drawMark(c, marker.symbol ?? "circle", px, py, half, marker.color ?? line.color);
  }
  c.globalAlpha = 1;
}

function drawMark(c, symbol, x, y, half, color) {
  [c.fillStyle, c.strokeStyle, c.lineWidth] = [color, color, 1.2];
  c.beginPath();
  if (symbol.startsWith("square")) c.rect(x - half, y - half, 2 * half, 2 * half);
  else if (symbol.startsWith("diamond")) c.moveTo(x, y - 1.3 * half), c.lineTo(x + 1.3 * half, y), c.lineTo(x, y + 1.3 * half), c.lineTo(x - 1.3 * half, y);
  else if (symbol.startsWith("triangle")) c.moveTo(x, y - 1.2 * half), c.lineTo(x + 1.2 * half, y + half), c.lineTo(x - 1.2 * half, y + half);
  else if (symbol.startsWith("cross")) c.rect(x - half, y - half / 3, 2 * half, half / 1.5), c.rect(x - half / 3, y - half, half / 1.5, 2 * half);
  else c.arc(x, y, half, 0, 2 * Math.PI);
  c.closePath();
  if (symbol.endsWith("open")) c.stroke();
  else c.fill();
}

const [FLOOR, BOTTOM, TOP] = [-0.75, -0.55, 0.7]; // heights of the floor, of the lowest and the highest loss

/** How a point of the box, from −1 to 1 and FLOOR to TOP, falls on a sheet, whichever way it is turned. */
export function projection({ width, height }, { turn, tilt, near = 1 }) {
  const [s, c] = [Math.sin(turn), Math.cos(turn)];
  const [up, flat] = [Math.cos(tilt), Math.sin(tilt)];
  const shrink = (depth, w) => 1 / (1 + 0.14 * (depth * up - w * flat));
  const fall = (depth, w) => (w * up + depth * flat) * shrink(depth, w);
  const [high, low] = [fall(1.42, TOP), fall(-1.42, FLOOR)];
  const scale = near * Math.min((0.485 * width) / (1.42 * shrink(-0.3, 0)), (0.95 * height) / (high - low));
  const middle = height / 2 + (scale * (high + low)) / 2;
  return (u, v, w) => {
    const [across, depth] = [u * c - v * s, u * s + v * c];
    return [width / 2 + scale * across * shrink(depth, w), middle - scale * fall(depth, w)];
  };
}

/** A grid through the same points with further ones between them (Catmull and Rom's splines). */
export function finer(z, times) {
  const line = (values) => {
    const last = values.length - 1;
    const found = [];
    for (let at = 0; at < last; at++) {
      const [a, b, c, d] = [-1, 0, 1, 2].map((by) => values[Math.min(Math.max(at + by, 0), last)]);
      for (let k = 0; k < times; k++) {
        const t = k / times;
        found.push(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))));
      }
    }
    return [...found, values[last]];
  };
  const rows = z.map(line);
  const turned = rows[0].map((_, at) => line(rows.map((row) => row[at])));
  return turned[0].map((_, at) => turned.map((column) => column[at]));
}

/**
 * A grid of heights seen from a camera {turn, tilt, near}, with its level lines below it. Between
 * the points of a coarse grid it is drawn smoothly.
 *
 * `z` are rows of heights, `xs` and `ys` the places of columns and rows; heights are drawn from
 * `low` to `high`. `here` is the height of the point in the middle, drawn in `color`.
 */
export function drawSurface(sheet, { z: measured, xs, ys, low, high, here, color, camera }, theme) {
  if (!sheet.clear()) return;
  const times = Math.max(1, Math.round(SMOOTH / (measured.length - 1)));
  const z = finer(measured.map((row) => row.map((v) => (Number.isFinite(v) ? Math.min(v, high) : high))), times);
  const { context: c } = sheet;
  const at = projection(sheet, camera);
  const span = high - low || 1;
  const up = (value) => BOTTOM + ((TOP - BOTTOM) * (Math.min(Math.max(value, low), high) - low)) / span;
  const unit = (count) => Array.from({ length: count }, (_, at) => (2 * at) / (count - 1) - 1);
  const [us, vs] = [unit(z[0].length), unit(z.length)];
  const size = 0.92 * theme.size;
  c.font = `${size}px ${theme.font}`;

  const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([u, v]) => at(u, v, FLOOR));
  c.beginPath();
  for (const [x, y] of corners) c.lineTo(x, y);
  c.closePath();
  [c.fillStyle, c.strokeStyle, c.lineWidth] = [theme.shade, theme.grid, 1];
  c.fill();
  c.stroke();
  drawAxes(c, at, { low, high, xs, ys, camera, up, size }, theme);
  c.lineWidth = 1.3;
  for (let level = 1; level < 12; level++) {
    const height = low + (level / 12) * span;
    c.strokeStyle = shaded(level / 12, 0.9);
    c.beginPath();
    const place = (col, row) => at((2 * col) / (us.length - 1) - 1, (2 * row) / (vs.length - 1) - 1, FLOOR);
    levelLines(z, height, high, place, c);
    c.stroke();
  }

  // From far to near, so that what is nearer covers what lies behind it.
  const [s, co] = [Math.sin(camera.turn), Math.cos(camera.turn)];
  const order = (count, far) => Array.from({ length: count - 1 }, (_, k) => (far ? count - 2 - k : k));
  const points = z.map((row, j) => row.map((value, i) => at(us[i], vs[j], up(value))));
  const rows = order(vs.length, co > 0);
  const cols = order(us.length, s > 0);
  c.lineJoin = "round";
  c.lineWidth = 0.8;
  for (const j of rows)
    for (const i of cols) {
      const [a, b, d, e] = [z[j][i], z[j][i + 1], z[j + 1][i + 1], z[j + 1][i]].map(up);
      const [du, dv] = [us[i + 1] - us[i], vs[j + 1] - vs[j]];
      const [gu, gv] = [(b + d - a - e) / (2 * du), (d + e - a - b) / (2 * dv)];
      const light = (1 - 0.55 * gu * (0.8 * co + 0.6 * s) + 0.55 * gv * (0.8 * s - 0.6 * co)) / Math.hypot(1, gu, gv);
      c.fillStyle = c.strokeStyle = shaded(((a + b + d + e) / 4 - BOTTOM) / (TOP - BOTTOM), 0.2 + 0.6 * light);
      c.beginPath();
      for (const [x, y] of [points[j][i], points[j][i + 1], points[j + 1][i + 1], points[j + 1][i]]) c.lineTo(x, y);
      c.closePath();
      c.fill();
      c.stroke(); // else light shines through between two
    }

  const [x, y] = at(0, 0, up(here));
  const [fx, fy] = at(0, 0, FLOOR);
  c.setLineDash([2, 2]);
  [c.strokeStyle, c.lineWidth] = [theme.text, 1];
  c.beginPath();
  c.moveTo(x, y);
  c.lineTo(fx, fy);
  c.stroke();
  c.setLineDash([]);
  for (const [px, py, radius] of [[fx, fy, 2.5], [x, y, 4.5]]) {
    c.beginPath();
    c.arc(px, py, radius, 0, 2 * Math.PI);
    [c.fillStyle, c.strokeStyle, c.lineWidth] = [color, "#fff", 1.2];
    c.fill();
    c.stroke();
  }
}

/** Numbers along the two near edges of the floor, and up the corner at the left. */
function drawAxes(c, at, { low, high, xs, ys, camera, up, size }, theme) {
  c.fillStyle = theme.muted;
  [c.textAlign, c.textBaseline] = ["center", "middle"];
  const [s, co] = [Math.sin(camera.turn), Math.cos(camera.turn)];
  const [u, v] = [s > 0 ? -1 : 1, co > 0 ? -1 : 1]; // of the near edges
  const off = 1.16;
  for (const share of [-1, 0, 1]) {
    const place = (values) => label(values[0] + ((share + 1) / 2) * (values.at(-1) - values[0]));
    c.fillText(place(xs), ...at(0.94 * share, off * v, FLOOR));
    c.fillText(place(ys), ...at(off * u, 0.94 * share, FLOOR));
  }
  if (Math.cos(camera.tilt) < 0.25) return; // from above heights are told by colour
  const corner = [[-1, -1], [1, -1], [1, 1], [-1, 1]].reduce((best, each) =>
    (at(...each, 0)[0] < at(...best, 0)[0] ? each : best));
  const [[x0, y0], [x1, y1]] = [at(...corner, FLOOR), at(...corner, up(high))];
  c.beginPath();
  c.moveTo(x0, y0);
  c.lineTo(x1, y1);
  c.stroke();
  c.textAlign = "right";
  for (const tick of ticks(low, high, Math.min(4, Math.abs(y1 - y0) / (2.5 * size)))) {
    const [x, y] = at(...corner, up(tick));
    c.fillText(label(tick), Math.max(x - 4, c.measureText(label(tick)).width + 1), y);
  }
}

/** The lines on which a grid has one height, by marching squares; `place` turns column and row. */
function levelLines(z, level, high, place, c) {
  const value = (v) => (Number.isFinite(v) ? Math.min(v, high) : high);
  for (let j = 0; j + 1 < z.length; j++)
    for (let i = 0; i + 1 < z[j].length; i++) {
      const [a, b, d, e] = [z[j][i], z[j][i + 1], z[j + 1][i + 1], z[j + 1][i]].map(value);
      const cuts = [];
      const cut = (from, to, col, row, dc, dr) => {
        if (from < level !== to < level) {
          const share = (level - from) / (to - from);
          cuts.push(place(col + share * dc, row + share * dr));
        }
      };
      cut(a, b, i, j, 1, 0);
      cut(b, d, i + 1, j, 0, 1);
      cut(e, d, i, j + 1, 1, 0);
      cut(a, e, i, j, 0, 1);
      for (let k = 0; k + 1 < cuts.length; k += 2) {
        c.moveTo(...cuts[k]);
        c.lineTo(...cuts[k + 1]);
      }
    }
}

const tiny = document.createElement("canvas");

/** The same grid from above: colours, level lines, a cross in the middle; numbers where `axes`. */
export function drawMap(sheet, { z, xs, ys, low, high, axes }, theme) {
  if (!sheet.clear()) return;
  const { context: c, width, height } = sheet;
  const size = theme.size;
  const [l, b, bar] = axes ? [2.6 * size, 1.8 * size, 4 * size] : [2, 2, 0];
  const side = Math.min(width - l - bar, height - b - 6);
  if (side < 10) return;
  const [x0, y0] = [l + (width - l - bar - side) / 2, 4 + (height - b - 6 - side) / 2];
  const [m, n] = [z.length, z[0].length];
  // Colours are mixed by the browser; half a cell lies beyond the outer places.
  [tiny.width, tiny.height] = [n, m];
  const image = new ImageData(n, m);
  const share = (v) => ((Number.isFinite(v) ? Math.min(v, high) : high) - low) / (high - low || 1);
  z.forEach((row, j) => row.forEach((v, i) =>
    image.data.set([...viridis(share(v)), 255], 4 * ((m - 1 - j) * n + i))));
  tiny.getContext("2d").putImageData(image, 0, 0);
  c.imageSmoothingEnabled = true;
  c.imageSmoothingQuality = "high";
  c.drawImage(tiny, 0.5, 0.5, n - 1, m - 1, x0, y0, side, side);
  const place = (col, row) => [x0 + (col / (n - 1)) * side, y0 + side - (row / (m - 1)) * side];
  [c.strokeStyle, c.lineWidth] = ["rgba(255,255,255,.55)", 0.8];
  c.beginPath();
  for (let level = 1; level < 12; level++)
    levelLines(z, low + (level / 12) * (high - low), high, place, c);
  c.stroke();
  const [x, y] = [x0 + side / 2, y0 + side / 2];
  [c.strokeStyle, c.lineWidth] = ["#fff", 2.5];
  c.beginPath();
  for (const way of [1, -1]) c.moveTo(x - 5, y - 5 * way), c.lineTo(x + 5, y + 5 * way);
  c.stroke();
  if (!axes) return;
  c.font = `${size}px ${theme.font}`;
  c.fillStyle = theme.muted;
  for (const place of [0, 0.5, 1]) {
    const number = (values) => label(values[0] + place * (values.at(-1) - values[0]));
    [c.textAlign, c.textBaseline] = ["center", "top"];
    c.fillText(number(xs), x0 + place * side, y0 + side + 0.3 * size);
    [c.textAlign, c.textBaseline] = ["right", "middle"];
    c.fillText(number(ys), x0 - 0.4 * size, y0 + (1 - place) * side);
  }
  const gradient = c.createLinearGradient(0, y0 + side, 0, y0);
  STOPS.forEach((stop, of) => gradient.addColorStop(of / (STOPS.length - 1), `rgb(${stop})`));
  const right = x0 + side + 0.8 * size;
  c.fillStyle = gradient;
  c.fillRect(right, y0, 10, side);
  c.fillStyle = theme.muted;
  c.textAlign = "left";
  for (const tick of ticks(low, high, 5))
    c.fillText(label(tick), right + 14, y0 + side * (1 - (tick - low) / (high - low || 1)));
}
