import { ANNOTATIONS, FINALIZERS, type TradingBot } from "@tradingbots/crds";
import { keyOf } from "@tradingbots/kube";

export type BotStatus = NonNullable<TradingBot["status"]>;

/** What the operator keeps of a TradingBot. */
export interface BotView {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly createdAt: string;
  readonly isDeleting: boolean;
  readonly hasFinalizer: boolean;
  readonly finalizers: readonly string[];
  /** Key of the ExchangeAccount; undefined for a paper bot. */
  readonly accountKey: string | undefined;
  /** Uids of the Flatten halts that have paused it: each does so once. */
  readonly pausedByHalts: readonly string[];
  readonly spec: TradingBot["spec"];
  readonly status: BotStatus;
}

/** One for all of them. */
const NO_HALTS: readonly string[] = [];

export function botView({ metadata, spec, status }: TradingBot): BotView {
  const { name, uid, resourceVersion, generation, finalizers = [] } = metadata;
  const pausedBy = metadata.annotations?.[ANNOTATIONS.pausedByHalts];
  const namespace = metadata.namespace ?? "";
  return {
    key: keyOf({ namespace, name }),
    namespace,
    name,
    uid,
    resourceVersion,
    generation,
    createdAt: metadata.creationTimestamp,
    isDeleting: metadata.deletionTimestamp !== undefined,
    hasFinalizer: finalizers.includes(FINALIZERS.bot),
    finalizers,
    accountKey:
      spec.accountName === undefined ? undefined : keyOf({ namespace, name: spec.accountName }),
    pausedByHalts: pausedBy?.split(",") ?? NO_HALTS,
    spec,
    status: status ?? {},
  };
}

/** Older first; of the same second, by name: the order in which bots have a right to something that only one can have. */
export function byAge(
  a: { readonly createdAt: string; readonly name: string },
  b: { readonly createdAt: string; readonly name: string },
): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}
