import { ANNOTATIONS, LABELS } from "@tradingbots/crds";
import type { ObjectVersion, Pod } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { KeptAccount } from "./account/account-view.ts";
import { exampleAccount, exampleBot, VERIFICATION } from "./bot/example-facts.ts";
import { KeptBot } from "./bot/bot-view.ts";
import { INPUTS_ANNOTATION, KeptPod, podView, UNWELL_BEFORE_ANNOTATION } from "./pod-view.ts";

/** What the store knows of a view by itself. */
const versionOf = (view: ObjectVersion): ObjectVersion => ({
  key: view.key,
  uid: view.uid,
  resourceVersion: view.resourceVersion,
});

const condition = (type: string, lastTransitionTime: string) => ({
  type,
  status: "True" as const,
  reason: "Because",
  message: "It is so.",
  lastTransitionTime,
});
const REQUEST = "00000000-0000-4000-8000-000000000001";
const DELETED = { deletionTimestamp: "2026-01-02T00:00:00Z" };
const CONDITIONS = [
  condition("Ready", "2026-01-01T00:00:05Z"),
  condition("Flat", "2026-01-01T00:00:00Z"),
];

test.each([
  ["new", exampleBot()],
  ["on paper", exampleBot({ mode: "paper", accountName: undefined })],
  ["of several symbols", exampleBot({ symbols: ["ETH/USDT:USDT", "BTC/USDT:USDT"] })],
  [
    "with limits and parameters of its own",
    exampleBot({ strategy: { name: "rsi", params: { period: 7 } }, risk: { maxOpenPositions: 2 } }),
  ],
  ["being deleted", exampleBot({}, DELETED)],
  ["without a finalizer", exampleBot({}, { finalizers: undefined })],
  [
    "paused by two halts",
    exampleBot({}, { annotations: { [ANNOTATIONS.pausedByHalts]: "one,two" } }),
  ],
  [
    "with requests",
    exampleBot({
      requests: [
        {
          id: REQUEST,
          action: "ClosePosition",
          symbol: "BTC/USDT:USDT",
          notAfter: "2026-01-01T00:01:00Z",
        },
      ],
    }),
  ],
  ["given up", exampleBot({ abandonPosition: "2026-01-01T00:00:00Z" })],
  ["with a pod", exampleBot({}, {}, { podName: "bot-1", replicas: 1, image: "bot:1" })],
  ["with a pod of another name", exampleBot({}, {}, { podName: "another" })],
  ["with conditions", exampleBot({}, {}, { observedGeneration: 3, conditions: CONDITIONS })],
  ["with no conditions yet", exampleBot({}, {}, { conditions: [] })],
  [
    "that told of itself",
    exampleBot(
      {},
      {},
      {
        summary: { position: "BTC long 1", dayResult: "-3.5", lastTradeAt: "2026-01-01T00:00:00Z" },
        requests: [{ id: REQUEST, status: "done" }],
      },
    ),
  ],
])("a bot %s is the same after its rest", (_name, bot) => {
  expect(new KeptBot(bot).view(versionOf(bot))).toEqual(bot);
});

test.each([
  ["unverified", exampleAccount({}, {})],
  ["verified", exampleAccount()],
  [
    "with all that a result can say",
    exampleAccount(
      {},
      {
        observedGeneration: 2,
        exchangeAccountId: "4711",
        conditions: CONDITIONS,
        verification: {
          ...VERIFICATION,
          permissions: ["trade"],
          balance: "1000.5",
          currency: "USDT",
          exchangeAccountId: "4711",
          expiresAt: "2026-03-01T00:00:00Z",
        },
      },
    ),
  ],
  ["retired", exampleAccount({ state: "Retired", testnet: true, credentialsVersion: 7 })],
])("an account %s is the same after its rest", (_name, account) => {
  expect(new KeptAccount(account).view(versionOf(account))).toEqual(account);
});

const labels = { [LABELS.role]: "bot", [LABELS.position]: "open" };
const owner = {
  apiVersion: "v1",
  kind: "TradingBot",
  name: "b",
  uid: "uid-of-b",
  controller: true,
};
const configured = (config: object) => ({
  annotations: { [ANNOTATIONS.config]: JSON.stringify({ endpoint: null, ...config }) },
});
const podOf = (metadata: object, rest: Omit<Pod, "metadata"> = {}): Pod => ({
  metadata: {
    namespace: "bots-0",
    name: "one",
    uid: "uid-of-one",
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...metadata,
  },
  ...rest,
});
const status = (container: object) => ({
  phase: "Running",
  containerStatuses: [
    { name: "bot", image: "bot", imageID: "", ready: false, restartCount: 3, ...container },
  ],
});

test.each<[string, Pod]>([
  ["that says nothing", { metadata: {} }],
  ["of a bot", podOf({ labels, ownerReferences: [owner], ...configured({ botUid: owner.uid }) })],
  [
    "configured for another bot",
    podOf({ ownerReferences: [owner], ...configured({ botUid: "x" }) }),
  ],
  ["that verifies", podOf({ labels: { [LABELS.role]: "verify", [LABELS.account]: "acct-1" } })],
  [
    "being deleted",
    podOf(DELETED, { spec: { nodeName: "node-1", containers: [{ name: "bot", image: "bot:1" }] } }),
  ],
  [
    "that was told of halts",
    podOf(configured({ state: "Running", mode: "live", halts: [{ uid: "h" }] })),
  ],
  [
    "in a loop",
    podOf({}, { status: status({ state: { waiting: { reason: "CrashLoopBackOff" } } }) }),
  ],
  ["that is put away", podOf({}, { status: { reason: "Evicted", phase: "Failed" } })],
  [
    "that ended",
    podOf(
      {},
      {
        status: {
          ...status({
            state: {
              terminated: { exitCode: 1, message: "no", finishedAt: "2026-01-01T00:00:01Z" },
            },
          }),
          phase: "Failed",
        },
      },
    ),
  ],
  [
    "that recovered",
    podOf(
      {
        annotations: {
          [INPUTS_ANNOTATION]: "hash",
          [UNWELL_BEFORE_ANNOTATION]: "true",
          [ANNOTATIONS.credentialsVersion]: "2",
        },
      },
      {
        status: {
          conditions: [
            { type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:02Z" },
          ],
        },
      },
    ),
  ],
])("a pod %s is the same after its rest", (_name, pod) => {
  const view = podView(pod);
  expect(new KeptPod(view).view({ ...versionOf({ ...view, resourceVersion: "1" }) })).toEqual(view);
});
