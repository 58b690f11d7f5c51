import type { Intent, IntentRequest } from "@tradingbots/crds";
import type { z } from "zod";
import { atMostOne, type Database, inTransaction } from "../database.ts";
import { ApiError } from "../errors.ts";
import { assertNotHalted, assertRead, type Halts } from "./halts.ts";
import type { Halt } from "./known-halts.ts";
import { assertNewest, type Standing } from "./sessions.ts";
import { podOf, unknownBot, whoSpeaks } from "./speaker.ts";
import type { TokenHolder } from "./tokens.ts";

interface Answered extends Standing {
  /** What the account's entries commit together stays within what the intent says. */
  readonly isFree: boolean;
  /** The intent is kept, open, and the very one. */
  readonly isTaken: boolean;
  /** Whose the bot is. */
  readonly userId: string;
  /** What another replica knows of halts, if it knows more. */
  readonly newerHalts: readonly Halt[] | null;
}

/**
 * Writes down an order that is about to be sent: write-ahead log and fencing check in one. Repeating it changes nothing.
 * The bot's lock keeps a new session, a new lease and a record that closes the intent out until this transaction has ended.
 * An order waits for it, so it is one statement between begin and commit. Halts are this replica's, or another's who knows more.
 * @throws ApiError `unknown_bot`; `unknown_session`; `stale_epoch` when a newer process has taken over; `no_lease`; `halted`;
 * `account_committed` when other entries of the account are about to take what it needs; `intent_closed` when the order is known
 * to be over, or another one has its id; `cluster_unavailable` while halts were never read
 */
export async function appendIntent(
  { pool, halts }: { readonly pool: Pick<Database, "connect">; readonly halts: Halts },
  holder: TokenHolder,
  { epoch, exchange, intent }: z.infer<typeof IntentRequest>,
): Promise<void> {
  const { name: botName, uid } = podOf(holder);
  const known = assertRead(halts);
  await inTransaction(pool, async (database) => {
    const { rows } = await database.query<Answered>(
      `select is_known as "isKnown", newest, newest_is_own as "newestIsOwn", is_leased as "isLeased",
              is_free as "isFree", is_taken as "isTaken", user_id as "userId", newer_halts as "newerHalts"
         from append_intent_beside_halts($1, $2, $3, $4, $5, $6, $7, $8)`,
      [...whoSpeaks(holder), uid, epoch, JSON.stringify(intent), known.asOf],
    );
    const answered = atMostOne(rows);
    if (answered === undefined) throw unknownBot(holder);
    const { newerHalts, userId } = answered;
    assertLeased(answered, epoch);
    const entry = { botName, userId, exchange, symbol: intent.symbol };
    assertNotHalted(newerHalts ?? known.halts, entry);
    assertTaken(answered, intent);
  });
}

function assertLeased(standing: Standing, epoch: number): void {
  assertNewest(standing, epoch);
  if (!standing.isLeased) {
    throw new ApiError("no_lease", "POST /v1/lease first: it is not held or ran out");
  }
}

function assertTaken({ isFree, isTaken }: Answered, { clientOrderId }: Intent): void {
  if (!isFree) {
    const message =
      "other entries of the account are under way: together they would commit too much";
    throw new ApiError("account_committed", message);
  }
  if (!isTaken) {
    const message = `${clientOrderId} is over, or was appended with other contents: do not send it`;
    throw new ApiError("intent_closed", message);
  }
}
