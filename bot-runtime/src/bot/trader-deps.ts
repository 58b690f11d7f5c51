import type { BotConfig, RecordBody } from "@tradingbots/crds";
import type { Exchange, LookUps } from "../exchange/exchange.ts";
import type { JournalClient } from "../journal/journal-client.ts";
import type { Standing } from "../risk/gate.ts";
import type { Account } from "./account.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { RequestLog } from "./request-log.ts";

/** What the trading of one symbol needs of the rest of the bot. */
export interface TraderDeps {
  readonly exchange: Exchange;
  /** What nothing waits for that cannot wait. */
  readonly looks: LookUps;
  readonly journal: Pick<
    JournalClient,
    "standing" | "appendIntent" | "leaseRemainingMs" | "keepLeaseFor"
  >;
  readonly record: (body: RecordBody) => void;
  readonly account: Account;
  readonly requests: RequestLog;
  /** The configuration in force at this moment. */
  readonly config: () => BotConfig;
  readonly standing: (symbol: string) => Standing;
  /** The sentence when the key belongs to another account than the one that the bot trades on: what it shows is not the bot's. */
  readonly otherAccount: () => string | undefined;
  /** Sees the close of a candle (ms of candle time), and begins the trading day if it is due. */
  readonly openDay: (closeMs: number | undefined) => Promise<void>;
  /** The exchange tells of changes to the account by itself at the moment: looks may be rarer. */
  readonly isStreamed: () => boolean;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Wall clock, ms. */
  readonly nowMs: () => number;
  /** Monotonic clock, ms: ages and durations, whatever happens to the wall clock. */
  readonly monotonicMs: () => number;
}
