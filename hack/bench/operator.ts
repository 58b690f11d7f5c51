import { label, measureAtRest, measureMemory, settle } from "./operator/at-rest.ts";
import { startBenchCluster } from "./operator/bench-cluster.ts";
import { BARE_BUCKETS, DEPLOYMENT_BUCKETS, measureBurst } from "./operator/burst.ts";
import { startFakeJournal } from "./operator/fake-journal.ts";
import { bundleOperator } from "./operator/operator-process.ts";
import { measurePaced } from "./operator/paced.ts";
import { type Buckets, namespacesOf } from "./operator/population.ts";
import { residentBytes } from "./operator/process-costs.ts";
import { makeTemplate } from "./operator/template.ts";
import type { Figure } from "./figure.ts";

/** Kubernetes is tested up to 3,000 pods a namespace. */
const SCALE_BUCKETS: Buckets = { first: 0, count: 64 };
const BURST_BUCKETS: Buckets = { first: 0, count: 4 };
/** The size at which memory is looked at on the way. */
const FIRST_STOP = 10_000;

export interface BurstSize {
  readonly bots: number;
  readonly rounds: number;
}

export interface ScaleSize {
  readonly bots: number;
  readonly rounds: number;
  readonly idleSeconds: number;
  /** Takes each figure as soon as it stands, but for the last ones. */
  readonly known: Figure[];
}

/** Bursts and paced creations against their baselines. */
export function measureSpeed({ bots, rounds }: BurstSize): Promise<readonly Figure[]> {
  const namespaces = [BURST_BUCKETS, BARE_BUCKETS, DEPLOYMENT_BUCKETS].flatMap(namespacesOf);
  return inCluster(namespaces, BURST_BUCKETS, async (parts) => {
    const options = { ...parts, buckets: BURST_BUCKETS, bots, rounds };
    return [...(await measureBurst(options)), ...(await measurePaced(options))];
  });
}

/** A world of settled bots: start, memory, rest, failover. */
export function measureScale(size: ScaleSize): Promise<readonly Figure[]> {
  return inCluster(namespacesOf(SCALE_BUCKETS), SCALE_BUCKETS, async (parts) => {
    const options = { ...parts, buckets: SCALE_BUCKETS, ...size };
    const firstStop = Math.min(FIRST_STOP, size.bots);
    await settle(options, { from: 0, to: firstStop });
    if (firstStop < size.bots) {
      size.known.push(...(await measureMemory({ ...options, bots: firstStop })));
      const rate = await settle(options, { from: firstStop, to: size.bots });
      console.error(`${label(size.bots)} bots are there, ${rate.toFixed(0)} a second`);
    }
    const { etcd, apiserver } = parts.cluster.controlPlane.pids;
    const [store, server] = await Promise.all([etcd, apiserver].map(residentBytes));
    console.error(`resident: etcd ${gigabytes(store)}, API server ${gigabytes(server)}`);
    return measureAtRest(options);
  });
}

function gigabytes(bytes = 0): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

type Parts = Awaited<ReturnType<typeof startParts>>;

async function inCluster(
  namespaces: readonly string[],
  buckets: Buckets,
  measure: (parts: Parts) => Promise<readonly Figure[]>,
): Promise<readonly Figure[]> {
  const parts = await startParts(namespaces, buckets);
  try {
    return await measure(parts);
  } finally {
    await parts.stop();
  }
}

/** Real etcd and API server, a fake journal, the operator's bundle, and the bot that the others are made from. */
async function startParts(namespaces: readonly string[], buckets: Buckets) {
  const bundled = await bundleOperator();
  const journal = await startFakeJournal();
  const cluster = await startBenchCluster(namespaces);
  const operator = { bundled, journalUrl: journal.url, buckets: buckets.count };
  const stop = async () => {
    await cluster.stop();
    await journal.stop();
    await bundled.remove();
  };
  try {
    const template = await makeTemplate({ cluster, journal, operator, buckets });
    return { cluster, journal, operator, template, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
