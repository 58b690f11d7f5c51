import { type Amount, add, amount, Decimal, subtract, ZERO_AMOUNT } from "../money.ts";
import type { Work } from "./work.ts";

const DAY_MS = 86_400_000;

/** Where a day begins. */
export interface DayBaseline {
  /** UTC day, `2025-06-18`. */
  readonly day: string;
  /** The account's equity then: the day's loss is a share of it. */
  readonly equity: Amount;
  /** The bot's result of all time then: pnl of its closed trades, and what the open ones stood at. */
  readonly startsFrom: Amount;
}

/**
 * The UTC day that a candle's close belongs to: by candle time, so that a replay has days of its own. A candle that closes at
 * 00:00 begins the new day.
 */
export function dayOf(closeTimeMs: number): string {
  return new Date(closeTimeMs).toISOString().slice(0, 10);
}

/**
 * The day's result: what the bot's own trades have made since the day began, realised (fills, fees, funding) and unrealised. It is
 * a difference of two sums over all of the bot's trades, so that it needs no time of any trade: the clocks of pod, journal and
 * exchange do not matter, a position that is carried into a day brings nothing of the day before, and a restart finds
 * the same figure to the last decimal.
 */
export class TradingDay {
  #day: string | undefined;
  /** When the next day begins, ms of candle time. */
  #endsMs = -Infinity;
  #baseline: DayBaseline | undefined;
  /** Pnl of the trades that were closed before this process knew of the journal; undefined until it does. */
  #remembered: Amount | undefined;
  /** Pnl of all closed trades that this process knows of: remembered, or seen to their end. */
  #closed = ZERO_AMOUNT;
  /** Result of all time when the present day came; undefined when this process was not there. */
  #carried: Amount | undefined;

  /** Day of the newest candle. */
  get day(): string | undefined {
    return this.#day;
  }

  /** Opening equity of the day that candles show; undefined while it is not known. */
  get baseline(): Amount | undefined {
    return this.#current?.equity;
  }

  get #current(): DayBaseline | undefined {
    return this.#baseline?.day === this.#day ? this.#baseline : undefined;
  }

  /** The day can be begun: there is one, it has no beginning yet, and what was before is known. */
  get isDue(): boolean {
    return this.#day !== undefined && this.#remembered !== undefined && this.#current === undefined;
  }

  /** A candle closed. `standing` is what open trades stand at, as last seen. */
  see(closeTimeMs: number, standing: () => Amount): void {
    // Symbols close their candles one after the other: the newest one shows the day.
    if (closeTimeMs < this.#endsMs) return;
    const isFollowed = this.#current !== undefined || this.#carried !== undefined;
    this.#carried = isFollowed ? this.#allTime(standing()) : undefined;
    this.#day = dayOf(closeTimeMs);
    this.#endsMs = (Math.floor(closeTimeMs / DAY_MS) + 1) * DAY_MS;
  }

  /** A trade is over, with this result. */
  realise(result: Amount): void {
    this.#closed = add(this.#closed, result);
  }

  /** What the journal knows: pnl of all closed trades, and the beginning of the latest day that has one. Taken up once. */
  remember(realised: Amount, baseline: DayBaseline | undefined): void {
    if (this.#remembered !== undefined) return;
    this.#remembered = realised;
    this.#closed = add(this.#closed, realised);
    this.#baseline = baseline;
  }

  /**
   * Begins the day that is due with this equity. A process that was there when the day came knows what everything stood at. One
   * that came later cannot tell what was lost since 00:00 and what before: then all that was lost since the journal's last
   * word counts, and nothing that was gained.
   */
  begin(equity: Amount, standing: Amount): DayBaseline | undefined {
    const [day, remembered] = [this.#day, this.#remembered];
    if (!this.isDue || day === undefined || remembered === undefined) return undefined;
    const latest = Decimal.max(this.#allTime(standing), remembered);
    this.#baseline = { day, equity, startsFrom: this.#carried ?? amount(latest) };
    return this.#baseline;
  }

  #allTime(standing: Amount): Amount {
    return add(this.#closed, standing);
  }

  /** Result of the day with what open trades stand at; zero while the day's beginning is not known. */
  result(standing: Amount): Amount {
    const begun = this.#current;
    return begun === undefined ? ZERO_AMOUNT : subtract(this.#allTime(standing), begun.startsFrom);
  }
}

/** Places kept of a share in a position that is not the bot's alone. */
const SHARE_PLACES = 16;

/** What a trade stands at before it is over: what it realised, and its share in what the position shows as unrealised. */
export function standingResult({ account, held, side }: Pick<Work, "account" | "held" | "side">) {
  const { open, realised } = account;
  if (held === undefined || held.side !== side || open.isZero()) return realised;
  const share = open.eq(held.quantity)
    ? held.unrealisedPnl
    : held.unrealisedPnl.times(open).div(held.quantity).toDecimalPlaces(SHARE_PLACES);
  return amount(realised.plus(share));
}
