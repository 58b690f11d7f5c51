import type { RecordBody } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { RecordBuffer } from "./record-buffer.ts";

const at = "2025-06-18T00:00:00Z";
const event = (message: string): RecordBody => ({ type: "event", kind: "test", message, at });
const baseline = (day: string): RecordBody => ({
  type: "day-baseline",
  day,
  equity: "1",
  startsFrom: "0",
  at,
});

const report = (generation: number): RecordBody => ({
  type: "report",
  report: {
    generation,
    state: "Running",
    flat: true,
    protected: true,
    trading: true,
    blocked: [],
    positions: [],
    balance: null,
    dayResult: null,
    lastTradeAt: null,
    halts: [],
    leased: true,
    consecutiveErrors: 0,
    asOf: at,
  },
});

test("a batch keeps its numbers until it is confirmed", () => {
  const buffer = new RecordBuffer();
  buffer.add(event("one"));
  const first = buffer.batch(5);
  buffer.add(event("two"));
  expect(buffer.batch(99)).toBe(first);
  expect(first.map(({ sequence }) => sequence)).toEqual([5]);
  buffer.confirm();
  expect(buffer.batch(6).map(({ sequence, body }) => [sequence, body])).toEqual([
    [6, event("two")],
  ]);
});

test("a refused batch is halved until one record is left, which is given up", () => {
  const buffer = new RecordBuffer();
  for (const name of ["a", "b", "bad", "d", "e"]) buffer.add(event(name));
  const stored: unknown[] = [];
  const refused: unknown[] = [];
  for (let next = 1; buffer.size > 0;) {
    const batch = buffer.batch(next);
    if (batch.some(({ body }) => body.type === "event" && body.message === "bad")) {
      const record = buffer.refuse();
      if (record !== undefined) refused.push(record.body);
      continue;
    }
    stored.push(...batch);
    next += batch.length;
    buffer.confirm();
  }
  expect(refused).toEqual([event("bad")]);
  expect(stored).toEqual(
    ["a", "b", "d", "e"].map((name, index) => ({ sequence: index + 1, body: event(name) })),
  );
});

test("events are dropped above the limit, the oldest first; facts about money never", () => {
  const buffer = new RecordBuffer();
  buffer.add(baseline("2025-06-18"));
  for (let index = 0; index < 2_100; index += 1) buffer.add(event(String(index)));
  for (let index = 0; index < 100; index += 1) buffer.add(baseline("2025-06-19"));
  expect(buffer.dropped).toBe(100);
  expect(buffer.size).toBe(2_000 + 101);
  const [first, second] = buffer.batch(1);
  expect(first?.body).toEqual(baseline("2025-06-18"));
  expect(second?.body).toEqual(event("100"));
});

const order = (index: number, change: Partial<Extract<RecordBody, { type: "order" }>> = {}) => ({
  type: "order" as const,
  clientOrderId: `11111111-1111-8111-8111-${String(index).padStart(12, "0")}`,
  exchangeOrderId: null,
  symbol: "BTC/USDT:USDT",
  purpose: "exit" as const,
  side: "sell" as const,
  quantity: "1",
  status: "refused" as const,
  code: null,
  message: null,
  at,
  ...change,
});

test("the same word about the same order waits once", () => {
  const buffer = new RecordBuffer();
  for (const status of ["accepted", "refused", "refused", "filled"] as const) {
    buffer.add(order(1, { status }));
  }
  buffer.add(order(2));
  expect(buffer.batch(1).map(({ body }) => body)).toEqual([
    order(1, { status: "accepted" }),
    order(1),
    order(1, { status: "filled" }),
    order(2),
  ]);
  expect(buffer.dropped).toBe(0);
});

test("facts about money are kept beyond the size at which the buffer is called full", () => {
  const buffer = new RecordBuffer();
  for (let index = 0; index < 4_999; index += 1) buffer.add(baseline("2025-06-18"));
  expect(buffer.full).toBe(false);
  buffer.add(baseline("2025-06-18"));
  buffer.add(baseline("2025-06-18"));
  expect([buffer.full, buffer.size, buffer.dropped]).toEqual([true, 5_001, 0]);
});

test("exits are dropped above the limit, the oldest first; entries never", () => {
  const buffer = new RecordBuffer();
  for (let index = 0; index < 2_100; index += 1) buffer.add(order(index, { purpose: "entry" }));
  for (let index = 3_000; index < 5_100; index += 1) buffer.add(order(index));
  expect(buffer.dropped).toBe(100);
  expect(buffer.size).toBe(2_100 + 2_000);
});

test("of reports that wait only the newest is kept", () => {
  const buffer = new RecordBuffer();
  buffer.add(report(1));
  buffer.add(event("between"));
  buffer.add(report(2));
  expect(buffer.batch(1).map(({ body }) => body)).toEqual([event("between"), report(2)]);
});
