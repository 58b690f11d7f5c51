import type { BotConfig, BotRequest } from "@tradingbots/crds";

/**
 * A configuration that was told, in which every part that says what it said before still is the object that it was. So a part's
 * identity tells whether anything touched it since, also when it was changed and changed back.
 */
export function withKnownParts(before: BotConfig, told: BotConfig): BotConfig {
  return {
    ...told,
    strategy: same(before.strategy, told.strategy),
    risk: same(before.risk, told.risk),
    requests: told.requests.map((request) => same(requestIn(before, request.id), request)),
  };
}

/** What an entry was made under. */
export interface EntryTerms {
  readonly symbol: string;
  /** In force when it was decided. */
  readonly config: BotConfig;
  /** Of the request that it follows; undefined for a strategy's. */
  readonly requestId: string | undefined;
}

/**
 * Whether what an entry was made of is as it was: how its signal came about, what its size and levels follow from, that it is
 * still asked for, and that nobody has asked since to close or cancel on its symbol. Whether it may be sent at all (state, halts,
 * symbols, `autoTrade`) the gate says anew; requests for other symbols and other people's halts are no concern of it.
 */
export function areTermsKept({ symbol, config, requestId }: EntryTerms, now: BotConfig): boolean {
  if (now === config) return true;
  if (now.strategy !== config.strategy || now.timeframe !== config.timeframe) return false;
  if (now.risk !== config.risk) return false;
  const isTakenBack = now.requests.some(
    (each) =>
      each.symbol === symbol && each.action !== "Order" && each !== requestIn(config, each.id),
  );
  return !isTakenBack && isStillAsked(requestId, config, now);
}

function isStillAsked(id: string | undefined, config: BotConfig, now: BotConfig): boolean {
  return id === undefined || requestIn(config, id) === requestIn(now, id);
}

function requestIn({ requests }: BotConfig, id: string): BotRequest | undefined {
  return requests.find((request) => request.id === id);
}

function same<Part>(before: Part | undefined, told: Part): Part {
  return before !== undefined && JSON.stringify(before) === JSON.stringify(told) ? before : told;
}
