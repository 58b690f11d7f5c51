import { type ExchangeAccount, LABELS, type TradingBot } from "@tradingbots/crds";
import type { KubeClient, Pod, Resource } from "@tradingbots/kube";
import { PODS } from "@tradingbots/kube";
import { EXCHANGE_ACCOUNTS, TRADING_BOTS } from "../../src/resources.ts";

/** Longer than any run. */
const WATCH_SECONDS = 3_600;

/**
 * Watches bots, accounts and pods of one namespace beside the operator, on connections that no fault touches, and judges every instant: never
 * two pods of one bot, and never two of one name.
 */
export function createBystander(client: KubeClient, namespace: string) {
  const stopping = new AbortController();
  const bots = new Map<string, TradingBot>();
  const accounts = new Map<string, ExchangeAccount>();
  const pods = new Map<string, Pod>();
  const wrongs = new Set<string>();
  const listeners = new Set<(pod: Pod) => void>();
  let podsSeen = 0;

  function seePod(type: string, pod: Pod): void {
    const { name = "", uid = "" } = pod.metadata ?? {};
    if (type === "DELETED") {
      pods.delete(uid);
      return;
    }
    if (!pods.has(uid)) podsSeen++;
    pods.set(uid, pod);
    for (const other of pods.values()) {
      const isOther = other.metadata?.uid !== uid;
      const ofSameBot = ownerOf(other) !== undefined && ownerOf(other) === ownerOf(pod);
      if (isOther && ofSameBot) wrongs.add(`two pods of one bot: ${name}`);
    }
    for (const listener of listeners) listener(pod);
  }

  async function follow<T>(resource: Resource<T>, see: (type: string, object: T) => void) {
    const signal = stopping.signal;
    const options = { namespace, sendInitialEvents: true, timeoutSeconds: WATCH_SECONDS, signal };
    try {
      for await (const { type, object } of client.watch(resource, options)) {
        if (type !== "BOOKMARK") see(type, resource.read(object));
      }
      throw new Error("closed");
    } catch (error) {
      if (!stopping.signal.aborted) wrongs.add(`the bystander went blind: ${String(error)}`);
    }
  }

  const following = [
    follow(PODS, seePod),
    follow(TRADING_BOTS, keeper(bots)),
    follow(EXCHANGE_ACCOUNTS, keeper(accounts)),
  ];
  return {
    bots: (): ReadonlyMap<string, TradingBot> => bots,
    accounts: (): ReadonlyMap<string, ExchangeAccount> => accounts,
    /** The living and the ending, by uid. */
    pods: (): ReadonlyMap<string, Pod> => pods,
    podOf: (name: string) => [...pods.values()].find((pod) => pod.metadata?.name === name),
    podsSeen: () => podsSeen,
    wrongs: (): readonly string[] => [...wrongs],
    onPod: (listener: (pod: Pod) => void) => void listeners.add(listener),
    stop: async () => {
      stopping.abort();
      await Promise.all(following);
    },
  };
}
export type Bystander = ReturnType<typeof createBystander>;

/** Keeps objects by name as events tell of them. */
function keeper<T extends { readonly metadata: { readonly name: string } }>(kept: Map<string, T>) {
  return (type: string, object: T): void => {
    if (type === "DELETED") kept.delete(object.metadata.name);
    else kept.set(object.metadata.name, object);
  };
}

function ownerOf(pod: Pod): string | undefined {
  if (pod.metadata?.labels?.[LABELS.role] !== "bot") return undefined;
  return pod.metadata.ownerReferences?.[0]?.uid;
}
