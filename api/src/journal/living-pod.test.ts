import { afterEach, expect, test, vi } from "vitest";
import { podExists } from "./living-pod.ts";

afterEach(() => void vi.useRealTimers());

test("an API server that does not answer is waited for no longer than the bot waits", async () => {
  vi.useFakeTimers();
  const asked = podExists({ create: () => new Promise<never>(() => {}) }, "token");
  const [[said]] = await Promise.all([
    Promise.allSettled([asked]),
    vi.advanceTimersByTimeAsync(2_000),
  ]);
  expect(said).toMatchObject({ status: "rejected", reason: { code: "cluster_unavailable" } });
  expect(vi.getTimerCount()).toBe(0);
});

test("an API server that cannot be asked has said nothing about the pod", async () => {
  const refusal = Promise.reject(new Error("connection refused"));
  const asked = podExists({ create: () => refusal }, "token");
  await expect(asked).rejects.toMatchObject({ code: "cluster_unavailable" });
});
