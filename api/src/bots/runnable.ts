import { capability, type Exchange } from "@tradingbots/crds";
import { ApiError } from "../errors.ts";

/**
 * Refuses what no bot can run, by what the bots themselves go by.
 * @throws ApiError `exchange_unsupported` or `symbol_unsupported`
 */
export function assertRunnable(exchange: Exchange, symbols: readonly string[] = []): void {
  const support = capability(exchange, symbols);
  if (!support.supported) throw new ApiError(`${support.lacking}_unsupported`, support.message);
}
