/**
 * What steers the run on the stage: buttons in the page's head, and a row of settings that may change
 * while it trains. They show what the stream says, or what is on its way.
 */

const part = (name) => import(`./${name}${new URL(import.meta.url).search}`);
const { Orders } = await part("live.js");

const ROW = ["optimizer", "lam_held", "lr", "rho"]; // the others stand behind "More"
const HOLDS = { 0: "0 (SGD)", 1: "1 (SAM)" };

const make = (tag, attributes = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
};
const say = (value) => (value === null ? "auto" : typeof value === "number" ? String(+value.toPrecision(4)) : value);

export class Controls {
  constructor(stage) {
    this.stage = stage;
    this.orders = new Orders({ answered: (answer) => this.answered(answer), changed: () => this.draw() });
    this.buttons = make("div", { className: "samar-steer" });
    this.row = make("div", { className: "stage-controls", hidden: true });
    this.button = {};
    for (const [name, label, key] of [["pause", "Pause", "P"], ["step", "Step", "N"], ["stop", "Stop", "X"]]) {
      const button = (this.button[name] = make("button", { textContent: label, title: `${label} (${key})`, className: `steer-${name}` }));
      button.onclick = () => this.press(name);
      this.buttons.append(button);
    }
    stage.root.prepend(this.row);
  }

  /** What Streamlit says: which job, whether this visitor may steer it, and with what. */
  configure(steer) {
    const wanted = JSON.stringify(steer);
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.steer = steer;
    this.fields = {};
    const [row, more] = [[], []];
    for (const spec of steer?.controls ?? [])
      (ROW.includes(spec.name) ? row : more).push((this.fields[spec.name] = this.field(spec)).box);
    const children = [...row, this.paces(), ...(more.length ? [make("details", { className: "steer-more" },
      make("summary", { textContent: "More" }), make("div", {}, ...more))] : []), (this.word = make("output", { className: "steer-word" }))];
    this.row.replaceChildren(...children);
    this.draw();
  }

  /** What the stream says of the job. */
  heard(job) {
    this.job = job;
    if (job) {
      const [order, step] = job.obeyed;
      if (order > (this.orders.obeyed ?? 0) && this.orders.obeyed !== undefined) this.last = step;
      this.orders.heard(order);
    }
    this.draw();
  }

  get active() {
    return Boolean(this.steer && this.job && ["queued", "running", "paused"].includes(this.job.status));
  }

  press(name) {
    if (!this.active || this.button[name]?.disabled) return;
    const resumes = name === "pause" && this.job.status === "paused" && !this.job.waits;
    this.orders.press(this.job.number, resumes ? "resume" : name);
  }

  change(name, value, dragged) {
    if (dragged) this.orders.drag(this.job.number, name, value);
    else this.orders.press(this.job.number, "change", { [name]: value });
  }

  answered({ problem, run }) {
    this.problem = problem;
    if (run) this.stage.setTriggerValue("go", run);
  }

  paces() {
    this.pace = make("select", { title: "How fast it trains, and whether it is measured meanwhile (key S). It changes no number of the run." });
    for (const [value, title] of Object.entries(this.steer?.paces ?? {})) this.pace.append(make("option", { value, textContent: value, title }));
    this.pace.onchange = () => this.orders.press(this.job.number, "pace", { pace: this.pace.value });
    return make("label", { className: "steer-pace" }, make("span", { textContent: "Pace" }), this.pace);
  }

  /** The pace after the one that holds, by a key. */
  nextPace() {
    if (!this.active || this.pace.disabled) return;
    const paces = [...this.pace.options].map(({ value }) => value);
    const pace = paces[(paces.indexOf(this.pace.value) + 1) % paces.length];
    this.orders.press(this.job.number, "pace", { pace });
    this.pace.value = pace;
  }

  /** A control of one setting: `show(value)` puts a value on it. */
  field(spec) {
    const { name, title, help, choices, grid } = spec;
    const value = make("b");
    const head = make("span", { textContent: title, title: help });
    const change = (chosen, dragged = false) => this.change(name, chosen, dragged);
    if (name === "lam_held") {
      const pills = Object.entries(HOLDS).map(([held, label]) => {
        const pill = make("button", { textContent: label });
        pill.onclick = () => change(pill.ariaPressed === "true" ? null : +held);
        return [+held, pill];
      });
      const box = make("div", { className: `steer-field steer-${name}` }, make("span", { textContent: "Hold λ at", title: "0 makes SAMAR plain SGD, 1 makes it SAM. Press again to let λ go free." }),
        make("div", {}, ...pills.map(([, pill]) => pill)));
      return { box, show: (held) => pills.forEach(([of, pill]) => (pill.ariaPressed = String(of === held))) };
    }
    if (choices || spec.kind === "bool") {
      const select = make("select");
      for (const [key, label] of choices ?? [[false, "no"], [true, "yes"]]) select.append(make("option", { textContent: label, value: JSON.stringify(key) }));
      select.onchange = () => change(JSON.parse(select.value));
      return { box: make("label", { className: `steer-field steer-${name}` }, head, select), show: (now) => (select.value = JSON.stringify(now)) };
    }
    if (!grid) {
      const input = make("input", { type: "number", step: "any", min: spec.low ?? "" });
      input.onchange = () => input.value !== "" && change(+input.value);
      return { box: make("label", { className: `steer-field steer-${name}` }, head, input),
        show: (now) => document.activeElement === input || (input.value = now === null ? "" : String(+now.toPrecision(6))) };
    }
    let places = grid;
    const input = make("input", { type: "range", min: 0, max: grid.length - 1, step: 1 });
    input.oninput = () => change(places[+input.value], true);
    head.append(" ", value);
    const show = (now) => {
      places = grid.includes(now) || now === null ? grid : [...grid, now].sort((a, b) => a - b);
      input.max = places.length - 1;
      input.value = Math.max(0, places.indexOf(now));
      input.ariaValueText = value.textContent = say(now);
    };
    return { box: make("label", { className: `steer-field steer-${name}` }, head, input), show };
  }

  /** Put everything as it stands, or as it will when what is on its way has come. */
  draw() {
    const { active, steer, job, orders } = this;
    this.row.hidden = !active;
    const place = active && document.querySelector(".st-key-run_buttons");
    if (!place) this.buttons.remove();
    else if (this.buttons.parentElement !== place) place.prepend(this.buttons);
    if (!active) return;
    const commands = orders.pending.map(({ command }) => command);
    const paused = job.status === "paused" && !job.waits;
    this.button.pause.textContent = paused ? "Resume" : "Pause";
    this.button.pause.disabled = Boolean(steer.whyNot) || job.status === "queued";
    this.button.step.disabled = Boolean(steer.whyNot) || job.status !== "paused";
    this.button.stop.disabled = Boolean(steer.whyNot) || commands.includes("stop");
    for (const button of Object.values(this.button)) if (steer.whyNot) button.title = steer.whyNot;
    for (const [name, button] of Object.entries(this.button))
      button.classList.toggle("steer-way", commands.includes(name) || (name === "pause" && commands.includes("resume")));
    for (const [name, { box, show }] of Object.entries(this.fields)) {
      const there = name in job.live;
      box.classList.toggle("steer-idle", !there);
      const wanted = orders.wanted(name);
      box.classList.toggle("steer-way", wanted !== undefined);
      for (const input of box.querySelectorAll("input, select, button")) input.disabled = !there || Boolean(steer.whyNot) || job.status === "queued";
      if (there) show(wanted === undefined ? job.live[name] : wanted);
    }
    if (![...this.pace.options].some(({ value }) => value === job.pace)) this.pace.append(make("option", { value: job.pace, textContent: `${job.pace} epochs/s` }));
    if (!commands.includes("pace")) this.pace.value = job.pace;
    this.pace.disabled = Boolean(steer.whyNot);
    this.word.textContent = commands.length ? "on its way…"
      : this.problem ?? (this.last === undefined ? "" : `obeyed at step ${this.last.toLocaleString("en")}`);
    this.word.classList.toggle("steer-problem", Boolean(this.problem) && !commands.length);
  }

  destroy() {
    this.buttons.remove();
  }
}
