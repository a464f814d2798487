/**
 * The stage: one run, or several beside each other, live or over, on one screen and on one clock.
 *
 * The server's stream tells what is new (see samar/web/live/stage.py); Streamlit says which runs are
 * shown, how they are looked at, and with what this visitor may steer them.
 */

const part = (name) => import(`./${name}${new URL(import.meta.url).search}`);
const [{ Member }, { CurveTile, LandscapeTile }, { Timeline }, { Stream, Redraw }, { Controls }] =
  await Promise.all(["stage_data.js", "stage_tiles.js", "stage_timeline.js", "live.js", "stage_controls.js"].map(part));

const stages = new WeakMap(); // parentElement -> Stage
let left = null; // what the last stage knew: Streamlit may take a component off the page for a moment
const TICKS = { desk: 0.8, room: 0.96 }; // size of the numbers on an axis beside other type
const FRAME_MS = 25;
const LEAST_HEIGHT = 380; // of tiles and timeline, in pixels

/** Set markup that differs; what stays the same keeps its focus and is not read aloud again. */
function write(element, markup) {
  if (element.written !== markup) element.innerHTML = element.written = markup;
}

class Stage {
  constructor(parent) {
    this.parent = parent;
    this.root = parent.querySelector(".samar-stage");
    const find = (name) => this.root.querySelector(name);
    [this.word, this.status, this.story, this.grid, this.people, this.strip] =
      [".stage-status b", ".stage-status span", ".stage-story", ".stage-tiles", ".stage-people", ".stage-strip"].map(find);
    this.members = [];
    this.tiles = [];
    this.view = { axis: "step", smoothing: 0, log: false, unit: "" };
    this.clock = new Timeline(this);
    this.controls = new Controls(this);
    this.redraw = new Redraw((state) => this.setTriggerValue("moved", state));
    this.grid.after(this.clock.box);
    this.keys = (event) => this.press(event);
    window.addEventListener("keydown", this.keys, true);
    this.fit = () => this.measure();
    window.addEventListener("resize", this.fit);
    this.sizing = new ResizeObserver(this.fit);
    this.sizing.observe(parent);
    this.measure();
  }

  /** Go on as the last one, where it showed the same. */
  adopt(last) {
    [this.numbers, this.cursor, this.members, this.view] = [last.numbers, last.cursor, last.members, last.view];
    [this.told, this.controls.job] = [last.told, last.controls.job];
    [this.zoomed, this.camera, this.clock.at] = [last.zoomed, last.camera, last.clock.at];
    this.played = last.played;
  }

  /** Fill what is left of the screen; before a room, with fewer tiles. */
  measure() {
    this.root.classList.toggle("stage-room", this.presented);
    const top = this.grid.getBoundingClientRect().top + (document.querySelector("[data-testid=stMain]")?.scrollTop ?? 0);
    const room = window.innerHeight - top - this.clock.box.offsetHeight - 10;
    this.root.style.setProperty("--stage-room", `${Math.max(LEAST_HEIGHT, room)}px`);
  }

  // What Streamlit says, and what the stream

  update({ numbers, view, steer, drawn, still, loop, library }, setTriggerValue) {
    this.library = library;
    if (this.numbers === undefined && left?.numbers === numbers) this.adopt(left);
    this.setTriggerValue = setTriggerValue;
    this.redraw.drew(drawn);
    const axis = this.view.axis;
    this.view = view;
    if (numbers !== this.numbers) {
      [this.numbers, this.cursor, this.zoomed, this.told] = [numbers, "", null, null];
      this.stream?.close();
      this.stream = null;
      this.controls.heard(null);
      this.clock.set(null);
    } else if (axis !== view.axis) (this.zoomed = null), this.clock.set(null);
    this.controls.configure(steer);
    if (still && (numbers === "" || !this.told)) this.take(still); // one that was recorded stays as it is
    if (!still) this.stream ??= new Stream(`live/${numbers}`, (message) => this.take(message), this.cursor);
    const begins = loop && this.loop === undefined && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.loop = loop;
    if (begins || (this.played && this.clock.at !== null)) this.clock.toggle();
    this.played = false;
    this.show();
  }

  take(message) {
    if (message.gone !== undefined) return this.setTriggerValue("moved", message.gone);
    if (this.stream) this.cursor = this.stream.cursor;
    if (message.anew) this.members = [];
    message.members?.forEach((part, place) => (this.members[place] ??= new Member()).merge(part));
    for (const name of ["spec", "words", "state", "job"]) if (name in message) (this.told ??= {})[name] = message[name];
    if ("job" in message) this.controls.heard(message.job);
    this.showing ??= requestAnimationFrame(() => ((this.showing = null), this.gone || this.show()));
  }

  /** Draw what is new; the page is drawn anew where its widgets are not those of how the run stands. */
  show() {
    if (!this.told?.spec) return;
    this.build(this.told.spec);
    this.say(this.told.words);
    for (const tile of this.tiles) if (tile.changed()) tile.dirty = true;
    this.moving ||= this.following;
    this.clock.draw();
    this.measure();
    this.flush();
    this.redraw.stands(this.told.state);
  }

  say(words) {
    write(this.word, words.word);
    write(this.status, words.status);
    this.tell(words);
    write(this.people, words.people);
    this.root.classList.toggle("stage-race", this.race);
    this.showAnswers();
  }

  /** What just happened; at another moment of the clock, what was so then. */
  tell({ story, story_seconds }) {
    const { lead } = this;
    const told = this.view.axis === "seconds" ? story_seconds : story;
    const then = () => {
      const step = this.stepOf(lead);
      const known = [["λ", "lam"], ["ratio", "ratio"], ["loss", "loss"]].map(([word, name]) => [word, lead.value("steps", name, step)])
        .filter(([, value]) => Number.isFinite(value)).map(([word, value]) => `${word} ${value.toPrecision(3)}`);
      return `At step ${Math.round(step).toLocaleString("en")}${this.race ? ` of ${lead.facts.label}` : ""}: ${known.join(", ")}.`;
    };
    if (this.clock.at !== null && lead) this.story.written = this.story.textContent = then();
    else write(this.story, told);
    this.story.title = this.story.textContent;
    for (const button of this.story.querySelectorAll("[data-branch]"))
      button.onclick = () => this.order("branch", { step: +button.dataset.branch });
  }

  build(spec) {
    const wanted = JSON.stringify(spec);
    if (wanted === this.spec) return;
    const keys = (list) => list.map(({ key }) => key).join();
    const kept = keys(this.tiles.map((tile) => tile.spec)) === keys(spec);
    this.spec = wanted;
    if (kept) return this.tiles.forEach((tile, number) => (tile.spec = spec[number]));
    const large = this.tiles.find(({ box }) => box.classList.contains("stage-enlarged"))?.spec.key;
    for (const tile of this.tiles) tile.destroy();
    this.tiles = spec.map((each, number) =>
      new (each.key === "landscape" ? LandscapeTile : CurveTile)(this, each, number + 1));
    this.grid.append(...this.tiles.map(({ box }) => box));
    this.enlarge(this.tiles.find((tile) => tile.spec.key === large));
  }

  /** Ask the job that is steered for something, or every run that was put beside others. */
  order(what, detail = {}) {
    const jobs = this.told?.job ? [this.told.job.number] : this.shown.filter(({ facts }) => facts.active).map(({ facts }) => facts.number);
    for (const job of jobs) this.controls.orders.press(job, what, detail);
  }

  // What it shows

  /** The runs, without what a branch left. */
  get shown() {
    return this.members.filter(({ facts }) => !facts.ghost);
  }

  /** The run that the timeline tells of: one that goes on, or else the longest. */
  get lead() {
    return this.shown.find(({ facts }) => facts.active) ?? this.shown.sort((a, b) => b.end("step") - a.end("step"))[0];
  }

  /** The theme's colours, in which what is drawn stays. */
  get colors() {
    const css = getComputedStyle(this.root);
    return ["text", "background"].map((name) => css.getPropertyValue(`--st-${name}-color`)).join();
  }

  get race() {
    return this.shown.length > 1;
  }

  get active() {
    return this.members.some(({ facts }) => facts.active);
  }

  get following() {
    return this.clock.at === null && this.peeked == null;
  }

  /** Where the runs end; what a branch left behind may go on further. */
  get end() {
    return Math.max(0, ...this.shown.map((member) => member.end(this.view.axis)));
  }

  /** The place on the axis that the tiles show. */
  get moment() {
    return this.peeked ?? this.clock.at ?? this.end;
  }

  get range() {
    return this.zoomed ?? [0, Math.max(...this.members.map((member) => member.end(this.view.axis)), 0) || 1];
  }

  stepOf(member) {
    return member.step(this.moment, this.view.axis);
  }

  peek(place, began = null) {
    if (this.clock.playing) return;
    if (place === this.peeked || (place === null && this.peeked == null)) return;
    this.peeked = place;
    if (began === null || place === null) this.moved();
  }

  zoom(range) {
    if (!range && !this.zoomed) return;
    this.zoomed = range;
    for (const tile of this.tiles) tile.dirty = true;
    this.flush();
  }

  /** The clock, or the pointer, shows another moment. */
  moved() {
    this.moving = true;
    this.flush();
  }

  /** Draw in the next frame what is in sight and not up to date. */
  flush() {
    this.drawing ??= requestAnimationFrame((now) => { // never comes in a background tab
      this.drawing = null;
      if (this.gone) return;
      // More pictures a second nobody sees, and the same processor may be training.
      if (now - (this.drawn ?? 0) < FRAME_MS) return this.flush();
      this.drawn = now;
      this.theme = this.colours();
      const moved = this.moving;
      this.moving = false;
      for (const tile of this.tiles) {
        if (!tile.near || this.hidden(tile)) continue;
        if (tile.dirty) (tile.dirty = false), tile.draw(), tile.drawChart();
        else if (moved) tile.move();
      }
      if (moved) this.clock.move(), this.showAnswers(), this.told && this.tell(this.told.words);
      if (this.moving) this.flush(); // a landscape is on its way to another
    });
  }

  get presented() {
    return new URLSearchParams(location.search).get("present") === "1";
  }

  /** What is drawn has the theme's colours and type. */
  colours() {
    const css = getComputedStyle(this.root);
    const of = (name) => css.getPropertyValue(`--st-${name}`).trim();
    return {
      text: of("text-color") || "#222", muted: of("gray-text-color") || "#666", grid: of("border-color") || "#ccc",
      shade: of("secondary-background-color") || "transparent", font: of("font") || "sans-serif",
      size: parseFloat(css.fontSize) * TICKS[this.presented ? "room" : "desk"],
    };
  }

  hidden(tile) {
    return tile.box.offsetParent === null;
  }

  enlarge(tile) {
    const large = this.grid.querySelector(".stage-enlarged");
    this.tiles.find(({ box }) => box === large)?.asChart(false);
    large?.classList.remove("stage-enlarged");
    if (tile && large !== tile.box) tile.box.classList.add("stage-enlarged");
    this.grid.classList.toggle("stage-one", Boolean(this.grid.querySelector(".stage-enlarged")));
    for (const each of this.tiles) each.dirty = true;
    this.flush();
  }

  /** Wrongly labelled images, with what each network says at this moment. */
  showAnswers() {
    const asked = this.shown.filter(({ images, answers }) => images && answers.length);
    this.strip.hidden = !asked.length;
    if (!asked.length) return;
    // Which labels are wrong depends on the seed.
    const [{ images, pictures }] = asked;
    const [shown, others] = [asked.filter((m) => m.pictures === pictures), asked.filter((m) => m.pictures !== pictures)];
    const wanted = JSON.stringify([this.numbers, others.map((m) => m.facts.label), shown.map((m) => [m.facts.label, m.entry("answers", this.stepOf(m)).step])]);
    if (wanted === this.answered) return;
    this.answered = wanted;
    const rows = shown.map((member) => [member, member.entry("answers", this.stepOf(member)).answers]);
    const count = ([member, answers], truth) => answers.filter((answer, at) => answer === truth[at]).length;
    const many = images.source.length;
    this.strip.querySelector("b").textContent = `${many === 10 ? "Ten" : many} wrongly labelled training image${many === 1 ? "" : "s"}`;
    this.strip.querySelector("p").textContent = [
      ...rows.map((row) => `${row[0].facts.label} gives ${count(row, images.given)} of ${many} wrong labels back, and says what is to be seen in ${count(row, images.truth)}.`),
      ...others.map(({ facts }) => `${facts.label} has other wrong labels and is not shown here.`),
      "✓ is right, ✗ is the wrong label that was given.",
    ].join(" ");
    this.strip.querySelector("div").replaceChildren(...images.source.map((source, at) => {
      const figure = document.createElement("figure");
      const line = (kind, word, answer) => {
        const row = document.createElement("span");
        row.className = answer === undefined ? "" : answer === images.truth[at] ? "stage-right" : answer === images.given[at] ? "stage-fooled" : "stage-other";
        row.innerHTML = `<b></b> <i></i>`;
        row.querySelector("b").textContent = kind;
        row.querySelector("i").textContent = word;
        return row;
      };
      const image = new Image();
      image.src = source;
      image.alt = images.classes[images.truth[at]];
      figure.append(image, line("is", images.classes[images.truth[at]]), line("label", images.classes[images.given[at]]),
        ...rows.map(([member, answers]) => line(this.race ? member.facts.label : "says", images.classes[answers[at]], answers[at])));
      return figure;
    }));
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.parent.isConnected) return;
    // A closed select box is an input too, and keeps the focus after a choice.
    const typing = "input:not([type=range], [role=combobox][aria-expanded=false]), textarea, select, [contenteditable], [role=dialog]";
    if (event.target.closest?.(typing)) return;
    const slider = event.target.closest?.("[role=slider], input[type=range]");
    const act = {
      " ": () => this.clock.toggle(), Home: () => this.clock.set(0), End: () => this.clock.follow(),
      ArrowLeft: () => this.clock.hop(-1), ArrowRight: () => this.clock.hop(1),
      f: () => (document.fullscreenElement ? document.exitFullscreen() : this.root.requestFullscreen()),
      t: () => this.tiles.find(({ spec }) => spec.key === "landscape")?.top(),
      l: () => this.active && this.order("measure"), r: () => this.clock.back(),
      ...(this.controls.active && { p: () => this.controls.press("pause"), n: () => this.controls.press("step"), x: () => this.controls.press("stop"), s: () => this.controls.nextPace() }),
      Escape: this.grid.querySelector(".stage-enlarged") && (() => this.enlarge(null)),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    const tile = this.tiles[+event.key - 1];
    // Those for which the screen is too small come last, whichever tile is enlarged now.
    const digit = tile && getComputedStyle(tile.box).order !== "9" && tile;
    if ((slider && /^(Arrow|Home|End)/.test(event.key)) || (event.key === " " && event.target.closest?.("button, a, summary")) || !(act || digit)) return;
    event.preventDefault();
    event.stopImmediatePropagation(); // Streamlit reruns the page at R
    if (digit) this.enlarge(digit);
    else act();
  }

  destroy() {
    this.gone = true;
    left = this;
    this.played = this.clock.playing;
    this.stream?.close();
    this.redraw.stop();
    this.controls.destroy();
    this.clock.pause();
    window.removeEventListener("keydown", this.keys, true);
    window.removeEventListener("resize", this.fit);
    this.sizing.disconnect();
    for (const tile of this.tiles) tile.destroy();
    stages.delete(this.parent);
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  if (!stages.has(parentElement)) stages.set(parentElement, new Stage(parentElement));
  const stage = stages.get(parentElement);
  stage.update(data, setTriggerValue);
  // Streamlit also cleans up a call that a newer one overtook, with the component still on the page.
  return () => parentElement.isConnected || stage.destroy();
}
