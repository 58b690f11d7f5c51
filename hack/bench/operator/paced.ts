import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PODS } from "@tradingbots/kube";
import type { Figure } from "../figure.ts";
import { percentile, spread } from "../statistics.ts";
import { type BareClient, createBareClient } from "./bare-client.ts";
import { botsPath } from "./bare-loop.ts";
import type { BenchCluster } from "./bench-cluster.ts";
import { BARE_BUCKETS, type BurstOptions } from "./burst.ts";
import { startOperator } from "./operator-process.ts";
import { addAccounts } from "./populate.ts";
import { botBody, type Member, member, namespacesOf } from "./population.ts";

const CREATES_PER_S = 20;
const SECONDS = 15;
const WARM_UP = 60;
const COUNT = CREATES_PER_S * SECONDS;
/** Members of the burst have lower numbers. */
const FIRST = 200_000;
const PODS_WITHIN_MS = 30_000;

/** How soon a bot that is created gets its pod while nothing is congested. */
export async function measurePaced(options: BurstOptions): Promise<readonly Figure[]> {
  const { cluster, template, rounds } = options;
  const client = await createBareClient(cluster.controlPlane.kubeconfigPath);
  const perRound = WARM_UP + COUNT;
  const operator: number[] = [];
  const loop: number[] = [];
  try {
    for (const buckets of [options.buckets, BARE_BUCKETS]) {
      const to = FIRST + perRound * rounds;
      await addAccounts(cluster, template, { from: FIRST, to, buckets });
    }
    for (let round = 0; round < rounds; round += 1) {
      const membersIn = (buckets: BurstOptions["buckets"]) =>
        Array.from({ length: perRound }, (_, at) => member(FIRST + perRound * round + at, buckets));
      const watching = await startWatchLoop(options);
      loop.push(...(await pace(cluster, client, membersIn(BARE_BUCKETS))));
      await watching.stop();
      const { kubeconfigPath } = cluster.controlPlane;
      const process = await startOperator({ ...options.operator, kubeconfigPath });
      await process.untilLeading();
      operator.push(...(await pace(cluster, client, membersIn(options.buckets))));
      await process.stop();
    }
    return figures(operator, loop);
  } finally {
    await client.close();
  }
}

/** The 40 lines of `watch-loop-program.ts` as a process of its own, watching. */
async function startWatchLoop({ cluster, template, operator }: BurstOptions) {
  const file = join(operator.bundled.directory, "template.json");
  await writeFile(file, JSON.stringify(template));
  const { kubeconfigPath } = cluster.controlPlane;
  const program = join(import.meta.dirname, "watch-loop-program.ts");
  const namespaces = namespacesOf(BARE_BUCKETS).join(",");
  const child = spawn(process.execPath, [program, kubeconfigPath, file, namespaces], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return {
    stop: async () => {
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

/** Milliseconds from the answer to a creation until a watch shows the pod. */
async function pace(
  cluster: BenchCluster,
  client: BareClient,
  members: readonly Member[],
): Promise<readonly number[]> {
  const seen = new Map<string, number>();
  const created = new Map<string, number>();
  const stop = new AbortController();
  const watches = [...new Set(members.map(({ namespace }) => namespace))].map((namespace) =>
    watchPods(cluster, { namespace, seen, signal: stop.signal }),
  );
  await sleep(500); // the watches are open
  const startedMs = performance.now();
  const creations = members.map(async (of, at) => {
    await sleep(Math.max(startedMs + (at * 1_000) / CREATES_PER_S - performance.now(), 0));
    const body = JSON.stringify(botBody(of));
    await client.json({ method: "POST", path: botsPath(of), body });
    created.set(of.botName, performance.now());
  });
  await Promise.all(creations);
  const deadline = performance.now() + PODS_WITHIN_MS;
  while (members.some(({ botName }) => !seen.has(botName))) {
    if (performance.now() > deadline) throw new Error("some bots have no pod");
    await sleep(50);
  }
  stop.abort();
  await Promise.allSettled(watches);
  return members
    .slice(WARM_UP)
    .map(({ botName }) => (seen.get(botName) ?? 0) - (created.get(botName) ?? 0));
}

interface PodWatch {
  readonly namespace: string;
  readonly seen: Map<string, number>;
  readonly signal: AbortSignal;
}

async function watchPods({ client }: BenchCluster, watch: PodWatch): Promise<void> {
  const { namespace, seen, signal } = watch;
  const options = { namespace, signal, sendInitialEvents: true, timeoutSeconds: 600 };
  for await (const { type, object } of client.watch(PODS, options)) {
    if (type !== "ADDED") continue;
    const name = PODS.read(object).metadata?.name ?? "";
    seen.set(name, performance.now());
  }
}

function figures(operator: readonly number[], loop: readonly number[]): readonly Figure[] {
  const [p50, p99] = [percentile(loop, 0.5).toFixed(1), percentile(loop, 0.99).toFixed(1)];
  const baseline = `40-line watch loop p50 ${p50}, p99 ${p99}`;
  const how = `${spread(operator)}; ${CREATES_PER_S} creations/s; from the creation's answer until a watch shows the pod; status before pod on both sides`;
  return [
    {
      key: "create_to_pod_ms_p50",
      value: percentile(operator, 0.5),
      aim: { most: 20 },
      baseline,
      how,
    },
    {
      key: "create_to_pod_ms_p99",
      value: percentile(operator, 0.99),
      aim: { most: 120 },
      baseline,
      how,
    },
  ];
}
