/** The tiles of the stage: a curve of every run over one axis, and the landscapes of a moment. */

const part = (name) => import(`./${name}${new URL(import.meta.url).search}`);
const [data, { drawCurves, drawMap, drawSurface, reach, Sheet }] = await Promise.all(["stage_data.js", "canvas.js"].map(part));

const GREY = "#808080";
const EYE = { turn: 0.75, tilt: 0.5, near: 1 };
const CHART_MS = 1000; // a chart of plotly is drawn anew at most so often
const [LEAST_MS, MOST_MS] = [300, 3000]; // in which a new landscape takes the place of the one before

/** A short number for a heading. */
function short(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return value.toExponential(1);
  return String(+value.toPrecision(digits));
}

export class Tile {
  constructor(stage, spec, number) {
    this.stage = stage;
    this.spec = spec;
    this.box = document.createElement("section");
    this.box.className = `stage-tile stage-tile-${spec.key}`;
    this.box.innerHTML =
      `<header><b></b><span class="stage-legend"></span><output></output>
       <button class="stage-chart" title="With values under the pointer, zoom, and a picture to save">as chart</button>
       <button class="stage-large" title="Enlarge (key ${number})" aria-label="Enlarge">⤢</button></header>
       <div class="stage-plots"></div><p class="stage-note"></p>`;
    this.title = this.box.querySelector("b");
    this.title.textContent = spec.title;
    this.title.title = spec.help;
    this.output = this.box.querySelector("output");
    this.legend = this.box.querySelector(".stage-legend");
    this.plots = this.box.querySelector(".stage-plots");
    this.note = this.box.querySelector(".stage-note");
    this.box.querySelector(".stage-large").onclick = () => stage.enlarge(this);
    this.toChart = this.box.querySelector(".stage-chart");
    this.toChart.hidden = !stage.library;
    this.toChart.onclick = () => this.asChart(!this.chart);
    this.seeing = new IntersectionObserver((entries) => {
      this.near = entries.at(-1).isIntersecting;
      if (this.near) stage.flush();
    }, { rootMargin: "100px" });
    this.seeing.observe(this.box);
    this.resizing = new ResizeObserver(() => ((this.dirty = true), stage.flush()));
    this.resizing.observe(this.plots);
    this.dirty = true;
  }

  /** Whether its data, its words or the view changed since this was last asked. */
  changed() {
    const { view, members, range, colors } = this.stage;
    const { table, columns } = this.spec;
    const also = { raw: "steps", estimate: "estimates" };
    const tables = [table, ...columns.flatMap(({ role }) => also[role] ?? [])];
    const length = (member) => {
      const places = tables.map((each) => member.column(each, "step"));
      return [places.map((steps) => [steps.length, steps.at(-1)]), member.planes.at(-1)?.at, member.facts.optimizer];
    };
    const state = JSON.stringify([view, colors, this.spec, members.map(length), this.spec.key === "landscape" || range]);
    const changed = state !== this.state;
    this.state = state;
    return changed;
  }

  say(sentence) {
    this.note.textContent = sentence;
    this.box.classList.toggle("stage-empty", Boolean(sentence));
  }

  /** In place of the canvas its chart of plotly, which is read now; or back. */
  async asChart(wanted) {
    if (wanted === Boolean(this.chart)) return;
    this.toChart.textContent = wanted ? "as drawn" : "as chart";
    this.plots.hidden = wanted;
    if (!wanted) {
      this.plotly?.purge(this.chart);
      this.chart.remove();
      this.chart = null;
      this.dirty = true;
      return this.stage.flush();
    }
    this.chart = document.createElement("div");
    this.chart.className = "stage-plotly";
    this.plots.after(this.chart);
    this.page = await part("plotly_page.js");
    this.plotly = await this.page.loadPlotly(this.stage.library);
    this.drawChart();
  }

  drawChart() {
    if (!this.chart || !this.plotly || performance.now() - (this.charted ?? -CHART_MS) < CHART_MS) return;
    this.charted = performance.now();
    const { data: traces, layout } = this.figure();
    const template = this.page.themeTemplate(this.stage.root);
    const { clientWidth: width, clientHeight: height } = this.chart;
    const config = { displaylogo: false, responsive: true, ...this.page.glConfig() };
    this.plotly.react(this.chart, traces, { template, width, height, uirevision: 1, ...layout }, config);
  }

  destroy() {
    this.asChart(false);
    this.seeing.disconnect();
    this.resizing.disconnect();
    this.box.remove();
  }
}

/** A quantity over the axis; a dragged stretch is zoomed in all of them, a click sets the clock. */
export class CurveTile extends Tile {
  constructor(...all) {
    super(...all);
    this.plot = document.createElement("div");
    this.sheet = new Sheet(this.plot);
    this.cursor = document.createElement("i");
    this.cursor.className = "stage-cursor";
    this.beyond = document.createElement("p");
    this.beyond.className = "stage-beyond";
    this.plots.append(this.plot, this.cursor, this.beyond);
    this.listen();
  }

  listen() {
    let [began, before] = [null, null];
    this.plot.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") began = this.at(event);
    });
    this.plot.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") this.stage.peek(this.at(event), began);
    });
    this.plot.addEventListener("pointerleave", () => ((began = null), this.stage.peek(null)));
    this.plot.addEventListener("pointerup", (event) => {
      const ended = this.at(event);
      if (began === null || ended === null) return;
      const wide = Math.abs(ended - began) > 0.03 * (this.range?.[1] - this.range?.[0]);
      if (wide) this.stage.zoom([Math.min(began, ended), Math.max(began, ended)]);
      else this.stage.clock.set(ended);
      began = null;
    });
    // The clicks of a double click move the clock too.
    this.plot.addEventListener("mousedown", ({ detail }) => {
      if (detail === 1) before = this.stage.clock.at;
    });
    this.plot.addEventListener("dblclick", () => {
      if (!this.stage.zoomed) return;
      this.stage.zoom(null);
      this.stage.clock.set(before);
    });
  }

  /** The place on the axis under the pointer. */
  at(event) {
    const { area } = this;
    if (!area || !this.range) return null;
    const share = (event.clientX - this.plot.getBoundingClientRect().left - area.l) / area.w;
    return this.range[0] + Math.min(1, Math.max(0, share)) * (this.range[1] - this.range[0]);
  }

  draw() {
    const traces = this.stage.members.flatMap((member) => this.curves(member));
    const drawn = traces.filter((trace) => trace.y.some(Number.isFinite));
    this.say(drawn.length ? "" : this.spec.note);
    this.legend.textContent = this.stage.race ? "" : this.spec.legend;
    this.range = this.stage.range;
    const { levels, band } = this.spec;
    const frame = { traces: drawn, x: { range: this.range }, y: this.vertical(drawn), levels, band, notes: [] };
    if (this.spec.key === "eigenvalues") this.stability(frame);
    this.area = drawCurves(this.sheet, frame, this.stage.theme);
    this.sheet.canvas.traces = frame.traces;
    this.frame = frame;
    this.move();
  }

  figure() {
    const { traces, y, levels } = this.frame;
    const type = y.log ? "log" : "linear";
    return {
      data: traces.map((trace) => ({ type: "scatter", hovertemplate: "%{y:.5~g}<extra></extra>", ...trace })),
      layout: {
        showlegend: false, hovermode: "x unified", margin: { l: 60, r: 16, t: 40, b: 44 },
        xaxis: { title: { text: this.stage.view.unit }, range: [...this.range] }, yaxis: { type, title: { text: this.spec.title } },
        shapes: levels.map(({ y: level, dash }) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: level, y1: level, line: { width: 1, dash } })),
      },
    };
  }

  vertical(traces) {
    const { log, zero, ticks } = this.spec;
    if (log === "ratio") {
      const sizes = traces.flatMap(({ y }) => y.filter((v) => v > 0).map((v) => Math.abs(Math.log(v)))).sort((a, b) => a - b);
      const size = Math.exp(sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 0.2);
      const [factor, all] = ticks.find(([width]) => size <= width) ?? ticks.at(-1);
      const low = this.plot.clientHeight < 8 * this.stage.theme.size;
      return { log: true, range: [1 / factor, factor], ticks: low ? [all[0], 1, all.at(-1)] : all };
    }
    const kind = { log: Boolean(log && this.stage.view.log), zero };
    return { ...kind, range: reach(traces.flatMap(({ y }) => y), kind) };
  }

  /** The traces of one run. */
  curves(member) {
    const { table, columns, smoothed, factor } = this.spec;
    const { axis, smoothing } = this.stage.view;
    const { color, dash, symbol, ghost } = member.facts;
    const race = this.stage.race;
    const opacity = ghost ? 0.45 : 1;
    const line = { color: ghost ? GREY : color, dash: ghost ? "dot" : race ? dash : "solid" };
    const found = [];
    for (const { name, role } of columns) {
      const from = role === "raw" ? "steps" : role === "estimate" ? "estimates" : table;
      const y = factor === 1 ? member.column(from, name) : member.column(from, name).map((v) => factor * v);
      const common = { mode: "lines", x: member.places(from, axis), opacity, connectgaps: this.spec.bridged };
      if (from === "steps") {
        const plain = role === "raw" && !race && !ghost ? GREY : line.color;
        const weight = smoothed && y.length > 2 ? smoothing ** member.facts.smoothing_steps : 0;
        if (weight > 0) {
          if (!race && !ghost)
            found.push({ ...common, y, line: { color: plain, width: 1 }, opacity: 0.3 });
          const thin = role === "raw" && race ? 1 : 2;
          found.push({ ...common, y: data.smooth(y, weight, this.spec.log === "ratio"), line: { ...line, color: plain, width: thin } });
        } else found.push({ ...common, y, line: { ...line, color: plain, width: smoothed ? 1 : 2 }, mode: y.length > 30 ? "lines" : "lines+markers", marker: { size: 4 } });
      } else if (role === "estimate") {
        found.push({ ...common, y, line: { color: line.color, width: 1, dash: "dot" }, opacity: 0.4 * opacity });
      } else if (role === "train") {
        found.push({ ...common, y, mode: race ? "lines" : "lines+markers", line: { color: race ? color : GREY, width: 1, dash: race ? "dot" : "solid" },
          opacity: race ? 0.5 : opacity, marker: { symbol: "circle-open", size: 5 } });
      } else if (role === "lesser") {
        if (!race && !ghost) found.push({ ...common, y, line: { color, width: 1, dash: "dot" } });
      } else {
        const marks = y.length < 40 && !ghost;
        found.push({ ...common, y, mode: marks ? "lines+markers" : "lines", line: { ...line, width: 2 }, marker: { symbol, size: race ? 5 : 6, color: line.color } });
      }
    }
    return found;
  }

  /** The edge of stability of a run: what it is called, and its value at every measurement. */
  edge(member) {
    const edges = member.column("curvature", "edge");
    const known = edges.some(Number.isFinite); // not in runs of earlier versions, nor for VaSSO
    return known ? ["edge", edges] : ["2/η", member.column("curvature", "lr").map((rate) => 2 / rate)];
  }

  /** Each run's edge of stability as a line, where the eigenvalues reach near it. */
  stability({ traces, y: axis, notes }) {
    const { race, shown, view } = this.stage;
    const heights = traces.flatMap(({ y }) => y.filter(Number.isFinite));
    this.ceiling = 1.25 * Math.max(...heights, 0);
    if (!this.ceiling) return;
    if (!axis.log) axis.range = [Math.min(0, ...heights), this.ceiling];
    for (const member of shown) {
      const [name, edges] = this.edge(member);
      const color = race ? member.facts.color : GREY;
      const x = member.places("curvature", view.axis);
      const y = edges.map((edge) => (edge > this.ceiling ? NaN : edge));
      traces.push({ mode: "lines", x, y, line: { color, dash: "dash", width: race ? 1 : 1.5 }, opacity: race ? 0.7 : 1 });
      const text = race ? `${name} ${member.facts.label}` : name;
      if (Number.isFinite(y.at(-1))) notes.push({ text, color: race ? color : null, x: x.at(-1), y: y.at(-1) });
    }
  }

  /** At the clock's moment, an arrow to the edges of stability above the tile: values of the near ones. */
  point() {
    const above = this.stage.shown.flatMap((member) => {
      const [name, edges] = this.edge(member);
      const at = data.upTo(member.column("curvature", "step"), this.stage.stepOf(member));
      const now = edges[at - 1];
      return this.ceiling && now > this.ceiling ? [{ member, name, now }] : [];
    });
    const values = above.filter(({ now }) => now <= 80 * this.ceiling).map(({ member, now }) => {
      const value = document.createElement("span");
      value.textContent = short(now);
      if (this.stage.race) value.style.color = member.facts.color;
      return value;
    });
    const words = values.length ? values : ["far above"];
    this.beyond.replaceChildren(...(above.length ? [`↑ ${above[0].name} `, ...words] : []));
  }

  /** The cursor and the heading's numbers at the clock's moment. */
  move() {
    const { area } = this;
    if (area && this.range) {
      const share = (this.stage.moment - this.range[0]) / (this.range[1] - this.range[0]);
      this.cursor.hidden = !(share >= 0 && share <= 1) || this.box.classList.contains("stage-empty");
      this.cursor.style.cssText = `left:${area.l + share * area.w}px;top:${area.t}px;height:${area.h}px`;
    }
    if (this.spec.key === "eigenvalues") this.point();
    const { table, columns, factor, unit } = this.spec;
    const main = columns.find(({ role }) => role === "main") ?? columns[0];
    const values = this.stage.shown.map((member) => {
      const step = this.stage.stepOf(member);
      let value = member.value(table, main.name, step);
      if (!Number.isFinite(value) && columns.some(({ role }) => role === "raw"))
        value = member.value("steps", columns.find(({ role }) => role === "raw").name, step);
      return [member, factor * value];
    });
    const known = values.filter(([, value]) => Number.isFinite(value));
    if (table === "curvature" && !this.stage.race && known.length) {
      const [member] = known[0];
      const [at, images] = ["step", "images"].map((name) => member.value(table, name, this.stage.stepOf(member)));
      this.legend.textContent = [`step ${at.toLocaleString("en")}`, this.spec.legend].filter(Boolean).join(" · ");
      this.legend.title = `${this.legend.textContent}; ${images} ${this.spec.examples}`;
    }
    this.output.replaceChildren(...known.map(([member, value]) => {
      const word = document.createElement("span");
      const digits = this.stage.race && factor === 1 ? 2 : 3;
      const rough = table === "curvature" && member.value(table, "converged", this.stage.stepOf(member)) === 0;
      word.textContent = (rough ? "≈ " : "") + short(value, digits) + (this.stage.race ? "" : unit);
      if (this.stage.race) word.style.color = member.facts.color;
      word.title = member.facts.label + (rough ? ": not converged" : "");
      return word;
    }));
    this.box.setAttribute("aria-label", `${this.spec.title}: ${known.map(([m, v]) => `${m.facts.label} ${short(v)}${unit}`).join(", ") || this.note.textContent || "–"}`);
    if (!known.length && !this.note.textContent) this.output.textContent = "–";
  }
}

/** The landscapes of this moment, one square a run, at one scale and from one camera. */
export class LandscapeTile extends Tile {
  constructor(...all) {
    super(...all);
    this.squares = [];
    this.shape = document.createElement("button");
    this.shape.className = "stage-shape";
    this.shape.onclick = () => this.turn();
    this.box.querySelector("header").insertBefore(this.shape, this.box.querySelector(".stage-large"));
    this.foot = document.createElement("footer");
    this.box.append(this.foot);
  }

  /** A sheet with the name of its run over it. */
  square() {
    const box = document.createElement("div");
    const [plot, name] = [document.createElement("div"), document.createElement("p")];
    name.className = "stage-name";
    box.append(plot, name);
    this.plots.append(box);
    const square = { box, name, sheet: new Sheet(plot) };
    let held = null;
    plot.addEventListener("pointerdown", (event) => {
      if (this.flat || event.button) return;
      held = { x: event.clientX, y: event.clientY, ...this.camera };
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointermove", (event) => {
      if (!held) return;
      const tilt = held.tilt + (event.clientY - held.y) / 160;
      this.look({ turn: held.turn + (event.clientX - held.x) / 120, tilt: Math.min(Math.max(tilt, 0.05), 1.57) });
    });
    for (const end of ["pointerup", "pointercancel"]) plot.addEventListener(end, () => (held = null));
    plot.addEventListener("wheel", (event) => {
      if (this.flat || !(event.ctrlKey || this.box.matches(".stage-enlarged"))) return; // else the page scrolls
      event.preventDefault();
      this.look({ near: Math.min(Math.max(this.camera.near * 1.001 ** -event.deltaY, 0.5), 3) });
    }, { passive: false });
    plot.addEventListener("dblclick", () => this.look(EYE));
    return square;
  }

  get camera() {
    return this.stage.camera ?? EYE;
  }

  look(change) {
    this.stage.camera = { ...this.camera, ...change };
    this.stage.moved();
  }

  get flat() {
    return this.chosen ?? this.stage.shown.length > 2;
  }

  turn() {
    this.chosen = !this.flat;
    this.dirty = true;
    this.stage.flush();
  }

  /** Look from above, and back. */
  top() {
    if (this.flat) return this.turn();
    this.look({ tilt: this.camera.tilt > 1.5 ? EYE.tilt : 1.57 });
  }

  draw() {
    const members = this.stage.shown;
    const known = members.flatMap(({ planes }) => planes);
    this.say(known.length ? "" : this.spec.note);
    this.shape.textContent = this.flat ? "3-D" : "from above";
    this.shape.title = this.flat ? "Show as a surface" : "Show from above (key T)";
    const many = members.length;
    // Side by side where the tile is wide, else one below the other.
    const wide = this.plots.clientWidth > 0.9 * this.plots.clientHeight;
    const columns = many > 2 || (many === 2 && wide) ? 2 : 1;
    const most = "minmax(0, 1fr)";
    this.plots.style.gridTemplate = `repeat(${Math.ceil(many / columns) || 1}, ${most}) / repeat(${columns}, ${most})`;
    while (this.squares.length > many) this.squares.pop().box.remove();
    while (this.squares.length < many) this.squares.push(this.square());
    // One scale for all that was measured, so that heights can be compared.
    const low = known.reduce((least, each) => Math.min(least, each.low), Infinity);
    const high = known.reduce((most, each) => Math.max(most, each.high), -Infinity);
    this.bounds = [low, Math.max(Math.min(high, this.spec.cap), low + 1e-6)];
    this.cut = high > this.bounds[1] + 1e-9;
    this.move();
  }

  /** Each run's landscape at the clock's moment. */
  move() {
    const { shown, race } = this.stage;
    if (!this.bounds || !shown.some(({ planes }) => planes.length)) return;
    const words = [];
    for (const [number, member] of shown.entries()) {
      const square = this.squares[number];
      const moment = member.planes.length ? this.between(member, square) : null;
      if (!square || !moment) continue;
      words.push([member, moment.plane, moment.between]);
      square.name.hidden = !race;
      if (race) {
        square.name.innerHTML = "<b></b> <span></span>";
        square.name.firstChild.textContent = member.facts.label;
        square.name.firstChild.style.color = member.facts.color;
        const share = member.value("epochs", "memorized", this.stage.stepOf(member));
        square.name.lastChild.textContent = Number.isFinite(share) ? `memorized ${Math.round(100 * share)} % of the wrong labels`
          : `step ${moment.plane.step.toLocaleString("en")}`;
      }
      this.paint(square, member, moment);
    }
    this.caption(words);
  }

  /** A run's plane at the moment, mixed from the two beside it, or on its way to a new one. */
  between(member, square) {
    const step = this.stage.stepOf(member);
    const plane = member.entry("planes", step);
    const alike = (other) => other && other.side === plane.side && other.x[0] === plane.x[0];
    const mix = (from, share) => {
      const z = plane.z.map((row, j) => row.map((v, i) => from.z[j][i] + share * (v - from.z[j][i])));
      return { plane, z, centre: from.centre + share * (plane.centre - from.centre), x: plane.x, y: plane.y };
    };
    if (this.stage.following) {
      const now = performance.now();
      if (square.plane !== plane) {
        // As long as the last one took to come, so that it is never at rest for long.
        square.takes = Math.min(Math.max(now - (square.since ?? now), LEAST_MS), MOST_MS);
        [square.from, square.plane, square.since] = [square.shown, plane, now];
      }
      const share = (now - square.since) / square.takes;
      if (alike(square.from) && share < 1) {
        this.stage.moving = true;
        return { ...mix(square.from, share), between: [square.from.step, plane.step] };
      }
      return { plane, ...plane };
    }
    square.plane = plane;
    const next = member.planes[member.planes.indexOf(plane) + 1];
    if (!alike(next) || step <= plane.step) return { plane, ...plane };
    const share = (step - plane.step) / (next.step - plane.step);
    const { z, centre, x, y } = mix({ z: next.z, centre: next.centre }, 1 - share);
    return { plane, z, centre, x, y, between: [plane.step, next.step] };
  }

  paint(square, member, { z, centre, x, y, plane }) {
    const [low, high] = this.bounds;
    const here = Number.isFinite(centre) ? Math.min(centre, high) : high;
    const scene = { z, xs: x, ys: y, low, high, here, color: member.facts.color, camera: this.camera };
    square.shown = { z, centre, x, side: plane.side, step: plane.step };
    Object.assign(square.sheet.canvas, { plane: { step: plane.step, z }, camera: this.camera });
    const { theme, race } = this.stage;
    if (this.flat) drawMap(square.sheet, { ...scene, axes: !race }, theme);
    else drawSurface(square.sheet, scene, theme);
  }

  figure() {
    const [cmin, cmax] = this.bounds;
    const count = this.squares.length;
    const layout = { margin: { l: 0, r: 0, t: 30, b: 0 } };
    const drawn = this.squares.flatMap(({ shown, sheet }, number) => {
      if (!shown) return [];
      const scene = number ? `scene${number + 1}` : "scene";
      layout[scene] = { domain: { x: [number / count, (number + 1) / count] }, zaxis: { title: { text: "loss" }, range: [cmin, cmax] },
        xaxis: { title: { text: "direction 1" } }, yaxis: { title: { text: "direction 2" } } };
      return [{ type: "surface", x: shown.x, y: shown.x, z: sheet.canvas.plane.z, cmin, cmax, colorscale: "Viridis", scene,
        showscale: number === count - 1 }];
    });
    return { data: drawn, layout };
  }

  caption(words) {
    if (!words.length) return void (this.foot.textContent = "");
    const [member, plane, between] = words[0];
    const [steps, images] = ["step", "images"].map((name) => [...new Set(words.map(([, each]) => each[name]))]);
    const parts = steps.length > 1 ? ["measured at different steps"] : [`step ${plane.step.toLocaleString("en")}`];
    if (between) parts[0] = `between steps ${between.map((step) => step.toLocaleString("en")).join(" and ")}`;
    if (this.stage.active && this.stage.following && plane.at) parts.push(`${Math.max(0, Math.round(Date.now() / 1000 - plane.at))} s old`);
    parts.push(`${images.join(" or ")} ${this.spec.examples}`);
    if (this.cut) parts.push(`losses above ${short(this.bounds[1], 2)} cut off`);
    this.foot.textContent = this.foot.title = parts.join(" · ");
    this.output.textContent = words.length === 1 ? `${short(plane.centre)} here` : "";
    this.box.setAttribute("aria-label", `Loss landscape of ${member.facts.label}: ${this.foot.textContent}`);
  }
}
