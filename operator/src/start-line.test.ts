import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createStartLine, type StartLine, type StartRank } from "./start-line.ts";

let line: StartLine;
let woken: string[];

beforeEach(() => {
  vi.useFakeTimers();
  woken = [];
  line = createStartLine({ perSecond: 10, clock: () => Date.now() });
});
afterEach(() => {
  line.stop();
  vi.useRealTimers();
});

const ask = (id: string, rank: StartRank = "rest") =>
  line.ask({ id, rank, wake: () => woken.push(id) });
const ids = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);

test("a second's worth starts at once, what follows at the rate, in order", () => {
  const bots = ids("b", 30);
  expect(bots.filter((bot) => ask(bot).mayStart)).toEqual(bots.slice(0, 10));
  vi.advanceTimersByTime(1_000);
  expect(woken).toEqual(bots.slice(10, 20));
  expect(woken.map((bot) => ask(bot).mayStart)).not.toContain(false);
  vi.advanceTimersByTime(1_000);
  expect(woken).toEqual(bots.slice(10));
  expect(line.size()).toBe(0);
});

test("over ten seconds no more start than the rate allows", () => {
  for (const bot of ids("b", 500)) ask(bot);
  vi.advanceTimersByTime(10_000);
  expect(woken).toHaveLength(100);
});

test("nobody overtakes who asks while others wait", () => {
  for (const bot of ids("b", 12)) ask(bot);
  vi.advanceTimersByTime(100);
  expect(woken).toEqual(["b10"]);
  expect(ask("late")).toEqual({ mayStart: false, ahead: undefined });
});

test("what may hold a position goes first, then users, also when it becomes so", () => {
  for (const bot of ids("b", 14)) ask(bot);
  ask("open", "position");
  ask("new", "user");
  ask("b12", "position");
  ask("b13", "user");
  vi.advanceTimersByTime(1_000);
  expect(woken).toEqual(["open", "b12", "new", "b10", "b13", "b11"]); // every fourth is the oldest's turn
});

test.each<[string, readonly StartRank[]]>([
  ["positions that never end", ["position"]],
  ["users who create bots on and on", ["user"]],
  ["anybody, more than can start", ["position", "user", "rest", "user", "position"]],
])("nobody waits for ever behind %s", (_name, ranks) => {
  const asked = new Map<string, { readonly atMs: number; readonly before: number }>();
  const waits: { readonly id: string; readonly ms: number; readonly boundMs: number }[] = [];
  const arrive = (id: string, rank: StartRank) => {
    const before = line.size();
    const wake = () => {
      const { atMs, before: ahead } = asked.get(id) ?? { atMs: NaN, before: NaN };
      const boundMs = (4 * (ahead + 1) * 1_000) / 10 + 100; // at 10 a second, and a look each 0.1 s
      waits.push({ id, ms: Date.now() - atMs, boundMs });
      expect(line.ask({ id, rank, wake: () => {} })).toEqual({ mayStart: true });
    };
    if (!line.ask({ id, rank, wake }).mayStart) asked.set(id, { atMs: Date.now(), before });
  };
  for (const bot of ids("first", 12)) arrive(bot, "position");
  for (const bot of ids("patient", 5)) arrive(bot, "rest");
  // Three new ones for each two that can start.
  for (let serial = 0; serial < 900; serial++) {
    arrive(`late${serial}`, ranks[serial % ranks.length] ?? "rest");
    if (serial % 3 === 2) vi.advanceTimersByTime(200);
  }
  const started = waits.map(({ id }) => id);
  expect(started).toEqual(expect.arrayContaining(ids("patient", 5)));
  expect(waits.length).toBeGreaterThan(500);
  expect(waits.filter(({ ms, boundMs }) => ms > boundMs)).toEqual([]);
  vi.advanceTimersByTime(60_000);
  expect(waits).toHaveLength(asked.size);
  expect(waits.filter(({ ms, boundMs }) => ms > boundMs)).toEqual([]);
});

test("who leaves is not called, and who was called and does not come is forgotten", () => {
  for (const bot of ids("b", 12)) ask(bot);
  line.leave("b10");
  vi.advanceTimersByTime(1_000);
  expect(woken).toEqual(["b11"]);
  vi.advanceTimersByTime(60_000);
  for (const bot of ids("c", 10)) ask(bot);
  expect(ask("b11").mayStart).toBe(false);
});

test("a long wait is told once, and again when it has become a tenth", () => {
  const bots = ids("b", 1_010);
  const told = bots.map((bot) => ask(bot)).filter((answer) => !answer.mayStart);
  expect(told.filter(({ ahead }) => ahead !== undefined)).toHaveLength(950);
  expect(ask("b1009")).toEqual({ mayStart: false, ahead: 999 });
  vi.advanceTimersByTime(85_000);
  expect(ask("b1009")).toEqual({ mayStart: false, ahead: 999 });
  expect(woken).not.toContain("b1009");
  vi.advanceTimersByTime(6_000);
  const { ahead = 0 } = { ahead: undefined, ...ask("b1009") };
  expect(ahead).toBeLessThan(100);
  expect(woken.filter((bot) => bot === "b1009")).toHaveLength(1);
});

test("at rest no timer runs", () => {
  for (const bot of ids("b", 12)) ask(bot);
  vi.advanceTimersByTime(2_000);
  for (const bot of woken) ask(bot);
  vi.advanceTimersByTime(200);
  expect(vi.getTimerCount()).toBe(0);
});
