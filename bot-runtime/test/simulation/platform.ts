import { type BotConfig, RecordBatch } from "@tradingbots/crds";
import type {
  InProcessExchange,
  InProcessRequest,
} from "../../../hack/exchange-simulator/in-process.ts";
import type { Random } from "../../../hack/exchange-simulator/random.ts";
import type { Delivery } from "../../../hack/exchange-simulator/rest/delivery.ts";
import type { HttpClient } from "../../src/http-client.ts";
import type { JournalModel } from "../journal-model.ts";
import { type Arrival, FAIR_WEATHER, Link, type Served, type Weather } from "./network.ts";
import { LateLease, type LateLeaseWish } from "./late-lease.ts";
import { type Observer, OrderParameters } from "./observer.ts";
import { PRIVATE_URL, type StartedBot, startBot } from "./pod.ts";
import { type Timeline, VirtualProcess } from "./timeline.ts";
import { type StreamListener, type StreamWire, wireProcess } from "./wires.ts";

export const API_KEY = "simulated-key";
export const API_SECRET = "simulated-secret";
/** The kubelet starts an ended container again after this, ms. */
const RESTART_MS = 1_500;
/** A process that just started has its bundle to load, ms. */
const START_MS = 300;
/** A new process has reconciled and can protect after this at the latest, ms: through a lossy network, and through a good one. */
const ABLE_AFTER_MS = { foul: 12_000, calm: 3_000 };

/** One process of the bot, from start to end, and what is told of it. */
export interface BotRun {
  readonly name: string;
  readonly podUid: string;
  readonly process: VirtualProcess;
  /** As last applied in it. */
  readonly config: BotConfig;
  /** From when on it runs, has had time to look, and reaches the exchange both ways; Infinity when it is dead. */
  readonly ableFromMs: number;
  /** Of the newest pod. */
  readonly newest: boolean;
  readonly lastReport: string;
}

/** When a process dies: at its n-th message of a kind, before it leaves, after it left, or as its answer arrives. */
export interface DeathWish {
  /** It is frozen for so long instead. */
  readonly freezesMs?: number;
  readonly call: string;
  readonly occurrence: number;
  readonly moment: "before" | "after" | "answer";
}

/** Whether two pods have lived at the same time, and whether one of them was cut off from exchange or journal meanwhile. */
export interface Pairs {
  readonly alive: boolean;
  readonly partitioned: boolean;
}

export interface PlatformParts {
  readonly timeline: Timeline;
  readonly exchange: InProcessExchange;
  readonly journal: JournalModel;
  readonly observer: () => Observer;
  readonly random: Random;
  readonly weather: Weather;
  /** Nothing but deaths, orders and hands comes between bot and exchange. */
  readonly calm: boolean;
  /** Bots hear the exchange's private stream. */
  readonly streamed: boolean;
  readonly config: BotConfig;
  /** A process was shown the account's balance. */
  readonly balanceShown: () => void;
  readonly trace: ((line: string) => void) | undefined;
}

interface Pod {
  readonly uid: string;
  readonly toExchange: Link;
  readonly toJournal: Link;
  skewMs: number;
  config: BotConfig;
  configDelayMs: number;
  processes: number;
  deleted: boolean;
  run: Run | undefined;
}

class Run implements BotRun {
  readonly name: string;
  readonly podUid: string;
  readonly process: VirtualProcess;
  readonly #pod: Pod;
  readonly #platform: Platform;
  readonly #startedMs: number;
  config: BotConfig;
  started: StartedBot | undefined;

  constructor(pod: Pod, platform: Platform, timeline: Timeline) {
    this.#pod = pod;
    this.#platform = platform;
    this.#startedMs = timeline.nowMs;
    this.name = `${pod.uid}.${pod.processes}`;
    this.podUid = pod.uid;
    this.process = new VirtualProcess(this.name, timeline, pod.skewMs);
    this.config = pod.config;
  }

  get ableFromMs(): number {
    if (!this.process.alive) return Infinity;
    const afterMs = this.#platform.calm ? ABLE_AFTER_MS.calm : ABLE_AFTER_MS.foul;
    const { wholeFromMs } = this.#pod.toExchange;
    return Math.max(this.#startedMs + afterMs, this.process.frozenUntilMs, wholeFromMs);
  }

  get newest(): boolean {
    return this.#platform.newestPod === this.#pod;
  }

  get lastReport(): string {
    return this.#platform.reportText();
  }
}

/** Kubernetes, the operator and the network around one bot's pods, as far as the bot can tell. */
export class Platform {
  readonly #parts: PlatformParts;
  readonly #pods: Pod[] = [];
  readonly #runs: Run[] = [];
  readonly #wishes: { wish: DeathWish; seen: number }[] = [];
  #weather: Weather;
  #config: BotConfig;
  #exchangeDownUntilMs = 0;
  #journalDownUntilMs = 0;
  #lateLease: LateLease | undefined;
  #pairs: Pairs = { alive: false, partitioned: false };

  constructor(parts: PlatformParts) {
    this.#parts = parts;
    this.#weather = parts.weather;
    this.#config = parts.config;
  }

  get runs(): readonly BotRun[] {
    return this.#runs;
  }

  get config(): BotConfig {
    return this.#config;
  }

  get newestPod(): Pod | undefined {
    return this.#pods.at(-1);
  }

  get calm(): boolean {
    return this.#parts.calm;
  }

  get exchangeUp(): boolean {
    return this.exchangeUpFromMs <= this.#parts.timeline.nowMs;
  }

  get exchangeUpFromMs(): number {
    return this.#exchangeDownUntilMs;
  }

  get pairs(): Pairs {
    return this.#pairs;
  }

  #notePairs(): void {
    const living = this.#pods.filter(({ run }) => run?.process.alive === true);
    if (living.length < 2) return;
    const isCut = living.some(({ toExchange, toJournal }) => toExchange.isCut || toJournal.isCut);
    this.#pairs = { alive: true, partitioned: this.#pairs.partitioned || isCut };
  }

  reportText(): string {
    const { report } = this.#parts.journal;
    const reasons = report?.blocked.map(({ reason }) => reason).join(", ");
    return `flat ${String(report?.flat)}, state ${report?.state ?? "unknown"}, blocked by ${reasons ?? "nothing"}`;
  }

  // --- what an operator does

  addPod(skewMs: number): void {
    const { timeline, random } = this.#parts;
    const uid = `pod-${this.#pods.length + 1}`;
    this.#parts.journal.addPod(uid);
    const pod: Pod = {
      uid,
      toExchange: new Link(timeline, random, this.#weather),
      toJournal: new Link(timeline, random, this.#weather),
      skewMs,
      config: this.#config,
      configDelayMs: 0,
      processes: 0,
      deleted: false,
      run: undefined,
    };
    this.#pods.push(pod);
    this.#trace(`operator makes ${uid}`);
    timeline.after(START_MS, () => this.#startProcess(pod));
  }

  /** The pod is gone: its process ends and no other takes its place. */
  deletePod(which: "newest" | "older"): void {
    const pods = which === "newest" ? this.#pods.slice(-1) : this.#pods.slice(0, -1);
    for (const pod of pods) {
      this.#trace(`${pod.uid} is deleted`);
      pod.deleted = true;
      pod.run?.process.kill();
    }
  }

  /** The kubelet ends the pod in good order: SIGTERM, and SIGKILL after the grace period of 30 s. */
  stopPod(): void {
    const pod = this.newestPod;
    const run = pod?.run;
    if (pod === undefined || run?.started === undefined || !run.process.alive) return;
    this.#trace(`${pod.uid} gets SIGTERM`);
    pod.deleted = true;
    const end = async ({ bot, journal }: StartedBot): Promise<void> => {
      await bot.stop("SIGTERM");
      await journal.end();
      run.process.kill();
    };
    const { started } = run;
    this.#parts.timeline.enter(run.process, () => void end(started));
    this.#parts.timeline.after(30_000, () => run.process.kill());
  }

  /** A running bot has a pod: one that ended because it was to pause or to stop is made anew. */
  ensurePod(skewMs: number): void {
    if (this.newestPod?.deleted !== false) this.addPod(skewMs);
  }

  /** The newest pod's process came to its end by itself. */
  get newestEnded(): boolean {
    const { deleted, run } = this.newestPod ?? { deleted: false, run: undefined };
    return deleted && run?.process.alive === false;
  }

  configure(change: (config: BotConfig) => BotConfig): void {
    this.#config = change(this.#config);
    const { state, halts } = this.#config;
    this.#parts.journal.halt(halts);
    this.#trace(`config: ${state}, halts ${halts.map(({ action }) => action).join() || "none"}`);
    for (const pod of this.#pods) {
      const config = this.#config;
      const delayMs = 100 + Math.floor(this.#parts.random() * 400) + pod.configDelayMs;
      this.#parts.timeline.after(delayMs, () => this.#deliverConfig(pod, config));
    }
  }

  #deliverConfig(pod: Pod, config: BotConfig): void {
    if (config.generation <= pod.config.generation) return;
    pod.config = config;
    const { run } = pod;
    if (run?.started === undefined || !run.process.alive) return;
    const { started } = run;
    const apply = (): void => {
      run.config = config;
      started.bot.applyConfig(config);
    };
    this.#parts.timeline.arrive(0, apply, run.process);
  }

  // --- what goes wrong

  crash(): void {
    const run = this.newestPod?.run;
    if (run?.process.alive === true) this.#die(run, "crashes");
  }

  wishDeath(wish: DeathWish): void {
    this.#wishes.push({ wish, seen: 0 });
  }

  wishLateLease(wish: LateLeaseWish): void {
    this.#lateLease = new LateLease(wish);
  }

  freeze(ms: number): void {
    const run = this.newestPod?.run;
    this.#trace(`${run?.name ?? "nobody"} is frozen for ${ms} ms`);
    run?.process.freeze(ms, this.#parts.random() < 0.5);
  }

  /** Config travels over another way (kubelet); a cut-off node does not get it either. */
  cut(what: "exchange" | "journal", direction: "requests" | "answers" | "both", ms: number): void {
    const pod = this.newestPod;
    if (pod === undefined) return;
    this.#trace(`${pod.uid} ↔ ${what} is cut (${direction}) for ${ms} ms`);
    (what === "exchange" ? pod.toExchange : pod.toJournal).cut(direction, ms);
    this.#notePairs();
  }

  /** What the newest pod is told takes so much longer to reach it. */
  delayConfig(ms: number): void {
    const pod = this.newestPod;
    if (pod !== undefined) pod.configDelayMs = ms;
  }

  exchangeDown(ms: number): void {
    this.#trace(`the exchange is in maintenance for ${ms} ms`);
    this.#exchangeDownUntilMs = this.#parts.timeline.nowMs + ms;
  }

  journalDown(ms: number): void {
    this.#trace(`the journal is down for ${ms} ms`);
    this.#journalDownUntilMs = this.#parts.timeline.nowMs + ms;
  }

  stepClock(ms: number): void {
    const pod = this.newestPod;
    if (pod === undefined) return;
    this.#trace(`the clock of ${pod.uid} is stepped by ${ms} ms`);
    pod.skewMs += ms;
    if (pod.run !== undefined) pod.run.process.skewMs = pod.skewMs;
  }

  /** All faults end; connections that were cut break at last. */
  heal(): void {
    this.#weather = FAIR_WEATHER;
    this.#exchangeDownUntilMs = Math.min(this.#exchangeDownUntilMs, this.#parts.timeline.nowMs);
    this.#journalDownUntilMs = 0;
    this.#lateLease = undefined;
    this.#wishes.length = 0;
    for (const pod of this.#pods) {
      pod.toExchange.heal();
      pod.toJournal.heal();
      pod.configDelayMs = 0;
    }
    for (const socket of this.#sockets) socket();
  }

  // --- processes

  #startProcess(pod: Pod): void {
    if (pod.deleted) return;
    pod.processes += 1;
    const run = new Run(pod, this, this.#parts.timeline);
    pod.run = run;
    this.#runs.push(run);
    this.#notePairs();
    this.#trace(`${run.name} starts`);
    const { process } = run;
    wireProcess(process, {
      askExchange: (request, receive) => this.#askExchange(pod, run, { request, receive }),
      openStream: (url, listener) => this.#openStream(pod, run, { ...listener, url }),
    });
    this.#parts.timeline.enter(process, () => {
      run.started = startBot({
        config: pod.config,
        apiKey: API_KEY,
        apiSecret: API_SECRET,
        streamed: this.#parts.streamed,
        podUid: pod.uid,
        process,
        sendToJournal: this.#journalClient(pod, run),
        random: this.#parts.random,
        log: this.#logOf(run),
      });
      void this.#untilEnd(pod, run, run.started);
    });
  }

  /** As `bot/main.ts` ends: the journal last. */
  async #untilEnd(pod: Pod, run: Run, { finished, journal }: StartedBot): Promise<void> {
    const { flat } = await finished;
    this.#trace(`${run.name} has finished, flat ${flat}`);
    // A pod that was replaced ends without a word on what its successor holds.
    if (flat) this.#parts.observer().finished(run);
    pod.deleted = true;
    await journal.end();
    run.process.kill();
  }

  #die(run: Run, how: string): void {
    this.#trace(`${run.name} ${how}`);
    run.process.kill();
    const pod = this.#pods.find(({ uid }) => uid === run.podUid);
    if (pod === undefined) return;
    this.#parts.timeline.after(RESTART_MS, () => this.#startProcess(pod));
  }

  /** Whether the process dies at this point. */
  #dies(run: Run, call: string, moment: DeathWish["moment"]): boolean {
    if (!run.process.alive) return true;
    for (const each of this.#wishes) {
      if (each.wish.call !== call || each.wish.moment !== moment) continue;
      each.seen += 1;
      if (each.seen !== each.wish.occurrence) continue;
      if (each.wish.freezesMs !== undefined) {
        this.#trace(`${run.name} is frozen at ${call} for ${each.wish.freezesMs} ms`);
        run.process.freeze(each.wish.freezesMs, true);
        continue;
      }
      this.#die(run, `dies at ${call} (${moment})`);
      return true;
    }
    return false;
  }

  // --- wires

  #askExchange(
    pod: Pod,
    run: Run,
    { request, receive }: { request: InProcessRequest; receive: (arrival: Arrival) => void },
  ): void {
    const { endpoint } = request;
    if (this.#dies(run, endpoint, "before")) return;
    const changes = endpoint.startsWith("POST");
    if (endpoint === "POST /v5/order/create")
      this.#parts.observer().sent(run, OrderParameters.parse(request.parameters));
    if (changes) this.#trace(`${run.name} → ${endpoint} ${JSON.stringify(request.parameters)}`);
    pod.toExchange.carry({
      process: run.process,
      serve: () => this.#serveExchange(run, request),
      receive: (arrival) => {
        if (this.#dies(run, endpoint, "answer")) return;
        if (changes) this.#trace(`${run.name} ← ${endpoint} ${textOf(arrival)}`);
        receive(arrival);
      },
    });
    this.#dies(run, endpoint, "after");
  }

  #serveExchange(run: Run, request: InProcessRequest): Served {
    if (!this.exchangeUp) return { kind: "answer", status: 503, text: "<html>maintenance</html>" };
    const delivery = this.#parts.exchange.deliver(request);
    if (request.endpoint.startsWith("POST")) this.#parts.observer().look(run);
    if (request.endpoint === "GET /v5/account/wallet-balance") this.#parts.balanceShown();
    return this.#served(run, delivery);
  }

  #served(run: Run, delivery: Delivery): Served {
    switch (delivery.kind) {
      case "answer":
        return { kind: "answer", status: delivery.status, text: delivery.text };
      case "hang":
      case "stalled":
        return { kind: "silence" };
      case "reset":
      case "truncated":
        return { kind: "broken", message: `connection ${delivery.kind}` };
      case "wait":
        return {
          kind: "later",
          ms: delivery.ms,
          next: () => {
            const served = this.#served(run, delivery.next());
            this.#parts.observer().look(run);
            return served;
          },
        };
      default:
        return delivery satisfies never;
    }
  }

  #serveJournal(run: Run, path: string, sent: string): Served {
    const { nowMs } = this.#parts.timeline;
    if (this.#journalDownUntilMs > nowMs) return { kind: "broken", message: "connection refused" };
    const serve = (): Served => {
      const asked: unknown = JSON.parse(sent);
      const { status, body } = this.#parts.journal.handle(path, run.podUid, asked);
      this.#traceJournal(run, path, { status, body, sent });
      if (path === "/v1/records" && status === 200) this.#hearRecords(run, asked);
      return { kind: "answer", status, text: JSON.stringify(body) };
    };
    const late = path === "/v1/lease" ? this.#lateLease : undefined;
    return late === undefined ? serve() : late.serve(nowMs, serve);
  }

  #hearRecords(run: Run, batch: unknown): void {
    const { records } = RecordBatch.parse(batch);
    for (const { body } of records)
      if (body.type === "request") this.#parts.observer().toldResult(body.result);
    const reports = records.filter(({ body }) => body.type === "report");
    const { report } = this.#parts.journal;
    if (reports.length === 0 || report?.flat !== true || report.state === "Running") return;
    this.#parts.observer().toldFlat(run);
  }

  #journalClient(pod: Pod, run: Run): HttpClient {
    return (url, call) =>
      new Promise((resolve, reject) => {
        const path = url.replace(/^.*?\/v1/, "/v1");
        if (this.#dies(run, path, "before")) return;
        call.signal.addEventListener("abort", () => reject(new Error("the journal is silent")));
        pod.toJournal.carry({
          process: run.process,
          serve: () => this.#serveJournal(run, path, call.body ?? "{}"),
          receive: (arrival) => {
            if (this.#dies(run, path, "answer")) return;
            if (arrival.kind === "broken") reject(new Error(arrival.message));
            else resolve(httpAnswer(arrival));
          },
        });
        this.#dies(run, path, "after");
      });
  }

  readonly #sockets = new Set<() => void>();

  #openStream(pod: Pod, run: Run, listener: StreamListener & { readonly url: string }): StreamWire {
    const { timeline, exchange } = this.#parts;
    let open = true;
    let broken = false;
    let lastMs = 0;
    // One connection delivers in order; what is sent into a cut way never arrives, and the rest of it neither.
    const deliver = (act: () => void, lateMs = 0): void => {
      if (pod.toExchange.answersCut || !this.exchangeUp) broken = true;
      if (broken || !open) return;
      lastMs = Math.max(lastMs, timeline.nowMs + lateMs + pod.toExchange.delayMs());
      timeline.arrive(lastMs - timeline.nowMs, () => open && act(), run.process);
    };
    const close = (): void => {
      if (!open) return;
      open = false;
      session.close();
      this.#sockets.delete(reset);
      timeline.arrive(1, listener.onClose, run.process);
    };
    const onMessage = (text: string, lateMs: number): void =>
      deliver(() => listener.onMessage(text), lateMs);
    const session =
      listener.url === PRIVATE_URL
        ? exchange.openPrivateStream(onMessage, close)
        : exchange.openPublicStream(onMessage, close);
    const reset = (): void => {
      if (broken) close();
    };
    this.#sockets.add(reset);
    deliver(listener.onOpen);
    return {
      send: (text) => {
        if (!open || pod.toExchange.requestsCut) return;
        timeline.after(pod.toExchange.delayMs(), () => open && session.receive(text));
      },
      terminate: close,
    };
  }

  // --- the trace

  #logOf(run: Run) {
    const line = (event: string, fields: object = {}): void =>
      this.#trace(`${run.name} says ${event} ${JSON.stringify(fields)}`);
    return { info: line, warn: line, error: line };
  }

  #trace(line: string): void {
    this.#parts.trace?.(line);
  }

  #traceJournal(
    run: Run,
    path: string,
    told: { status: number; body: unknown; sent: unknown },
  ): void {
    if (this.#parts.trace === undefined || path === "/v1/lease") return;
    this.#trace(
      `journal ${path} of ${run.name}: ${String(told.sent).slice(0, 600)} → ${told.status} ${JSON.stringify(told.body).slice(0, 300)}`,
    );
  }
}

function textOf(arrival: Arrival): string {
  return arrival.kind === "answer"
    ? `${arrival.status} ${arrival.text.slice(0, 200)}`
    : arrival.message;
}

function httpAnswer({ status, text }: Extract<Arrival, { kind: "answer" }>) {
  return { status, statusText: "", headers: {}, text: async () => text };
}
