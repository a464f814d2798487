/**
 * Moves figures through time in the browser: play, pause, step, scrub, reset, by button and by key.
 *
 * A figure has a film if its `layout.meta.film` says what moves:
 *   {last: n, label: "step", grow: [trace, …], follow: {trace: {line, x, y, z}}, rows: {trace: {x, y, z}},
 *    now: [trace, …], subtitles: [text, …], every: m,
 *   speed: s}
 * At step k of 0…n a trace in `grow` shows its first k + 1 points, one in `follow` its shape around the
 * point k of its line, one in `rows` row k of each array (a mesh's colours follow its z), and one in `now`
 * an upright at k; the title has subtitle k. With `every` a step of the film lasts m steps of the clock.
 * A figure with plotly's own `frames` has a film of these.
 *
 * Figures that share the name of a clock share the time, and one of them bears the buttons.
 */

const { move3d } = await import(`./plotly_page.js${new URL(import.meta.url).search}`);

const clocks = new Map(); // name -> Clock
const SPEEDS = [5, 15, 30, 60];
const SLOW = 5; // for snapshots, of which there are few
const REST = 2; // seconds at the end of a loop
const TYPES = {
  f4: Float32Array, f8: Float64Array, i1: Int8Array, u1: Uint8Array,
  i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array,
};
const IN_SPACE = /3d$|^surface$/;
const ARROW = "M0,0L-5,12L5,12Z";
const ICONS = {
  reset: "M5 4h2v12H5zM16 4v12L8 10z",
  back: "M14 4v12L5 10z",
  play: "M6 3.5v13L17 10z",
  pause: "M5 4h3.5v12H5zM11.5 4H15v12h-3.5z",
  next: "M6 4v12l9-6z",
};

/** A plain or typed array, whatever its shape, of what Python sent: a list, or base64 with a type. */
function decoded(value) {
  if (!value?.bdata) return value;
  const bytes = Uint8Array.from(atob(value.bdata), (letter) => letter.charCodeAt(0));
  return new TYPES[value.dtype](bytes.buffer);
}

export class Film {
  /** The film of a parsed figure, or null. Only traces that move are touched. */
  static of({ data, layout, frames }) {
    return layout.meta?.film || frames?.length > 1 ? new Film(data, layout.meta?.film, frames) : null;
  }

  constructor(traces, spec, frames) {
    this.frames = spec ? null : frames;
    this.every = spec?.every ?? 1;
    const last = spec ? spec.last : frames.length - 1;
    this.last = last * this.every; // in steps of the clock
    this.subtitles = spec?.subtitles;
    this.label = spec?.label ?? "snapshot";
    this.speed = spec?.speed ?? (this.frames ? SLOW : 0); // of the clock, in steps a second; 0 for its own
    this.flat = !traces.some(({ type }) => IN_SPACE.test(type));
    this.moving = [];
    for (const number of spec?.grow ?? []) {
      const whole = this.columns(traces[number]);
      this.moving.push([number, (step) => whole.map(([name, all]) => [name, all.slice(0, step + 1)])]);
    }
    for (const [number, { line, ...shape }] of Object.entries(spec?.follow ?? {})) {
      const [whole, around] = [Object.fromEntries(this.columns(traces[line])), this.columns(shape)];
      const at = (all, step) => all[Math.min(step, all.length - 1)]; // a path that ended early stays there
      this.moving.push([+number, (step) => around.map(([name, off]) => [name, off.map((d) => at(whole[name], step) + d)])]);
    }
    for (const number of spec?.now ?? []) this.moving.push([number, (step) => [["x", [step, step]], ["y", [0, 1]]]]);
    for (const [number, rows] of Object.entries(spec?.rows ?? {})) {
      const columns = this.columns(rows);
      const width = columns[0][1].length / (last + 1);
      if (traces[number].type === "mesh3d") columns.push(["intensity", columns.at(-1)[1]]);
      const row = (step) => columns.map(([name, all]) => [name, all.slice(step * width, (step + 1) * width)]);
      this.moving.push([+number, row]);
    }
  }

  columns(from) {
    return ["x", "y", "z"].filter((name) => from[name]).map((name) => [name, decoded(from[name])]);
  }

  /** The film's own step at a step of the clock; another film of the same clock may be longer. */
  at(step) {
    return Math.floor(Math.min(step, this.last) / this.every);
  }

  /** Show a step of the clock in the figure that stands in `plot`, drawn at its last step. */
  async show(Plotly, plot, step) {
    step = this.at(step);
    const subtitle = this.subtitles && plot.querySelector(".gtitle-subtitle");
    if (subtitle) subtitle.textContent = this.subtitles[step];
    if (this.frames)
      return Plotly.animate(plot, [this.frames[step].name], {
        mode: "immediate",
        transition: { duration: 0 },
        frame: { duration: 0, redraw: true },
      });
    if (this.flat) return this.trace(plot, step);
    move3d(plot, this.moving.map(([number, at]) => [number, Object.fromEntries(at(step))]));
  }

  /**
   * In two dimensions the curves and marks that plotly drew are moved by hand: plotly.js 4.1 erases
   * contours and other panels in frames without a redraw, and a redraw takes 20 times as long.
   */
  trace(plot, step) {
    for (const [number, at] of this.moving) {
      const full = plot._fullData[number];
      const [xaxis, yaxis] = [full.xaxis, full.yaxis].map((id) => plot._fullLayout[id.replace(/(.)/, "$1axis")]);
      const { x, y } = Object.fromEntries(at(step));
      const points = Array.from(x, (value, i) => [xaxis.d2p(value), yaxis.d2p(y[i])]);
      const known = (point) => point.every(Number.isFinite);
      const drawn = plot.querySelector(`.trace${full.uid}`);
      let line = "";
      let pen = "M"; // a value that is unknown leaves a gap
      for (const point of points) {
        if (known(point)) line += pen + point.map((v) => v.toFixed(1));
        pen = known(point) ? "L" : "M";
      }
      drawn?.querySelector(".js-line")?.setAttribute("d", line);
      for (const mark of drawn?.querySelectorAll(".point") ?? []) {
        // A mark alone, or the head of an arrow whose tail has a mark of no size.
        const [tail, head] = [points[0], points.at(-1)];
        const last = mark === mark.parentElement.lastElementChild;
        const here = last ? head : tail;
        if (!known(head) || !known(tail)) {
          mark.setAttribute("transform", "scale(0)");
          continue;
        }
        let move = `translate(${here.map((v) => v.toFixed(1))})`;
        if (last && full.marker.angleref === "previous") {
          const angle = (Math.atan2(head[1] - tail[1], head[0] - tail[0]) * 180) / Math.PI + 90;
          mark.setAttribute("d", ARROW); // plotly's own is turned already
          move += `rotate(${angle.toFixed(1)})`;
        }
        mark.setAttribute("transform", move);
      }
    }
  }
}

export class Clock {
  static named(name) {
    if (!clocks.has(name)) clocks.set(name, new Clock(name));
    return clocks.get(name);
  }

  constructor(name) {
    this.name = name;
    this.members = new Map(); // chart -> its film
    this.time = Infinity; // in steps; at the end until told otherwise
    this.last = 0;
    this.stride = 1; // steps in which no film moves
    this.speed = 30;
    this.playing = false;
    this.loop = false;
    this.seen = new Set(); // the charts' elements that are on the screen
    this.seeing = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.seen[isIntersecting ? "add" : "delete"](target);
    });
  }

  get step() {
    const whole = Math.floor(this.time / this.stride) * this.stride;
    return this.time >= this.last ? this.last : Math.max(0, whole);
  }

  /**
   * Take a chart's newest film in, or its leave (film null). A new `play` starts from the beginning;
   * "loop" begins again after a rest at the end.
   */
  admit(chart, film, play) {
    const waits = this.time >= this.last; // at the end, it stays at the end of a longer film
    if (film) this.members.set(chart, film), this.seeing.observe(chart.parent);
    else this.members.delete(chart), this.seeing.unobserve(chart.parent), this.seen.delete(chart.parent);
    if (!this.members.size) return this.stop();
    this.last = Math.max(...[...this.members.values()].map(({ last }) => last));
    this.stride = Math.min(...[...this.members.values()].map(({ every }) => every));
    if (waits) this.time = this.last;
    if (!this.bar && film?.speed) this.speed = film.speed;
    this.place();
    if (play && play !== this.started) {
      this.started = play;
      this.loop = play === "loop";
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) this.seek(this.last);
      else this.seek(0), this.play();
    }
    this.tell();
  }

  /** The last chart has left: nobody is there to be told. */
  stop() {
    this.playing = false;
    this.seeing.disconnect();
    this.bar?.remove();
    if (clocks.get(this.name) === this) clocks.delete(this.name); // a newer one may bear the name
  }

  play() {
    if (this.playing) return;
    if (this.time >= this.last) this.time = 0;
    this.playing = true;
    let before = performance.now();
    const tick = (now) => {
      if (!this.playing) return;
      // A tab in the background gets no frames, and charts out of sight no time: they go on where they were.
      if (this.seen.size) this.time += (Math.min(500, now - before) / 1000) * this.speed;
      before = now;
      if (this.loop && this.time >= this.last + REST * this.speed) this.time = 0;
      if (!this.loop && this.time >= this.last) (this.time = this.last), (this.playing = false);
      // A frame in which nothing moves costs nothing; without a graphics card any other costs 60 ms.
      if (this.step !== this.told || !this.playing) this.tell();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    this.tell();
  }

  pause() {
    this.playing = false;
    if (this.bar) this.tell();
  }

  toggle() {
    this.playing ? this.pause() : this.play();
  }

  seek(step) {
    this.time = Math.max(0, Math.min(this.last, step));
    this.tell();
  }

  /** One step to and fro, which ends playing. */
  move(steps) {
    this.playing = false;
    this.seek(this.step + steps * this.stride);
  }

  tell() {
    this.told = this.step;
    for (const chart of this.members.keys()) chart.flush();
    if (!this.bar || !this.members.size) return;
    const { step, last } = this;
    const label = this.members.values().next().value.label;
    this.range.max = last;
    this.range.step = this.stride;
    this.range.value = step;
    this.range.setAttribute("aria-valuetext", `${label} ${step} of ${last}`);
    this.text.textContent = `${label} ${step} of ${last}`;
    if (this.shown !== this.playing) {
      this.shown = this.playing;
      face(this.button, this.playing ? "pause" : "play", this.playing ? "Pause" : "Play");
    }
  }

  /** The buttons stand under the chart that asks for them, else under the one that is first on the page. */
  place() {
    this.bar ??= this.build();
    const before = (one, other) => one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
    const charts = [...this.members.keys()];
    const asking = charts.filter(({ buttons }) => buttons);
    const parents = (asking.length ? asking : charts).map(({ parent }) => parent);
    const parent = parents.reduce((first, next) => (before(next, first) ? next : first));
    if (this.bar.parentElement !== parent) parent.append(this.bar);
  }

  build() {
    const bar = element("div", { className: "samar-clock", role: "group", ariaLabel: "Playback" });
    const press = (icon, title, act) => {
      const button = element("button", { type: "button", onclick: act });
      face(button, icon, title);
      bar.append(button);
      return button;
    };
    press("reset", "Back to the start (Home)", () => (this.move(0), this.seek(0)));
    press("back", "One step back (←)", () => this.move(-1));
    this.button = press("play", "Play", () => this.toggle());
    this.button.classList.add("samar-clock-play");
    press("next", "One step on (→)", () => this.move(1));
    this.range = element("input", { type: "range", min: 0, step: 1, ariaLabel: "Step" });
    this.range.oninput = () => ((this.playing = false), this.seek(+this.range.value));
    this.text = element("span", { className: "samar-clock-text" });
    const speed = element("select", { ariaLabel: "Speed", title: "Speed" });
    for (const value of SPEEDS)
      speed.append(element("option", { value, textContent: `${value}/s`, selected: value === this.speed }));
    speed.onchange = () => (this.speed = +speed.value);
    bar.append(this.range, this.text, speed);
    return bar;
  }
}

function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}

function face(button, icon, title) {
  button.title = title;
  button.ariaLabel = title;
  button.innerHTML = `<svg viewBox="0 0 20 20" aria-hidden="true"><path d="${ICONS[icon]}"/></svg>`;
}

/** Space, arrows, Home and End move the clock that has the focus, else the first one on the page. */
const BUSY = "input, select, textarea, button, a, [contenteditable], [role=slider], [role=tab], [role=option]";
const KEYS = {
  " ": (clock) => clock.toggle(),
  ArrowLeft: (clock, event) => clock.move(event.shiftKey ? -10 : -1),
  ArrowRight: (clock, event) => clock.move(event.shiftKey ? 10 : 1),
  Home: (clock) => clock.move(-clock.last),
  End: (clock) => clock.move(clock.last),
};
document.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const own = [...clocks.values()].find((each) => each.bar?.contains(event.target));
  const native = event.target === own?.range || (event.key === " " && event.target.matches?.("button"));
  if (native || (event.target.closest?.(BUSY) && !own) || event.target.matches?.("select")) return;
  const clock = own ?? clocks.values().next().value;
  if (!clock?.bar) return;
  event.preventDefault();
  act(clock, event);
});
