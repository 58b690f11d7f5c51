import { join } from "node:path";
import { Listr } from "listr2";
import { cacheDirectory, withLock } from "../tools/cache.ts";
import { toolPath } from "../tools/tools.ts";
import {
  clusterExists,
  createCluster,
  deleteCluster,
  isHealthy,
  nodeImage,
  otherClusters,
  recordCluster,
  removeNetwork,
  RESTART_LIMIT_MS,
  startNode,
  type ClusterOptions,
  type ClusterRecord,
} from "./cluster.ts";
import { ensureEngine, findEngine, stopEngine, type Engine } from "./engine.ts";

/** One `up` or `down` of a name at a time; the second waits and then finds its work done. */
function exclusively<T>(options: ClusterOptions, work: () => Promise<T>): Promise<T> {
  return withLock(join(cacheDirectory, `cluster-${options.name}.lock`), work);
}

interface UpContext {
  engine?: Engine;
  node?: Awaited<ReturnType<typeof nodeImage>>;
  isHealthy?: boolean;
  record?: ClusterRecord;
}

/** Brings the cluster up from whatever state an earlier run left, and gives what others need to use it. */
export function bringUp(options: ClusterOptions): Promise<ClusterRecord> {
  return exclusively(options, async () => {
    const context = await upTasks(options).run();
    return have(context.record, "the cluster's record");
  });
}

function upTasks(options: ClusterOptions): Listr<UpContext> {
  return new Listr<UpContext>([
    {
      title: "Docker engine",
      task: async (context, task) => {
        context.engine = await ensureEngine(reporter(task));
        task.title = `Docker engine ${context.engine.docker.host ?? "(as found)"}`;
      },
    },
    {
      title: "kind and kubectl",
      task: async (_context, task) => {
        await toolPath("kind", reporter(task));
        await toolPath("kubectl", reporter(task));
      },
    },
    {
      title: `Look for cluster ${options.name}`,
      task: async (context, task) => {
        const { docker } = have(context.engine, "an engine");
        await startNode(docker, options.name);
        context.isHealthy = await isHealthy(docker, options.name, RESTART_LIMIT_MS);
        task.title = `Cluster ${options.name} ${context.isHealthy ? "runs" : "is to be created"}`;
      },
    },
    {
      title: "Node image",
      skip: (context) => context.isHealthy === true,
      task: async (context, task) => {
        const { docker } = have(context.engine, "an engine");
        context.node = await nodeImage(docker, reporter(task));
        task.title = `Node image ${context.node.image}`;
      },
    },
    {
      title: "Create",
      skip: (context) => context.isHealthy === true,
      task: async (context, task) => {
        const engine = have(context.engine, "an engine");
        const node = have(context.node, "a node image");
        await createCluster({ engine, options, node, report: reporter(task) });
      },
    },
    {
      title: "Kubeconfig",
      task: async (context, task) => {
        const { docker } = have(context.engine, "an engine");
        context.record = await recordCluster(docker, options);
        task.title = `Kubeconfig ${context.record.kubeconfig}`;
      },
    },
  ]);
}

/** Removes the cluster; and the engine, when `up` started it and no other cluster uses it. Caches stay. */
export function takeDown(options: ClusterOptions): Promise<void> {
  return exclusively(options, async () => {
    await new Listr([
      {
        title: `Remove cluster ${options.name}`,
        task: async (_context, task) => {
          const engine = await findEngine();
          if (engine === undefined) {
            task.skip("no engine runs");
            return;
          }
          await deleteCluster(engine.docker, options);
          await removeNetwork(engine.docker);
        },
      },
      {
        title: "End the Docker engine",
        task: async (_context, task) => {
          const engine = await findEngine();
          const others =
            engine === undefined ? [] : await otherClusters(engine.docker, options.name);
          if (engine?.isOurs === false) task.skip("it was here before");
          else if (others.length > 0) task.skip(`${others.join(", ")} still use it`);
          else await stopEngine();
        },
      },
    ]).run();
  });
}

export async function clusterStatus(options: ClusterOptions) {
  const engine = await findEngine();
  if (engine === undefined) return { isUp: false, sentence: "No Docker engine runs." };
  const where = engine.docker.host ?? "the default engine";
  if (!(await clusterExists(engine.docker, options.name))) {
    return { isUp: false, sentence: `No cluster ${options.name} on ${where}.` };
  }
  if (!(await isHealthy(engine.docker, options.name))) {
    return { isUp: false, sentence: `Cluster ${options.name} on ${where} is not usable: run up.` };
  }
  const { ports, kubeconfig } = await recordCluster(engine.docker, options);
  const addresses = Object.entries(ports).map(([name, port]) => `${name} 127.0.0.1:${port}`);
  const sentence = `Cluster ${options.name} runs on ${where}; KUBECONFIG=${kubeconfig}; ports: ${addresses.join(", ")}.`;
  return { isUp: true, sentence };
}

function reporter(task: { output: string }): (line: string) => void {
  return (line) => {
    task.output = line;
  };
}

function have<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`${what} is missing: an earlier step did not run`);
  return value;
}
