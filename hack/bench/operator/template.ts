import { setTimeout as sleep } from "node:timers/promises";
import { ANNOTATIONS, BotClass, BotConfig, type Report, TradingBot } from "@tradingbots/crds";
import { type Pod, PODS, SERVICE_ACCOUNTS } from "@tradingbots/kube";
import { botView } from "../../../operator/src/bot/bot-view.ts";
import { botPod } from "../../../operator/src/bot/pod.ts";
import { classView } from "../../../operator/src/class-view.ts";
import { BOT_CLASSES, EXCHANGE_ACCOUNTS, TRADING_BOTS } from "../../../operator/src/resources.ts";
import { type BenchCluster, CLASS } from "./bench-cluster.ts";
import { createEtcdStore } from "./etcd-store.ts";
import type { FakeJournal } from "./fake-journal.ts";
import {
  type OperatorOptions,
  type OperatorProcess,
  podSettings,
  startOperator,
  writesOf,
} from "./operator-process.ts";
import {
  accountBody,
  botBody,
  type Buckets,
  type Member,
  member,
  verification,
} from "./population.ts";

/** One bot with its account, brought to rest by the operator itself, in every form in which others are made from it. */
export interface Template {
  readonly of: Member;
  /** As the operator sends them; JSON. */
  readonly requests: { readonly pod: string; readonly status: string };
  /** As the API server stores them: JSON for custom resources, protobuf for the others, in latin1. */
  readonly stored: Readonly<Record<"bot" | "pod" | "account" | "serviceAccount", string>>;
  /** Unix seconds between which all its times lie. */
  readonly span: { readonly from: number; readonly to: number };
}

/** The operator writes nothing for this long: it has come to rest. */
const REST_MS = 1_500;
const REST_WITHIN_MS = 60_000;

interface Makers {
  readonly cluster: BenchCluster;
  readonly journal: FakeJournal;
  readonly operator: Omit<OperatorOptions, "kubeconfigPath">;
  readonly buckets: Buckets;
}

export async function makeTemplate(makers: Makers): Promise<Template> {
  const { cluster, journal, buckets } = makers;
  const { kubeconfigPath } = cluster.controlPlane;
  const of = member(0, buckets);
  const from = nowSeconds();
  await createAccount(cluster, of);
  const operator = await startOperator({ ...makers.operator, kubeconfigPath });
  try {
    await operator.untilLeading();
    await atRest(operator);
    const { client } = cluster;
    await client.create(TRADING_BOTS, botBody(of));
    await atRest(operator);
    const requests = await requestsOf(cluster, of, journal.url);
    const pod = await becomeReady(cluster, of);
    journal.tell([reportLine(of, pod.metadata?.uid ?? "")]);
    await atRest(operator);
    const stored = await storedOf(cluster, of);
    const own = await uidsOf(cluster, of);
    return { of: { ...of, uids: own }, requests, stored, span: { from, to: nowSeconds() } };
  } finally {
    await operator.stop();
  }
}

async function createAccount({ client }: BenchCluster, of: Member): Promise<void> {
  await client.create(EXCHANGE_ACCOUNTS, accountBody(of));
  const asOf = `${new Date().toISOString().slice(0, 19)}Z`;
  const body = { status: { verification: verification(asOf, of) } };
  const key = { namespace: of.namespace, name: of.accountName };
  await client.patch(EXCHANGE_ACCOUNTS, key, { type: "merge", body, subresource: "status" });
}

/** What the operator has sent for the bot. */
async function requestsOf(
  { client }: BenchCluster,
  of: Member,
  journalUrl: string,
): Promise<Template["requests"]> {
  const key = { namespace: of.namespace, name: of.botName };
  const bot = await client.get(TRADING_BOTS, key);
  const pod = await client.get(PODS, key);
  const botClass = await client.get(BOT_CLASSES, { name: CLASS });
  const text = pod?.metadata?.annotations?.[ANNOTATIONS.config];
  if (bot === undefined || botClass === undefined || text === undefined) {
    throw new Error("the operator has made no pod");
  }
  const inputs = {
    bot: botView(TradingBot.schema.parse(bot)),
    template: classView(BotClass.schema.parse(botClass)).rollout.stable,
    credentialsVersion: 1,
  };
  const config = BotConfig.parse(JSON.parse(text));
  const uid = bot.metadata.uid;
  return {
    pod: JSON.stringify(botPod(inputs, config, { ...podSettings, journalUrl })),
    status: JSON.stringify({ metadata: { uid }, status: bot.status }),
  };
}

/** Plays the kubelet. */
export async function becomeReady({ client }: BenchCluster, of: Member): Promise<Pod> {
  const startedAt = `${new Date().toISOString().slice(0, 19)}Z`;
  const status = {
    phase: "Running",
    conditions: [{ type: "Ready", status: "True", lastTransitionTime: startedAt }],
    containerStatuses: [
      {
        name: "bot",
        image: "bot",
        imageID: "",
        ready: true,
        restartCount: 0,
        state: { running: { startedAt } },
      },
    ],
  };
  const key = { namespace: of.namespace, name: of.botName };
  return client.patch(PODS, key, { type: "merge", body: { status }, subresource: "status" });
}

async function storedOf({ controlPlane }: BenchCluster, of: Member): Promise<Template["stored"]> {
  const etcd = createEtcdStore(controlPlane.etcdUrl);
  const keys = etcdKeys(of);
  const read = async (key: string) => (await etcd.get(key)).toString("latin1");
  return {
    bot: await read(keys.bot),
    pod: await read(keys.pod),
    account: await read(keys.account),
    serviceAccount: await read(keys.serviceAccount),
  };
}

/** Where the API server keeps a member's objects. */
export function etcdKeys({ namespace, botName, accountName }: Member) {
  return {
    bot: `/registry/tradingbots.dev/tradingbots/${namespace}/${botName}`,
    pod: `/registry/pods/${namespace}/${botName}`,
    account: `/registry/tradingbots.dev/exchangeaccounts/${namespace}/${accountName}`,
    serviceAccount: `/registry/serviceaccounts/${namespace}/${accountName}`,
  };
}

async function uidsOf({ client }: BenchCluster, of: Member): Promise<Member["uids"]> {
  const { namespace, botName, accountName } = of;
  const bot = await client.get(TRADING_BOTS, { namespace, name: botName });
  const pod = await client.get(PODS, { namespace, name: botName });
  const account = await client.get(EXCHANGE_ACCOUNTS, { namespace, name: accountName });
  const serviceAccount = await client.get(SERVICE_ACCOUNTS, { namespace, name: accountName });
  return {
    bot: bot?.metadata.uid ?? "",
    pod: pod?.metadata?.uid ?? "",
    account: account?.metadata.uid ?? "",
    serviceAccount: serviceAccount?.metadata?.uid ?? "",
  };
}

const QUIET: Report = {
  generation: 1,
  state: "Running",
  flat: true,
  protected: true,
  trading: true,
  blocked: [],
  positions: [],
  balance: { equity: "1000", available: "1000", currency: "USDT" },
  dayResult: "0",
  lastTradeAt: null,
  halts: [],
  leased: true,
  consecutiveErrors: 0,
  asOf: "2026-01-01T00:00:00Z",
};

/** What the journal says of a bot that trades and holds nothing. */
export function reportLine({ namespace, botName }: Member, podUid: string): string {
  const asOf = new Date().toISOString();
  const report = { ...QUIET, asOf };
  const line = { botName, namespace, podUid, epoch: 1, report, receivedAt: asOf, ageMs: 100 };
  return `${JSON.stringify(line)}\n`;
}

async function atRest(operator: OperatorProcess): Promise<void> {
  const deadline = performance.now() + REST_WITHIN_MS;
  let writes = -1;
  for (;;) {
    const now = writesOf(await operator.metrics());
    if (now === writes) return;
    if (performance.now() > deadline) throw new Error("the operator does not come to rest");
    writes = now;
    await sleep(REST_MS);
  }
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}
