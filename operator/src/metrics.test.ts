import { expect, test } from "vitest";
import { createMetrics, type MetricSources } from "./metrics.ts";

/** A process that has nothing to tell. */
const SILENT: MetricSources = {
  queueDepth: () => ({}),
  queueRunning: () => ({}),
  queueFailing: () => ({}),
  lastEventAt: () => Date.now(),
  isLeader: () => false,
  isJournalHeard: () => false,
  bots: () => [],
  startsWaiting: () => 0,
  rollouts: () => new Map(),
};

function lineOf(text: string, name: string): string | undefined {
  return text.split("\n").find((line) => line.startsWith(name));
}

test("how long the process took until it served is told, and does not go on growing", async () => {
  const metrics = createMetrics();
  metrics.observe(SILENT);
  const load = lineOf(await metrics.text(), "tradingbots_operator_load_seconds");
  expect(load).toMatch(/ \d+\.\d+$/);
  expect(lineOf(await metrics.text(), "tradingbots_operator_load_seconds")).toBe(load);
});

test("waits for the budget, keys in back-off and forbidden writes are told", async () => {
  const metrics = createMetrics();
  metrics.observe({ ...SILENT, queueFailing: () => ({ bots: 2 }) });
  metrics.onBudgetWait(500);
  metrics.onForbidden();
  const text = await metrics.text();
  expect(text).toContain("tradingbots_operator_budget_wait_seconds_sum 0.5\n");
  expect(text).toContain('tradingbots_operator_queue_failing{queue="bots"} 2\n');
  expect(text).toContain("tradingbots_operator_forbidden_writes_total 1\n");
});
