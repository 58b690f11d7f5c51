import type { Random } from "../../../hack/exchange-simulator/random.ts";
import type { Timeline, VirtualProcess } from "./timeline.ts";

/** How a network behaves while faults last; shares are of requests, times are ms one way. */
export interface Weather {
  readonly latencyMs: number;
  /** Share that takes `slowMs` instead. */
  readonly slowShare: number;
  readonly slowMs: number;
  /** Lost on the way there: nothing happens. */
  readonly lossShare: number;
  /** Lost on the way back: it happened and nobody hears of it. */
  readonly answerLossShare: number;
}

export const FAIR_WEATHER: Weather = {
  latencyMs: 8,
  slowShare: 0,
  slowMs: 0,
  lossShare: 0,
  answerLossShare: 0,
};

/** What comes back: the text of an answer, a broken connection, or nothing, ever. */
export type Arrival =
  | { readonly kind: "answer"; readonly status: number; readonly text: string }
  | { readonly kind: "broken"; readonly message: string };

interface Exchange {
  readonly process: VirtualProcess;
  /** What the server does with the request when it arrives; undefined: it never answers. */
  readonly serve: () => Served;
  readonly receive: (arrival: Arrival) => void;
}

export type Served =
  | Arrival
  | { readonly kind: "silence" }
  | { readonly kind: "later"; readonly ms: number; readonly next: () => Served };

/** A connection that breaks says so in half of the cases; in the others it just says nothing more. */
const BREAKS_SHARE = 0.5;

/** The way between one pod and one server, cut in either direction for a while, or lossy. */
export class Link {
  readonly #timeline: Timeline;
  readonly #random: Random;
  #weather: Weather;
  #requestsCutUntilMs = 0;
  #answersCutUntilMs = 0;

  constructor(timeline: Timeline, random: Random, weather: Weather) {
    this.#timeline = timeline;
    this.#random = random;
    this.#weather = weather;
  }

  cut(direction: "requests" | "answers" | "both", ms: number): void {
    const untilMs = this.#timeline.nowMs + ms;
    if (direction !== "answers") this.#requestsCutUntilMs = untilMs;
    if (direction !== "requests") this.#answersCutUntilMs = untilMs;
  }

  heal(): void {
    const { nowMs } = this.#timeline;
    this.#requestsCutUntilMs = Math.min(this.#requestsCutUntilMs, nowMs);
    this.#answersCutUntilMs = Math.min(this.#answersCutUntilMs, nowMs);
    this.#weather = FAIR_WEATHER;
  }

  get requestsCut(): boolean {
    return this.#requestsCutUntilMs > this.#timeline.nowMs;
  }

  get answersCut(): boolean {
    return this.#answersCutUntilMs > this.#timeline.nowMs;
  }

  get isCut(): boolean {
    return this.requestsCut || this.answersCut;
  }

  /** From when on both directions are open. */
  get wholeFromMs(): number {
    return Math.max(this.#requestsCutUntilMs, this.#answersCutUntilMs);
  }

  /** ms that one message takes now. */
  delayMs(): number {
    const { latencyMs, slowShare, slowMs } = this.#weather;
    const most = slowShare > 0 && this.#random() < slowShare ? slowMs : latencyMs;
    return 1 + Math.floor(this.#random() * most);
  }

  /** Carries a request there and its answer back; whatever befalls the process, what has left arrives. */
  carry(call: Exchange): void {
    const { lossShare } = this.#weather;
    if (this.requestsCut || (lossShare > 0 && this.#random() < lossShare)) {
      this.#lose(call);
      return;
    }
    this.#timeline.after(this.delayMs(), () => this.#goBack(call, call.serve()));
  }

  #goBack(call: Exchange, served: Served): void {
    if (served.kind === "silence") return;
    if (served.kind === "later") {
      this.#timeline.after(served.ms, () => this.#goBack(call, served.next()));
      return;
    }
    const { answerLossShare } = this.#weather;
    if (this.answersCut || (answerLossShare > 0 && this.#random() < answerLossShare)) {
      this.#lose(call);
      return;
    }
    this.#timeline.arrive(this.delayMs(), () => call.receive(served), call.process);
  }

  #lose(call: Exchange): void {
    if (this.#random() >= BREAKS_SHARE) return;
    const broken = { kind: "broken", message: "socket hang up" } as const;
    this.#timeline.arrive(this.delayMs(), () => call.receive(broken), call.process);
  }
}
