/**
 * News of some jobs, as the server has them: an event stream that goes on from its cursor after every
 * break, or long polls where something between here and the server holds streams back.
 */

const FIRST_MS = 4000; // a stream that says nothing for so long at first is held back
const SILENT_MS = 15000; // one that falls silent is dead: it says every five seconds that it lives
const AGAIN_MS = 1000;
const REDRAW_MS = 1000; // a page is drawn anew at most so often
const LOST_MS = 5000; // after which a page that was not drawn is asked for again

export class Stream {
  /** `take(message)` gets every message in order; `address` is relative to the page. */
  constructor(address, take, cursor = "") {
    [this.address, this.take, this.cursor] = [address, take, cursor];
    this.seen = () => (document.hidden ? this.stop() : this.start());
    document.addEventListener("visibilitychange", this.seen);
    this.seen();
  }

  get url() {
    const url = new URL(this.address, document.baseURI);
    url.searchParams.set("since", this.cursor);
    return url.href;
  }

  start() {
    if (this.source || this.polling || this.closed) return;
    if (this.held) return this.poll();
    const source = (this.source = new EventSource(this.url));
    source.onmessage = ({ data, lastEventId }) => this.hear(lastEventId, data);
    source.addEventListener("beat", () => this.alive());
    source.onerror = () => source.readyState === EventSource.CLOSED && this.source === source && this.again(true);
    this.watch(FIRST_MS, () => this.again(true));
  }

  /** Drop the stream and ask anew, at first by a poll where the stream was not to be had. */
  again(held) {
    this.stop();
    this.held = held;
    this.start();
  }

  watch(after, act) {
    clearTimeout(this.watching);
    this.watching = setTimeout(act, after);
  }

  alive() {
    this.watch(SILENT_MS, () => this.again(false));
  }

  hear(cursor, text) {
    this.cursor = cursor;
    if (this.source) this.alive();
    this.take(JSON.parse(text));
  }

  async poll() {
    const mine = (this.polling = new AbortController());
    while (this.polling === mine) {
      try {
        const answer = await fetch(this.url, { signal: mine.signal, headers: { Accept: "application/json" } });
        const { messages, problem } = await answer.json();
        if (this.polling !== mine) return;
        if (problem) return this.close(), this.take({ gone: problem });
        for (const [cursor, text] of messages) this.hear(cursor, text);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
  }

  stop() {
    clearTimeout(this.watching);
    this.source?.close();
    this.polling?.abort();
    this.source = this.polling = null;
  }

  close() {
    this.closed = true;
    this.stop();
    document.removeEventListener("visibilitychange", this.seen);
  }
}

/** Send one order to a job; its number, or why it was refused. */
async function send(job, order) {
  const token = document.cookie.match(/(?:^|; *)_streamlit_xsrf="?([^";]+)/)?.[1] ?? "";
  try {
    const answer = await fetch(new URL(`live/${job}/orders`, document.baseURI), {
      method: "POST", headers: { "Content-Type": "application/json", "X-Xsrftoken": token },
      body: JSON.stringify(order),
    });
    const text = await answer.text();
    return text.startsWith("{") ? JSON.parse(text) : { problem: text };
  } catch {
    return { problem: "The server did not answer; press once more." };
  }
}

/**
 * The orders of this tab: numbered, one in flight. The moves of one drag are merged while they wait,
 * presses never. What was sent is on its way until the stream says that it was obeyed.
 */
export class Orders {
  /** `answered(answer)` gets every answer; `changed()` is called when what is on its way changed. */
  constructor({ answered = () => {}, changed = () => {}, post = send }) {
    [this.answered, this.changed, this.post] = [answered, changed, post];
    this.tab = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.number = 0;
    this.waiting = [];
    this.sent = [];
  }

  press(job, command, detail = {}) {
    this.waiting.push({ job, command, detail });
    this.next();
  }

  /** Change one setting while its control is dragged. */
  drag(job, name, value) {
    const last = this.waiting.at(-1);
    if (last?.dragged === name && last.job === job) last.detail = { [name]: value };
    else this.waiting.push({ job, command: "change", detail: { [name]: value }, dragged: name });
    this.next();
  }

  async next() {
    this.changed();
    if (this.busy) return;
    this.busy = true;
    while (this.waiting.length) {
      const { job, command, detail } = (this.flying = this.waiting.shift());
      const answer = await this.post(job, { tab: this.tab, number: ++this.number, command, detail });
      if (answer.order > (this.obeyed ?? 0)) this.sent.push({ ...this.flying, order: answer.order });
      this.flying = null;
      this.answered(answer);
      this.changed();
    }
    this.busy = false;
  }

  /** The stream says that every order up to a number was carried out. */
  heard(order) {
    this.obeyed = order;
    const left = this.sent.filter((each) => each.order > order);
    const changed = left.length !== this.sent.length;
    this.sent = left;
    if (changed) this.changed();
  }

  /** What is on its way, oldest first. */
  get pending() {
    return [...this.sent, ...(this.flying ? [this.flying] : []), ...this.waiting];
  }

  /** The value that a setting is on its way to; undefined where it is not. */
  wanted(name) {
    return this.pending.findLast(({ command, detail }) => command === "change" && name in detail)?.detail[name];
  }
}

/** Asks for the page to be drawn anew while it shows another state than the stream tells. */
export class Redraw {
  constructor(ask) {
    this.ask = ask;
    this.due = 0;
  }

  /** Streamlit has drawn the page as it was in a state; again after `rest` milliseconds at the earliest. */
  drew(state, rest = REDRAW_MS) {
    [this.drawn, this.rest] = [state, rest];
    if (this.asked) this.wait(rest);
    this.asked = false;
  }

  /** The stream tells in what state things are. */
  stands(state) {
    this.now = state;
    if (!this.timer) this.wait(Math.max(0, this.due - performance.now()));
  }

  wait(milliseconds) {
    clearTimeout(this.timer);
    this.due = performance.now() + milliseconds;
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.now === undefined || this.now === this.drawn) return;
      this.asked = true;
      this.ask(this.now);
      this.wait(Math.max(this.rest, LOST_MS));
    }, milliseconds);
  }

  stop() {
    clearTimeout(this.timer);
  }
}
