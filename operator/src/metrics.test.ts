import { expect, test } from "vitest";
import { createMetrics, type MetricSources } from "./metrics.ts";

/** A process that has nothing to tell. */
const SILENT: MetricSources = {
  queueDepth: () => ({}),
  queueRunning: () => ({}),
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
