import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { BotRequest } from "@tradingbots/crds";
import { Decimal } from "../../src/money.ts";
import type { Fault, ProxiedRequest } from "../fault-proxy.ts";
import { CaseWorld } from "./case-world.ts";
import type { Crash } from "./crashes.ts";
import type { Platform } from "./platform.ts";
import type { Pod } from "./pod.ts";
import type { Scenario } from "./scenarios.ts";
import { isStruck, nameRequest, nthStep, type Phase, type Step, type StepName } from "./steps.ts";
import { FUNDING_MS, TAPE_LEVELS } from "./tape.ts";

/** A crash at a step. */
export interface Strike {
  readonly step: StepName;
  readonly crash: Crash;
}

/** What is to become an order: a signal, by its candle's open time (ms), or what somebody asks for. */
type Wish = { readonly candleMs: number } | { readonly request: BotRequest };

/** Longer than a lost entry bars the next (75 s) behind a lease of another pod (15 s) on a busy machine. */
const WAIT_MS = 120_000;
/** Of many cases at once each look costs the machine. */
const LOOK_EVERY_MS = 200;
/** A step that comes by a timer is waited for: a lease is renewed every 5 s. */
const DWELL_MS = 15_000;
/** A position's exit is sent at once; a request that follows it comes within some looks. */
const EXITED_DWELL_MS = 1_500;
/** While steps are recorded, each phase lasts long enough to show them. */
const RECORD_MS = 1_000;
/** From a record to its request, on a busy machine; an order may wait for so long. */
const RECORDS_LEAVE_MS = 100;
/** A lease is renewed every 5 s, and released at the end only when the last intent is older than 10 s. */
const HOLD_FOR_LEASE_MS = 11_000;
const SIGNALS_MAX = 5;
/** RSI(2) halves what it remembers with each. */
const CALM_CANDLES = 6;
const JOURNAL_DOWN_MS = 4_000;
/** Without any sign from the bot the market goes on. */
const CANDLE_EVERY_MS = 2_000;
/** A bot that was down at the signal waits for the next; longer than what an exit is waited for (10 s). */
const SIGNAL_EVERY_MS = 12_000;

/** Parts of a trade that end with an order of each symbol, or its cancellation, and what comes after. */
const BEGUN_BY_ORDERS: Partial<Readonly<Record<Phase, Phase>>> = {
  enter: "entered",
  cancel: "cancelled",
  exit: "exited",
};

/** One trade of a bot as a process, from its start to its end, with at most one crash on the way. */
export class TradeRun {
  readonly world: CaseWorld;
  readonly scenario: Scenario;
  readonly strike: Strike | undefined;
  /** First requests of each kind in each phase, all changes, and batches of records by what is in them, in order. */
  readonly steps: Step[] = [];
  hit = false;
  /** Candles that were to become trades, one of each symbol. */
  signals = 0;
  /** Trades of them that a busy machine has cost. */
  missed = 0;
  #phase: Phase = "start";
  #recovery: Promise<void> = Promise.resolve();
  #recovering = false;
  #journalDownUntilMs = 0;
  /** Newest one when the process that runs was started. */
  #epochBefore = 0;
  #lost: Pod | undefined;
  /** Orders of the phase that begins the next one. */
  readonly #ordered = new Set<string>();
  /** Requests so far, by phase and kind. */
  readonly #seen = new Map<string, number>();
  readonly #woken = Promise.withResolvers<void>();
  /** Of the process that runs: candles that it had dealt with when the signal came. */
  #dealtBefore: { readonly of: string; readonly candles: number } | undefined;

  private constructor(world: CaseWorld, scenario: Scenario, strike: Strike | undefined) {
    this.world = world;
    this.scenario = scenario;
    this.strike = strike;
  }

  static async create(
    platform: Platform,
    scenario: Scenario,
    strike: Strike | undefined,
  ): Promise<TradeRun> {
    const world = await CaseWorld.create(platform, scenario.symbols);
    world.exchange.control.changeSettings(scenario.exchange ?? {});
    return new TradeRun(world, scenario, strike);
  }

  /** Trades once, and a second time after a node was lost; then the pod is stopped. */
  async trade(): Promise<void> {
    await this.#startPod();
    await this.#tradeOnce(1);
    await this.#wakeLostNode();
    if (this.scenario.name !== "stopped" && this.scenario.name !== "flatten") {
      await this.#becomeTrading();
      if (this.#lost !== undefined) await this.#tradeOnce(2);
    }
    await this.#end();
  }

  /** What processes and journal have to say, for whoever looks for a mistake. */
  async story(): Promise<string> {
    const { platform, bot, pods, account } = this.world;
    const told = await platform.query<{ line: string }>(
      `select at || ' ' || kind || ': ' || message as line from events where bot_id = $1
       union all
       select at || ' order ' || purpose || ' ' || status || ' ' || coalesce(code, '') || ' ' || client_order_id
         from orders where bot_id = $1
       union all
       select at || ' request ' || action || ' ' || status || ' ' || message from request_results where bot_id = $1
       union all
       select received_at || ' report of epoch ' || epoch || ', blocked by ' || (report ->> 'blocked')
         from reports where bot_id = $1
       order by line`,
      bot,
    );
    return [
      ...pods.map(({ identity, process }) => `pod ${identity.uid}\n${process.output}`),
      "journal",
      ...told.map(({ line }) => line),
      "exchange",
      ...account.orders.map((order) => JSON.stringify(order)),
    ].join("\n");
  }

  async close(): Promise<void> {
    this.#woken.resolve();
    await this.#recovery.catch(() => undefined);
    await this.world.close();
  }

  async #tradeOnce(nth: number): Promise<void> {
    await this.#becomeTrading();
    await this.#dwell();
    const wish = await this.#enter(nth);
    if (wish === undefined) return;
    await this.#until("the journal knows the order", () => this.#knowsOrders(wish));
    await this.#dwell();
    if (this.scenario.exchange?.fills !== undefined) await this.#fill(nth, "partly");
    if (this.scenario.asks === "CancelOrders") await this.#cancelRest(nth);
    else await this.#fill(nth, "filled");
    if (nth === 1) await this.#begin("hold");
    await this.#dwell();
    if (nth === 1) this.#holdOverFunding();
    await this.#wakeLostNode();
    if (nth === 1) await this.#begin("exit");
    await this.#leave();
    await this.#closed();
  }

  /** The market moves on, fills what it fills, and the bot protects and records it. */
  async #fill(nth: number, phase: Phase): Promise<void> {
    if (nth === 1) await this.#begin(phase);
    if (this.#openOrder() !== undefined) this.world.playHalf();
    await this.#until("the position is at its final stop and in the journal", async () => {
      if (!this.#isAtFinalStop() && this.#isOpen) return false;
      return this.#knowsTrades();
    });
    await this.#dwell();
  }

  /** Nothing of the rest is filled meanwhile: what keeps the request from being done is the crash alone. */
  async #cancelRest(nth: number): Promise<void> {
    if (nth === 1) await this.#begin("cancel");
    const request = await this.world.ask("CancelOrders");
    await this.#until("the rest is cancelled, answered and in the journal", async () => {
      if (this.#openOrder() !== undefined || !this.#isAtFinalStop()) return false;
      return (await this.#isAnswered(request)) && (await this.#knowsTrades());
    });
    await this.#dwell();
  }

  #holdOverFunding(): void {
    if (this.scenario.exchange?.fundingRates === undefined) return;
    while (this.world.lastOpenMs < FUNDING_MS) this.world.play("quiet");
  }

  async #startPod(): Promise<void> {
    const pod = await this.world.addPod();
    pod.exchangeLine.fault = (request) => this.#pass(pod, request);
    pod.journalLine.fault = (request) =>
      performance.now() < this.#journalDownUntilMs
        ? { kind: "break-before" }
        : this.#pass(pod, request);
    await this.#startProcess(pod);
  }

  async #startProcess(pod: Pod): Promise<void> {
    this.#epochBefore = (await this.world.newestSession())?.epoch ?? 0;
    await pod.start();
  }

  /** What becomes of a request on one of the lines. */
  #pass(pod: Pod, request: ProxiedRequest): Fault {
    const plain: Step = { phase: this.#phase, ...nameRequest(request) };
    const step = nthStep(plain, this.#count(plain));
    const isSame = ({ phase, request: name, facts }: Step) =>
      phase === step.phase &&
      name === step.request &&
      step.facts.every((fact) => facts.includes(fact));
    if (!this.steps.some(isSame)) this.steps.push(step);
    if (this.strike === undefined && this.#beginsNext(plain)) {
      const until = this.#recordsHaveLeft(pod).then(() => this.#noteOrder(plain));
      return { kind: "hold-request", until, accepted: () => this.world.watchProtection() };
    }
    this.#noteOrder(plain);
    if (this.strike === undefined || this.hit || !isStruck(this.strike.step, step)) {
      return { kind: "pass", accepted: () => this.world.watchProtection() };
    }
    this.hit = true;
    return this.strike.crash.strike({
      kill: () => this.#recover(pod, "SIGKILL", () => this.#startProcess(pod)),
      deletePod: () => this.#recover(pod, "SIGKILL", () => this.#startPod()),
      loseNode: () => {
        this.#lost = pod;
        this.#recover(pod, "SIGSTOP", () => this.#startPod());
        return this.#woken.promise;
      },
      downJournal: () => (this.#journalDownUntilMs = performance.now() + JOURNAL_DOWN_MS),
    });
  }

  /** How many of a kind the phase has seen, this one included. */
  #count({ phase, request }: Step): number {
    const key = `${phase}.${request}`;
    const count = (this.#seen.get(key) ?? 0) + 1;
    this.#seen.set(key, count);
    return count;
  }

  #beginsNext({ phase, request }: Step): boolean {
    if (BEGUN_BY_ORDERS[phase] === undefined) return false;
    return /order-(create-entry|create-exit|cancel)$/.test(request);
  }

  /** While steps are recorded, what was written before an order is seen before it. */
  async #recordsHaveLeft({ journalLine }: Pod): Promise<void> {
    await sleep(RECORDS_LEAVE_MS);
    while (!journalLine.isQuiet) await nextTurn();
  }

  /** The next part of a trade begins with the order of its last symbol. */
  #noteOrder(step: Step): void {
    const { phase, request } = step;
    const next = BEGUN_BY_ORDERS[phase];
    if (next === undefined || !this.#beginsNext(step)) return;
    this.#ordered.add(request);
    if (this.#ordered.size < this.scenario.symbols.length) return;
    this.#phase = next;
    this.#ordered.clear();
  }

  #recover(pod: Pod, signal: "SIGKILL" | "SIGSTOP", start: () => Promise<void>): void {
    pod.process.signal(signal);
    this.#recovering = true;
    const gone = signal === "SIGKILL" ? pod.process.exited() : Promise.resolve();
    this.#recovery = gone.then(start).finally(() => (this.#recovering = false));
    this.#recovery.catch(() => undefined); // thrown where it is waited for
  }

  async #wakeLostNode(): Promise<void> {
    if (this.#lost === undefined) return;
    this.#lost.process.signal("SIGCONT");
    this.#woken.resolve();
  }

  async #becomeTrading(): Promise<void> {
    let lastCandleMs = -Infinity;
    await this.#until("the bot may trade", async () => {
      const [said, session] = await Promise.all([this.world.report(), this.world.newestSession()]);
      if (said === undefined || session === undefined || said.epoch !== session.epoch) return false;
      if (session.epoch <= this.#epochBefore) return false;
      if (session.podUid !== this.world.pod.identity.uid) return false;
      if (said.report.trading) return true;
      // In lockstep no candle arrives before the first step.
      const isQuiet = said.report.blocked.every(({ reason }) => reason === "StaleData");
      if (isQuiet && performance.now() - lastCandleMs > CANDLE_EVERY_MS) {
        lastCandleMs = performance.now();
        this.world.play("quiet");
      }
      return false;
    });
  }

  /** Signals, or requests, until one is an order; undefined when the crash has cost it. */
  async #enter(nth: number): Promise<Wish | undefined> {
    const isAsked = this.scenario.asks === "Order";
    for (let attempt = 1; ; attempt += 1) {
      if (nth > 1 || attempt > 1) await this.#calm();
      const epoch = await this.#newestEpoch();
      const lost = await this.#lostToBusyMachine(epoch);
      const wish = isAsked ? await this.#askForOrder(nth) : await this.#signal(nth);
      const isOrdered = await this.#decided(wish);
      const missed = (await this.#lostToBusyMachine(epoch)) - lost;
      const isOfCrash = nth === 1 && this.strike?.step.phase === "enter" && this.hit;
      if (isOrdered) {
        if (!isOfCrash) this.missed += missed;
        return wish;
      }
      if (isOfCrash || missed === 0 || attempt === SIGNALS_MAX) return undefined;
      this.signals -= 1;
    }
  }

  /**
   * Signals that were refused because too much time had passed: right, and no crash's doing, where the processor is busy. A pod
   * that was replaced before hears them as well: its refusals cost nothing.
   */
  async #lostToBusyMachine(epoch: number): Promise<number> {
    const rows = await this.world.platform.query(
      `select 1 from events where bot_id = $1 and epoch >= ${epoch} and kind = 'entry-refused'
          and message ~ 'TooLate|StaleSignal|Stalled|10002'`,
      this.world.bot,
    );
    return rows.length;
  }

  async #newestEpoch(): Promise<number> {
    const [row] = await this.world.platform.query<{ readonly epoch: number }>(
      "select coalesce(max(epoch), 0)::int as epoch from journal_sessions where bot_id = $1",
      this.world.bot,
    );
    return row?.epoch ?? 0;
  }

  /** Quiet candles, each dealt with, until the index has forgotten what ended the trade before. */
  async #calm(): Promise<void> {
    for (let candle = 0; candle < CALM_CANDLES; candle += 1) {
      const { process } = this.world.pod;
      const before = (await process.candlesDealtWith()) ?? 0;
      this.world.play("quiet");
      await this.#until("a quiet candle is dealt with", async () => {
        const dealt = ((await process.candlesDealtWith()) ?? 0) - before;
        return dealt >= this.scenario.symbols.length;
      });
    }
  }

  async #askForOrder(nth: number): Promise<Wish> {
    if (nth === 1) await this.#begin("enter");
    this.signals += 1;
    return { request: await this.world.ask("Order") };
  }

  /** The candle that makes the bot buy. */
  async #signal(nth: number): Promise<Wish> {
    const { process, identity, starts } = this.world.pod;
    const candles = (await process.candlesDealtWith()) ?? 0;
    this.#dealtBefore = { of: `${identity.uid}/${starts}`, candles };
    if (nth === 1) await this.#begin("enter");
    this.world.play("drop");
    this.signals += 1;
    return { candleMs: this.world.lastOpenMs };
  }

  /** Waits until the wish has become an order at the exchange (true), or certainly becomes none. */
  async #decided(wish: Wish): Promise<boolean> {
    if ("candleMs" in wish) return this.#signalDecided(wish);
    const { request } = wish;
    await this.#until("the request is an order or refused", async () => {
      return this.#hasOrder(this.world.entryIdOf(request)) || (await this.#isAnswered(request));
    });
    return this.#hasOrder(this.world.entryIdOf(request));
  }

  async #isAnswered(request: BotRequest): Promise<boolean> {
    const status = (await this.world.answers()).get(request.id);
    const isLost = (await this.world.lostEntries()).has(this.world.entryIdOf(request));
    // Whoever began with it may have died before anybody heard so.
    return isLost || (status !== undefined && status !== "begun");
  }

  async #signalDecided(signal: Wish): Promise<boolean> {
    let lastCandleMs = performance.now();
    let orders = 0;
    const symbols = this.scenario.symbols.length;
    await this.#until("the signal is an order or certainly none", async () => {
      // Asked first: whatever comes of a candle that was dealt with is in the journal.
      const hasDealt = await this.#hasDealtWithSignal();
      const intents = await this.#intents(signal);
      const missing = intents.filter(({ id }) => !this.#hasOrder(id));
      orders = intents.length - missing.length;
      if (orders === symbols) return true;
      const lost = await this.world.lostEntries();
      if (missing.some(({ id, isOpen }) => isOpen && !lost.has(id))) return false;
      if (hasDealt) return true;
      // A turn that failed counts no candle: the next one does, when the bot is done with what was before.
      if (performance.now() - lastCandleMs > CANDLE_EVERY_MS) {
        lastCandleMs = performance.now();
        this.world.play("quiet");
      }
      return false;
    });
    return orders > 0;
  }

  /** The process that runs has dealt with as many candles more as the signal has symbols. */
  async #hasDealtWithSignal(): Promise<boolean> {
    const { process, identity, starts } = this.world.pod;
    const candles = await process.candlesDealtWith();
    const isSame = this.#dealtBefore?.of === `${identity.uid}/${starts}`;
    const before = isSame ? (this.#dealtBefore?.candles ?? 0) : 0;
    return candles !== undefined && candles >= before + this.scenario.symbols.length;
  }

  async #intents(wish: Wish) {
    const isOfWish =
      "candleMs" in wish
        ? `candle_open_time = to_timestamp(${wish.candleMs / 1_000})`
        : `client_order_id = '${this.world.entryIdOf(wish.request)}'`;
    return this.world.platform.query<{ readonly id: string; readonly isOpen: boolean }>(
      `select client_order_id as id, is_open as "isOpen" from intents where bot_id = $1 and ${isOfWish}`,
      this.world.bot,
    );
  }

  #hasOrder(id: string): boolean {
    return this.world.account.orders.some(({ orderLinkId }) => orderLinkId === id);
  }

  async #knowsOrders(wish: Wish): Promise<boolean> {
    const rows = await this.world.platform.query<{ readonly id: string }>(
      "select distinct client_order_id as id from orders where bot_id = $1",
      this.world.bot,
    );
    const known = new Set(rows.map(({ id }) => id));
    const intents = await this.#intents(wish);
    return intents.every(({ id }) => known.has(id) || !this.#hasOrder(id));
  }

  async #knowsTrades(): Promise<boolean> {
    const rows = await this.world.platform.query(
      "select 1 from trades where bot_id = $1",
      this.world.bot,
    );
    return rows.length >= this.#entriesFilled;
  }

  /**
   * The exchange has seen no exit of a position, and no process was there to hear the signal. What was begun, or heard, has to end
   * without another.
   */
  get #isUnsold(): boolean {
    const phase = this.strike?.step.phase;
    if (phase === "exit" || phase === "exited") return false;
    const { positions, orders } = this.world.account;
    const newest = (of: string) =>
      orders.findLast(({ symbol, orderLinkId }) => symbol === of && orderLinkId !== "");
    return positions.some(({ symbol }) => newest(symbol)?.reduceOnly !== true);
  }

  /** Entries of which anything is filled. */
  get #entriesFilled(): number {
    return this.world.account.orders.filter(
      ({ orderLinkId, reduceOnly, filledQuantity }) =>
        orderLinkId !== "" && !reduceOnly && !new Decimal(filledQuantity).isZero(),
    ).length;
  }

  get #isOpen(): boolean {
    return this.world.account.positions.length > 0;
  }

  /** The stops are where the mean entry prices put them, not where the signal's candle did. */
  #isAtFinalStop(): boolean {
    const factor = new Decimal(1).minus(new Decimal(TAPE_LEVELS.stopLossPercent).div(100));
    return this.world.account.positions.every(({ entryPrice, stopLoss }) => {
      if (stopLoss === null || entryPrice === null) return false;
      return new Decimal(entryPrice).times(factor).minus(stopLoss).abs().lte("0.1"); // one tick
    });
  }

  /** An order of the bot that waits for the next price. */
  #openOrder() {
    return this.world.account.orders.find(
      ({ status, orderLinkId }) =>
        (status === "New" || status === "PartiallyFilled") && orderLinkId !== "",
    );
  }

  /** What is to end the position happens. */
  async #leave(): Promise<void> {
    const { order, asks, leave } = this.scenario;
    if (asks === "ClosePosition") await this.world.ask(asks);
    else if (order !== undefined) await this.world.configure(order);
    else {
      // The index has forgotten the entry's candle by then: one rise is enough.
      for (let candle = 0; candle < CALM_CANDLES; candle += 1) this.world.play("quiet");
      this.world.play(leave);
    }
  }

  /** Waits until the position is closed and the journal knows. */
  async #closed(): Promise<void> {
    let signalMs = performance.now();
    await this.#until("the position is closed and in the journal", async () => {
      if (this.#openOrder() !== undefined) {
        await this.#dwell();
        this.world.playHalf();
        return false;
      }
      if (this.#isOpen) {
        const isOverdue = performance.now() - signalMs > SIGNAL_EVERY_MS;
        if (this.scenario.leave === "rise" && isOverdue && this.#isUnsold) {
          signalMs = performance.now();
          this.world.play("rise");
        }
        return false;
      }
      const [row] = await this.world.platform.query<{ closed: number; open: number }>(
        `select count(closed_at)::int as closed, (count(*) - count(closed_at))::int as open
           from trades where bot_id = $1`,
        this.world.bot,
      );
      if (row?.open !== 0 || row.closed < this.#entriesFilled) return false;
      const answered = await Promise.all(this.world.asked.map((each) => this.#isAnswered(each)));
      return answered.every(Boolean);
    });
  }

  /** The pod is stopped, or the bot ends by itself. */
  async #end(): Promise<void> {
    const endsItself = this.scenario.name === "stopped";
    if (!endsItself) await this.#begin("end");
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await this.#recovery;
      await this.#wakeLostNode();
      const { pod } = this.world;
      const { process, starts } = pod;
      if (!endsItself) {
        await this.#until("the process is ready", () => process.ready());
        process.signal("SIGTERM");
      }
      // A node that is lost now takes the process along: its successor is asked next.
      const isAnother = () => this.world.pod !== pod || pod.starts !== starts;
      await this.#until("the process has ended", async () => !process.running || isAnother());
      await this.#recovery;
      if (isAnother()) continue;
      const code = await process.exited();
      if (code !== 0) throw new Error(`the bot ended with ${code}`);
      return;
    }
    throw new Error("the bot did not come to its end");
  }

  /** Lets a phase last until its step was reached. */
  async #dwell(): Promise<void> {
    const { strike } = this;
    const isForLease = strike === undefined || strike.step.request === "journal-lease-release";
    if (this.#phase === "hold" && isForLease) await sleep(HOLD_FOR_LEASE_MS);
    else if (strike === undefined) await sleep(RECORD_MS);
    if (strike?.step.phase !== this.#phase) return;
    const limitMs = this.#phase === "exited" ? EXITED_DWELL_MS : DWELL_MS;
    const deadline = performance.now() + limitMs;
    while (!this.hit && performance.now() < deadline) await sleep(LOOK_EVERY_MS);
  }

  /** The next phase begins between two requests: none is seen in one phase and answered in the next. */
  async #begin(phase: Phase): Promise<void> {
    while (!this.world.pod.exchangeLine.isQuiet) await nextTurn();
    this.#phase = phase;
  }

  /** Waits until `holds`; a bot that is being started again is waited for first. */
  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      await this.#recovery;
      if (await holds()) return;
      if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
      if (!this.#recovering && !this.world.pod.process.running) {
        if (this.scenario.name === "stopped" && !this.#isOpen) return;
        throw new Error(`the bot ended while it was waited until ${what}`);
      }
      await sleep(LOOK_EVERY_MS);
    }
  }
}
