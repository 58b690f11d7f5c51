import { LEASES } from "@tradingbots/kube";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type Platform, startPlatform } from "./platform.ts";
import { Replica } from "./replica.ts";
import { until } from "./until.ts";

/** The process itself, twice: one leads, the other stands by. Vault and journal are out of reach, which stops neither. */

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform?.stop());

async function startReplica(name: string): Promise<Replica> {
  const replica = await Replica.start(name, platform);
  onTestFinished(() => replica.remove());
  return replica;
}

test("the leader acts, and a standby takes over as soon as it leaves", async () => {
  const first = await startReplica("operator-0");
  await until("the first leads", () => first.leads());
  const second = await startReplica("operator-1");
  await until("the second is ready", () => second.isReady());
  expect(await second.leads()).toBe(false);
  const before = await platform.createBot();
  await until("the first acts", async () => (await platform.pod(before)) !== undefined);

  first.process.signal("SIGTERM");
  const leftAt = performance.now();
  expect(await first.process.exited()).toBe(0);
  await until("the second leads", () => second.leads());
  // Without the release it would be the lease's 15 s.
  expect(performance.now() - leftAt).toBeLessThan(10_000);
  const lease = await platform.client.get(LEASES, {
    namespace: "default",
    name: "tradingbots-operator",
  });
  expect(lease?.spec?.holderIdentity).toMatch(/^operator-1_/);
  const after = await platform.createBot();
  await until("the second acts", async () => (await platform.pod(after)) !== undefined);
});
