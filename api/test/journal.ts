import { setTimeout as sleep } from "node:timers/promises";
import type { RecordBody, Report, RequestResult } from "@tradingbots/crds";
import { ReportLine } from "@tradingbots/crds";
import { z } from "zod";

const ID = (suffix: number) => `00000000-0000-8000-8000-${String(suffix).padStart(12, "0")}`;
const AT = "2026-01-02T03:04:05.678Z";

export function report(change: Partial<Report> = {}): RecordBody {
  return {
    type: "report",
    report: {
      generation: 1,
      state: "Running",
      flat: true,
      protected: true,
      trading: true,
      blocked: [],
      positions: [],
      balance: { equity: "1000.10", available: "900.50", currency: "USDT" },
      dayResult: null,
      lastTradeAt: null,
      halts: [],
      leased: true,
      consecutiveErrors: 0,
      asOf: AT,
      ...change,
    },
  };
}

export function trade(id: number, change: object = {}): RecordBody {
  return {
    type: "trade",
    trade: {
      id: ID(id),
      symbol: "BTC/USDT:USDT",
      side: "long",
      quantity: "0.010",
      entryPrice: "60000.10",
      exitPrice: null,
      pnl: null,
      fees: "0.33",
      funding: "0",
      openedAt: AT,
      closedAt: null,
      reason: null,
      ...change,
    },
  };
}

export function order(
  id: number,
  status: "accepted" | "filled" | "refused" | "cancelled",
): RecordBody {
  return {
    type: "order",
    clientOrderId: ID(id),
    exchangeOrderId: "x-1",
    symbol: "BTC/USDT:USDT",
    purpose: "entry",
    side: "buy",
    quantity: "0.010",
    status,
    code: null,
    message: null,
    at: AT,
  };
}

export function fill(execution: string, id: number): RecordBody {
  return {
    type: "fill",
    executionId: execution,
    clientOrderId: ID(id),
    tradeId: ID(id),
    symbol: "BTC/USDT:USDT",
    purpose: "entry",
    side: "buy",
    price: "60000.10",
    quantity: "0.010",
    fee: "0.3300000000000001",
    feeCurrency: "USDT",
    at: AT,
  };
}

export function funding(execution: string, id: number): RecordBody {
  return {
    type: "funding",
    executionId: execution,
    tradeId: ID(id),
    symbol: "BTC/USDT:USDT",
    amount: "-0.0000000000000001",
    currency: "USDT",
    at: AT,
  };
}

export const event = (message: string): RecordBody => ({
  type: "event",
  kind: "signal",
  message,
  at: AT,
});

export const requestResult = (id: number, change: Partial<RequestResult> = {}): RecordBody => ({
  type: "request",
  result: {
    id: ID(id),
    action: "ClosePosition",
    symbol: "BTC/USDT:USDT",
    side: null,
    status: "done",
    reason: null,
    message: "the position is closed",
    orderId: null,
    at: AT,
    ...change,
  },
});

export const equity = (amount: string): RecordBody => ({
  type: "equity",
  equity: amount,
  available: "1",
  currency: "USDT",
  at: AT,
});

export const dayBaseline = (amount: string): RecordBody => ({
  type: "day-baseline",
  day: "2026-01-02",
  equity: amount,
  startsFrom: "-1.5",
  at: AT,
});

export function intent(id: number) {
  return {
    clientOrderId: ID(id),
    attempt: 0,
    symbol: "BTC/USDT:USDT",
    side: "buy",
    quantity: "0.010",
    leverage: 10,
    stopLoss: "59400",
    takeProfit: "61200",
    candleOpenTime: AT,
    confidence: 72.5,
    at: AT,
  };
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** A bot's side of the protocol. */
export function journalClient(url: string, token: string) {
  async function post(path: string, body: unknown): Promise<Answer> {
    const response = await fetch(`${url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }
  return {
    session: () => post("session", {}),
    lease: (epoch: number) => post("lease", { epoch }),
    intent: (epoch: number, id: number) => post("intents", { epoch, intent: intent(id) }),
    records: (epoch: number, first: number, bodies: readonly RecordBody[]) =>
      post("records", {
        epoch,
        records: bodies.map((body, index) => ({ sequence: first + index, body })),
      }),
  };
}

type Line = z.infer<typeof ReportLine>;

/** The operator's side: collects the lines of the report stream. */
export async function readReports(url: string, token: string) {
  const ending = new AbortController();
  const response = await fetch(`${url}/v1/reports`, {
    headers: { authorization: `Bearer ${token}` },
    signal: ending.signal,
  });
  const lines: Line[] = [];
  let ended = false;
  const reading = collect(response, lines).finally(() => (ended = true));
  reading.catch(() => {}); // ended by us or by the journal
  return {
    status: response.status,
    contentType: response.headers.get("content-type"),
    lines,
    hasEnded: () => ended,
    stop: () => ending.abort(),
    /** Waits until the lines satisfy a condition. */
    until: async (condition: (lines: readonly Line[]) => boolean, limitMs = 15_000) => {
      const deadline = Date.now() + limitMs;
      while (!condition(lines)) {
        if (Date.now() > deadline) throw new Error(`not in time: ${JSON.stringify(lines)}`);
        await sleep(20);
      }
    },
  };
}

async function collect(response: Response, lines: Line[]): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of response.body ?? []) {
    const pieces = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = pieces.pop() ?? "";
    for (const piece of pieces) lines.push(ReportLine.parse(JSON.parse(piece)));
  }
}
