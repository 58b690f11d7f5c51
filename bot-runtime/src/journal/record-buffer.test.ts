import type { RecordBody } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { RecordBuffer } from "./record-buffer.ts";

const at = "2025-06-18T00:00:00Z";
const event = (message: string): RecordBody => ({ type: "event", kind: "test", message, at });
const baseline = (day: string): RecordBody => ({ type: "day-baseline", day, equity: "1", at });

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

test("of reports that wait only the newest is kept", () => {
  const buffer = new RecordBuffer();
  buffer.add(report(1));
  buffer.add(event("between"));
  buffer.add(report(2));
  expect(buffer.batch(1).map(({ body }) => body)).toEqual([event("between"), report(2)]);
});
