import type { BotConfig, BotRequest, RequestResult } from "@tradingbots/crds";
import { type Candle, OPENING_LEASE_MS, type OrderView } from "../exchange/exchange.ts";
import { text } from "../money.ts";
import { requestedEntryId } from "../orders/order-id.ts";
import type { Refusal } from "../risk/gate.ts";
import { EXPIRED, type EntryResult, type EntrySignal, msUntil } from "./enter-position.ts";
import { messageOf } from "./log.ts";
import type { RequestEnd } from "./request-log.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { isLeftBehind, type Work } from "./work.ts";
import type { Works } from "./works.ts";

/** A request is valid for so long at most: what lies about for longer may outlive the memory that it was done. */
const VALID_MAX_MS = 300_000;
/** Somebody decided: there is no surer signal. */
const CONFIDENCE = 100;

/** As the configuration has it; or as the journal does, when a process before this one has begun it. */
type Asked = BotRequest | RequestResult;

interface UnderWay {
  readonly request: Asked;
  /** What it closes, cancels or has opened. */
  readonly works: readonly Work[];
  /** All that the bot knew of when it began, and when that was (monotonic clock, ms). */
  readonly known: readonly Work[];
  readonly sinceMs: number;
}

/**
 * What people want done once with one symbol. Closing and cancelling begin as soon as they are read and go on until they are
 * done. An order's id follows from its request's, so that however many processes read it, one order comes of it.
 */
export class Requests {
  readonly #symbol: string;
  readonly #deps: TraderDeps;
  readonly #works: Works;
  #underWay: readonly UnderWay[] = [];
  /** Orders that have begun, and are not to be sent any more. */
  readonly #withdrawn = new Set<string>();

  constructor(symbol: string, deps: TraderDeps, works: Works) {
    this.#symbol = symbol;
    this.#deps = deps;
    this.#works = works;
  }

  /** Begins to close and to cancel, and says whether there was something. To be called when what the journal remembers has been taken up. */
  take(): boolean {
    const reducing = this.#waiting.filter(({ action }) => action !== "Order");
    for (const request of reducing) this.#reduce(request);
    this.#works.wantExits();
    return reducing.length > 0;
  }

  /** Deals with orders, one after the other, when everything is known. `enter` opens a position, or says why not. */
  async order(enter: (signal: EntrySignal) => Promise<EntryResult>): Promise<void> {
    for (const request of this.#waiting) {
      // What takes an order back may have come while the one before it was looked for.
      this.take();
      if (request.action === "Order") await this.#order(request, enter);
    }
  }

  /** Something is to be closed or cancelled of which nothing is known: only the exchange can say that there is nothing. */
  get areDoubtful(): boolean {
    return this.#underWay.some(({ works }) => works.length === 0);
  }

  /** Something was asked of this process that it has not begun: a turn has to come, or the exchange's time is not known. */
  get areUnanswered(): boolean {
    const { config, requests: log, standing } = this.#deps;
    const isUnanswered = config().requests.some(
      ({ id, symbol }) => symbol === this.#symbol && !log.isKnown(id),
    );
    return isUnanswered && standing(this.#symbol).journal !== "stale";
  }

  /** Tells what has come to its end. `isAllKnown`: since that time (monotonic clock, ms) the exchange has shown nothing else of the bot's. */
  settle(isAllKnown: (sinceMs: number) => boolean): void {
    this.#underWay = this.#underWay.map((each) => this.#withFound(each));
    this.#underWay = this.#underWay.filter(({ request, works, sinceMs }) => {
      if (works.length === 0 && !isAllKnown(sinceMs)) return true;
      const end = endOf(request, works);
      if (end !== undefined) this.#deps.requests.end(request, end);
      return end === undefined;
    });
  }

  /** What the exchange alone knew of is found later than it was asked to be closed. */
  #withFound(each: UnderWay): UnderWay {
    const { request, known } = each;
    if (each.works.length > 0) return each;
    const isClosing = request.action === "ClosePosition";
    const works = this.#works.open.filter(
      (work) =>
        (work.adopted || work.requested !== undefined) &&
        !known.includes(work) &&
        (isClosing || work.entry !== "over"),
    );
    for (const work of works) work.requested = isClosing ? "close" : (work.requested ?? "cancel");
    return { ...each, works };
  }

  get #waiting(): readonly Asked[] {
    const { config, exchange, requests: log, standing } = this.#deps;
    const { requests } = config();
    const { begun } = log;
    if (!log.isRemembered || requests.length + begun.length === 0) return [];
    // Whether one is in time is said by the exchange's clock.
    const isTimeKnown = exchange.clock() !== undefined;
    const fresh = requests.filter(({ id }) => isTimeKnown && !log.isKnown(id));
    const waiting = [...begun, ...fresh].filter(
      ({ id, symbol }) =>
        symbol === this.#symbol && !this.#underWay.some(({ request }) => request.id === id),
    );
    // They are for the pod that took over.
    if (waiting.length === 0 || standing(this.#symbol).journal === "stale") return [];
    return waiting;
  }

  #reduce(request: Asked): void {
    const { requests: log } = this.#deps;
    const late = "notAfter" in request ? lateness(this.#deps, request) : undefined;
    if (late !== undefined) return log.end(request, late);
    this.#withdrawOrdersBefore(request);
    const isClosing = request.action === "ClosePosition";
    // One that an earlier process began is about what was open then, and about nothing that was opened since.
    const isMeant = ({ entry, entryId }: Work) =>
      (!("at" in request) || entryId === request.orderId) && (isClosing || entry !== "over");
    const works = this.#works.open.filter(isMeant);
    log.begin(request, (works.find((work) => !isLeftBehind(work)) ?? works[0])?.entryId);
    // Nothing is waited for of what is lost, but should it show it goes as well.
    for (const work of [...works, ...this.#works.lost.filter(isMeant)])
      work.requested = isClosing ? "close" : (work.requested ?? "cancel");
    return this.#follow(request, works);
  }

  /** Nothing opens of what was asked for before closing or cancelling was; one that another process may have sent is looked for first. */
  #withdrawOrdersBefore({ id }: Asked): void {
    const { requests: log, config } = this.#deps;
    const ids = config().requests.map((request) => request.id);
    for (const order of this.#waiting) {
      if (order.action !== "Order") continue;
      if (log.isKnown(order.id)) this.#withdrawn.add(order.id);
      else if (ids.indexOf(order.id) < ids.indexOf(id)) log.end(order, WITHDRAWN);
    }
  }

  async #order(asked: Asked, enter: (signal: EntrySignal) => Promise<EntryResult>): Promise<void> {
    const { requests: log, config } = this.#deps;
    if (log.isOver(asked.id)) return;
    const { botUid } = config();
    const entryId = requestedEntryId({ botUid, symbol: this.#symbol }, asked.id);
    const all = [...this.#works.open, ...this.#works.lost];
    const known = all.find((work) => work.entryId === entryId);
    if (known !== undefined) return this.#follow(asked, [known]);
    const request = this.#withdrawn.has(asked.id)
      ? undefined
      : config().requests.find((each) => isSame(each, asked));
    const late = request === undefined ? WITHDRAWN : lateness(this.#deps, request);
    // A process before this one may have sent it, and not have lived to tell.
    const found =
      log.isKnown(asked.id) || late !== undefined ? await this.#find(entryId) : undefined;
    if (found !== undefined) return log.end(asked, endOfFound(found, entryId));
    if (request === undefined || late !== undefined || this.#withdrawn.has(asked.id))
      return log.end(asked, late ?? WITHDRAWN);
    const signal = await this.#signalOf(request, entryId);
    // What takes it back may have come while the price was asked for.
    if (log.isOver(asked.id)) return;
    if (this.#withdrawn.has(asked.id)) return log.end(asked, WITHDRAWN);
    if ("reason" in signal) return log.end(request, { status: "refused", ...signal });
    log.begin(request);
    const result = await enter(signal);
    if (result.kind === "sent") return this.#follow(request, [result.work]);
    return log.end(request, refused(result));
  }

  async #find(clientOrderId: string): Promise<OrderView | undefined> {
    return this.#deps.looks.findOrder({ symbol: this.#symbol, clientOrderId });
  }

  #follow(request: Asked, works: readonly Work[]): void {
    const sinceMs = this.#deps.monotonicMs();
    this.#underWay = [...this.#underWay, { request, works, known: this.#works.open, sinceMs }];
  }

  async #signalOf(
    { id, side, notAfter }: BotRequest,
    entryId: string,
  ): Promise<EntrySignal | Refusal> {
    const symbol = this.#symbol;
    const config = this.#deps.config();
    if (!this.#works.isEmpty)
      return { reason: "PositionOpen", message: `${symbol}: the bot holds a position already` };
    const sentMs = this.#deps.monotonicMs();
    const candle = await this.#currentCandle(config);
    if (candle === undefined || side === undefined)
      return { reason: "StaleData", message: `${symbol}: the exchange did not tell its price` };
    const proposal = {
      enter: side,
      exit: undefined,
      confidence: CONFIDENCE,
      note: `request ${id}`,
    };
    return {
      symbol,
      side,
      entryId,
      candle,
      proposal,
      config,
      sentMs,
      request: { id, notAfterMs: Date.parse(notAfter) },
    };
  }

  /**
   * Its close is the price of this moment. It is asked for, because the stream may have said nothing for a minute and a half, and
   * a signal is as old as the price that it goes by.
   */
  async #currentCandle({ timeframe }: BotConfig): Promise<Candle | undefined> {
    const symbol = this.#symbol;
    try {
      const candles = await this.#deps.exchange.candles({ symbol, timeframe, limit: 1 });
      return candles.at(-1);
    } catch (error) {
      this.#deps.log.warn("no-price", { symbol, message: messageOf(error) });
      return undefined;
    }
  }
}

/** An id that comes again with other content is no reason to do that. */
function isSame(one: Asked, other: Asked): boolean {
  const { id, action, symbol, side } = other;
  if (one.id !== id || one.action !== action || one.symbol !== symbol) return false;
  return (one.side ?? null) === (side ?? null);
}

const WITHDRAWN: RequestEnd = {
  status: "refused",
  reason: "Withdrawn",
  message: "the request was taken back before an order was sent",
};

/** Why it is not begun, by the exchange's clock; undefined when it may be. */
function lateness(deps: TraderDeps, { action, notAfter }: BotRequest): RequestEnd | undefined {
  const leftMs = msUntil(deps, Date.parse(notAfter));
  if (leftMs > VALID_MAX_MS) {
    const message = `notAfter ${notAfter} is more than five minutes ahead`;
    return { status: "refused", reason: "TooFarAhead", message };
  }
  // What opens something must have no time left to arrive after it.
  if (leftMs >= (action === "Order" ? OPENING_LEASE_MS : 0)) return undefined;
  const message = `it could be done until ${notAfter}: too little time was left when it was read`;
  return { status: "expired", message };
}

function refused(result: Exclude<EntryResult, { kind: "sent" }>): RequestEnd {
  if (result.kind === "foreign")
    return { status: "refused", reason: "ForeignPosition", message: result.message };
  const { reason, message } = result.refusal;
  return reason === EXPIRED
    ? { status: "expired", message }
    : { status: "refused", reason, message };
}

/** What became of a request, by what it is about; undefined while that is under way. An answer is not taken back: an order's waits. */
function endOf({ action, symbol }: Asked, all: readonly Work[]): RequestEnd | undefined {
  if (action === "Order") return all[0] && endOfOrder(all[0]);
  const works = all.filter(({ lost }) => !lost);
  const orderIdOf = works[0]?.entryId;
  if (works.length === 0)
    return { status: "done", message: `${symbol}: nothing of the bot's was open` };
  if (works.some(({ entry }) => entry !== "over")) return undefined;
  const done = { status: "done", orderId: orderIdOf } as const;
  if (action === "CancelOrders")
    return { ...done, message: `${symbol}: no entry can fill any more` };
  const dust = works.find(isLeftBehind)?.dust;
  if (dust !== undefined)
    return { status: "refused", reason: "Dust", message: dust.message, orderId: orderIdOf };
  if (works.some(({ account }) => !account.open.isZero())) return undefined;
  return { ...done, message: `${symbol}: the position is closed` };
}

function endOfOrder({ symbol, side, entry, entryId, account }: Work): RequestEnd | undefined {
  const { entered, entryPrice } = account;
  if (entryPrice !== undefined && entered.gt(0)) {
    const message = `${side} ${text(entered)} ${symbol} at ${text(entryPrice)}`;
    return { status: "done", message, orderId: entryId };
  }
  return entry === "over" ? notFilled(entryId) : undefined;
}

function endOfFound({ filledQuantity }: OrderView, entryId: string): RequestEnd {
  if (filledQuantity.isZero()) return notFilled(entryId);
  return { status: "done", message: `opened ${text(filledQuantity)}`, orderId: entryId };
}

function notFilled(entryId: string): RequestEnd {
  const message = "nothing of the order was filled";
  return { status: "refused", reason: "NotFilled", message, orderId: entryId };
}
