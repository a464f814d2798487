/**
 * How far jobs are, told by the server's stream (samar/web/live/progress.py). The page says which jobs
 * have a row, and is drawn anew when it is out of date.
 */

const { Orders, Redraw, Stream } = await import(`./live.js${new URL(import.meta.url).search}`);

const places = new WeakMap(); // parentElement -> Progress

class Progress {
  constructor(parent) {
    this.parent = parent;
    this.root = parent.querySelector(".samar-progress");
    this.problem = document.createElement("output");
    this.redraw = new Redraw((state) => this.setTriggerValue("moved", state));
    this.orders = new Orders({
      answered: ({ problem }) => (this.problem.textContent = problem ?? ""),
      changed: () => this.draw(),
    });
  }

  update({ numbers, rows, drawn, rest }, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    this.redraw.drew(JSON.stringify(drawn), rest);
    if (JSON.stringify(rows) !== this.wanted) {
      this.wanted = JSON.stringify(rows);
      this.rows = rows.map((row) => this.row(row));
      this.root.replaceChildren(...this.rows.map(({ box }) => box), this.problem);
    }
    if (numbers !== this.numbers) {
      this.numbers = numbers;
      this.jobs = {};
      this.stream?.close();
      this.stream = new Stream(`live/${numbers}?view=progress`, (message) => this.take(message));
    }
    this.draw();
  }

  take({ jobs }) {
    this.jobs = jobs ?? {};
    this.redraw.stands(JSON.stringify(Object.fromEntries(
      Object.entries(this.jobs).map(([number, { state }]) => [number, state]))));
    this.draw();
  }

  /** A row of one job: title, words and bar, and perhaps what can be done with it. */
  row({ number, title, share, words, open, stop, whyNot }) {
    const make = (tag, attributes) => Object.assign(document.createElement(tag), attributes);
    const box = make("div", { className: "progress-row" });
    const said = make("span");
    const bar = make("progress", { max: 1 });
    const label = make("label");
    label.append(make("b", { textContent: title }), said, bar);
    box.append(label);
    const button = (name, textContent, onclick) => {
      const made = make("button", { textContent, onclick });
      made.ariaLabel = `${name} ${title}`;
      box.append(made);
      return made;
    };
    if (open) button("Open", "Open", () => this.setTriggerValue("open", number));
    const stops = stop && button(stop, stop, () => this.orders.press(number, "stop"));
    if (whyNot) stops.title = whyNot;
    return { number, title, box, said, bar, stops, whyNot, first: { share, words } };
  }

  draw() {
    const stopped = this.orders.pending.map(({ job }) => job);
    for (const { number, title, said, bar, stops, whyNot, first } of this.rows ?? []) {
      const { share, words } = this.jobs?.[number] ?? first;
      said.textContent = title ? ` · ${words}` : words;
      bar.value = share;
      if (stops) stops.disabled = Boolean(whyNot) || stopped.includes(number);
    }
  }

  destroy() {
    this.stream?.close();
    this.redraw.stop();
    places.delete(this.parent);
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  if (!places.has(parentElement)) places.set(parentElement, new Progress(parentElement));
  const progress = places.get(parentElement);
  progress.update(data, setTriggerValue);
  // Streamlit also cleans up a call that a newer one overtook, with the component still on the page.
  return () => parentElement.isConnected || progress.destroy();
}
