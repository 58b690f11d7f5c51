import type { KubeClient, NewObject } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { createEvents } from "./events.ts";

const MINUTE_MS = 60_000;
/** So many repetitions are known. */
const KNOWN = 10_000;

function writer() {
  const told: string[] = [];
  const written: NewObject[] = [];
  let now = Date.parse("2026-01-01T00:00:00Z");
  const create = async (_resource: unknown, event: NewObject) => {
    written.push(event);
    told.push(`${String(event["reason"])} ${event.metadata.name.replace(/\..*/, "")}`);
  };
  const events = createEvents({
    client: { create } as unknown as KubeClient, // oxlint-disable-line typescript/no-unsafe-type-assertion
    instance: "operator-0",
    onError: () => {},
    now: () => new Date(now),
  });
  const warn = (name: string, reason = "CrashLooping", note = "It ends again and again.") => {
    const uid = `uid-of-${name}`;
    events.warn({ kind: "TradingBot", namespace: "tradingbots-00", name, uid }, reason, note);
  };
  const warnOthers = (count: number) => {
    for (let each = 0; each < count; each++) warn(`other-${each}`);
  };
  const ofBots = () => told.filter((each) => !each.includes("other-"));
  return { warn, warnOthers, ofBots, written, pass: (ms: number) => void (now += ms) };
}

test("the same of the same object is told once in ten minutes; another reason, or object, at once", () => {
  const { warn, ofBots, pass } = writer();
  for (const name of ["a", "b"]) warn(name);
  warn("a", "PodRefused");
  pass(10 * MINUTE_MS - 1);
  warn("a", "CrashLooping", "In other words.");
  expect(ofBots()).toEqual(["CrashLooping a", "CrashLooping b", "PodRefused a"]);
  pass(1);
  warn("a");
  warn("a");
  expect(ofBots().slice(3)).toEqual(["CrashLooping a"]);
});

test("no more than ten thousand are remembered, and the oldest is forgotten first", () => {
  const { warn, warnOthers, ofBots, pass } = writer();
  for (const name of ["a", "b"]) warn(name);
  pass(10 * MINUTE_MS);
  warn("a"); // the newest by now
  warnOthers(KNOWN - 1);
  warn("a");
  expect(ofBots()).toEqual(["CrashLooping a", "CrashLooping b", "CrashLooping a"]);
  warnOthers(1);
  warn("one-more");
  warn("a");
  expect(ofBots().slice(3)).toEqual(["CrashLooping one-more", "CrashLooping a"]);
});

test("an Event names its object and who says it, in no more words than the API takes", () => {
  const { warn, written } = writer();
  warn("a", "PodRefused", "x".repeat(2_000));
  expect(written[0]?.metadata.name).toMatch(/^a\.[0-9a-f-]{13}$/);
  expect(written).toMatchObject([
    {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { namespace: "tradingbots-00" },
      eventTime: "2026-01-01T00:00:00.000000Z",
      type: "Warning",
      reason: "PodRefused",
      action: "Reconcile",
      note: "x".repeat(1_024),
      regarding: {
        apiVersion: "tradingbots.dev/v1alpha1",
        kind: "TradingBot",
        namespace: "tradingbots-00",
        name: "a",
        uid: "uid-of-a",
      },
      reportingController: "tradingbots.dev/operator",
      reportingInstance: "operator-0",
    },
  ]);
});
