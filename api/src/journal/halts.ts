import { setTimeout as sleep } from "node:timers/promises";
import { haltConcerns, isHaltInForce, TradingHalt } from "@tradingbots/crds";
import { createReflector, customResource, type KubeClient } from "@tradingbots/kube";
import type { Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import { type Halt, type KnownHalts, sharedAsOf, shareHalts } from "./known-halts.ts";

/** The halts as this replica knows them; undefined until they were read once. */
export type Halts = () => KnownHalts | undefined;

/** What Postgres has forgotten, as after a failover, it is told again. */
const SHARED_EVERY_MS = 10_000;
const RETRY_AFTER_MS = 1_000;

export interface FollowHaltsOptions {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  readonly database: Queryable;
  readonly onError: (error: unknown) => void;
}

/**
 * Follows the cluster's halts and writes them down in Postgres, for replicas that do not hear of them. What is known holds while the API
 * server is away: bots hear of a halt from the operator by way of their kubelet, and either may be out of reach.
 */
export function followHalts({ client, database, onError }: FollowHaltsOptions) {
  const reflector = createReflector<TradingHalt, Halt>({
    client,
    resource: customResource(TradingHalt),
    project: ({ metadata: { name }, spec }) => ({ name, spec }),
    handlers: { onUpsert: () => pause.abort(), onDelete: () => pause.abort() },
    onFilled: () => pause.abort(),
    onInvalid: (key, cause) => onError(new Error(`halt ${key} cannot be read`, { cause })),
    onRestart: (reason, error) => {
      if (reason !== "closed") onError(error);
    },
  });
  let pause = new AbortController();
  const ending = new AbortController();
  let outdated: string | undefined;
  let sharing: Promise<void> | undefined;

  const known: Halts = () => {
    if (!reflector.hasSynced()) return undefined;
    const halts = [...reflector.store.views()].filter(({ spec }) => !spec.lifted);
    return { asOf: reflector.completeAsOf(), halts };
  };

  async function share(): Promise<void> {
    outdated ??= await sharedAsOf(database); // before anything is read
    reflector.start();
    const halts = known();
    if (halts !== undefined) await shareHalts(database, halts, outdated);
  }

  async function keepSharing(): Promise<void> {
    while (!ending.signal.aborted) {
      pause = new AbortController(); // what changes from now on is shared with the next turn
      const afterMs = await share().then(
        () => SHARED_EVERY_MS,
        (error: unknown) => {
          onError(error);
          return RETRY_AFTER_MS;
        },
      );
      await sleep(afterMs, undefined, { signal: pause.signal }).catch(() => {});
    }
  }

  return {
    start: () => void (sharing ??= keepSharing()),
    known,
    stop: async () => {
      ending.abort();
      pause.abort();
      await Promise.all([sharing, reflector.stop()]);
    },
  };
}

/** @throws ApiError `cluster_unavailable` while halts were never read */
export function assertRead(halts: Halts): KnownHalts {
  const known = halts();
  if (known !== undefined) return known;
  throw new ApiError("cluster_unavailable", "the cluster's halts have not been read yet");
}

/** An entry of a bot, as far as a halt may ask. */
export interface Entry {
  readonly botName: string;
  readonly userId: string;
  /** Undefined of a bot that does not say it: any halt of an exchange concerns it. */
  readonly exchange: string | undefined;
  readonly symbol: string;
}

/**
 * Lets an entry pass that no halt in force concerns.
 * @throws ApiError `halted`
 */
export function assertNotHalted(halts: readonly Halt[], entry: Entry): void {
  const { botName: name, userId, exchange, symbol } = entry;
  const halt = halts.find(
    ({ spec }) =>
      isHaltInForce(spec, Date.now()) &&
      haltConcerns(spec.scope, {
        name,
        userId,
        exchange: exchange ?? spec.scope.value ?? "",
        symbols: [symbol],
      }),
  );
  if (halt !== undefined) throw new ApiError("halted", `${halt.name}: ${halt.spec.reason}`);
}
