import type { KubeClient } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { exampleAccount } from "../bot/example-facts.ts";
import { isAccountInUse } from "./in-use.ts";

const account = exampleAccount();
const { userId } = account.spec;
/** As it is stored; this release may know nothing of its kind of strategy. */
const bot = (spec: object) => ({ kind: "TradingBot", metadata: { name: "b" }, spec });

test.each([
  { name: "nobody", bots: [], pods: [], inUse: false },
  { name: "a bot on another account", bots: [bot({ accountName: "acct-2", userId })], pods: [] },
  { name: "a paper bot", bots: [bot({ userId })], pods: [] },
  { name: "another user's bot", bots: [bot({ accountName: "acct-1", userId: "x" })], pods: [] },
  {
    name: "a bot that cannot be read",
    bots: [bot({ accountName: "acct-1", userId, strategy: 7 })],
    pods: [],
    inUse: true,
  },
  { name: "the pod of a bot", bots: [], pods: [{}], inUse: true },
])("whether an account is in use by $name", async ({ bots, pods, inUse = false }) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const client = {
    async *pages() {
      yield { items: bots, resourceVersion: "1" };
    },
    list: async () => pods,
  } as unknown as KubeClient;
  expect(await isAccountInUse(account, client)).toBe(inUse);
});
