import type * as z from "zod";
import { InstrumentPage } from "./bybit-answers.ts";
import { Instrument } from "./bybit-market-data.ts";
import { request } from "./bybit-names.ts";
import { readError } from "./bybit-outcomes.ts";
import type { Market } from "./exchange.ts";

/** Ticks, minimums and listings change: often enough to know before most orders do, one request for each symbol. */
const RULES_MAX_AGE_MS = 3_600_000;
/** Whoever has something open asks with every look: a question without an answer is not repeated sooner. */
const ASK_AGAIN_MS = 1_000;
/** That a contract does not trade is believed when two answers this far apart say so: what follows closes a position. */
const DELISTED_AFTER_MS = 60_000;
const TRADING = "Trading";
const INVALID_PARAMETER = "10001";
/** The most that Bybit gives at once: https://bybit-exchange.github.io/docs/v5/market/instrument */
const LIST_PAGE = 1_000;

/** Asks Bybit for contracts. @throws what `readError` reads */
interface InstrumentsClient {
  readonly publicGetV5MarketInstrumentsInfo: (query: InstrumentsQuery) => Promise<unknown>;
}

interface InstrumentsQuery {
  readonly category: string;
  readonly symbol?: string;
  readonly status?: "Closed";
  readonly limit?: number;
  readonly cursor?: string;
}

interface MarketsOptions {
  /** A clock that nobody sets. */
  readonly monotonicMs: () => number;
  readonly rulesOf: (symbol: string, instrument: z.infer<typeof Instrument>) => Market;
}

/** Trading rules of the symbols that a bot has, kept fresh. */
export interface Markets {
  /** Waits only for symbols that it was never asked for. */
  readonly prepare: (symbols: readonly string[]) => Promise<void>;
  /** Undefined when the exchange does not list the symbol as trading, or has not answered yet. */
  readonly market: (symbol: string) => Market | undefined;
  /** Two answers, a minute apart, said that it does not trade. */
  readonly delisted: (symbol: string) => boolean;
}

interface Answer {
  readonly rules: Market | undefined;
  /** Since when every answer said that it does not trade; undefined when it does. */
  readonly untradedSinceMs: number | undefined;
  readonly delisted: boolean;
}

export function createMarkets(
  client: InstrumentsClient,
  { monotonicMs, rulesOf }: MarketsOptions,
): Markets {
  const wanted = new Set<string>();
  const known = new Map<string, Answer>();
  let dueMs = 0;
  /** Gives the first fault of an answer. */
  let loading: Promise<unknown> | undefined;
  let failed: { readonly fault: unknown; readonly untilMs: number } | undefined;

  const learn = async (symbol: string) => {
    const instrument = await askAbout(client, symbol);
    const isTrading = instrument?.status === TRADING;
    const rules = isTrading ? rulesOf(symbol, instrument) : undefined;
    const now = monotonicMs();
    const before = known.get(symbol);
    const untradedSinceMs = rules === undefined ? (before?.untradedSinceMs ?? now) : undefined;
    const delisted = untradedSinceMs !== undefined && now - untradedSinceMs >= DELISTED_AFTER_MS;
    known.set(symbol, { rules, untradedSinceMs, delisted });
  };
  const load = async () => {
    // One odd contract is no reason to know nothing of the others.
    const answers = await Promise.allSettled([...wanted].map(learn));
    const isDoubtful = [...known.values()].some(
      ({ untradedSinceMs, delisted }) => untradedSinceMs !== undefined && !delisted,
    );
    dueMs = monotonicMs() + (isDoubtful ? DELISTED_AFTER_MS : RULES_MAX_AGE_MS);
    const fault = answers.find((answer) => answer.status === "rejected")?.reason as unknown;
    failed = fault === undefined ? undefined : { fault, untilMs: monotonicMs() + ASK_AGAIN_MS };
    return fault;
  };
  const loadOnce = async () => {
    if (failed !== undefined && monotonicMs() < failed.untilMs) return failed.fault;
    return (loading ??= load().finally(() => (loading = undefined)));
  };
  return {
    prepare: async (symbols) => {
      for (const symbol of symbols) wanted.add(symbol);
      const isKnown = () => symbols.every((symbol) => known.has(symbol));
      // Of several symbols that come at once one asks for all; one that comes during an answer asks again.
      if (!isKnown()) await loadOnce();
      const fault = isKnown() ? undefined : await loadOnce();
      if (!isKnown()) throw fault;
      if (monotonicMs() < dueMs) return;
      dueMs = monotonicMs() + RULES_MAX_AGE_MS;
      // The rules at hand serve until the next hour, should the exchange not answer now.
      void loadOnce();
    },
    market: (symbol) => known.get(symbol)?.rules,
    delisted: (symbol) => known.get(symbol)?.delisted === true,
  };
}

/**
 * Asks for one contract alone. That it does not trade is proven only by its own status, or by a list of all that do without it.
 */
async function askAbout(client: InstrumentsClient, symbol: string) {
  const query = request(symbol);
  const row =
    (await findAlone(client, query)) ??
    (await findAlone(client, { ...query, status: "Closed" })) ??
    (await findInList(client, query));
  return row && Instrument.parse(row);
}

type Row = z.infer<typeof InstrumentPage>["result"]["list"][number];
type Query = ReturnType<typeof request>;

/** Without a status Bybit lists what trades. Undefined also when it calls the name wrong, as it does for what is long gone. */
async function findAlone(
  client: InstrumentsClient,
  query: Query & { readonly status?: "Closed" },
): Promise<Row | undefined> {
  try {
    const answer: unknown = await client.publicGetV5MarketInstrumentsInfo(query);
    return InstrumentPage.parse(answer).result.list.find((row) => row.symbol === query.symbol);
  } catch (error) {
    if (readError(error).code === INVALID_PARAMETER) return undefined;
    throw error;
  }
}

/** Throws rather than take an empty list for the end of all trading. */
async function findInList(client: InstrumentsClient, query: Query): Promise<Row | undefined> {
  const { category } = query;
  let cursor = "";
  do {
    const page = cursor === "" ? {} : { cursor };
    const answer: unknown = await client.publicGetV5MarketInstrumentsInfo({
      category,
      limit: LIST_PAGE,
      ...page,
    });
    const { list, nextPageCursor } = InstrumentPage.parse(answer).result;
    if (list.length === 0 && cursor === "") throw new Error("the exchange lists no contracts");
    const row = list.find(({ symbol }) => symbol === query.symbol);
    if (row !== undefined) return row;
    cursor = nextPageCursor ?? "";
  } while (cursor !== "");
  return undefined;
}
