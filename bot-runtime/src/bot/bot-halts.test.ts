import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Exchange, Outcome } from "../exchange/exchange.ts";
import { OTHER_SYMBOL, startExampleBot, SYMBOL } from "./example-bot.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test("without the journal's memory every symbol counts as open, whatever the exchange shows", async () => {
  const { grantSession, lastReport } = startExampleBot({
    config: { symbols: [SYMBOL, OTHER_SYMBOL] },
  });
  await pass(1_000);
  const both = [SYMBOL, OTHER_SYMBOL];
  expect(lastReport()).toMatchObject({ flat: false, openSymbols: both, openEntries: both });
  grantSession();
  await pass(1_000);
  expect(lastReport()).toMatchObject({ flat: true, openSymbols: [], openEntries: [] });
});

test("a halt is acknowledged at once, and an entry in flight is said to be open until its end is known", async () => {
  const { promise, resolve: answer } = Promise.withResolvers<Outcome>();
  const submitEntry = vi.fn<Exchange["submitEntry"]>(() => promise);
  const { bot, config, closeCandle, grantSession, lastReport } = startExampleBot({
    exchange: { submitEntry },
  });
  grantSession();
  await pass(1_000);
  closeCandle();
  await pass(0);
  expect(submitEntry).toHaveBeenCalledTimes(1);
  const halts = [{ name: "h", uid: "u", action: "CancelOrders" as const, symbols: null }];
  bot.applyConfig({ ...config, halts });
  const open = { halts: ["u"], openSymbols: [SYMBOL], openEntries: [SYMBOL] };
  expect(lastReport()).toMatchObject(open);
  await pass(5_000);
  expect(lastReport()).toMatchObject(open);
  answer({ kind: "refused", code: "1", message: "no", final: true });
  await pass(1_000);
  expect(lastReport()).toMatchObject({ halts: ["u"], openSymbols: [], openEntries: [] });
});
