import { describe, expect, test } from "vitest";
import type { Execution } from "../exchange/exchange.ts";
import { amount, price, quantity, text } from "../money.ts";
import { accountForTrade } from "./trade-account.ts";

const OWN_EXIT = "own-exit";
const trade = (side: "long" | "short") => ({
  entryId: "own",
  side,
  symbol: "BTC/USDT:USDT",
  exitIds: new Set([OWN_EXIT]),
});

let sequence = 0;
function execution(given: {
  side: "buy" | "sell";
  price: string;
  quantity: string;
  fee?: string;
  id?: string;
  cause?: Execution["cause"];
  currency?: string;
}): Execution {
  sequence += 1;
  return {
    executionId: `x${sequence}`,
    clientOrderId: given.id,
    side: given.side,
    price: price(given.price),
    quantity: quantity(given.quantity),
    fee: amount(given.fee ?? "0"),
    feeCurrency: given.currency ?? "USDT",
    cause: given.cause ?? "order",
    atMs: sequence,
  };
}

const ownEntry = () => execution({ side: "buy", price: "100", quantity: "2", id: "own" });
const unknown = (id?: string) => ({
  ...execution({
    side: "sell",
    price: "100",
    quantity: "1",
    cause: "unknown",
    ...(id && { id }),
  }),
  unexplained: "execution x is of type OfTomorrow",
});

describe("what nobody can tell the effect of", () => {
  test("is in no account, and is named while something is held", () => {
    const account = accountForTrade(trade("long"), [ownEntry(), unknown()]);
    expect(text(account.open)).toBe("2");
    expect(account.unexplained?.unexplained).toBe("execution x is of type OfTomorrow");
    const exit = execution({ side: "sell", price: "100", quantity: "2", id: OWN_EXIT });
    expect(accountForTrade(trade("long"), [exit], account).unexplained).toBeDefined();
  });

  test("is nobody's business before the entry", () => {
    const account = accountForTrade(trade("long"), [unknown(), ownEntry()]);
    expect(account.unexplained).toBeUndefined();
  });

  test("is a fill all the same when it carries the id of the trade's own order", () => {
    const account = accountForTrade(trade("long"), [ownEntry(), unknown(OWN_EXIT)]);
    expect([text(account.open), account.unexplained]).toEqual(["1", undefined]);
  });
});

describe("accountForTrade", () => {
  test.each<{
    name: string;
    side: "long" | "short";
    executions: Execution[];
    wanted: { open: string; result: string; fees: string; entry?: string; exit?: string };
  }>([
    {
      name: "nothing yet",
      side: "long",
      executions: [],
      wanted: { open: "0", result: "0", fees: "0" },
    },
    {
      name: "a short after a long of somebody else: what was sold to end that long opened nothing",
      side: "short",
      executions: [
        execution({ side: "buy", price: "90", quantity: "2", id: "earlier" }),
        execution({ side: "sell", price: "95", quantity: "2", id: "earlier-exit" }),
        execution({ side: "sell", price: "100", quantity: "2", id: "own" }),
        execution({ side: "buy", price: "98", quantity: "2", id: "of another process" }),
      ],
      wanted: { open: "0", result: "4", fees: "0", entry: "100", exit: "98" },
    },
    {
      name: "a long that met its target",
      side: "long",
      executions: [
        execution({ side: "buy", price: "100", quantity: "2", fee: "0.11", id: "own" }),
        execution({ side: "sell", price: "102", quantity: "2", fee: "0.1122", cause: "target" }),
      ],
      wanted: { open: "0", result: "3.7778", fees: "0.2222", entry: "100", exit: "102" },
    },
    {
      name: "a short that met its stop",
      side: "short",
      executions: [
        execution({ side: "sell", price: "100", quantity: "2", fee: "0.11", id: "own" }),
        execution({ side: "buy", price: "101", quantity: "2", fee: "0.1111", cause: "stop" }),
      ],
      wanted: { open: "0", result: "-2.2211", fees: "0.2211", entry: "100", exit: "101" },
    },
    {
      name: "entered and left in parts",
      side: "long",
      executions: [
        execution({ side: "buy", price: "100", quantity: "1", fee: "0.01", id: "own" }),
        execution({ side: "buy", price: "101", quantity: "2", fee: "0.02", id: "own" }),
        execution({ side: "sell", price: "105", quantity: "0.5", fee: "0.03" }),
      ],
      wanted: {
        open: "2.5",
        result: "-249.56",
        fees: "0.06",
        entry: "100.6666666666666667",
        exit: "105",
      },
    },
    {
      name: "executions before the entry and same-side foreign ones are not its own",
      side: "long",
      executions: [
        execution({ side: "sell", price: "90", quantity: "5", fee: "9" }),
        execution({ side: "buy", price: "100", quantity: "1", fee: "0.1", id: "own" }),
        execution({ side: "buy", price: "99", quantity: "3", fee: "9", id: "somebody" }),
      ],
      wanted: { open: "1", result: "-100.1", fees: "0.1", entry: "100" },
    },
    {
      name: "a foreign sale of more than the trade: its share only",
      side: "long",
      executions: [
        execution({ side: "buy", price: "100", quantity: "1", fee: "0.1", id: "own" }),
        execution({ side: "sell", price: "110", quantity: "4", fee: "0.4", id: "somebody" }),
      ],
      wanted: { open: "0", result: "9.8", fees: "0.2", entry: "100", exit: "110" },
    },
    {
      name: "somebody sells what he bought himself: the trade keeps its own",
      side: "long",
      executions: [
        execution({ side: "buy", price: "100", quantity: "1", id: "own" }),
        execution({ side: "buy", price: "100", quantity: "2", id: "somebody" }),
        execution({ side: "sell", price: "110", quantity: "2.5", id: "somebody" }),
      ],
      wanted: { open: "0.5", result: "-45", fees: "0", entry: "100", exit: "110" },
    },
    {
      name: "its own exit takes from the trade, whoever else holds something",
      side: "long",
      executions: [
        execution({ side: "buy", price: "100", quantity: "1", id: "own" }),
        execution({ side: "buy", price: "100", quantity: "2", id: "somebody" }),
        execution({ side: "sell", price: "110", quantity: "1", id: OWN_EXIT }),
      ],
      wanted: { open: "0", result: "10", fees: "0", entry: "100", exit: "110" },
    },
    {
      name: "the end of a trade before it, whose beginning is too old to be read, is nobody's holding",
      side: "short",
      executions: [
        execution({ side: "sell", price: "100", quantity: "1", id: "exit of a long before" }),
        execution({ side: "sell", price: "100", quantity: "1", id: "own" }),
        execution({ side: "buy", price: "99", quantity: "1", id: "exit by another pod" }),
        execution({ side: "buy", price: "98", quantity: "1", id: "entry of a long after" }),
      ],
      wanted: { open: "0", result: "1", fees: "0", entry: "100", exit: "99" },
    },
    {
      name: "an exit that bears the entry's id does not enter",
      side: "long",
      executions: [
        execution({ side: "buy", price: "100", quantity: "1", id: "own" }),
        execution({ side: "sell", price: "99", quantity: "1", id: "own", cause: "stop" }),
      ],
      wanted: { open: "0", result: "-1", fees: "0", entry: "100", exit: "99" },
    },
    {
      name: "a purchase on spot whose fee is taken in coins: what arrived is sold, the cash decides",
      side: "long",
      executions: [
        execution({
          side: "buy",
          price: "100",
          quantity: "1",
          fee: "0.001",
          currency: "BTC",
          id: "own",
        }),
        execution({ side: "sell", price: "110", quantity: "0.999", fee: "0.10989", id: OWN_EXIT }),
      ],
      // 0.999 × 110 − 0.10989 − 100
      wanted: { open: "0", result: "9.78011", fees: "0.20989", entry: "100", exit: "110" },
    },
  ])("$name", ({ side, executions, wanted }) => {
    const account = accountForTrade(trade(side), executions);
    expect({
      open: text(account.open),
      result: text(account.result),
      fees: text(account.fees),
      ...(account.entryPrice === undefined ? {} : { entry: text(account.entryPrice) }),
      ...(account.exitPrice === undefined ? {} : { exit: text(account.exitPrice) }),
    }).toEqual(wanted);
  });
});

describe("what moves money without an order", () => {
  const entry = execution({ side: "buy", price: "100", quantity: "2", fee: "0.1", id: "own" });

  test("funding while it was open counts, paid and received; before and after it does not", () => {
    const funding = (fee: string) =>
      execution({ side: "buy", price: "100", quantity: "2", fee, cause: "funding" });
    const before = funding("5");
    const opened = { ...entry, atMs: (sequence += 1) };
    const paid = funding("0.02");
    const received = funding("-0.005");
    const exit = execution({
      side: "sell",
      price: "101",
      quantity: "2",
      fee: "0.1",
      cause: "target",
    });
    const after = funding("7");
    const account = accountForTrade(trade("long"), [before, opened, paid, received, exit, after]);
    expect(account.fundings.map(({ amount: each }) => text(each))).toEqual(["-0.02", "0.005"]);
    expect(text(account.funding)).toBe("-0.015");
    // 2 gross − 0.2 fees − 0.015 funding
    expect(text(account.result)).toBe("1.785");
    expect(text(account.open)).toBe("0");
  });

  test("of a position that is not the trade's alone it pays its share of the funding", () => {
    const funding = execution({
      side: "buy",
      price: "1",
      quantity: "8",
      fee: "4",
      cause: "funding",
    });
    const account = accountForTrade(trade("long"), [{ ...entry, atMs: sequence - 1 }, funding]);
    expect(text(account.funding)).toBe("-1");
  });

  test.each(["liquidation", "adl", "delisting"] as const)(
    "%s closes it under its own name",
    (cause) => {
      const opened = { ...entry, atMs: (sequence += 1) };
      const taken = execution({ side: "sell", price: "90", quantity: "2", cause });
      const account = accountForTrade(trade("long"), [opened, taken]);
      expect([text(account.open), account.lastExit?.cause]).toEqual(["0", cause]);
    },
  );
});

test("of two fills in one millisecond the entry comes first, however the exchange lists them", () => {
  const entry = execution({ side: "buy", price: "100", quantity: "1", id: "own" });
  const stop = {
    ...execution({ side: "sell", price: "99", quantity: "1", cause: "stop" }),
    atMs: entry.atMs,
  };
  const account = accountForTrade(trade("long"), [stop, entry]);
  expect([text(account.open), text(account.result)]).toEqual(["0", "-1"]);
});

test("a fee in a third currency is named and left out of the sum", () => {
  const entry = execution({
    side: "buy",
    price: "100",
    quantity: "1",
    fee: "0.01",
    currency: "BNB",
    id: "own",
  });
  const account = accountForTrade(trade("long"), [entry]);
  expect([text(account.fees), ...account.unvaluedFees]).toEqual(["0", "BNB"]);
});

test("what is accounted for in two pieces is as in one, wherever it is parted", () => {
  const executions = [
    execution({ side: "sell", price: "99", quantity: "1", id: "earlier" }),
    execution({ side: "buy", price: "100", quantity: "2", fee: "0.11", id: "own" }),
    execution({ side: "buy", price: "101", quantity: "3", id: "of somebody else" }),
    execution({ side: "buy", price: "0", quantity: "5", fee: "0.25", cause: "funding" }),
    execution({ side: "buy", price: "102", quantity: "1", fee: "0.06", id: "own" }),
    execution({ side: "sell", price: "103", quantity: "2", fee: "0.1", id: OWN_EXIT }),
    execution({ side: "sell", price: "103", quantity: "3.5", fee: "0.2", id: "of somebody else" }),
    execution({ side: "sell", price: "98", quantity: "0.5", fee: "0.02", cause: "stop" }),
  ];
  const whole = accountForTrade(trade("long"), executions);
  expect(whole.open.toFixed()).toBe("0");
  for (let parted = 0; parted <= executions.length; parted += 1) {
    const before = accountForTrade(trade("long"), executions.slice(0, parted));
    expect(accountForTrade(trade("long"), executions.slice(parted), before)).toEqual(whole);
  }
});
