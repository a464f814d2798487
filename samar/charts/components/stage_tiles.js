/** The tiles of the stage: a curve of every run over one axis, and the landscapes of a moment. */

const part = (name) => import(`./${name}${new URL(import.meta.url).search}`);
const [data, { glConfig, move3d, outliveContexts }] = await Promise.all(["stage_data.js", "plotly_page.js"].map(part));

const VIRIDIS = "Viridis";
const GREY = "#808080";
const EYE = { eye: { x: 1.45, y: 1.45, z: 1.15 }, center: { x: 0, y: 0, z: -0.08 } };
const ABOVE = { eye: { x: 0, y: -0.01, z: 2.3 } };

/** A short number for a heading. */
function short(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e5 || (size > 0 && size < 1e-3)) return value.toExponential(1);
  return String(+value.toPrecision(digits));
}

/** The size of a plot's box, which plotly.js does not look up by itself when it draws again. */
const extent = (plot) => ({ width: plot.clientWidth, height: plot.clientHeight });

/** Corners of two triangles for every square of an n × n grid. */
function triangles(n) {
  const [i, j, k] = [[], [], []];
  for (let row = 0; row + 1 < n; row++)
    for (let at = row * n; at + 1 < (row + 1) * n; at++) i.push(at, at + n + 1), j.push(at + 1, at + n), k.push(at + n, at + 1);
  return { i, j, k };
}

export class Tile {
  constructor(stage, spec, number) {
    this.stage = stage;
    this.spec = spec;
    this.box = document.createElement("section");
    this.box.className = `stage-tile stage-tile-${spec.key}`;
    this.box.innerHTML =
      `<header><b></b><span class="stage-legend"></span><output></output>
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

  destroy() {
    this.seeing.disconnect();
    this.resizing.disconnect();
    for (const plot of this.plots.querySelectorAll(".js-plotly-plot")) this.stage.Plotly?.purge(plot);
    this.box.remove();
  }
}

/** A quantity over the axis; a dragged stretch is zoomed in all of them, a click sets the clock. */
export class CurveTile extends Tile {
  constructor(...all) {
    super(...all);
    this.plot = document.createElement("div");
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
    const area = this.plot._fullLayout?._size;
    if (!area || !this.range) return null;
    const share = (event.clientX - this.plot.getBoundingClientRect().left - area.l) / area.w;
    return this.range[0] + Math.min(1, Math.max(0, share)) * (this.range[1] - this.range[0]);
  }

  async draw() {
    const traces = this.stage.members.flatMap((member) => this.curves(member));
    const drawn = traces.filter((trace) => trace.y.some(Number.isFinite));
    this.say(drawn.length ? "" : this.spec.note);
    this.legend.textContent = this.stage.race ? "" : this.spec.legend;
    const template = this.stage.template;
    const { size } = template.layout.font;
    this.range = this.stage.range;
    const layout = {
      template, ...extent(this.plot), font: { size }, margin: { l: 3.4 * size, r: 0.8 * size, t: 0.5 * size, b: 1.7 * size },
      showlegend: false, xaxis: { range: [...this.range], nticks: 5, automargin: false, fixedrange: true },
      yaxis: { automargin: false, fixedrange: true, nticks: 5, tickformat: this.format(drawn), ...this.vertical(drawn) },
      shapes: this.spec.levels.map(({ y, dash }) => ({
        type: "line", layer: "below", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { width: 1, dash },
      })),
      annotations: [],
    };
    if (this.spec.band)
      layout.shapes.push({ type: "rect", layer: "below", xref: "paper", x0: 0, x1: 1, y0: this.spec.band[0],
        y1: this.spec.band[1], fillcolor: GREY, opacity: 0.25, line: { width: 0 } });
    if (this.spec.key === "eigenvalues") this.stability(layout, drawn);
    await this.stage.Plotly.react(this.plot, drawn, layout, { staticPlot: true });
    this.plot.querySelector(".main-svg")?.setAttribute("aria-hidden", "true");
    this.move();
  }

  /** Thousands as 10k where there are any; never thousandths as 900m. */
  format(traces) {
    return traces.some(({ y }) => y.some((value) => Math.abs(value) >= 1e4)) ? "~s" : "~g";
  }

  vertical(traces) {
    const { log, zero, ticks } = this.spec;
    if (log === "ratio") {
      const sizes = traces.flatMap(({ y }) => y.filter((v) => v > 0).map((v) => Math.abs(Math.log(v)))).sort((a, b) => a - b);
      const reach = Math.exp(sizes[Math.floor(0.98 * (sizes.length - 1))] ?? 0.2);
      const [factor, all] = ticks.find(([width]) => reach <= width) ?? ticks.at(-1);
      const low = this.plot.clientHeight < 8 * this.stage.template.layout.font.size;
      const tickvals = low ? [all[0], 1, all.at(-1)] : all;
      return { type: "log", range: [-Math.log10(factor), Math.log10(factor)], tickvals, tickformat: "~g" };
    }
    if (log && this.stage.view.log) return { type: "log", tickformat: "~g", minorloglabels: "complete" };
    return { rangemode: zero ? "tozero" : "normal" };
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
      const common = { type: "scatter", mode: "lines", x: member.places(from, axis), opacity, hoverinfo: "skip", cliponaxis: false, connectgaps: this.spec.bridged };
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
  stability(layout, drawn) {
    const { race, shown, view } = this.stage;
    const heights = drawn.flatMap(({ y }) => y.filter(Number.isFinite));
    this.ceiling = 1.25 * Math.max(...heights, 0);
    if (!this.ceiling) return;
    layout.yaxis.range = [Math.min(0, ...heights), this.ceiling];
    for (const member of shown) {
      const [name, edges] = this.edge(member);
      const color = race ? member.facts.color : GREY;
      const x = member.places("curvature", view.axis);
      const y = edges.map((edge) => (edge > this.ceiling ? NaN : edge));
      drawn.push({ type: "scatter", mode: "lines", x, y, line: { color, dash: "dash", width: race ? 1 : 1.5 }, opacity: race ? 0.7 : 1, hoverinfo: "skip" });
      const text = race ? `${name} ${member.facts.label}` : name;
      if (Number.isFinite(y.at(-1)))
        layout.annotations.push({ text, font: race ? { color } : {}, showarrow: false, x: x.at(-1), y: y.at(-1), xanchor: "right", yanchor: "bottom" });
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
    const area = this.plot._fullLayout?._size;
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

/** The landscapes of this moment, one square a run, at one scale for the whole run. */
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
    // A redraw would end a drag of the camera.
    this.release = () => this.held && setTimeout(() => ((this.held = false), (this.dirty = true), this.stage.flush()));
    for (const type of ["pointerup", "pointercancel"]) window.addEventListener(type, this.release, true);
  }

  destroy() {
    for (const type of ["pointerup", "pointercancel"]) window.removeEventListener(type, this.release, true);
    super.destroy();
  }

  /** A plot with the name of its run over it. */
  square() {
    const box = document.createElement("div");
    const [plot, name] = [document.createElement("div"), document.createElement("p")];
    name.className = "stage-name";
    box.append(plot, name);
    plot.addEventListener("pointerdown", () => (this.held = plot.shown === "surface"), true);
    this.plots.append(box);
    return plot;
  }

  get flat() {
    const many = this.stage.shown.length > 2;
    return !this.stage.webgl || (this.chosen ?? many);
  }

  turn() {
    this.chosen = !this.flat;
    this.dirty = true;
    this.stage.flush();
  }

  /** Look from above, and back. */
  top() {
    if (this.flat) return this.turn();
    this.above = !this.above;
    for (const plot of this.squares)
      if (plot.shown === "surface") this.stage.Plotly.relayout(plot, { "scene.camera": this.above ? ABOVE : EYE });
  }

  async draw() {
    const members = this.stage.shown;
    const known = members.flatMap(({ planes }) => planes);
    this.say(known.length ? "" : this.spec.note);
    this.shape.hidden = !this.stage.webgl;
    this.shape.textContent = this.flat ? "3-D" : "from above";
    this.shape.title = this.flat ? "Show as a surface" : "Show from above (key T)";
    const most = "minmax(0, 1fr)";
    const columns = members.length > 2 || (members.length === 2 && this.flat) ? 2 : 1;
    this.plots.style.gridTemplate = `repeat(${Math.ceil(members.length / columns)}, ${most}) / repeat(${columns}, ${most})`;
    while (this.squares.length > members.length) {
      const plot = this.squares.pop();
      this.stage.Plotly.purge(plot);
      plot.parentElement.remove();
    }
    while (this.squares.length < members.length) this.squares.push(this.square());
    for (const plot of this.squares) plot.signature = null;
    await this.show();
  }

  /** Each run's landscape at the clock's moment. */
  async show() {
    const members = this.stage.shown;
    const known = members.flatMap(({ planes }) => planes);
    if (this.held || !known.length) return;
    // One scale for all that was measured, so that heights can be compared.
    const low = Math.min(...known.map((each) => each.low));
    const highest = Math.max(...known.map((each) => each.high));
    this.bounds = [low, Math.max(Math.min(highest, this.spec.cap), low + 1e-6)];
    this.cut = highest > this.bounds[1] + 1e-9;
    const words = [];
    for (const [number, member] of members.entries()) {
      const plot = this.squares[number];
      const plane = member.entry("planes", this.stage.stepOf(member));
      if (!plot || !plane) continue;
      words.push([member, plane]);
      const name = plot.nextElementSibling;
      name.innerHTML = `<b></b> <span></span>`;
      name.hidden = !this.stage.race;
      name.firstChild.textContent = member.facts.label;
      name.firstChild.style.color = member.facts.color;
      name.lastChild.textContent = `step ${plane.step.toLocaleString("en")}`;
      const signature = [plane.step, plane.at, this.flat, plot.clientWidth, plot.clientHeight, ...this.bounds].join();
      if (plot.signature === signature) continue;
      plot.signature = signature;
      if (this.flat) await this.contour(plot, member, plane);
      else await this.surface(plot, member, plane);
    }
    this.caption(words);
  }

  caption(words) {
    if (!words.length) return void (this.foot.textContent = "");
    const [member, plane] = words[0];
    const [steps, images] = ["step", "images"].map((name) => [...new Set(words.map(([, each]) => each[name]))]);
    const parts = steps.length > 1 ? ["measured at different steps"] : [`step ${plane.step.toLocaleString("en")}`];
    if (this.stage.active && this.stage.following && plane.at) parts.push(`${Math.max(0, Math.round(Date.now() / 1000 - plane.at))} s old`);
    parts.push(`${images.join(" or ")} ${this.spec.examples}`);
    if (this.cut) parts.push(`losses above ${short(this.bounds[1], 2)} cut off`);
    this.foot.textContent = this.foot.title = parts.join(" · ");
    this.output.textContent = words.length === 1 ? `${short(plane.centre)} here` : "";
    this.box.setAttribute("aria-label", `Loss landscape of ${member.facts.label}: ${this.foot.textContent}`);
  }

  async contour(plot, member, plane) {
    const [zmin, zmax] = this.bounds;
    if (plot.shown === "surface") this.stage.Plotly.purge(plot);
    plot.shown = "contour";
    const z = plane.z.map((row) => row.map((v) => (Number.isFinite(v) ? Math.min(v, zmax) : zmax)));
    const { size } = this.stage.template.layout.font;
    const bar = !this.stage.race;
    await this.stage.Plotly.react(plot, [
      { type: "contour", x: plane.x, y: plane.y, z, zmin, zmax, colorscale: VIRIDIS, autocontour: false, showscale: bar,
        contours: { coloring: "heatmap", start: zmin, end: zmax, size: (zmax - zmin) / 12 }, line: { width: 0.7, color: "rgba(255,255,255,.55)" },
        colorbar: { thickness: 10, outlinewidth: 0, nticks: 5, len: 1, lenmode: "fraction" }, hoverinfo: "skip" },
      { type: "scatter", mode: "markers", x: [0], y: [0], marker: { symbol: "x-thin", size: 10, line: { width: 2.5, color: "#fff" } }, hoverinfo: "skip" },
    ], {
      template: this.stage.template, ...extent(plot), font: { size }, showlegend: false,
      margin: bar ? { l: 2.6 * size, r: 4 * size, t: 6, b: 1.8 * size } : { l: 2, r: 2, t: 2, b: 2 },
      xaxis: { constrain: "domain", nticks: 5, automargin: false, visible: bar }, yaxis: { scaleanchor: "x", constrain: "domain", nticks: 5, automargin: false, visible: bar },
    }, { staticPlot: true });
  }

  async surface(plot, member, plane) {
    const [zmin, zmax] = this.bounds;
    const z = plane.z.flat().map((v) => (Number.isFinite(v) ? Math.min(v, zmax) : zmax));
    const floor = zmin - 0.12 * (zmax - zmin);
    const here = Number.isFinite(plane.centre) ? Math.min(plane.centre, zmax) : zmax;
    const size = this.stage.template.layout.font.size;
    // While nothing but the heights changes, the scene stays as it is.
    const frame = JSON.stringify([plane.x, plane.y, this.bounds, plot.clientWidth, plot.clientHeight, size, this.stage.background]);
    if (plot.shown === "surface" && plot.frame === frame)
      return move3d(plot, [[0, { z, intensity: z }], [1, { intensity: z }], [2, { z: [here, floor] }]]);
    const scene = plot._fullLayout?.scene; // where its context was lost, the camera was stored in the layout
    const camera = plot.shown === "surface" ? scene?._scene?.getCamera() ?? scene?.camera : undefined;
    if (plot.shown === "contour") this.stage.Plotly.purge(plot);
    [plot.shown, plot.frame] = ["surface", frame];
    const place = { x: plane.y.flatMap(() => plane.x), y: plane.y.flatMap((v) => plane.x.map(() => v)) };
    const mesh = {
      type: "mesh3d", ...place, ...triangles(plane.x.length), intensity: z, cmin: zmin, cmax: zmax, colorscale: VIRIDIS,
      showscale: false, hoverinfo: "skip", lighting: { ambient: 0.75, diffuse: 0.5, specular: 0.05, roughness: 0.9 },
    };
    const axis = { nticks: 3, title: { text: "" }, showspikes: false, tickfont: { size: 0.9 * size } };
    await this.stage.Plotly.react(plot, [
      { ...mesh, z },
      { ...mesh, z: z.map(() => floor), lighting: { ambient: 1, diffuse: 0 } },
      { type: "scatter3d", mode: "markers", x: [0, 0], y: [0, 0], z: [here, floor], hoverinfo: "skip",
        marker: { size: [5, 3], color: member.facts.color, line: { color: "#fff", width: 1 } } },
    ], {
      template: this.stage.template, ...extent(plot), font: { size }, showlegend: false,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      scene: { aspectmode: "cube", camera: camera ?? this.stage.camera ?? (this.above ? ABOVE : EYE), xaxis: axis, yaxis: axis, zaxis: { ...axis, range: [floor - 0.02 * (zmax - zmin), zmax + 0.02 * (zmax - zmin)], nticks: 4 } }, // what lies on the edge would flicker
    }, { displayModeBar: false, ...glConfig() });
    outliveContexts(plot, () => ((plot.frame = plot.signature = ""), this.move()));
    if (!plot.turns) {
      plot.turns = true;
      plot.on("plotly_relayout", (change) => {
        if (!change["scene.camera"]) return;
        this.stage.camera = change["scene.camera"];
        this.follow(plot, change["scene.camera"]);
      });
    }
  }

  /** Squares of a race look from one place. */
  follow(plot, camera) {
    const wanted = JSON.stringify(camera);
    if (wanted === this.camera) return;
    this.camera = wanted;
    for (const other of this.squares)
      if (other !== plot && other.shown === "surface") this.stage.Plotly.relayout(other, { "scene.camera": camera });
  }

  move() {
    this.stage.calm(() => this.show());
  }
}
