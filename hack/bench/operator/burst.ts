import { setTimeout as sleep } from "node:timers/promises";
import type { Figure } from "../figure.ts";
import { median } from "../statistics.ts";
import { type BareClient, createBareClient } from "./bare-client.ts";
import { bareLoop, botsPath } from "./bare-loop.ts";
import type { BenchCluster } from "./bench-cluster.ts";
import { inParallel } from "./creations.ts";
import { createEtcdStore } from "./etcd-store.ts";
import {
  deploymentsPerSecond,
  LOOK_EVERY_MS as DEPLOYMENTS_LOOK_EVERY_MS,
  startDeploymentControllers,
} from "./deployments.ts";
import {
  type Metrics,
  type OperatorOptions,
  type OperatorProcess,
  readsOf,
  startOperator,
  sum,
  writesOf,
} from "./operator-process.ts";
import { addAccounts } from "./populate.ts";
import { botBody, type Buckets, type Member, member } from "./population.ts";
import { cpuSeconds } from "./process-costs.ts";
import { becomeReady, type Template } from "./template.ts";

/** Where each contender works, so that none sees what another has made. */
export const BARE_BUCKETS: Buckets = { first: 60, count: 4 };
export const DEPLOYMENT_BUCKETS: Buckets = { first: 80, count: 4 };
/** Compiles what is hot and fills caches; not counted. */
const WARM_UP = 200;
const LOOK_EVERY_MS = 20;
const WITHIN_MS = 120_000;
const PODS_PREFIX = "/registry/pods/";

export interface BurstOptions {
  readonly cluster: BenchCluster;
  readonly template: Template;
  readonly operator: Omit<OperatorOptions, "kubeconfigPath">;
  readonly buckets: Buckets;
  readonly bots: number;
  readonly rounds: number;
}

interface Round {
  readonly bare: number;
  readonly operator: number;
  readonly deployments: number;
  readonly writesPerBot: number;
  readonly readsPerBot: number;
  readonly writesUntilReady: number;
}

/** A burst of new bots: the operator, the same writes without one, and Kubernetes' own controllers, in turns. */
export async function measureBurst(options: BurstOptions): Promise<readonly Figure[]> {
  const { cluster, template, bots } = options;
  const { kubeconfigPath } = cluster.controlPlane;
  const client = await createBareClient(kubeconfigPath);
  const rounds: Round[] = [];
  try {
    const each = bots + WARM_UP;
    const last = 4 + each * options.rounds;
    for (const buckets of [options.buckets, BARE_BUCKETS, DEPLOYMENT_BUCKETS]) {
      await addAccounts(cluster, template, { from: 0, to: last, buckets });
    }
    for (let round = 0; round < options.rounds; round += 1) {
      const first = 4 + each * round;
      const membersIn = (buckets: Buckets) =>
        Array.from({ length: each }, (_, index) => member(first + index, buckets));
      const runs = {
        bare: () => runBare(client, options, membersIn(BARE_BUCKETS)),
        operator: () => runOperator(client, options, membersIn(options.buckets)),
        deployments: () => runDeployments(client, options, membersIn(DEPLOYMENT_BUCKETS)),
      };
      const { bare, operator, deployments } = await inTurns(runs, round);
      rounds.push({ bare, ...operator, deployments });
      console.error(JSON.stringify(rounds.at(-1)));
    }
    return figures(rounds, bots);
  } finally {
    await client.close();
  }
}

interface Runs<Operator> {
  readonly bare: () => Promise<number>;
  readonly operator: () => Promise<Operator>;
  readonly deployments: () => Promise<number>;
}

/** Who begins has the machine as the others have not left it yet: every other round goes the other way. */
export async function inTurns<Operator>(run: Runs<Operator>, round: number) {
  if (round % 2 === 0) {
    const bare = await run.bare();
    const operator = await run.operator();
    return { bare, operator, deployments: await run.deployments() };
  }
  const deployments = await run.deployments();
  const operator = await run.operator();
  return { bare: await run.bare(), operator, deployments };
}

async function runBare(
  client: BareClient,
  { template, cluster }: BurstOptions,
  members: readonly Member[],
): Promise<number> {
  await bareLoop(client, template, members.slice(0, WARM_UP));
  const costs = await costsSince(cluster);
  const rate = await bareLoop(client, template, members.slice(WARM_UP));
  console.error(`bare ${rate.toFixed(1)}/s: ${await costs()}`);
  return rate;
}

async function runDeployments(
  client: BareClient,
  { template, cluster }: BurstOptions,
  members: readonly Member[],
): Promise<number> {
  const controllers = await startDeploymentControllers(cluster);
  try {
    await deploymentsPerSecond(client, template, members.slice(0, WARM_UP));
    return await deploymentsPerSecond(client, template, members.slice(WARM_UP));
  } finally {
    await controllers.stop();
  }
}

async function runOperator(
  client: BareClient,
  options: BurstOptions,
  members: readonly Member[],
): Promise<Omit<Round, "bare" | "deployments">> {
  const { kubeconfigPath } = options.cluster.controlPlane;
  const operator = await startOperator({ ...options.operator, kubeconfigPath });
  try {
    await operator.untilLeading();
    const contender = { operator, cluster: options.cluster };
    await burst(client, contender, members.slice(0, WARM_UP));
    const measured = members.slice(WARM_UP);
    const before = await operator.metrics();
    const costs = await costsSince(options.cluster, operator);
    const rate = await burst(client, contender, measured);
    console.error(`operator ${rate.toFixed(1)}/s: ${await costs()}`);
    await sleep(1_000); // what it may still have to say
    const after = await operator.metrics();
    console.error(requestsBetween(before, after));
    const ready = await becomeReadyAll(options.cluster, operator, measured);
    const per = (count: (metrics: Metrics) => number, end: Metrics) =>
      (count(end) - count(before)) / measured.length;
    return {
      operator: rate,
      writesPerBot: per(writesOf, after),
      readsPerBot: per(readsOf, after),
      writesUntilReady: per(writesOf, ready),
    };
  } finally {
    await operator.stop();
  }
}

/** Creates the bots and waits until the operator has made every pod and status. Bots per second. */
async function burst(
  client: BareClient,
  { operator, cluster }: { readonly operator: OperatorProcess; readonly cluster: BenchCluster },
  members: readonly Member[],
): Promise<number> {
  const before = doneOf(await operator.metrics());
  const etcd = createEtcdStore(cluster.controlPlane.etcdUrl);
  const podsBefore = await etcd.count(PODS_PREFIX);
  const startedMs = performance.now();
  await inParallel(members.length, async (index) => {
    const of = members[index];
    if (of === undefined) return;
    const body = JSON.stringify(botBody(of));
    await client.json({ method: "POST", path: botsPath(of), body });
  });
  // Counting at etcd takes the operator no time; its own word comes last.
  while ((await etcd.count(PODS_PREFIX)) - podsBefore < members.length) {
    if (performance.now() - startedMs > WITHIN_MS) throw new Error("the burst does not end");
    await sleep(LOOK_EVERY_MS);
  }
  for (;;) {
    const done = doneOf(await operator.metrics());
    if (Math.min(done.pods - before.pods, done.statuses - before.statuses) >= members.length) break;
    if (performance.now() - startedMs > WITHIN_MS) throw new Error("the burst does not end");
    await sleep(LOOK_EVERY_MS);
  }
  return members.length / ((performance.now() - startedMs) / 1_000);
}

/** Requests that were answered with success. */
function doneOf(metrics: Metrics) {
  const answered = (labels: RegExp) => sum(metrics, "tradingbots_operator_requests_total", labels);
  return {
    pods: answered(/method="POST",resource="pods",status="201"/),
    statuses: answered(/method="PUT",resource="tradingbots\/status",status="200"/),
  };
}

/** In words, by method and resource. */
function requestsBetween(before: Metrics, after: Metrics): string {
  return [...after]
    .filter(([key]) => key.startsWith("tradingbots_operator_requests_total"))
    .map(([key, value]) => [key.replace(/^[^{]*/, ""), value - (before.get(key) ?? 0)] as const)
    .filter(([, count]) => count > 0)
    .map(([labels, count]) => `${count} × ${labels}`)
    .join("\n");
}

/** Plays the kubelet for all of them; the operator's metrics once it has said what follows. */
async function becomeReadyAll(
  cluster: BenchCluster,
  operator: OperatorProcess,
  members: readonly Member[],
): Promise<Metrics> {
  const before = doneOf(await operator.metrics()).statuses;
  await inParallel(members.length, async (index) => {
    const of = members[index];
    if (of !== undefined) await becomeReady(cluster, of);
  });
  await operator.until("ready", (now) => doneOf(now).statuses - before >= members.length);
  await sleep(1_000);
  return operator.metrics();
}

/** What each process spends from now on, in words. */
async function costsSince({ controlPlane }: BenchCluster, operator?: OperatorProcess) {
  const pids = {
    ...controlPlane.pids,
    bench: process.pid,
    ...(operator === undefined ? {} : { operator: operator.pid }),
  };
  const look = () => Promise.all(Object.values(pids).map(cpuSeconds));
  const before = await look();
  return async () => {
    const after = await look();
    const spent = after.map((seconds, at) => seconds - (before[at] ?? 0));
    return Object.keys(pids)
      .map((name, at) => `${name} ${spent[at]?.toFixed(2)} s`)
      .join(", ");
  };
}

function figures(rounds: readonly Round[], bots: number): readonly Figure[] {
  const of = (pick: (round: Round) => number) => median(rounds.map(pick));
  const each = (pick: (round: Round) => number) =>
    rounds.map((round) => pick(round).toFixed(0)).join(" ");
  // Each round beside its own baseline: what disturbs the machine for a minute disturbs both.
  const ratios = (baseline: (round: Round) => number) =>
    rounds.map((round) => round.operator / baseline(round));
  const how = (perRound: readonly number[]) =>
    `${bots} bots, 32 creations at once, until every pod and status is written; median of ${rounds.length} rounds' own ratios: ${perRound.map((ratio) => ratio.toFixed(2)).join(" ")}`;
  const toFloor = ratios((round) => round.bare);
  const toDeployments = ratios((round) => round.deployments);
  const bare = of((round) => round.bare);
  const operator = of((round) => round.operator);
  const deployments = of((round) => round.deployments);
  return [
    {
      key: "ratio_to_floor",
      value: median(toFloor),
      aim: { least: 0.8 },
      baseline: `bare loop ${bare.toFixed(1)}/s (${each((round) => round.bare)})`,
      how: how(toFloor),
    },
    {
      key: "ratio_to_deployments",
      value: median(toDeployments),
      aim: { least: 2.3 },
      baseline: `Deployments ${deployments.toFixed(1)}/s (${each((round) => round.deployments)})`,
      how: `${how(toDeployments)}; the end of the Deployments is looked for each ${DEPLOYMENTS_LOOK_EVERY_MS} ms`,
    },
    {
      key: "bots_per_s",
      value: operator,
      baseline: `bare loop ${bare.toFixed(1)}, Deployments ${deployments.toFixed(1)}`,
      how: `rounds: ${each((round) => round.operator)}`,
    },
    {
      key: "writes_per_bot",
      value: of((round) => round.writesPerBot),
      aim: { most: 2 },
      baseline: "bare loop 2 beside the creation",
      how: "every write of the operator in the burst, leases left out",
    },
    {
      key: "writes_per_bot_until_ready",
      value: of((round) => round.writesUntilReady),
      aim: { most: 3 },
      baseline: "one more: Ready",
      how: "the same until every pod was ready and the operator had said so",
    },
    {
      key: "reads_per_bot",
      value: of((round) => round.readsPerBot),
      aim: { most: 0 },
      baseline: "bare loop 0",
      how: "every GET in the burst, leases left out; a watch that began again would count",
    },
  ];
}
