import { ANNOTATIONS, FINALIZERS, type TradingBot } from "@tradingbots/crds";
import { type Kept, keyOf, type ObjectVersion, parseKey } from "@tradingbots/kube";
import { pack, type Packed, unpack } from "../packed.ts";
import {
  type PackedConditions,
  packConditions,
  type PackedTime,
  packTime,
  unpackConditions,
  unpackTime,
} from "../packed-conditions.ts";
import { createSharing } from "../shared-values.ts";

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

type Spec = TradingBot["spec"];

export function botView({ metadata, spec, status = {} }: TradingBot): BotView {
  const { namespace = "", name, annotations = {}, finalizers = [] } = metadata;
  return concluded({
    key: keyOf({ namespace, name }),
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    generation: metadata.generation,
    createdAt: metadata.creationTimestamp,
    isDeleting: metadata.deletionTimestamp !== undefined,
    finalizers,
    pausedByHalts: annotations[ANNOTATIONS.pausedByHalts]?.split(",") ?? [],
    spec,
    status,
  });
}

/** What follows from the rest. */
type Conclusions = "namespace" | "name" | "hasFinalizer" | "accountKey";

function concluded(bot: Omit<BotView, Conclusions>): BotView {
  const { namespace = "", name } = parseKey(bot.key);
  const { accountName } = bot.spec;
  return {
    ...bot,
    namespace,
    name,
    hasFinalizer: bot.finalizers.includes(FINALIZERS.bot),
    accountKey: accountName === undefined ? undefined : keyOf({ namespace, name: accountName }),
  };
}

type OwnSpec = "userId" | "displayName" | "accountName" | "requests" | "abandonPosition";
type OwnStatus = "podName" | "summary" | "requests";
type SharedSpec = "symbols" | "strategy" | "risk";

/** What is a bot's own. */
type Own = readonly [
  generation: number,
  createdAt: PackedTime,
  pausedByHalts: readonly string[],
  spec: Pick<Spec, OwnSpec>,
  status: Pick<BotStatus, OwnStatus>,
  since: PackedConditions["since"],
];

/** What thousands have in common. */
interface Common {
  readonly isDeleting: boolean;
  readonly finalizers: readonly string[];
  readonly spec: Omit<Spec, OwnSpec | SharedSpec>;
  readonly status: Omit<BotStatus, OwnStatus | "conditions">;
  /** Its pod has the bot's name, like every pod that the operator makes. */
  readonly hasNamesake: boolean;
}

const sharedCommon = createSharing<Common>();
const sharedSymbols = createSharing<Spec["symbols"]>();
const sharedStrategy = createSharing<Spec["strategy"]>();
const sharedRisk = createSharing<Spec["risk"]>();

/** A bot at rest: what it has in common with others is held once, all else is one text. */
export class KeptBot implements Kept<BotView> {
  readonly #own: Packed<Own>;
  readonly #common: Common;
  readonly #symbols: Spec["symbols"];
  readonly #strategy: Spec["strategy"];
  readonly #risk: Spec["risk"];
  readonly #sayings: PackedConditions["sayings"];

  constructor({ spec, status, ...bot }: BotView) {
    const { userId, displayName, accountName, requests, abandonPosition, ...others } = spec;
    const { symbols, strategy, risk, ...commonSpec } = others;
    const { podName, summary, requests: told, conditions, ...commonStatus } = status;
    const { sayings, since } = packConditions(conditions);
    const hasNamesake = podName === bot.name;
    this.#own = pack<Own>([
      bot.generation,
      packTime(bot.createdAt),
      bot.pausedByHalts,
      { userId, displayName, accountName, requests, abandonPosition },
      { podName: hasNamesake ? undefined : podName, summary, requests: told },
      since,
    ]);
    const { isDeleting, finalizers } = bot;
    const common = { isDeleting, finalizers, spec: commonSpec, status: commonStatus, hasNamesake };
    this.#common = sharedCommon(common);
    this.#symbols = sharedSymbols(symbols);
    this.#strategy = sharedStrategy(strategy);
    this.#risk = sharedRisk(risk);
    this.#sayings = sayings;
  }

  view(at: ObjectVersion): BotView {
    const [generation, createdAt, pausedByHalts, spec, status, since] = unpack(this.#own);
    const { isDeleting, finalizers, hasNamesake, ...common } = this.#common;
    const podName = hasNamesake ? { podName: parseKey(at.key).name } : {};
    return concluded({
      ...at,
      generation,
      createdAt: unpackTime(createdAt),
      isDeleting,
      finalizers,
      pausedByHalts,
      spec: {
        ...common.spec,
        ...spec,
        symbols: this.#symbols,
        strategy: this.#strategy,
        risk: this.#risk,
      },
      status: {
        ...common.status,
        ...status,
        ...podName,
        ...unpackConditions({ sayings: this.#sayings, since }),
      },
    });
  }
}

/** Older first; of the same second, by name: the order in which bots have a right to something that only one can have. */
export function byAge(
  a: { readonly createdAt: string; readonly name: string },
  b: { readonly createdAt: string; readonly name: string },
): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}
