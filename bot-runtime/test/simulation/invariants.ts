import { amount, Decimal, text } from "../../src/money.ts";
import { exitOrderIds, orderId, requestedEntryId } from "../../src/orders/order-id.ts";
import { idOf } from "./market-id.ts";
import type { Asked, Moment, OwnExecution, OwnOrder, World } from "./observer.ts";

/** What must hold whatever happens. `broken` gives the sentence about how it does not, or undefined. */
interface Invariant {
  readonly name: string;
  /** What is promised, for people; the table of planted bugs names invariants by `name`. */
  readonly statement: string;
  readonly broken: (moment: Moment, world: World) => string | undefined;
}

/**
 * An opening order carries the time of its decision, and the exchange refuses it once its receive window of 5 s is over. 1 s is
 * what Bybit allows a request's time to be ahead, 1 s what a clock measured through a slow network may be wrong.
 */
const LATEST_ACCEPTANCE_MS = 7_000;
/**
 * A stop comes with the entry, in one request: no own position is ever without one. Only when somebody takes it away by hand,
 * or the exchange cancels what is left of it after a part was filled, or fills the rest of an entry whose first part the stop has
 * closed already, has the bot to see it and to give it back. In calm it looks every 250 ms, or every 5 s while the exchange's
 * stream tells it of changes. Otherwise each of the requests may be lost, which costs 8 s and a pause: four in a row are as many
 * as a run of lossy seeds has.
 */
const NAKED_AFTER_LOSS_MS = { calm: 6_000, foul: 45_000 };
/** The same for the requests of an exit, besides what the market needs to take it. */
const UNCLOSED_MS = { calm: 3_000, foul: 45_000 };

/** While nothing disturbs, what the exchange sends has arrived after this. */
const HEARD_MS = 65;

/** Bots look every 5 s, and one that takes over needs 3 s. */
const MISPLACED_MS = 10_000;

/** A process that stood still for longer has to notice, and opens nothing before it has seen everything anew: 5 s, less some. */
const STALL_MS = 2_500;
const AFTER_STALL_MS = 4_500;

/** An entry follows its candle within 10 s or not at all, and the exchange's time is known to 1 s. */
const SIGNAL_MAX_AGE_MS = 11_000;

const COMMITTED_MARGIN_PERCENT = 0.5;

/** The exchange's time is known so well, or nothing is opened. */
const CLOCK_MS = 1_000;

/** The first one that is broken ends a run: the order is from cause to consequence. */
export const INVARIANTS: readonly Invariant[] = [
  {
    name: "ObeysOrders",
    statement:
      "no opening order leaves a process whose configuration is not Running, has autoTrade off, or holds a halt on the symbol",
    broken: (moment) => {
      if (moment.kind !== "sent" || !moment.order.opens) return undefined;
      const { by, symbol } = moment.order;
      const { state, autoTrade, halts } = by.config;
      const halt = halts.find(
        ({ symbols }) => symbols?.every((each) => idOf(each) !== symbol) !== true,
      );
      if (state === "Running" && autoTrade && halt === undefined) return undefined;
      return `${by.name} sent an opening order of ${symbol} while ${halt?.name ?? state}`;
    },
  },
  {
    name: "IntentFirst",
    statement:
      "every opening order that the exchange accepts is, under its id, in the journal before: symbol, side and quantity",
    broken: (moment) => {
      if (moment.kind !== "accepted" || !moment.order.opens) return undefined;
      const { order, intent, by } = moment.order;
      if (intent === undefined)
        return `${by.name} placed ${order.linkId || "an order without id"}, of which the journal knows nothing`;
      const same =
        idOf(intent.symbol) === order.symbol &&
        intent.side === order.side.toLowerCase() &&
        order.quantity.eq(intent.quantity);
      return same ? undefined : `order ${order.linkId} is not what the journal has of it`;
    },
  },
  {
    name: "OneOrderPerIntent",
    statement: "of one candle of a symbol at most one opening order is ever accepted",
    broken: (moment, world) => {
      if (moment.kind !== "accepted" || !moment.order.opens) return undefined;
      const { order, intent } = moment.order;
      const twin = world.ownOrders.find(
        (other) =>
          other.opens &&
          other.order.symbol === order.symbol &&
          (other.order.linkId === order.linkId ||
            (isOfCandle(other) &&
              isOfCandle(moment.order) &&
              other.intent?.candleOpenTime === intent?.candleOpenTime)),
      );
      return twin && `orders ${twin.order.linkId} and ${order.linkId} are of the same candle`;
    },
  },
  {
    name: "OneOrderPerRequest",
    statement:
      "what is opened follows a candle or a request: all processes together open no more than was asked for, symbol by symbol and side by side",
    broken: (moment, world) => {
      if (moment.kind !== "accepted" || !moment.order.opens || isOfCandle(moment.order))
        return undefined;
      const { order } = moment.order;
      const isAlike = (other: OwnOrder) =>
        other.order.symbol === order.symbol && other.order.side === order.side;
      const before = world.ownOrders.filter(
        (other) => other.opens && !isOfCandle(other) && isAlike(other),
      );
      const asked = askedFor(moment.order, world);
      if (before.length < asked.length) return undefined;
      return `${before.length + 1} orders ${order.side} of ${order.symbol} were opened for ${asked.length} requests`;
    },
  },
  {
    name: "NotAfter",
    statement: `an order that somebody asked for is accepted before its time is over by the exchange's clock, which a bot knows to ${CLOCK_MS} ms, or never`,
    broken: (moment, world) => {
      if (moment.kind !== "accepted" || !moment.order.opens || isOfCandle(moment.order))
        return undefined;
      const { order, acceptedMs } = moment.order;
      const asked = askedFor(moment.order, world);
      const own = asked.filter(
        ({ request }) => idOfRequest(moment.order, request) === order.linkId,
      );
      const inTime = (own.length > 0 ? own : asked).some(
        ({ request }) => acceptedMs <= Date.parse(request.notAfter) + CLOCK_MS,
      );
      return inTime ? undefined : `order ${order.linkId} was asked for until an earlier time`;
    },
  },
  {
    name: "ClosedIsClosed",
    statement:
      "when the journal hears that a closing which somebody asked for is done, nothing is held that was opened before it was asked for",
    broken: (moment, world) => {
      if (moment.kind !== "told-result") return undefined;
      const { id, action, status, symbol } = moment.result;
      if (action !== "ClosePosition" || status !== "done") return undefined;
      const madeMs = world.asked.find(({ request }) => request.id === id)?.madeMs ?? Infinity;
      const own = world.own(idOf(symbol));
      const openedMs = world.opener(idOf(symbol))?.acceptedMs ?? Infinity;
      if (own.isZero() || openedMs >= madeMs) return undefined;
      return `request ${id} is told as done and ${text(own)} ${symbol} is held`;
    },
  },
  {
    name: "OnePosition",
    statement:
      "an opening order is accepted only while the bot has nothing else in the symbol: no position, no other opening order",
    broken: (moment, world) => {
      if (moment.kind !== "accepted" || !moment.order.opens) return undefined;
      const { symbol } = moment.order.order;
      const open = world.ownOrders.find(
        (other) => other.opens && other.order.symbol === symbol && isOpen(other),
      );
      if (open !== undefined) return `${symbol}: ${open.order.linkId} is still open`;
      const own = world.own(symbol);
      return own.isZero() ? undefined : `${symbol}: opened once more on top of ${text(own)}`;
    },
  },
  {
    name: "ClosesOrOpens",
    statement:
      "a candle that finds the bot in a position which its signal closes opens nothing: while nothing disturbs bot and exchange, no opening order of it is accepted after an exit to the same side that was the first one since it was heard",
    broken: (moment, world) => {
      if (!world.calm || moment.kind !== "accepted") return undefined;
      if (!moment.order.opens || !isOfCandle(moment.order)) return undefined;
      const { order, intent } = moment.order;
      const closedMs = intent && world.candleClosedMs(Date.parse(intent.candleOpenTime));
      if (closedMs === undefined) return undefined;
      const before = world.ownOrders.filter((other) => other.order.symbol === order.symbol);
      const opened = before.findLastIndex((other) => other.opens);
      const [exit] = before.slice(opened + 1);
      if (exit?.order.side !== order.side || exit.acceptedMs < closedMs + HEARD_MS)
        return undefined;
      return `exit ${exit.order.linkId} and ${order.linkId} are of the same candle`;
    },
  },
  {
    name: "LeaseHeld",
    statement:
      "an opening order is accepted only while the pod that sent it holds the bot's lease, by the journal's clock",
    broken: (moment, { journal }) => {
      if (moment.kind !== "accepted" || !moment.order.opens) return undefined;
      const holder = journal.leaseholder;
      const { by } = moment.order;
      if (holder?.podUid === by.podUid) return undefined;
      return `${by.name} opened while the lease is ${holder === undefined ? "nobody's" : holder.podUid}`;
    },
  },
  {
    name: "NothingLate",
    statement: `an opening order is accepted within ${LATEST_ACCEPTANCE_MS} ms of leaving its process, or never`,
    broken: (moment, world) => {
      if (moment.kind !== "accepted" || !moment.order.opens) return undefined;
      const sentMs = world.sentMs(moment.order);
      if (sentMs === undefined) return undefined;
      const ms = moment.order.acceptedMs - sentMs;
      return ms <= LATEST_ACCEPTANCE_MS ? undefined : `accepted ${ms} ms after it was sent`;
    },
  },
  {
    name: "HaltsReachAll",
    statement: `no opening order is accepted more than ${LATEST_ACCEPTANCE_MS} ms after the journal knew of a halt on its symbol, heard of or not`,
    broken: (moment, world) => {
      if (moment.kind !== "accepted" || !moment.order.opens) return undefined;
      const { acceptedMs, intent } = moment.order;
      const sinceMs = intent && world.journal.haltedSinceMs(intent.symbol);
      if (sinceMs === undefined || acceptedMs - sinceMs <= LATEST_ACCEPTANCE_MS) return undefined;
      return `accepted ${acceptedMs - sinceMs} ms after the halt`;
    },
  },
  {
    name: "FreshSignal",
    statement: `an opening order leaves its process within ${SIGNAL_MAX_AGE_MS} ms of the close of the candle that it follows, however late that was heard of`,
    broken: (moment, world) => {
      if (moment.kind !== "sent" || !moment.order.opens) return undefined;
      const { by, intent, sentMs } = moment.order;
      // What is asked for needs no candle to close.
      const isAsked = world.asked.some(
        ({ request }) => idOfRequest({ by }, request) === intent?.clientOrderId,
      );
      if (isAsked) return undefined;
      const closedMs = intent && world.candleClosedMs(Date.parse(intent.candleOpenTime));
      if (closedMs === undefined || sentMs - closedMs <= SIGNAL_MAX_AGE_MS) return undefined;
      return `${by.name} sent an opening order ${sentMs - closedMs} ms after its candle`;
    },
  },
  {
    name: "OneExit",
    statement:
      "at most one exit of a position is open at a time: the next is sent when the one before is proven over; only where an order that is over gives its id free may one that was on its way under it come beside the next, in a position that is the bot's alone",
    broken: (moment, world) => {
      if (moment.kind !== "accepted" || moment.order.opens) return undefined;
      const { order } = moment.order;
      const open = world.ownOrders.find(
        (other) => !other.opens && other.order.symbol === order.symbol && isOpen(other),
      );
      if (open === undefined || wasOnItsWay(moment.order, world)) return undefined;
      return `${order.symbol}: exits ${open.order.linkId} and ${order.linkId} are both open`;
    },
  },
  {
    name: "OwnFillsOnly",
    statement:
      "exits are of the trade that is open, and never close more than the bot's own fills, whoever else holds the symbol; beyond that only as much as a stop, a target, the exchange itself or somebody by hand took while the exit was being filled",
    broken: (moment, world) => {
      if (moment.kind !== "executed") return undefined;
      const { order, execution } = moment.own;
      if (order === undefined || order.opens) return undefined;
      const stranger = ofAnotherTrade(order, world);
      if (stranger !== undefined) return stranger;
      const excess = world.excess(order);
      const taken = world.struckSince(execution.symbol, order.acceptedMs);
      if (excess.lte(taken)) return undefined;
      return `exit ${execution.linkId} closed ${text(excess)} of somebody else's, of its own ${text(taken)} were taken from it`;
    },
  },
  {
    name: "BalanceHeld",
    statement: `all bots of the account together commit no more of its equity than balancePercent, and ${COMMITTED_MARGIN_PERCENT} % for prices that move between a decision and its fill`,
    broken: (moment, world) => {
      if (moment.kind !== "changed" || world.ownSymbols().every((each) => world.own(each).isZero()))
        return undefined;
      const [run] = world.runs();
      const balances = world.balances();
      if (run === undefined || balances === undefined) return undefined;
      const { positionMargin, equity } = balances;
      const limitPercent = run.config.risk.balancePercent + COMMITTED_MARGIN_PERCENT;
      if (positionMargin.lte(equity.times(limitPercent).div(100))) return undefined;
      return `${positionMargin.toFixed(2)} of ${equity.toFixed(2)} are committed`;
    },
  },
  {
    name: "DayLossHeld",
    statement:
      "no opening order leaves a process after the bot's trades of the day have lost the limit that it was given, by the exchange's own account",
    broken: (moment, world) => {
      if (moment.kind !== "sent" || !moment.order.opens || world.touchedByHand()) return undefined;
      const { dayLossMax } = world;
      if (dayLossMax === undefined) return undefined;
      const { initialBalance, wallet } = world.account;
      // Funding may be shown late; a trade's result is known before the next one begins.
      const funding = world.ownFunding.reduce((sum, { fee }) => sum.plus(fee), new Decimal(0));
      const lost = new Decimal(initialBalance.minus(wallet)).minus(funding);
      if (lost.lte(dayLossMax)) return undefined;
      return `${moment.order.by.name} sent an opening order after a loss of ${text(lost)} of at most ${text(dayLossMax)}`;
    },
  },
  {
    name: "StallNoticed",
    statement: `no opening order leaves a process within ${AFTER_STALL_MS} ms of a stand-still of ${STALL_MS} ms or more`,
    broken: (moment) => {
      if (moment.kind !== "sent" || !moment.order.opens) return undefined;
      const { by, sentMs } = moment.order;
      const { frozenForMs, frozenUntilMs } = by.process;
      const sinceMs = sentMs - frozenUntilMs;
      if (frozenForMs < STALL_MS || sinceMs >= AFTER_STALL_MS) return undefined;
      return `${by.name} sent an opening order ${sinceMs} ms after it stood still for ${frozenForMs} ms`;
    },
  },
  {
    name: "HandsOff",
    statement:
      "what somebody opened by hand, with a stop, on a symbol on which the bot holds nothing keeps its stop",
    broken: (moment, world) =>
      moment.kind === "changed" && world.strippedOfOthers()
        ? "the stop of a position that was opened by hand is gone"
        : undefined,
  },
  {
    name: "Protected",
    statement: `an own position is never without its stop, not at one look; after somebody removed it by hand, or the exchange cancelled the rest of one that had begun to fill, or filled the rest of an entry after it, at most ${NAKED_AFTER_LOSS_MS.calm} ms while nothing disturbs bot and exchange, and at most ${NAKED_AFTER_LOSS_MS.foul} ms of time in which a bot could reach the exchange otherwise, or as much longer as the market takes to close it`,
    broken: (moment, world) => {
      if (moment.kind !== "changed") return undefined;
      const lossMs = world.calm ? NAKED_AFTER_LOSS_MS.calm : NAKED_AFTER_LOSS_MS.foul;
      const late = world.ownSymbols().find((symbol) => {
        if (!world.stripped(symbol)) return world.naked(symbol);
        // What is being closed needs no stop any more; what the exchange gives none is closed instead.
        const closingMs = world.calm && !isClosing(symbol, world) ? 0 : world.fillMs;
        return world.nakedMs(symbol) > lossMs + closingMs;
      });
      return (
        late &&
        `${late}: ${text(world.own(late))} held without a stop for ${world.nakedMs(late)} ms`
      );
    },
  },
  {
    name: "StopInPlace",
    statement: `while nothing disturbs bot and exchange, the stop of an own position that is not being closed, and is nobody else's as well, is where the percentage of a living process puts it, to a tick, at most ${MISPLACED_MS} ms after a fill or another configuration, unless the exchange would refuse that because the price has passed it`,
    broken: (moment, world) => {
      if (moment.kind !== "changed") return undefined;
      const late = world.ownSymbols().find((each) => world.misplaced(each).forMs > MISPLACED_MS);
      if (late === undefined) return undefined;
      const { forMs, wanted } = world.misplaced(late);
      return `${late}: for ${forMs} ms the stop has not been at ${wanted}`;
    },
  },
  {
    name: "Flattened",
    statement: `an own position is closed within ${UNCLOSED_MS.calm} ms (calm) or ${UNCLOSED_MS.foul} ms of time in which a process that holds a Flatten halt could reach the exchange and be shown what opened it, and the time that the market needs to fill it, where it lets everything be closed`,
    broken: (moment, world) => {
      if (moment.kind !== "changed" || world.leftBelow.gt(0)) return undefined;
      const limitMs = (world.calm ? UNCLOSED_MS.calm : UNCLOSED_MS.foul) + world.fillMs;
      const late = world.ownSymbols().find((symbol) => world.unclosedMs(symbol) > limitMs);
      return (
        late && `${late}: ${text(world.own(late))} held ${world.unclosedMs(late)} ms into a Flatten`
      );
    },
  },
  {
    name: "Cancelled",
    statement: `what is left of an own entry, while the exchange lets it be cancelled, is cancelled within ${UNCLOSED_MS.calm} ms (calm) or ${UNCLOSED_MS.foul} ms of time in which a process that is not to enter, or holds a halt that cancels, could reach the exchange`,
    broken: (moment, world) => {
      if (moment.kind !== "changed") return undefined;
      const limitMs = world.calm ? UNCLOSED_MS.calm : UNCLOSED_MS.foul;
      const entry = world.ownOrders.find(
        ({ order, opens }) => opens && world.uncancelledMs(order.symbol) > limitMs,
      );
      if (entry === undefined) return undefined;
      const { symbol } = entry.order;
      return `${symbol}: an entry was left open for ${world.uncancelledMs(symbol)} ms`;
    },
  },
  {
    name: "FlatIsFlat",
    statement:
      "a bot that ends as flat has left no order of its own and no position, but dust that nobody can close and that is worth less than the exchange opens",
    broken: (moment, world) => {
      if (moment.kind !== "finished") return undefined;
      const held = stillHeld(world);
      if (held !== undefined)
        return `${moment.by.name} ended as flat and holds ${text(world.own(held))} ${held}`;
      const open = world.ownOrders.find(isOpen);
      return open && `${moment.by.name} ended as flat and order ${open.order.linkId} is open`;
    },
  },
  {
    name: "FlatIsTold",
    statement:
      "when the journal hears that a bot which is to open nothing is flat, it knows of no trade that is open: nobody may come any more to tell of one",
    broken: (moment, { journal }) => {
      if (moment.kind !== "told-flat") return undefined;
      const open = journal.openTrades[0];
      return open && `${moment.by.name} says that it is flat, and trade ${open.id} is open`;
    },
  },
  {
    name: "Settles",
    statement:
      "once faults have stopped and the bot is told to stop, within bounded time it holds nothing, has ended, and the journal has no open intent and no open trade",
    broken: (moment, world) => (moment.kind === "settled" ? unsettled(world) : undefined),
  },
  {
    name: "Answered",
    statement:
      "whatever somebody asked for has an answer in the end, and as many orders are told as done as were filled",
    broken: (moment, world) => (moment.kind === "settled" ? unanswered(world) : undefined),
  },
  {
    name: "LedgerComplete",
    statement:
      "every order that the exchange accepted, every execution and every funding of the bot's is in the journal, with price, quantity, fee and trade, and nothing else is, but for what happens to dust after the word that it was left behind; no entry that the exchange has is told as refused, and no order for being there already",
    broken: (moment, world) => {
      if (moment.kind !== "settled") return undefined;
      return (
        missingOrder(world) ??
        deniedOrder(world) ??
        missingFill(world) ??
        missingFunding(world) ??
        strangeFact(world)
      );
    },
  },
  {
    name: "LedgerEqualsBalance",
    statement:
      "the results of the journal's trades add up to the change of the exchange's balance, to the last decimal",
    broken: (moment, world) => {
      // What somebody traded by hand is in the balance and not in the bot's ledger.
      if (moment.kind !== "settled" || world.touchedByHand()) return undefined;
      if (world.ownExecutions.some((own) => isOfLeftBehind(own, world))) return undefined;
      const { account, journal } = world;
      const told = journal.trades.reduce((sum, { pnl }) => sum.plus(pnl ?? "0"), new Decimal(0));
      const change = account.wallet.minus(account.initialBalance);
      if (told.eq(text(new Decimal(change)))) return undefined;
      return `the journal tells of ${text(amount(told))}, the balance changed by ${text(new Decimal(change))}`;
    },
  },
];

/** The id of an order that the strategy's candle leads to. */
function isOfCandle({ order, intent, by }: OwnOrder): boolean {
  if (intent === undefined) return false;
  const { botUid, timeframe } = by.config;
  const { symbol, candleOpenTime: reference } = intent;
  return (
    orderId({ botUid, symbol, timeframe, reference, leg: "entry", attempt: 0 }) === order.linkId
  );
}

function idOfRequest({ by }: Pick<OwnOrder, "by">, { id, symbol }: Asked["request"]): string {
  return requestedEntryId({ botUid: by.config.botUid, symbol }, id);
}

function askedFor({ order }: OwnOrder, { asked }: World): readonly Asked[] {
  return asked.filter(
    ({ request: { action, side, symbol } }) =>
      action === "Order" &&
      idOf(symbol) === order.symbol &&
      (side === "long") === (order.side === "Buy"),
  );
}

function unanswered({ asked, journal, ownOrders }: World): string | undefined {
  const results = new Map(journal.requests.map((result) => [result.id, result]));
  for (const { request } of asked) {
    const { status } = results.get(request.id) ?? {};
    if (status === undefined || status === "begun")
      return `request ${request.id} is ${status ?? "not answered"}`;
  }
  // Counted, because an order may bear any id.
  const filled = ownOrders.filter(
    (own) => own.opens && !isOfCandle(own) && !own.order.filledQuantity.isZero(),
  );
  const done = [...results.values()].filter(
    ({ action, status }) => action === "Order" && status === "done",
  );
  if (filled.length === done.length) return undefined;
  return `${filled.length} orders were filled that somebody asked for, ${done.length} are told as done`;
}

function ofAnotherTrade({ order }: OwnOrder, world: World): string | undefined {
  const opener = world.opener(order.symbol);
  if (opener?.intent === undefined) return undefined;
  const { symbol, clientOrderId: entryId } = opener.intent;
  const { botUid } = opener.by.config;
  const seen = new Set([order.linkId]);
  if (exitOrderIds({ botUid, symbol, entryId }, seen).includes(order.linkId)) return undefined;
  return `exit ${order.linkId} is none of trade ${entryId}, which is open`;
}

/**
 * An exit that left its process before the first one of its id was over: nobody could know of it. Both reduce only, so no more is
 * closed than is held, and that is the bot's alone.
 */
function wasOnItsWay(exit: OwnOrder, world: World): boolean {
  const first = world.ownOrders.find(({ order }) => order.linkId === exit.order.linkId);
  const sentMs = world.sentMs(exit);
  if (first === undefined || sentMs === undefined || world.touchedByHand()) return false;
  return sentMs <= first.order.updatedMs;
}

/** An exit of what is open was accepted: part by part the market takes it. */
function isClosing(symbol: string, world: World): boolean {
  const sinceMs = world.opener(symbol)?.acceptedMs ?? Infinity;
  return world.ownOrders.some(
    ({ order, opens, acceptedMs }) => !opens && order.symbol === symbol && acceptedMs > sinceMs,
  );
}

function isOpen({ order }: OwnOrder): boolean {
  return (
    order.status === "New" || order.status === "Untriggered" || order.status === "PartiallyFilled"
  );
}

/** A symbol of which the bot holds something that is not to be left behind. */
function stillHeld({ account, ownSymbols, own, leftBelow }: World): string | undefined {
  return ownSymbols().find((symbol) => {
    const worth = account.positions.get(symbol)?.holding.entryValue.abs() ?? new Decimal(0);
    return !own(symbol).isZero() && worth.gte(leftBelow);
  });
}

function unsettled(world: World): string | undefined {
  const held = stillHeld(world);
  if (held !== undefined) return `still holds ${text(world.own(held))} ${held}`;
  const alive = world.runs().find((run) => run.newest && run.process.alive);
  if (alive !== undefined) return `${alive.name} has not ended: ${alive.lastReport}`;
  const over = new Set(
    world.journal
      .ofType("order")
      .filter(({ status }) => status === "filled" || status === "cancelled" || status === "refused")
      .map(({ clientOrderId }) => clientOrderId),
  );
  const intent = [...world.journal.intents.keys()].find((id) => !over.has(id));
  if (intent !== undefined) return `intent ${intent} is still open in the journal`;
  const trade = world.journal.trades.find(({ closedAt }) => closedAt === null);
  return trade && `trade ${trade.id} is still open in the journal`;
}

function missingOrder({ journal, ownOrders }: World): string | undefined {
  const told = new Set(journal.ofType("order").map(({ clientOrderId }) => clientOrderId));
  const fills = new Set(journal.ofType("fill").map(({ clientOrderId }) => clientOrderId));
  // What became of an exit follows from its fills.
  const missing = ownOrders.find(
    ({ order, opens }) =>
      !told.has(order.linkId) &&
      (opens || (!order.filledQuantity.isZero() && !fills.has(order.linkId))),
  );
  return missing && `the journal knows nothing of order ${missing.order.linkId}`;
}

/**
 * "OrderLinkedID is duplicate": there is such an order, and what became of it nobody has said. An exit may be refused, for its
 * time or its traffic, and taken when it is sent again under its id; an entry is sent once.
 */
const DUPLICATE = "110072";

function deniedOrder({ journal, ownOrders }: World): string | undefined {
  const taken = new Set(ownOrders.map(({ order }) => order.linkId));
  const denied = journal
    .ofType("order")
    .find(
      ({ clientOrderId, purpose, status, code }) =>
        status === "refused" &&
        (code === DUPLICATE || purpose === "entry") &&
        taken.has(clientOrderId),
    );
  return denied && `order ${denied.clientOrderId} is told as refused, and the exchange has it`;
}

/** Dust was told of as left behind, and then its stop or target struck while nobody looked any more. */
function isOfLeftBehind({ execution, order }: OwnExecution, { journal }: World): boolean {
  if (
    order !== undefined ||
    journal.ofType("fill").some((fill) => fill.executionId === execution.id)
  )
    return false;
  return leftBehind(journal).some(
    ({ symbol, openedAt }) =>
      idOf(symbol) === execution.symbol && Date.parse(openedAt) <= execution.timeMs,
  );
}

function leftBehind({ trades }: World["journal"]) {
  return trades.filter(({ reason }) => reason === "dust");
}

function missingFill(world: World): string | undefined {
  const { journal, ownExecutions } = world;
  const fills = new Map(journal.ofType("fill").map((fill) => [fill.executionId, fill]));
  const trades = new Map<string, string>();
  for (const own of ownExecutions) {
    if (own.order?.opens === true) trades.set(own.execution.symbol, own.order.order.linkId);
    const fill = fills.get(own.execution.id);
    if (isOfLeftBehind(own, world)) continue;
    if (fill === undefined)
      return `the journal lacks execution ${own.execution.id} (${own.execution.side} ${text(own.units)})`;
    const told = [fill.price, fill.quantity, fill.fee, fill.side];
    const { execution } = own;
    const fact = [
      text(new Decimal(execution.price)),
      text(own.units),
      feeOf(own),
      execution.side.toLowerCase(),
    ];
    if (told.join() !== fact.join())
      return `execution ${execution.id} is ${fact.join()}, told as ${told.join()}`;
    if (fill.tradeId !== trades.get(execution.symbol))
      return `execution ${execution.id} is told of trade ${fill.tradeId}`;
  }
  return undefined;
}

/** The own share of a fee: whole, unless somebody's hand closed more than the bot had. */
function feeOf({ execution, units }: OwnExecution): string {
  const fee = new Decimal(execution.fee);
  if (units.eq(execution.quantity)) return text(fee);
  return text(new Decimal(fee.times(units).div(execution.quantity).toDecimalPlaces(16)));
}

function missingFunding({ journal, ownFunding, touchedByHand }: World): string | undefined {
  const told = new Map(
    journal.ofType("funding").map((record) => [record.executionId, record.amount]),
  );
  for (const { id, fee } of ownFunding) {
    const amountTold = told.get(id);
    if (amountTold === undefined && leftBehind(journal).length > 0) continue;
    if (amountTold === undefined) return `the journal lacks funding ${id}`;
    // Of a position that is not the bot's alone the exchange does not say whose share is whose.
    if (!touchedByHand() && !fee.negated().eq(amountTold))
      return `funding ${id} of ${text(new Decimal(fee.negated()))} is told as ${amountTold}`;
  }
  return undefined;
}

function strangeFact({ journal, ownExecutions, ownFunding }: World): string | undefined {
  const own = new Set([
    ...ownExecutions.map(({ execution }) => execution.id),
    ...ownFunding.map(({ id }) => id),
  ]);
  const facts = [...journal.ofType("fill"), ...journal.ofType("funding")];
  const strange = facts.find(({ executionId }) => !own.has(executionId));
  return strange && `the journal tells of execution ${strange.executionId}, which is not the bot's`;
}
