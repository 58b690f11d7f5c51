import { haltConcerns, type IntentRequest, isHaltInForce, TradingHalt } from "@tradingbots/crds";
import { createReflector, customResource, type KubeClient } from "@tradingbots/kube";
import type { z } from "zod";
import type { Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import { asSpeaker, podOf } from "./speaker.ts";
import type { TokenHolder } from "./tokens.ts";

/** What the journal needs to know of a halt. */
export interface Halt {
  readonly name: string;
  readonly spec: TradingHalt["spec"];
}

/** All halts that there are, in force or not; undefined until they were read once. */
export type Halts = () => readonly Halt[] | undefined;

export interface FollowHaltsOptions {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  readonly onError: (error: unknown) => void;
}

/**
 * Follows the cluster's halts, and holds on to what it knows of them while the API server is away: bots hear of a halt from the
 * operator by way of their kubelet, and either may be out of reach.
 */
export function followHalts({ client, onError }: FollowHaltsOptions) {
  const reflector = createReflector<TradingHalt, Halt>({
    client,
    resource: customResource(TradingHalt),
    project: ({ metadata: { name }, spec }) => ({ name, spec }),
    handlers: { onUpsert: () => {}, onDelete: () => {} }, // asked for at every entry
    onInvalid: (key, cause) => onError(new Error(`halt ${key} cannot be read`, { cause })),
    onRestart: (reason, error) => {
      if (reason !== "closed") onError(error);
    },
  });
  return {
    start: reflector.start,
    all: (() => (reflector.hasSynced() ? [...reflector.store.views()] : undefined)) satisfies Halts,
    stop: reflector.stop,
  };
}

/** @throws ApiError `cluster_unavailable` while halts were never read */
export function assertRead(halts: Halts): readonly Halt[] {
  const known = halts();
  if (known !== undefined) return known;
  throw new ApiError("cluster_unavailable", "the cluster's halts have not been read yet");
}

/** What an entry is about, as far as a halt may ask. */
type Entry = Pick<z.infer<typeof IntentRequest>, "exchange"> & {
  readonly intent: { readonly symbol: string };
};

/**
 * Lets an entry pass that no halt in force concerns.
 * @throws ApiError `halted`; `cluster_unavailable` while halts were never read
 */
export async function assertNotHalted(
  { pool, halts }: { readonly pool: Pick<Database, "connect">; readonly halts: Halts },
  holder: TokenHolder,
  { exchange, intent: { symbol } }: Entry,
): Promise<void> {
  const inForce = assertRead(halts).filter(({ spec }) => isHaltInForce(spec, Date.now()));
  if (inForce.length === 0) return;
  // Only Postgres knows whose the bot is, and every entry of every bot would have to ask.
  const userId = inForce.some(({ spec: { scope } }) => scope.type === "user")
    ? await asSpeaker(pool, holder, async (_, speaker) => speaker.userId)
    : "";
  const bot = { name: podOf(holder).name, userId, symbols: [symbol] };
  const halt = inForce.find(({ spec: { scope } }) =>
    haltConcerns(scope, { ...bot, exchange: exchange ?? scope.value ?? "" }),
  );
  if (halt !== undefined) throw new ApiError("halted", `${halt.name}: ${halt.spec.reason}`);
}
