import { hash } from "node:crypto";

/** What an order is for; with its reference it makes the order unique. */
export interface OrderIdentity {
  /** Uid of the TradingBot: two bots never compute the same id. */
  readonly botUid: string;
  readonly symbol: string;
  /** Of an entry's candle; "" for an exit, whose reference already stands for it, and for what somebody asked for. */
  readonly timeframe: string;
  /** Entry: the candle's open time (RFC 3339). Exit: the entry's client order id. Else a request's id. */
  readonly reference: string;
  readonly leg: "entry" | "exit";
  /** Grows only after the attempt before is proven over at the exchange. */
  readonly attempt: number;
}

/**
 * The client order id of an order: the same for the same order, whichever process computes it. A restarted or doubled bot
 * therefore cannot send an order under a second name.
 *
 * The first 122 free bits of SHA-256 over the identity, in the shape of a UUID of version 8 (RFC 9562 §5.8): 36 characters,
 * which all five exchanges accept (their rules are in the test).
 */
export function orderId(identity: OrderIdentity): string {
  const { botUid, symbol, timeframe, reference, leg, attempt } = identity;
  // JSON keeps fields apart: no two identities can run together into the same text.
  const text = JSON.stringify([botUid, symbol, timeframe, reference, leg, attempt]);
  const hex = hash("sha256", text);
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}

/** More attempts than a position mostly needs to be closed. */
const EXIT_ATTEMPTS = 16;
/**
 * Attempts that are gone through beyond the last one of which something is known. One that fills nothing is followed ever more
 * rarely, in the end every 15 s (exit-position.ts): so many in a row are four hours.
 */
const EXIT_ATTEMPTS_SEARCHED = 1_000;

/**
 * Ids that the exits of an entry can have, whichever process sent them, by attempt: by them an execution is known as the trade's
 * own. `seen` are ids of orders or executions of which it is not known whose they are: with them as many attempts as there were.
 */
export function exitOrderIds(
  entry: Pick<OrderIdentity, "botUid" | "symbol"> & { readonly entryId: string },
  seen: ReadonlySet<string> = new Set(),
): readonly string[] {
  const { botUid, symbol, entryId } = entry;
  const identity = { botUid, symbol, timeframe: "", reference: entryId, leg: "exit" } as const;
  const ids: string[] = [];
  let known = EXIT_ATTEMPTS;
  let unexplained = seen.size;
  while (ids.length < known || (unexplained > 0 && ids.length < known + EXIT_ATTEMPTS_SEARCHED)) {
    const id = orderId({ ...identity, attempt: ids.length });
    ids.push(id);
    if (!seen.has(id)) continue;
    known = Math.max(known, ids.length);
    unexplained -= 1;
  }
  return ids.slice(0, known);
}

/**
 * The id of the entry that somebody asked for. It outlives every setting of the bot: a process that finds the request begun under
 * another timeframe must find its order.
 */
export function requestedEntryId(
  bot: Pick<OrderIdentity, "botUid" | "symbol">,
  requestId: string,
): string {
  return orderId({ ...bot, timeframe: "", reference: requestId, leg: "entry", attempt: 0 });
}

/** The id of the entry that a candle (open time in ms) led to: its only attempt. */
export function candleEntryId(
  bot: Pick<OrderIdentity, "botUid" | "symbol" | "timeframe">,
  openTimeMs: number,
): string {
  const { botUid, symbol, timeframe } = bot;
  const reference = candleReference(openTimeMs);
  return orderId({ botUid, symbol, timeframe, reference, leg: "entry", attempt: 0 });
}

/** Whether a client order id has the form of ours: whoever else's it is, it may be an order of this bot. */
export function isOrderId(id: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id);
}

/** RFC 3339 text of a candle's open time: the reference of its entry order. */
export function candleReference(openTimeMs: number): string {
  return new Date(openTimeMs).toISOString();
}
