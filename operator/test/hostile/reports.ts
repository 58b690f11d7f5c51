import type { Report } from "@tradingbots/crds";
import { keyOf } from "@tradingbots/kube";
import type { ReportHandlers, ReportSource } from "../../src/operator.ts";
import type { BotReport } from "../../src/reports.ts";

/** Stands for the journal: what bots said last. It outlives an operator, whose successor hears it all. */
export function createFakeReports(namespace: string) {
  const latest = new Map<string, BotReport>();
  let told: ReportHandlers | undefined;
  const keyOfBot = (name: string) => keyOf({ namespace, name });

  /** Each pod opens one session. */
  function epochOf(name: string, podUid: string): number {
    const known = latest.get(keyOfBot(name));
    return (known?.epoch ?? 0) + (known?.podUid === podUid ? 0 : 1);
  }

  const source = (handlers: ReportHandlers): ReportSource => {
    told = handlers;
    return {
      start: () => undefined,
      stop: async () => undefined,
      latest: (key) => latest.get(key),
      isHeard: () => true,
      forget: (key) => void latest.delete(key),
      entries: () => latest.entries(),
    };
  };

  function report(name: string, podUid: string, said: Report): void {
    const key = keyOfBot(name);
    const previous = latest.get(key);
    const next = {
      podUid,
      epoch: epochOf(name, podUid),
      report: said,
      saidAtMs: performance.now(),
    };
    latest.set(key, next);
    told?.onReport(key, next, previous);
  }

  return { source, report, epochOf };
}
export type FakeReports = ReturnType<typeof createFakeReports>;
