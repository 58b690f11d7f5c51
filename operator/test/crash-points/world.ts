import { setTimeout as sleep } from "node:timers/promises";
import { isNotFound, LEASES, PODS, type Resource, SERVICE_ACCOUNTS } from "@tradingbots/kube";
import { BOT_CLASSES, EXCHANGE_ACCOUNTS, TRADING_BOTS } from "../../src/resources.ts";
import type { Passed, Treatment } from "../line.ts";
import { OperatorProcess } from "../operator-process.ts";
import { botClass, NAMESPACE } from "../platform.ts";
import { FakeKubelet } from "./fake-kubelet.ts";
import type { Lane } from "./lane.ts";
import { PodWatch } from "./pod-watch.ts";
import { isWrite } from "./request-name.ts";

/** The class of all bots, and of verify pods. */
export const CLASS = "free";
export const IMAGE = "bot:1";
/** A new image is found good as soon as its first bot runs. */
const HASTY = { rollout: { soakSeconds: 0 } };

const LOOK_EVERY_MS = 50;
/** A crash between two pods costs up to the 10 s that a pod which ended unasked is waited for; the rest is for a busy machine. */
const WAIT_MS = 60_000;
/** Nobody asks for anything: what belongs together has been done. */
const REST_MS = 400;
/** Where the operator keeps its lease. */
const LEASE = { namespace: "default", name: "tradingbots-operator" };

/** The world of one case: a fresh namespace, the operator's process, node, bots, and the watch beside. */
export class World {
  readonly lane: Lane;
  readonly operator: OperatorProcess;
  readonly kubelet: FakeKubelet;
  readonly watch: PodWatch;
  #recovery: Promise<void> = Promise.resolve();
  #recovering = false;

  private constructor(lane: Lane, parts: Pick<World, "operator" | "kubelet" | "watch">) {
    this.lane = lane;
    this.operator = parts.operator;
    this.kubelet = parts.kubelet;
    this.watch = parts.watch;
  }

  /** @param trades whether bots that may trade hold a position */
  static async create(lane: Lane, trades: boolean): Promise<World> {
    const { platform, journal, program } = lane;
    await clear(lane);
    for (const line of lane.lines) line.passed.length = 0;
    await platform.client.create(BOT_CLASSES, botClass(CLASS, IMAGE, HASTY));
    const [, vaultLine, journalLine] = lane.lines;
    const operator = await OperatorProcess.create({
      podName: "operator-0",
      kubeconfigPath: lane.kubeconfigPath,
      vaultUrl: vaultLine.url,
      journalUrl: journalLine.url,
      program: program.arguments,
      environment: program.environment,
    });
    const watch = await PodWatch.start(platform.kubeconfigPath);
    const kubelet = new FakeKubelet({ platform, journal, trades });
    return new World(lane, { operator, kubelet, watch });
  }

  /** Everything that its processes have asked, in order. */
  get passed(): readonly Passed[] {
    return this.lane.lines.flatMap((line) => line.passed).toSorted((a, b) => a.atMs - b.atMs);
  }

  /** What becomes of requests on any of the lines. */
  treat(treatment: (request: Passed) => Treatment): void {
    for (const line of this.lane.lines) line.treat = treatment;
  }

  async startOperator(): Promise<void> {
    this.operator.start();
    await this.until("the operator leads", async () => this.operator.hasSaid("leading"));
  }

  /**
   * SIGKILL, and another process in the same pod. The lease of the dead one is taken away instead of waiting for its 15 s; all that
   * it had sent has arrived by then, as it would have.
   */
  crash(): void {
    this.operator.signal("SIGKILL");
    this.#recovering = true;
    this.#recovery = this.#recover().finally(() => (this.#recovering = false));
    this.#recovery.catch(() => undefined); // thrown where it is waited for
  }

  async #recover(): Promise<void> {
    await this.operator.exited();
    while (!this.lane.lines.every((line) => line.isQuiet)) await sleep(LOOK_EVERY_MS);
    await removeLease(this.lane);
    this.operator.start();
  }

  /** Writes of the operator since `from` of `passed`. */
  writesSince(from: number): readonly Passed[] {
    return this.passed.slice(from).filter(isWrite);
  }

  /** Waits until nothing has been asked for a moment; leases are renewed all the time. */
  async rest(): Promise<void> {
    let seen = -1;
    await this.until("the operator rests", async () => {
      const before = seen;
      seen = this.passed.filter(({ path }) => !path.includes("/leases")).length;
      const isQuiet = this.lane.lines.every((line) => line.isQuiet);
      if (before !== seen || !isQuiet) await sleep(REST_MS);
      return before === seen && isQuiet;
    });
  }

  /** Waits until `holds`; an operator that is being started again is waited for first. */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      await this.#recovery;
      if (await holds()) return;
      if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
      if (!this.#recovering && !this.operator.running) {
        throw new Error(`the operator ended while it was waited until ${what}`);
      }
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** @throws Error when node or watch had failed: nothing can be said about the case then. */
  async close(): Promise<void> {
    await this.#recovery.catch(() => undefined);
    this.treat(() => ({ kind: "pass" }));
    await this.operator.remove();
    const ends = await Promise.allSettled([this.kubelet.stop(), this.watch.stop()]);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }
}

async function removeLease({ platform }: Lane): Promise<void> {
  await platform.client.remove(LEASES, LEASE);
}

/** An empty namespace: nobody runs who could object. */
async function clear(lane: Lane): Promise<void> {
  const { client } = lane.platform;
  for (const resource of [TRADING_BOTS, EXCHANGE_ACCOUNTS, BOT_CLASSES]) await wipe(lane, resource);
  for (const { metadata } of await client.list(PODS, { namespace: NAMESPACE })) {
    await lane.platform.kill(metadata?.name ?? "");
  }
  for (const { metadata } of await client.list(SERVICE_ACCOUNTS, { namespace: NAMESPACE })) {
    await client.remove(SERVICE_ACCOUNTS, { namespace: NAMESPACE, name: metadata?.name ?? "" });
  }
  await removeLease(lane);
  lane.vault.forgetAll();
  lane.journal.forgetAll();
}

async function wipe(
  { platform: { client } }: Lane,
  resource: Resource<{ metadata: { name: string; namespace?: string | undefined } }>,
): Promise<void> {
  for (const { metadata } of await client.list(resource)) {
    const body = { metadata: { finalizers: null } };
    try {
      await client.patch(resource, metadata, { type: "merge", body });
      await client.remove(resource, metadata);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
