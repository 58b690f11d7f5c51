import * as z from "zod";
import type { BotRequest, Intent, RequestResult } from "@tradingbots/crds";
import type { Account, Balances } from "../../../hack/exchange-simulator/account.ts";
import type { Execution, Order } from "../../../hack/exchange-simulator/order.ts";
import { Decimal } from "../../src/money.ts";
import type { JournalModel } from "../journal-model.ts";
import { INVARIANTS } from "./invariants.ts";
import { idOf } from "./market-id.ts";
import type { BotRun } from "./platform.ts";
import { type WantedElsewhere, wantedElsewhere } from "./stop-level.ts";
import type { Timeline } from "./timeline.ts";

/** An order that a bot's process placed, as the exchange took it. */
export interface OwnOrder {
  readonly order: Order;
  readonly by: BotRun;
  /** What the journal held under its id at that moment. */
  readonly intent: Intent | undefined;
  readonly opens: boolean;
  readonly acceptedMs: number;
}

/** An execution's effect on what the bot holds. */
export interface OwnExecution {
  readonly execution: Execution;
  /** Of an order that the bot placed; undefined for stops, targets and what somebody did by hand. */
  readonly order: OwnOrder | undefined;
  /** What of it was the bot's own: all of its entries, at most what was open of everything else. */
  readonly units: Decimal;
}

/** What somebody asked for, and when (true time, ms). */
export interface Asked {
  readonly request: BotRequest;
  readonly madeMs: number;
}

interface SentOrder {
  readonly by: BotRun;
  readonly symbol: string;
  readonly opens: boolean;
  readonly sentMs: number;
  /** What the journal holds under its id. */
  readonly intent: Intent | undefined;
}

/** What an invariant may look at, besides what has just happened. */
export interface World {
  readonly timeline: Timeline;
  readonly account: Account;
  readonly journal: JournalModel;
  readonly runs: () => readonly BotRun[];
  /** From when on the exchange answers, true time. */
  readonly exchangeUpFromMs: () => number;
  /** Nothing but deaths, orders and hands comes between bot and exchange. */
  readonly calm: boolean;
  /** How long the market needs to take an exit, in all its parts, ms. */
  readonly fillMs: number;
  /** At this moment the exchange lets what is left of an order be cancelled. */
  readonly cancellable: (order: Order) => boolean;
  /** What the bot may lose in the run, should it be of one day; undefined when it is not, or there is no such limit. */
  readonly dayLossMax: Decimal | undefined;
  /** What is worth less, in the quote currency, nobody can close: it may be left behind. Zero where everything can be closed. */
  readonly leftBelow: Decimal;
  /** When the exchange closed the candle that opened at this time of candles, true time; undefined for one of history. */
  readonly candleClosedMs: (openMs: number) => number | undefined;
  /** Wallet and margins of the account at this moment; undefined when its owner bets more than bots may. */
  readonly balances: () => Balances | undefined;
  readonly asked: readonly Asked[];
  readonly ownOrders: readonly OwnOrder[];
  readonly ownExecutions: readonly OwnExecution[];
  /** Funding that was settled while the bot held something. */
  readonly ownFunding: readonly Execution[];
  readonly own: (symbol: string) => Decimal;
  /** The order that opened what the bot holds there, or held last. */
  readonly opener: (symbol: string) => OwnOrder | undefined;
  /** What an exit of the bot's has filled beyond the bot's own position. */
  readonly excess: (exit: OwnOrder) => Decimal;
  /** What was taken by anything but the bot's own orders from what the bot held there since a moment. */
  readonly struckSince: (symbol: string, sinceMs: number) => Decimal;
  readonly ownSymbols: () => readonly string[];
  /** When a process last sent an order under its id, by true time. */
  readonly sentMs: (order: Pick<OwnOrder, "by" | "order">) => number | undefined;
  /** The symbol's own position has no stop, or had none until this moment. */
  readonly naked: (symbol: string) => boolean;
  /** ms that somebody able to protect it has left the symbol's own position without a stop. */
  readonly nakedMs: (symbol: string) => number;
  /** ms that somebody able to move it has left the stop of the symbol's own position where no configuration puts it; and where one does. */
  readonly misplaced: (symbol: string) => { readonly forMs: number; readonly wanted: string };
  /** ms that somebody able to close it, and told to, has left the symbol's own position open. */
  readonly unclosedMs: (symbol: string) => number;
  /** ms that somebody able to cancel it, and told to, has left the bot's entry of the symbol open. */
  readonly uncancelledMs: (symbol: string) => number;
  /** Somebody took the position's stop away by hand, or the exchange cancelled what was left of it. */
  readonly stripped: (symbol: string) => boolean;
  /** ms since an opening order last left a process. */
  readonly openingAgeMs: () => number;
  /** Somebody opened a position by hand, with a stop, where the bot holds nothing, and the stop is there no more. */
  readonly strippedOfOthers: () => boolean;
  /** Somebody traded on the account by hand. */
  readonly touchedByHand: () => boolean;
}

export type Moment =
  | { readonly kind: "sent"; readonly order: SentOrder }
  | { readonly kind: "accepted"; readonly order: OwnOrder }
  | { readonly kind: "executed"; readonly own: OwnExecution }
  | { readonly kind: "changed" }
  /** The journal heard from a bot that is to open nothing that it is flat. */
  | { readonly kind: "told-flat"; readonly by: BotRun }
  /** The journal heard what became of a request. */
  | { readonly kind: "told-result"; readonly result: RequestResult }
  | { readonly kind: "finished"; readonly by: BotRun }
  | { readonly kind: "settled" };

export interface Violation {
  readonly invariant: string;
  readonly message: string;
  readonly atMs: number;
}

/** Of Bybit's request for an order, what is looked at as it leaves. */
export const OrderParameters = z.object({
  symbol: z.string(),
  orderLinkId: z.string().default(""),
  reduceOnly: z.boolean().default(false),
});

type WorldParts = Pick<
  World,
  | "timeline"
  | "account"
  | "journal"
  | "runs"
  | "exchangeUpFromMs"
  | "calm"
  | "fillMs"
  | "cancellable"
  | "dayLossMax"
  | "leftBelow"
  | "asked"
  | "candleClosedMs"
  | "balances"
> & {
  /** Of the exchange's symbol: its last price, and what prices are multiples of. */
  readonly market: (symbol: string) => { readonly lastPrice: Decimal; readonly tick: Decimal };
};

/** For how long something has been left undone by somebody who could have done it. */
interface Neglect {
  readonly lookedMs: number;
  readonly forMs: number;
}

const ZERO = new Decimal(0);

/** Watches the exchange's own state and asks every invariant at every event. It hears nothing of what bots claim. */
export class Observer {
  readonly ownOrders: OwnOrder[] = [];
  readonly ownExecutions: OwnExecution[] = [];
  readonly ownFunding: Execution[] = [];
  readonly #parts: WorldParts;
  readonly #world: World;
  readonly #seen = new Set<string>();
  readonly #byOrderId = new Map<string, OwnOrder>();
  readonly #own = new Map<string, Decimal>();
  /** Held besides, opened by hand. */
  readonly #others = new Map<string, Decimal>();
  readonly #openers = new Map<string, OwnOrder>();
  readonly #sentMs = new Map<string, number>();
  readonly #naked = new Map<string, Neglect>();
  /** By symbol and where the stop should be. */
  readonly #misplaced = new Map<string, Neglect>();
  /** Of these, what the exchange would have refused at some moment: a bot that heard that does not ask again for some time. */
  readonly #passed = new Set<string>();
  /** Symbols of which an exit has left a process, and when: what is being closed keeps the stop that it has. */
  readonly #leftMs = new Map<string, number>();
  readonly #unclosed = new Map<string, Neglect>();
  readonly #uncancelled = new Map<string, Neglect>();
  readonly #stripped = new Set<string>();
  #byHand = false;
  #openedByHand: string | undefined;
  #openingMs = -Infinity;
  #closedSeen = 0;
  #executionsSeen = 0;
  #violation: Violation | undefined;

  constructor(parts: WorldParts) {
    this.#parts = parts;
    this.#world = {
      ...parts,
      ownOrders: this.ownOrders,
      ownExecutions: this.ownExecutions,
      ownFunding: this.ownFunding,
      own: (symbol) => this.#own.get(symbol) ?? ZERO,
      opener: (symbol) => this.#openers.get(symbol),
      excess: (exit) => this.#excess(exit),
      struckSince: (symbol, sinceMs) => this.#struckSince(symbol, sinceMs),
      ownSymbols: () => [...this.#own.keys()],
      sentMs: ({ by, order }) => this.#sentMs.get(`${by.name} ${order.linkId}`),
      naked: (symbol) => this.#naked.has(symbol),
      nakedMs: (symbol) => this.#naked.get(symbol)?.forMs ?? 0,
      misplaced: (symbol) => this.#misplacedOf(symbol),
      unclosedMs: (symbol) => this.#unclosed.get(symbol)?.forMs ?? 0,
      uncancelledMs: (symbol) => this.#uncancelled.get(symbol)?.forMs ?? 0,
      stripped: (symbol) => this.#stripped.has(symbol),
      openingAgeMs: () => parts.timeline.nowMs - this.#openingMs,
      strippedOfOthers: () => this.#isOthersNaked(),
      touchedByHand: () => this.#byHand,
    };
  }

  get world(): World {
    return this.#world;
  }

  get executionsSeen(): number {
    return this.#executionsSeen;
  }

  /** The first one: what follows may be its consequence. */
  get violation(): Violation | undefined {
    return this.#violation;
  }

  /** An order request leaves a process. */
  sent(by: BotRun, order: z.infer<typeof OrderParameters>): void {
    const { symbol, orderLinkId, reduceOnly } = order;
    const opens = !reduceOnly;
    const { nowMs } = this.#parts.timeline;
    this.#sentMs.set(`${by.name} ${orderLinkId}`, nowMs);
    if (opens) this.#openingMs = nowMs;
    else this.#leftMs.set(symbol, nowMs);
    const intent = this.#parts.journal.intents.get(orderLinkId);
    this.#ask({ kind: "sent", order: { by, symbol, opens, sentMs: nowMs, intent } });
  }

  /** Somebody traded by hand: took the position's stop, or opened one of their own with a stop. */
  touched(change: { readonly stripped?: string; readonly opened?: string }): void {
    this.#byHand = true;
    if (change.stripped !== undefined) this.#stripped.add(change.stripped);
    if (change.opened !== undefined) this.#openedByHand = change.opened;
  }

  #isOthersNaked(): boolean {
    const symbol = this.#openedByHand;
    if (symbol === undefined || (this.#others.get(symbol) ?? ZERO).isZero()) return false;
    // Once the bot has a share in the position its stop is everybody's.
    if (!this.#world.own(symbol).isZero()) this.#openedByHand = undefined;
    return this.#openedByHand !== undefined && !this.#hasStop(symbol);
  }

  toldFlat(by: BotRun): void {
    this.#ask({ kind: "told-flat", by });
  }

  toldResult(result: RequestResult): void {
    this.#ask({ kind: "told-result", result });
  }

  finished(by: BotRun): void {
    this.#ask({ kind: "finished", by });
  }

  settled(): void {
    this.#ask({ kind: "settled" });
  }

  /** To be called after everything that may have changed the exchange; `by` is the process that asked for it. */
  look(by?: BotRun): void {
    this.#noteOrders(by);
    this.#noteExecutions();
    this.#noteNeglect();
    this.#noteMisplaced();
    this.#noteUncancelled();
    this.#ask({ kind: "changed" });
    this.#forgetWhatIsDone();
  }

  #noteOrders(by: BotRun | undefined): void {
    const { openOrders, closedOrders } = this.#parts.account;
    for (const order of openOrders.values()) this.#noteOrder(order, by);
    for (; this.#closedSeen < closedOrders.length; this.#closedSeen += 1) {
      const order = closedOrders[this.#closedSeen];
      if (order !== undefined) this.#noteOrder(order, by);
    }
  }

  #noteOrder(order: Order, by: BotRun | undefined): void {
    if (this.#seen.has(order.id)) return;
    this.#seen.add(order.id);
    if (by === undefined || order.stopOrderType !== "") return;
    const own: OwnOrder = {
      order,
      by,
      intent: this.#parts.journal.intents.get(order.linkId),
      opens: !order.reduceOnly,
      acceptedMs: this.#parts.timeline.nowMs,
    };
    this.#byOrderId.set(order.id, own);
    this.#ask({ kind: "accepted", order: own });
    this.ownOrders.push(own);
  }

  #noteExecutions(): void {
    const { executions } = this.#parts.account;
    for (; this.#executionsSeen < executions.length; this.#executionsSeen += 1) {
      const execution = executions[this.#executionsSeen];
      if (execution !== undefined) this.#noteExecution(execution);
    }
  }

  #noteExecution(execution: Execution): void {
    const { symbol } = execution;
    if (execution.type === "Funding") {
      if (!this.#world.own(symbol).isZero()) this.ownFunding.push(execution);
      return;
    }
    const order = this.#byOrderId.get(execution.orderId);
    const { units, before, signed } = this.#shareOf(execution, order);
    // What an exit takes from somebody else is none of the bot's fills, but may be its fault.
    if (units.isZero() && order === undefined) return;
    const after = new Decimal(signed.isPositive() ? before.plus(units) : before.minus(units));
    const own: OwnExecution = { execution, order, units };
    this.#own.set(symbol, after);
    if (order?.opens === true) this.#openers.set(symbol, order);
    // The rest of an entry whose first part its stop has closed already comes without one.
    const isRest = order?.opens === true && before.isZero();
    if (isRest && !order.order.filledQuantity.eq(units)) this.#stripped.add(symbol);
    // What is left of a stop that found no more takers is cancelled by the exchange itself.
    const isSpent = execution.stopOrderType === "StopLoss" && !after.isZero();
    if (isSpent && !this.#parts.account.openOrders.has(execution.orderId))
      this.#stripped.add(symbol);
    if (after.isZero()) this.#stripped.delete(symbol);
    if (!units.isZero()) this.ownExecutions.push(own);
    this.#ask({ kind: "executed", own });
  }

  #excess(exit: OwnOrder): Decimal {
    const own = this.ownExecutions.filter(({ order }) => order === exit);
    return new Decimal(exit.order.filledQuantity).minus(sumOf(own));
  }

  #struckSince(symbol: string, sinceMs: number): Decimal {
    const struck = this.ownExecutions.filter(
      ({ execution, order }) =>
        order === undefined && execution.symbol === symbol && execution.timeMs >= sinceMs,
    );
    return sumOf(struck);
  }

  /**
   * What of an execution is the bot's. Its entries are; its exits, a stop, a target and what the exchange closes itself take from
   * the bot's own first; an order by hand takes from what was opened by hand first.
   */
  #shareOf(execution: Execution, order: OwnOrder | undefined) {
    const { symbol, quantity } = execution;
    const before = this.#world.own(symbol);
    const signed = new Decimal(execution.side === "Buy" ? quantity : quantity.negated());
    const reduces = !before.isZero() && before.isPositive() !== signed.isPositive();
    const others = this.#others.get(symbol) ?? ZERO;
    if (order?.opens === true) return { units: signed.abs(), before, signed };
    const isByHand =
      order === undefined && execution.type === "Trade" && execution.stopOrderType === "";
    const closesOthers = !others.isZero() && others.isPositive() !== signed.isPositive();
    const fromOthers = isByHand && closesOthers ? Decimal.min(others.abs(), signed.abs()) : ZERO;
    const rest = signed.abs().minus(fromOthers);
    const units = reduces ? Decimal.min(before.abs(), rest) : ZERO;
    const left = signed.abs().minus(units);
    this.#others.set(symbol, signed.isPositive() ? others.plus(left) : others.minus(left));
    return { units: new Decimal(units), before, signed };
  }

  /** Time without a stop, or in a position that shall be closed, counts while somebody could do something about it. */
  #noteNeglect(): void {
    const runs = this.#parts.runs();
    for (const [symbol, own] of this.#own) {
      if (own.isZero()) {
        this.#naked.delete(symbol);
        this.#unclosed.delete(symbol);
        continue;
      }
      if (this.#isNaked(symbol) || this.#naked.has(symbol)) this.#note(this.#naked, symbol, runs);
      const told = runs.filter(({ config }) => isFlattened(config, symbol));
      if (this.#isUnclosed(symbol, told) || this.#unclosed.has(symbol))
        this.#note(this.#unclosed, symbol, told);
    }
  }

  /** The same for a stop that is not where it should be: a fill, or another configuration, begins the time anew. */
  #noteMisplaced(): void {
    if (!this.#parts.calm) return;
    const runs = this.#parts.runs().filter(({ process }) => process.alive);
    for (const symbol of this.#own.keys()) {
      const wanted = this.#wantedElsewhere(symbol, runs);
      const key = `${symbol} ${wanted?.at}`;
      if (wanted?.isPassed === true) this.#passed.add(key);
      for (const known of this.#misplaced.keys())
        if (known.startsWith(`${symbol} `) && known !== key) this.#misplaced.delete(known);
      if (wanted !== undefined && !this.#passed.has(key)) this.#note(this.#misplaced, key, runs);
    }
  }

  #wantedElsewhere(symbol: string, runs: readonly BotRun[]): WantedElsewhere | undefined {
    const opener = this.#openers.get(symbol);
    const isLeft = (this.#leftMs.get(symbol) ?? -Infinity) >= (opener?.acceptedMs ?? Infinity);
    const isShared = this.#byHand || this.#stripped.has(symbol);
    if (opener === undefined || isLeft || isShared || this.#world.own(symbol).isZero())
      return undefined;
    const { side, filledValue, filledQuantity } = opener.order;
    const held = {
      ...this.#parts.market(symbol),
      side,
      entryPrice: new Decimal(filledValue.div(filledQuantity)),
      stop: this.#stopOf(symbol),
    };
    return wantedElsewhere(
      held,
      runs.map(({ config }) => config.risk),
    );
  }

  #misplacedOf(symbol: string) {
    const [key = "", neglect] =
      [...this.#misplaced].find(([known]) => known.startsWith(`${symbol} `)) ?? [];
    return { forMs: neglect?.forMs ?? 0, wanted: key.slice(symbol.length + 1) };
  }

  /** The same for an entry that is not wanted any more, and has begun to fill: before that the exchange cancels none. */
  #noteUncancelled(): void {
    for (const { order, opens } of this.ownOrders) {
      if (!opens || !this.#isCancellable(order)) continue;
      const told = this.#parts.runs().filter(({ config }) => isUnwanted(config, order.symbol));
      const isLeft = told.some(({ process }) => process.alive);
      if (isLeft || this.#uncancelled.has(order.symbol))
        this.#note(this.#uncancelled, order.symbol, told);
    }
  }

  #note(neglected: Map<string, Neglect>, symbol: string, runs: readonly BotRun[]): void {
    const { nowMs } = this.#parts.timeline;
    const { lookedMs, forMs } = neglected.get(symbol) ?? { lookedMs: nowMs, forMs: 0 };
    const ableFromMs = Math.min(...runs.map((run) => run.ableFromMs));
    const fromMs = Math.max(lookedMs, ableFromMs, this.#parts.exchangeUpFromMs());
    neglected.set(symbol, { lookedMs: nowMs, forMs: forMs + Math.max(0, nowMs - fromMs) });
  }

  /** After the invariants were asked: the time up to the moment of the deed counts. */
  #forgetWhatIsDone(): void {
    for (const symbol of this.#naked.keys()) if (!this.#isNaked(symbol)) this.#naked.delete(symbol);
    const runs = this.#parts.runs();
    for (const symbol of this.#unclosed.keys()) {
      const told = runs.filter(({ config }) => isFlattened(config, symbol));
      if (!this.#isUnclosed(symbol, told)) this.#unclosed.delete(symbol);
    }
    for (const [symbol] of this.#uncancelled) {
      const isOpen = this.ownOrders.some(
        ({ order, opens }) => opens && order.symbol === symbol && this.#isCancellable(order),
      );
      const isTold = runs.some(({ config }) => isUnwanted(config, symbol));
      if (!isOpen || !isTold) this.#uncancelled.delete(symbol);
    }
  }

  /** Some of it is left, and its owner can cancel that: not while nobody trades, nor once orders are filled whole again. */
  #isCancellable(order: Order): boolean {
    return order.status === "PartiallyFilled" && this.#parts.cancellable(order);
  }

  #isNaked(symbol: string): boolean {
    return !this.#world.own(symbol).isZero() && !this.#hasStop(symbol);
  }

  #hasStop(symbol: string): boolean {
    return this.#stopOf(symbol) !== undefined;
  }

  #stopOf(symbol: string): Order | undefined {
    return [...this.#parts.account.openOrders.values()].find(
      (order) => order.symbol === symbol && order.stopOrderType === "StopLoss",
    );
  }

  #isUnclosed(symbol: string, told: readonly BotRun[]): boolean {
    const isHeld = !this.#world.own(symbol).isZero() && told.some(({ process }) => process.alive);
    return isHeld && !this.#isHidden(symbol);
  }

  /** The exchange does not show what opened it: nobody can tell whose it is. */
  #isHidden(symbol: string): boolean {
    const opener = this.#openers.get(symbol);
    return opener !== undefined && this.#parts.account.hiddenOrders.has(opener.order.id);
  }

  #ask(moment: Moment): void {
    if (this.#violation !== undefined) return;
    for (const { name, broken } of INVARIANTS) {
      const message = broken(moment, this.#world);
      if (message === undefined) continue;
      this.#violation = { invariant: name, message, atMs: this.#parts.timeline.nowMs };
      return;
    }
  }
}

function sumOf(executions: readonly OwnExecution[]): Decimal {
  return executions.reduce((sum, { units }) => new Decimal(sum.plus(units)), ZERO);
}

/** A halt that flattens the exchange's symbol is in force. */
function isFlattened({ halts }: BotRun["config"], symbol: string): boolean {
  return halts.some(
    ({ action, symbols }) =>
      action === "Flatten" && (symbols?.some((each) => idOf(each) === symbol) ?? true),
  );
}

/** What is left of an entry is not to fill any more. */
function isUnwanted({ state, halts }: BotRun["config"], symbol: string): boolean {
  if (state !== "Running") return true;
  return halts.some(
    ({ action, symbols }) =>
      action !== "BlockEntries" && (symbols?.some((each) => idOf(each) === symbol) ?? true),
  );
}
