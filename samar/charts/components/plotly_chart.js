/**
 * Draws a plotly figure in a Streamlit component around Plotly.react, so that zoom, hidden traces
 * and the 3-D camera outlive new data, reruns and a change of theme.
 *
 * Streamlit calls the default export once per change of data or theme, with the same `parentElement`
 * for as long as the component stays on the page. A rerun that cuts a fragment off takes its charts
 * off the page for a moment: the picture then moves over to the new place.
 */

// Parts come from beside this file, with the same mark against outdated copies.
const part = (name) => import(`./${name}${new URL(import.meta.url).search}`);
const [{ Clock, Film }, { pick }, { loadPlotly, hasWebGL, themeTemplate, glConfig, storeCameras, outliveContexts, NO_PLOTLY, WEBGL }] = await Promise.all(
  ["plotly_clock.js", "plotly_pick.js", "plotly_page.js"].map(part));

const charts = new WeakMap(); // parentElement -> Chart
const named = new Map(); // name -> its newest Chart
const FAREWELL_MS = 3000; // after which a chart that left the page is forgotten
const groups = new Map(); // link and revision of x -> {members: Set<Chart>, range: [low, high] | null}

const touch = matchMedia("(pointer: coarse)").matches;
const unused = ["sendChartToCloud", "lasso2d", "select2d", ...(touch ? ["zoom2d", "autoScale2d"] : [])];
const NO_WEBGL =
  "This browser has no WebGL, so the 3-D view cannot be drawn; the 2-D views show the same data.";

/** A parsed figure in which every `{same: [trace, name]}` is again the array it stands for. */
function parseFigure(json) {
  const figure = JSON.parse(json);
  for (const trace of figure.data)
    for (const [name, value] of Object.entries(trace))
      if (value?.same) trace[name] = figure.data[value.same[0]][value.same[1]];
  return figure;
}

/** Frames without tweening for readers who ask their system for reduced motion. */
function calm(layout) {
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const controls = [...(layout.updatemenus ?? []), ...(layout.sliders ?? [])];
  for (const { method, args } of controls.flatMap((control) => control.buttons ?? control.steps ?? []))
    if (method === "animate" && args[1]) args[1].transition = { duration: 0 };
}

class Chart {
  constructor(parent) {
    this.parent = parent;
    this.note = parent.querySelector(".samar-chart-note");
    this.plot = parent.querySelector(".samar-chart-plot");
    this.resizing = new ResizeObserver(() => this.figure && this.plot.clientWidth && this.resize());
    // Charts scrolled out of sight cost nothing: they catch up with the data when they come near.
    this.seeing = new IntersectionObserver(
      (entries) => ((this.near = entries.at(-1).isIntersecting), this.flush()), { rootMargin: "300px" });
    // A redraw would end a drag: data wait until the button is released and the camera stored.
    this.plot.addEventListener("pointerdown", () => (this.held = true), true);
    this.release = () => this.held && setTimeout(() => ((this.held = false), this.flush()));
    this.plot.addEventListener("pointerdown", (event) => this.picks && pick(this.plot, event, (at) => this.setTriggerValue("pick", at)), true);
    this.come();
  }

  come() {
    this.gone = false;
    clearTimeout(this.farewell);
    charts.set(this.parent, this);
    this.resizing.observe(this.plot);
    this.seeing.observe(this.parent);
    for (const type of ["pointerup", "pointercancel"]) window.addEventListener(type, this.release, true);
  }

  /** Stand elsewhere on the page, with all that the reader did. */
  move(parent) {
    this.leave();
    parent.querySelector(".samar-chart-note").replaceWith(this.note);
    parent.querySelector(".samar-chart-plot").replaceWith(this.plot);
    this.parent = parent;
    this.come();
  }

  update(data, setTriggerValue) {
    named.set(data.name, this);
    this.next = data;
    this.setTriggerValue = setTriggerValue;
    this.height = data.height;
    this.ratio = data.ratio;
    this.buttons = data.buttons; // of the clock
    this.fit();
    this.flush();
  }

  fit() {
    const most = typeof this.height === "string" ? this.height : `${this.height / 16}rem`;
    const width = this.plot.clientWidth;
    // A wide chart's legend takes two rows of its room, a narrow one's three.
    const room = width < 480 ? 6.8 : 5.2;
    this.plot.style.height = this.ratio ? `min(${most}, ${this.ratio * width}px + ${room}rem)` : most;
  }

  resize() {
    this.fit();
    storeCameras(this.plot);
    this.quietly(this.Plotly.Plots.resize(this.plot));
  }

  /** Draws the newest data; what arrives while a drawing is under way replaces what waits. */
  async flush() {
    if (this.busy) return;
    this.busy = true;
    while (this.near && !this.gone && ((this.next && !this.held) || this.late)) {
      await new Promise(requestAnimationFrame); // never comes in a background tab, which draws nothing
      const data = this.held ? null : this.next;
      if (data) this.next = null;
      try {
        if (data) this.Plotly ??= await loadPlotly(data.library);
        if (data && !data.figure) continue; // only the library was wanted
        if (!this.gone) await (data ? this.draw(data) : this.advance());
      } catch (error) {
        this.say(error.message === NO_PLOTLY ? NO_PLOTLY : `This chart could not be drawn: ${error.message}`);
      }
    }
    this.busy = false;
  }

  /** What nobody waits for may fail once the chart has left the page. */
  quietly(promise) {
    Promise.resolve(promise).catch((error) => {
      if (!this.gone && this.parent.isConnected) throw error;
    });
  }

  /** Whether the clock is at another step than the picture. */
  get late() {
    return Boolean(this.film && this.figure) && this.film.at(this.step) !== this.film.at(this.clock.step);
  }

  async advance() {
    this.step = this.clock.step;
    await this.film.show(this.Plotly, this.plot, this.step);
  }

  /** Read the figure's film, if it has a clock. */
  wind(data, figure) {
    this.film = data.clock ? Film.of(figure) : null;
    const clock = this.film ? Clock.named(data.clock) : null;
    if (this.clock !== clock) this.clock?.admit(this, null);
    this.clock = clock;
    clock?.admit(this, this.film, data.play);
  }

  async draw(data) {
    const figure = parseFigure(data.flat && !hasWebGL() ? data.flat : data.figure);
    const { data: traces, layout, frames } = figure;
    if (traces.some(({ type }) => WEBGL.test(type))) {
      if (!hasWebGL()) return this.say(NO_WEBGL);
      // Flat charts of the page first: without a graphics card a surface takes a second.
      if (!this.figure) await new Promise((resolve) => setTimeout(resolve, 50));
      if (this.gone) return;
    }
    this.say("");
    this.wind(data, figure);
    layout.template = themeTemplate(this.parent);
    layout.margin ??= layout.template.layout.margin;
    for (const side in layout.margin) layout.margin[side] *= layout.template.layout.font.size / 13;
    this.join(data.link && [data.link, data.uirevision, layout.xaxis?.uirevision].join());
    layout.uirevision ??= data.uirevision ?? data.name;
    for (const [name, axis] of Object.entries(layout)) // an axis' own revision must not outlive the chart's
      if (/^[xy]axis/.test(name) && axis.uirevision) axis.uirevision += ` ${layout.uirevision}`;
    const range = this.group?.range;
    if (range) layout.xaxis = { ...layout.xaxis, range: [...range], autorange: false };
    calm(layout);
    storeCameras(this.plot);
    await this.Plotly.react(this.plot, traces, layout, {
      displaylogo: false,
      ...(traces.some(({ type }) => WEBGL.test(type)) && glConfig()),
      ...(data.wheel === false && { scrollZoom: false }), // the wheel scrolls the page
      modeBarButtonsToRemove: unused,
      toImageButtonOptions: { filename: data.name, scale: 2 },
    });
    if (this.gone) return;
    if (!this.figure) {
      this.listen();
      storeCameras(this.plot); // else a camera that a button sets would be taken for the figure's own
    }
    this.outlive();
    if (this.group && this.group.range !== range) await this.follow(); // another was zoomed meanwhile
    if (data.figure !== this.figure && (frames || this.frames)) {
      // One by one from the end: plotly.js sorts the indices as text, and fails beyond ten frames.
      for (let last = (this.frames?.length ?? 0) - 1; last >= 0; last--)
        await this.Plotly.deleteFrames(this.plot, [last]);
      await this.Plotly.addFrames(this.plot, frames ?? []);
    }
    this.figure = data.figure;
    this.frames = frames;
    if (this.film) this.step = this.film.frames ? -1 : this.film.last;
    if (this.late) await this.advance(); // at once, or the end would flash up
    this.picks = data.picks;
    this.plot.classList.toggle("samar-chart-picks", Boolean(data.picks));
    this.describe(data.alt ?? layout.meta?.alt ?? layout.title?.text ?? data.name);
  }

  /** Go on where the browser takes the WebGL context away. */
  outlive() {
    outliveContexts(this.plot, () => this.gone || this.quietly(this.Plotly.redraw(this.plot).then(() => this.outlive())));
  }

  /** One image with a description for screen readers; the mode bar's buttons stay reachable. */
  describe(alt) {
    const [image, ...others] = this.plot.querySelectorAll(".main-svg");
    image.setAttribute("role", "img");
    image.setAttribute("aria-label", alt);
    for (const layer of others) layer.setAttribute("aria-hidden", "true");
  }

  say(sentence) {
    this.note.textContent = sentence;
    this.plot.hidden = sentence !== "";
  }

  join(name) {
    if (name === this.groupName) return;
    this.group?.members.delete(this);
    if (this.group?.members.size === 0) groups.delete(this.groupName);
    if (name && !groups.has(name)) groups.set(name, { members: new Set(), range: null });
    this.groupName = name;
    this.group = groups.get(name);
    this.group?.members.add(this);
  }

  others() {
    return [...(this.group?.members ?? [])].filter((chart) => chart !== this && chart.figure);
  }

  /** Show the x range of the group, unless it is shown already. */
  async follow() {
    const { range } = this.group;
    const axis = this.figure && this.plot._fullLayout.xaxis;
    if (!axis || String(axis.autorange ? null : axis.range) === String(range)) return;
    this.following = (this.following ?? 0) + 1;
    try {
      await this.Plotly.relayout(this.plot, range ? { "xaxis.range": [...range] } : { "xaxis.autorange": true });
    } finally {
      this.following--;
    }
  }

  /** Linked 3-D charts look from one place: what one turns to, the others follow. */
  turn(camera) {
    if (!this.group || !camera || JSON.stringify(camera) === this.group.camera) return;
    this.group.camera = JSON.stringify(camera);
    for (const chart of this.others()) chart.quietly(this.Plotly.relayout(chart.plot, { "scene.camera": camera }));
  }

  listen() {
    // A zoom, a new size or a hidden trace draws the last step: show the present one again.
    this.plot.on("plotly_afterplot", () => this.film && !this.film.frames && !this.busy && !this.gone && this.quietly(this.advance()));
    this.plot.on("plotly_relayout", (change) => {
      this.turn(change["scene.camera"]);
      if (!this.group || this.following) return; // what it says while it follows is old news
      // From the change itself: the layout may be that of data which came in between.
      const [low, high] = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (low === undefined && !change["xaxis.autorange"]) return;
      this.group.range = low === undefined ? null : [low, high];
      for (const chart of this.group.members) chart.quietly(chart.follow());
    });
    // Only the chart under the pointer speaks, so that a shown label is not passed round for ever.
    this.plot.on("plotly_hover", ({ xvals }) => {
      if (!xvals || !this.plot.matches(":hover")) return;
      for (const chart of this.others()) this.Plotly.Fx.hover(chart.plot, { xval: xvals[0] }, ["xy"]);
    });
    this.plot.on("plotly_unhover", () => {
      for (const chart of this.others()) this.Plotly.Fx.unhover(chart.plot);
    });
  }

  leave() {
    this.gone = true;
    this.held = this.near = false;
    charts.delete(this.parent);
    this.join(undefined);
    this.clock?.admit(this, null);
    this.clock = this.film = null; // the next drawing winds them again
    this.resizing.disconnect();
    this.seeing.disconnect();
    for (const type of ["pointerup", "pointercancel"]) window.removeEventListener(type, this.release, true);
    clearTimeout(this.farewell);
    this.farewell = setTimeout(() => this.destroy(), FAREWELL_MS);
  }

  destroy() {
    for (const [name, chart] of named) if (chart === this) named.delete(name);
    this.Plotly?.purge(this.plot);
  }
}

/** The chart of a place on the page: the one that stands there, or that of its name which just left its own. */
function chartAt(parent, name) {
  if (charts.has(parent)) return charts.get(parent);
  const former = named.get(name);
  if (!former || former.parent.isConnected) return new Chart(parent);
  former.move(parent);
  return former;
}

export default function ({ parentElement, data, setTriggerValue }) {
  const chart = chartAt(parentElement, data.name);
  chart.update(data, setTriggerValue);
  // Streamlit also cleans up a call that a newer one overtook, with the component still on the page.
  return () => parentElement.isConnected || charts.get(parentElement)?.leave();
}
