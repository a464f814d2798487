/**
 * The stage's only clock: it follows the live end, is dragged back, plays, and bears the marks of
 * what happened. A place on it is a value of the axis (steps, gradients or seconds).
 */

const PLAY_SECONDS = 12;
const ICONS = { play: "M6 3.5v13L17 10z", pause: "M5 4h3.5v12H5zM11.5 4H15v12h-3.5z" };

export class Timeline {
  constructor(stage) {
    this.stage = stage;
    this.at = null; // null follows the end
    this.box = document.createElement("div");
    this.box.className = "stage-timeline";
    this.box.innerHTML =
      `<button class="stage-play" aria-label="Play" title="Play (space)"><svg viewBox="0 0 20 20"><path/></svg></button>
       <div class="stage-track"><div class="stage-marks"></div>
       <input type="range" min="0" max="1" step="any" value="1" aria-label="Moment of the run"></div>
       <output></output>
       <button class="stage-live" title="Follow the end (End)">Live</button>
       <button class="stage-branch" title="Go on from the kept moment before the cursor, as a new run">Go on from here</button>
       <button class="stage-measure" title="Measure landscape and eigenvalues now (L)">Measure now</button>`;
    const find = (name) => this.box.querySelector(name);
    [this.button, this.track, this.marks, this.range, this.output, this.live, this.branch, this.measure] =
      [".stage-play", ".stage-track", ".stage-marks", "input", "output", ".stage-live", ".stage-branch", ".stage-measure"].map(find);
    this.button.onclick = () => this.toggle();
    this.live.onclick = () => this.follow();
    this.range.oninput = () => this.set(+this.range.value);
    this.measure.onclick = () => stage.order("measure");
    this.branch.onclick = () => stage.order("branch", { step: this.kept });
  }

  get playing() {
    return this.timer !== undefined;
  }

  set(place) {
    this.pause();
    this.go(place);
  }

  /** The end, and all of the axis. */
  follow() {
    this.stage.zoom(null);
    this.set(null);
  }

  go(place) {
    const { end } = this.stage;
    this.stage.peeked = null; // a pointer that rests on a tile
    this.at = place === null || place >= end * 0.9995 ? null : Math.max(0, place);
    this.stage.moved();
    this.move();
  }

  toggle() {
    if (this.playing) return this.pause();
    const { end } = this.stage;
    let place = this.at === null ? 0 : this.at;
    let before = performance.now();
    const tick = (now) => {
      place += (Math.max(0, now - before) / 1000 / PLAY_SECONDS) * end;
      before = now;
      this.timer = requestAnimationFrame(tick);
      this.go(place);
      if (this.at !== null) return;
      if (this.stage.loop) place = 0;
      else this.pause();
    };
    this.timer = requestAnimationFrame(tick);
    this.go(place);
    this.draw();
  }

  pause() {
    cancelAnimationFrame(this.timer);
    this.timer = undefined;
    if (!this.stage.gone) this.draw();
  }

  /** One measurement, or one step of a paused run, back or forth. */
  hop(direction) {
    const { shown, view, end } = this.stage;
    const epochs = shown.flatMap((member) => member.column("epochs", view.axis));
    const stops = [0, ...epochs.sort((a, b) => a - b), end];
    const here = this.at ?? end;
    const next = direction > 0 ? stops.find((stop) => stop > here * 1.0001) : stops.filter((stop) => stop < here * 0.9999).at(-1);
    this.set(next ?? (direction > 0 ? null : 0));
  }

  /** The last change by hand. */
  back() {
    const { lead, view } = this.stage;
    const last = lead?.events.filter(({ kind }) => kind === "change").at(-1);
    if (last) this.set(lead.place(last.step, view.axis));
  }

  draw() {
    this.button.querySelector("path").setAttribute("d", ICONS[this.playing ? "pause" : "play"]);
    this.button.ariaLabel = this.playing ? "Pause the replay" : "Play";
    const { members, view, end, active } = this.stage;
    const marks = [];
    for (const member of members) {
      for (const { step, kind, text } of member.facts.ghost ? [] : member.events) {
        const mark = document.createElement("span");
        mark.className = `stage-mark stage-mark-${kind}`;
        mark.style.left = `${(100 * member.place(step, view.axis)) / (end || 1)}%`;
        mark.title = `step ${step}: ${text}`;
        mark.textContent = text;
        if (members.length > 1) mark.style.borderColor = member.facts.color;
        marks.push(mark);
      }
    }
    this.marks.replaceChildren(...marks);
    // A label that would lie on the one after it is left to its tooltip.
    let edge = Infinity;
    const placed = marks.map((mark) => [mark.offsetLeft, mark.offsetWidth, mark]); // read before any is changed
    for (const [left, width, mark] of placed.sort(([a], [b]) => b - a)) {
      const free = left + width < edge;
      mark.classList.toggle("stage-mark-bare", !free);
      if (free) edge = left;
    }
    this.live.textContent = active ? "Live" : "End";
    this.measure.hidden = !active;
    this.range.disabled = !end;
    this.move();
  }

  move() {
    const { lead, end, moment, view } = this.stage;
    this.range.max = end || 1;
    this.range.value = moment;
    this.live.classList.toggle("stage-on", this.at === null);
    const step = lead ? lead.step(moment, view.axis) : 0;
    const words = lead ? [`step ${Math.round(step).toLocaleString("en")}`] : [];
    if (view.axis !== "step" && lead) words.unshift(`${Math.round(moment).toLocaleString("en")} ${view.unit}`);
    this.output.textContent = words.join(" · ");
    const kept = lead?.facts.kept.filter((each) => each <= step + 0.5) ?? [];
    this.kept = kept.at(-1);
    this.branch.hidden = this.at === null || this.kept === undefined || this.stage.race;
    this.branch.textContent = `Go on from step ${this.kept?.toLocaleString("en")}`;
  }
}
