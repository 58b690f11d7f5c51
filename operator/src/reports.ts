import { BotReportLine, type Report, ReportLine } from "@tradingbots/crds";
import { backOffMs, keyOf, linesOf, timeSlices } from "@tradingbots/kube";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { pack, type Packed, unpack } from "./packed.ts";
import { createSharing } from "./shared-values.ts";

/** What a bot said last, and when it said so. */
export interface BotReport {
  readonly podUid: string;
  readonly epoch: number;
  readonly report: Report;
  /**
   * When the journal heard it, on this process's monotonic clock: its age by the database's clock, counted back from its
   * arrival. No clock of one machine is compared with that of another.
   */
  readonly saidAtMs: number;
}

export interface Reports {
  readonly latest: (botKey: string) => BotReport | undefined;
  /** The stream is up and has told what there is: absence of a report means something. */
  readonly isHeard: () => boolean;
}

export interface ReportsOptions {
  readonly url: string;
  readonly token: () => string;
  /** Whether such a bot may be there; what is said of others is not kept. */
  readonly isKnown: (botKey: string) => boolean;
  readonly onReport: (botKey: string, latest: BotReport, previous: BotReport | undefined) => void;
  /** The stream came up or went down: `false` at most once for each `true`. */
  readonly onHeard: (isHeard: boolean) => void;
  readonly onError: (error: unknown) => void;
  readonly clock: Clock;
}

/** Milliseconds on a clock that never jumps. */
export type Clock = () => number;

/** Nothing is known any more about a bot whose last report is older: bots report at least every 10 s. */
const STALE_AFTER_MS = 60_000;
/** The journal sends a heartbeat every 5 s. */
const SILENCE_MS = 15_000;
const CONNECT_TIMEOUT_MS = 5_000;
const BACK_OFF = { initialMs: 250, maxMs: 10_000 };
/** A report of 8 positions and 64 halts is 30 kB. */
const LINES = { maxBytes: 1024 * 1024, of: "the journal's reports" };

export function isStale({ saidAtMs }: Pick<BotReport, "saidAtMs">, clockMs: number): boolean {
  return clockMs - saidAtMs > STALE_AFTER_MS;
}

/** Follows the journal's stream of reports and keeps the latest of each bot. */
export function createReports(options: ReportsOptions) {
  const kept = keepLatest(options);
  const stopping = new AbortController();
  const dispatcher = new Agent({
    connections: 1,
    allowH2: false,
    connectTimeout: CONNECT_TIMEOUT_MS,
    headersTimeout: SILENCE_MS,
    bodyTimeout: SILENCE_MS,
  });
  let heard = false;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      try {
        await follow();
        throw new Error("the journal ended its stream of reports");
      } catch (error) {
        if (stopping.signal.aborted) return;
        failures = heard ? 1 : failures + 1;
        setHeard(false);
        options.onError(error);
        const delayMs = backOffMs(failures, BACK_OFF, Math.random);
        await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => {});
      }
    }
  }

  async function follow(): Promise<void> {
    const answer = await request(new URL("/v1/reports", options.url), {
      dispatcher,
      headers: { authorization: `Bearer ${options.token()}`, accept: "application/x-ndjson" },
      signal: stopping.signal,
    });
    if (answer.statusCode !== 200) {
      await answer.body.dump();
      throw new Error(`the journal answered ${answer.statusCode} to GET /v1/reports`);
    }
    for await (const line of reportLines(answer.body)) take(line);
  }

  function take(line: ReportLine): void {
    if ("synced" in line) setHeard(true);
    if ("report" in line) kept.take(line);
  }

  function setHeard(value: boolean): void {
    if (heard === value) return;
    heard = value;
    options.onHeard(value);
  }

  return {
    start: () => void (running ??= run()),
    stop: async () => {
      stopping.abort();
      await running;
      await dispatcher.destroy();
    },
    latest: kept.get,
    isHeard: () => heard,
    /** A bot that is gone will not report again. */
    forget: kept.forget,
    /** All bots with a report, and when each said it. */
    entries: kept.entries,
  };
}

/** Most reports say what the one before said: then only their time changes. */
function keepLatest({ isKnown, onReport, clock }: ReportsOptions) {
  const latest = new Map<string, KeptReport>();

  function take({ namespace, botName, podUid, epoch, ageMs, report }: BotReportLine): void {
    const key = keyOf({ namespace, name: botName });
    const previous = latest.get(key);
    if ((previous?.epoch ?? 0) > epoch || !isKnown(key)) return;
    const next = new KeptReport({ podUid, epoch, report, saidAtMs: clock() - ageMs });
    latest.set(key, next);
    if (previous?.saysTheSameAs(next) !== true) onReport(key, next.view(), previous?.view());
  }

  return {
    take,
    get: (botKey: string): BotReport | undefined => latest.get(botKey)?.view(),
    forget: (botKey: string) => void latest.delete(botKey),
    entries: (): Iterable<[string, Pick<BotReport, "saidAtMs">]> => latest,
  };
}

type OwnField = "generation" | "dayResult" | "lastTradeAt" | "positions" | "requests";

/** What is a report's own. */
type Own = readonly [podUid: string, report: Pick<Report, OwnField>];

/** What thousands of reports have in common. Balance and time are the API's affair. */
type Common = Omit<Report, OwnField | "balance" | "asOf">;

const sharedCommon = createSharing<Common>();

/** What it has in common with others is held once, all else is one text. */
class KeptReport {
  readonly epoch: number;
  readonly #own: Packed<Own>;
  readonly #common: Common;
  readonly saidAtMs: number;

  constructor({ podUid, epoch, report, saidAtMs }: BotReport) {
    const { generation, dayResult, lastTradeAt, positions, requests, ...others } = report;
    const { balance: _balance, asOf: _asOf, ...common } = others;
    const own = { generation, dayResult, lastTradeAt, positions, requests };
    this.epoch = epoch;
    this.#own = pack<Own>([podUid, own]);
    this.#common = sharedCommon(common);
    this.saidAtMs = saidAtMs;
  }

  saysTheSameAs(other: KeptReport): boolean {
    const isOfSamePod = this.epoch === other.epoch && this.#own === other.#own;
    return isOfSamePod && this.#common === other.#common;
  }

  view(): BotReport {
    const [podUid, own] = unpack(this.#own);
    const report = { ...this.#common, ...own, balance: null, asOf: "" };
    return { podUid, epoch: this.epoch, report, saidAtMs: this.saidAtMs };
  }
}

async function* reportLines(body: AsyncIterable<unknown>) {
  for await (const line of linesOf(body, LINES)) {
    if (timeSlices.isOver()) await timeSlices.next(); // at the start all bots' reports come at once
    yield readLine(JSON.parse(line));
  }
}

/** A union tries one kind after the other, which costs as much as a report itself. */
function readLine(value: unknown): ReportLine {
  const isReport = typeof value === "object" && value !== null && "report" in value;
  return isReport ? BotReportLine.parse(value) : ReportLine.parse(value);
}
