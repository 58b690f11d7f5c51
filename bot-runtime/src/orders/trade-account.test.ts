import { describe, expect, test } from "vitest";
import type { Execution } from "../exchange/exchange.ts";
import { amount, price, quantity, text } from "../money.ts";
import { accountForTrade } from "./trade-account.ts";

let sequence = 0;
function execution(given: {
  side: "buy" | "sell";
  price: string;
  quantity: string;
  fee?: string;
  id?: string;
  cause?: Execution["cause"];
}): Execution {
  sequence += 1;
  return {
    executionId: `x${sequence}`,
    clientOrderId: given.id,
    side: given.side,
    price: price(given.price),
    quantity: quantity(given.quantity),
    fee: amount(given.fee ?? "0"),
    feeCurrency: "USDT",
    cause: given.cause ?? "order",
    atMs: sequence,
  };
}

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
  ])("$name", ({ side, executions, wanted }) => {
    const account = accountForTrade({ entryId: "own", side }, executions);
    expect({
      open: text(account.open),
      result: text(account.result),
      fees: text(account.fees),
      ...(account.entryPrice === undefined ? {} : { entry: text(account.entryPrice) }),
      ...(account.exitPrice === undefined ? {} : { exit: text(account.exitPrice) }),
    }).toEqual(wanted);
  });
});
