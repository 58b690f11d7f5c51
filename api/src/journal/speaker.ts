import { paperServiceAccount } from "@tradingbots/crds";
import { type Database, inTransaction, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import type { TokenHolder } from "./tokens.ts";

/** The bot on whose behalf a request is made. */
export interface Speaker {
  readonly userId: string;
  readonly botId: string;
  readonly namespace: string;
  readonly podUid: string;
  readonly tokenIssuedAt: Date;
}

/**
 * Runs `work` in a transaction that speaks for the bot of a token and sees nothing of any other.
 * @throws ApiError `unknown_bot` when the token belongs to no bot, or to another place or account than its bot's
 */
export async function asSpeaker<T>(
  pool: Pick<Database, "connect">,
  holder: TokenHolder,
  work: (database: Queryable, speaker: Speaker) => Promise<T>,
): Promise<T> {
  const pod = podOf(holder);
  return inTransaction(pool, async (database) => {
    const { rows } = await database.query<{ user_id: string | null }>(
      "select speak_for($1, $2, $3, $4) as user_id",
      whoSpeaks(holder),
    );
    const userId = rows[0]?.user_id ?? undefined;
    if (userId === undefined) throw unknownBot(holder);
    const { namespace, issuedAt } = holder;
    const speaker = { userId, botId: pod.name, namespace, podUid: pod.uid };
    return work(database, { ...speaker, tokenIssuedAt: issuedAt });
  });
}

/**
 * The pod that a token is bound to: a bot's pod has the bot's name.
 * @throws ApiError `unknown_bot` when it is bound to none
 */
export function podOf({ pod }: TokenHolder): NonNullable<TokenHolder["pod"]> {
  if (pod === undefined) throw new ApiError("unknown_bot", "the token is not bound to a pod");
  return pod;
}

/** Parameters of `speak_for`: bot, namespace, the token's service account, and that of the bot's paper trading. */
export function whoSpeaks(holder: TokenHolder): string[] {
  const { name } = podOf(holder);
  return [name, holder.namespace, holder.serviceAccount, paperServiceAccount(name)];
}

/** The token's service account is the one of a bot's paper trading. */
export function isOnPaper(holder: TokenHolder): boolean {
  return holder.serviceAccount === paperServiceAccount(podOf(holder).name);
}

/** `speak_for` found nobody. */
export function unknownBot(holder: TokenHolder): ApiError {
  return new ApiError(
    "unknown_bot",
    `no bot has the pod ${holder.namespace}/${podOf(holder).name}`,
  );
}
