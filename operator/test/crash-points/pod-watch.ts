import { LABELS, type TradingBot } from "@tradingbots/crds";
import { createKubeClient, kubeconfigAccess, type Pod, PODS } from "@tradingbots/kube";
import { conditionOf } from "../../src/conditions.ts";
import { isFinalReason } from "../../src/bot/flatness.ts";
import { TRADING_BOTS } from "../../src/resources.ts";
import { type Change, follow } from "../follow.ts";
import { NAMESPACE } from "../platform.ts";

/**
 * Watches the API server beside the operator, over connections of its own, and judges every state that it has been in. What
 * happened to pods and to bots is put in order by the revision of the store.
 */
export class PodWatch {
  readonly #podChanges: Change<Pod>[] = [];
  readonly #botChanges: Change<TradingBot>[] = [];
  readonly #stop: () => Promise<void>;

  private constructor(stop: (watch: PodWatch) => () => Promise<void>) {
    this.#stop = stop(this);
  }

  static async start(kubeconfigPath: string): Promise<PodWatch> {
    const client = createKubeClient(await kubeconfigAccess(kubeconfigPath));
    const selection = { namespace: NAMESPACE };
    return new PodWatch((watch) => {
      const followed = [
        follow({ client, resource: PODS, selection }, (change) => watch.#podChanges.push(change)),
        follow({ client, resource: TRADING_BOTS, selection }, (change) =>
          watch.#botChanges.push(change),
        ),
      ];
      return async () => {
        await Promise.all(followed.map((each) => each.stop()));
        await client.close();
      };
    });
  }

  /** Pods that have been seen, for whoever asks whether this watch sees anything at all. */
  get podsSeen(): number {
    return new Set(this.#podChanges.map(({ object }) => object.metadata?.uid)).size;
  }

  /** What was wrong at some instant, as sentences. */
  faults(open: ReadonlySet<string>): readonly string[] {
    return [
      ...tooManyPods(this.#podChanges),
      ...podsBeforeTheirStatus(this.#podChanges, this.#botChanges),
      ...forgottenBots(this.#botChanges, open),
    ];
  }

  async stop(): Promise<void> {
    await this.#stop();
  }
}

const isBotPod = ({ object }: Change<Pod>) => object.metadata?.labels?.[LABELS.role] === "bot";

/** Pods by the bot that owns them, whatever their names. */
function* tooManyPods(changes: readonly Change<Pod>[]): Iterable<string> {
  const present = new Map<string, Set<string>>();
  for (const { type, object } of changes.filter(isBotPod)) {
    const { uid = "", name, ownerReferences } = object.metadata ?? {};
    const owner = ownerReferences?.[0]?.uid ?? "nobody";
    const pods = present.get(owner) ?? new Set();
    present.set(owner, pods);
    if (type === "DELETED") pods.delete(uid);
    else pods.add(uid);
    if (pods.size > 1) yield `${pods.size} pods at once of the bot of ${name}`;
  }
}

/** After a crash in between the status is the only memory that something may be open. */
function* podsBeforeTheirStatus(
  pods: readonly Change<Pod>[],
  bots: readonly Change<TradingBot>[],
): Iterable<string> {
  for (const { type, object, revision } of pods.filter(isBotPod)) {
    if (type !== "ADDED") continue;
    const name = object.metadata?.name;
    const before = bots.findLast(
      (change) => change.object.metadata.name === name && change.revision < revision,
    );
    const flat = conditionOf(before?.object.status?.conditions, "Flat")?.reason;
    if (flat === undefined || isFinalReason(flat)) {
      yield `the pod of ${name} was made while its status said ${flat ?? "nothing"}`;
    }
  }
}

/** A bot may go only when its status says that nothing is open, and when that is true. */
function* forgottenBots(
  bots: readonly Change<TradingBot>[],
  open: ReadonlySet<string>,
): Iterable<string> {
  for (const { type, object } of bots) {
    if (type !== "DELETED") continue;
    const { name } = object.metadata;
    const flat = conditionOf(object.status?.conditions, "Flat")?.reason ?? "nothing";
    if (!isFinalReason(flat)) yield `${name} went while its status said ${flat}`;
    if (open.has(name)) yield `${name} went and left a position`;
  }
}
