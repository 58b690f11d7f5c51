import type { Intent } from "@tradingbots/crds";
import { atMostOne, type Database, inTransaction } from "../database.ts";
import { ApiError } from "../errors.ts";
import { assertNewest, type Standing } from "./sessions.ts";
import { podOf, unknownBot, whoSpeaks } from "./speaker.ts";
import type { TokenHolder } from "./tokens.ts";

interface Answered extends Standing {
  /** What the account's entries commit together stays within what the intent says. */
  readonly isFree: boolean;
  /** The intent is kept, open, and the very one. */
  readonly isTaken: boolean;
}

/**
 * Writes down an order that is about to be sent: write-ahead log and fencing check in one. Repeating it changes nothing.
 * The bot's lock keeps a new session, a new lease and a record that closes the intent out until this transaction has ended.
 * An order waits for it, so it is one statement between begin and commit.
 * @throws ApiError `unknown_bot`; `unknown_session`; `stale_epoch` when a newer process has taken over; `no_lease`;
 * `account_committed` when other entries of the account are about to take what it needs; `intent_closed` when the order is known
 * to be over, or another one has its id
 */
export async function appendIntent(
  pool: Pick<Database, "connect">,
  holder: TokenHolder,
  { epoch, intent }: { readonly epoch: number; readonly intent: Intent },
): Promise<void> {
  const { uid } = podOf(holder);
  const { rows } = await inTransaction(pool, (database) =>
    database.query<Answered>(
      `select is_known as "isKnown", newest, newest_is_own as "newestIsOwn", is_leased as "isLeased",
              is_free as "isFree", is_taken as "isTaken"
         from append_intent($1, $2, $3, $4, $5, $6, $7)`,
      [...whoSpeaks(holder), uid, epoch, JSON.stringify(intent)],
    ),
  );
  const standing = atMostOne(rows);
  if (standing === undefined) throw unknownBot(holder);
  assertNewest(standing, epoch);
  if (!standing.isLeased) {
    throw new ApiError("no_lease", "POST /v1/lease first: it is not held or ran out");
  }
  if (!standing.isFree) {
    const message =
      "other entries of the account are under way: together they would commit too much";
    throw new ApiError("account_committed", message);
  }
  if (!standing.isTaken) {
    const message = `${intent.clientOrderId} is over, or was appended with other contents: do not send it`;
    throw new ApiError("intent_closed", message);
  }
}
