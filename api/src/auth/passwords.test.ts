import { getPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { getRounds } from "bcrypt";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { assertAcceptable, createPasswords, type Passwords } from "./passwords.ts";

let passwords: Passwords;
beforeAll(() => {
  passwords = createPasswords({ cost: 12 });
});
afterEach(() => void vi.useRealTimers());
afterAll(() => passwords.close());

test("a password matches its own hash, which has cost 12, and no other", async () => {
  const hash = await passwords.hash("correct horse battery");
  expect(hash).toMatch(/^\$2b\$12\$/);
  expect(await passwords.compare("correct horse battery", hash)).toBe(true);
  expect(await passwords.compare("correct horse batterz", hash)).toBe(false);
});

test("the decoy has the form of a hash of the same cost, so that it is compared as long, and matches nothing", async () => {
  const hash = await passwords.hash("correct horse battery");
  expect(passwords.decoy).toHaveLength(hash.length);
  expect(getRounds(passwords.decoy)).toBe(getRounds(hash));
  expect(await passwords.compare("correct horse battery", passwords.decoy)).toBe(false);
});

test("the work happens in another process, which everybody else goes before", async () => {
  await passwords.compare("x", `$2b$04$${"a".repeat(53)}`);
  const pid = workerPid();
  expect(pid).not.toBe(process.pid);
  expect(getPriority(pid)).toBeGreaterThan(0);
});

test("a full queue refuses at once and says when to come back", async () => {
  const cheap = createPasswords({ cost: 10 });
  expect(cheap.assertRoom).not.toThrow();
  const results = Array.from({ length: 60 }, () => cheap.hash("correct horse battery"));
  expect(cheap.assertRoom).toThrow(expect.objectContaining({ code: "login_overloaded" }));
  const settled = await Promise.allSettled(results);
  expect(cheap.assertRoom).not.toThrow();
  cheap.close();
  const refused = settled.filter((result) => result.status === "rejected");
  expect(refused.length).toBeGreaterThan(10);
  expect(refused.length).toBeLessThan(60);
  expect(refused[0]?.reason).toMatchObject({ code: "login_overloaded", retryAfterSeconds: 5 });
});

test("a worker that dies is replaced; only what it was doing fails", async () => {
  const slow = passwords.hash("correct horse battery").catch((error: unknown) => error);
  await sleep(20);
  process.kill(workerPid(), "SIGKILL");
  expect(await slow).toMatchObject({ code: "login_overloaded" });
  expect(await passwords.hash("correct horse battery")).toMatch(/^\$2b\$12\$/);
});

/** A signal to no process would go to this one and all beside it. */
function workerPid(): number {
  const pid = passwords.workerPid();
  if (pid === undefined) throw new Error("no worker");
  return pid;
}

/** Halts the worker, and answers what becomes of three jobs, one more than run at once, after so many seconds. One that is still there goes on. */
async function whileHalted(seconds: number): Promise<unknown> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const pid = workerPid();
  process.kill(pid, "SIGSTOP");
  const jobs = Array.from({ length: 3 }, () =>
    passwords.hash("correct horse battery").catch((error: unknown) => error),
  );
  await vi.advanceTimersByTimeAsync(seconds * 1_000);
  const ends = await Promise.all(jobs);
  if (passwords.workerPid() === pid) process.kill(pid, "SIGCONT");
  return ends;
}

const OVERLOADED = { code: "login_overloaded", retryAfterSeconds: 5 };

test("whoever waits too long, in the queue too, is sent away, and a worker that is only slow goes on", async () => {
  const pid = workerPid();
  expect(await whileHalted(15)).toMatchObject([OVERLOADED, OVERLOADED, OVERLOADED]);
  expect(await passwords.hash("correct horse battery")).toMatch(/^\$2b\$12\$/);
  expect(passwords.workerPid()).toBe(pid);
});

test("a worker that hangs is replaced", async () => {
  const pid = workerPid();
  expect(await whileHalted(60)).toMatchObject([OVERLOADED, OVERLOADED, OVERLOADED]);
  await vi.waitUntil(() => passwords.isAlive() && passwords.workerPid() !== pid, 10_000);
  expect(await passwords.hash("correct horse battery")).toMatch(/^\$2b\$12\$/);
});

test.for<[name: string, password: string]>([
  ["12 characters", "123456789012"],
  ["12 characters of four bytes", "😀".repeat(12)],
  ["72 bytes", "x".repeat(72)],
  ["an obvious word among others", "bitcoin and battery"],
])("acceptable: %s", ([, password]) => {
  expect(() => assertAcceptable(password, () => false)).not.toThrow();
});

test.for<[name: string, password: string, sentence: string]>([
  ["11 characters", "12345678901", "use at least 12 characters"],
  ["73 bytes", "x".repeat(73), "use at most 72 bytes"],
  ["obvious words alone", "TradingBots2026", "add some of your own"],
  ["37 characters, 74 bytes", "ü".repeat(37), "use at most 72 bytes"],
])("not acceptable: %s", ([, password, sentence]) => {
  expect(() => assertAcceptable(password, () => false)).toThrow(sentence);
});
