import type { BotConfig } from "@tradingbots/crds";
import { candleEntryId } from "../orders/order-id.ts";

type Series = Pick<BotConfig, "botUid" | "timeframe">;

/** Client order ids of a symbol's entries by candle. That of the next candle can be made before an order waits for it. */
export class NextEntryId {
  readonly #symbol: string;
  #made: (Series & { readonly openTimeMs: number; readonly id: string }) | undefined;

  constructor(symbol: string) {
    this.#symbol = symbol;
  }

  /** Of the candle that opens, or opened, at that time, ms. */
  of({ botUid, timeframe }: Series, openTimeMs: number): string {
    const made = this.#made;
    const isMade = made?.openTimeMs === openTimeMs && made.timeframe === timeframe;
    if (isMade && made.botUid === botUid) return made.id;
    const id = candleEntryId({ botUid, symbol: this.#symbol, timeframe }, openTimeMs);
    this.#made = { botUid, timeframe, openTimeMs, id };
    return id;
  }
}
