import { expect, test } from "vitest";
import { isRealMoney } from "./key-checks.ts";

const at = (restUrl: string) => ({ restUrl, websocketUrl: "" });

test.each([
  ["live", null, true],
  ["live", at("https://api.bybit.eu"), true],
  ["live", at("http://exchange-simulator.demo.svc:8080"), false],
  ["testnet", null, false],
  ["paper", null, false],
] as const)("%s at %o moves real money: %s", (mode, endpoint, wanted) => {
  expect(isRealMoney({ mode, endpoint })).toBe(wanted);
});
