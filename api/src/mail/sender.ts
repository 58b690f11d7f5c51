import type { Queryable } from "../database.ts";
import { repeat } from "../repeat.ts";
import type { Sealer } from "../sealer.ts";
import { purposeOf, SealedLetter } from "./mailer.ts";
import { type Deliver, MessageRefused } from "./message.ts";
import { type MailRow, postponeMail, removeMail, takeMails } from "./outbox.ts";

/** Nobody notices such a delay, and a look at a small index costs nothing. */
const POLL_MS = 250;
/** At once, in each process: mail servers count connections. */
const BATCH_MAX = 8;
/** Without a pause. */
const ROUNDS_MAX = 10;
/** Longer than any provider here may take. */
const LEASE_SECONDS = 60;
/** 5, 10, 20 … seconds later, three quarters of an hour in sum. */
const ATTEMPTS_MAX = 10;
const FIRST_WAIT_SECONDS = 5;

export interface MailSenderDeps {
  /** Of the auth role. */
  readonly database: Queryable;
  readonly sealer: Pick<Sealer, "open">;
  readonly deliver: Deliver;
  /** Never with what stands in a mail, or to whom it goes. */
  readonly onFailure: (failure: MailFailure) => void;
}

export interface MailFailure {
  readonly error: unknown;
  /** Undefined when the outbox could not be read. */
  readonly mail?: { readonly id: string; readonly attempts: number; readonly isGivenUp: boolean };
}

/** Seconds until the next attempt; undefined when there have been enough. */
export function waitAfter(attempts: number): number | undefined {
  return attempts >= ATTEMPTS_MAX ? undefined : FIRST_WAIT_SECONDS * 2 ** (attempts - 1);
}

/**
 * Empties the outbox until it is stopped, beside other processes that do the same. A process that dies between sending a mail and
 * removing it makes it arrive twice, never not at all.
 */
export function sendMails({ database, sealer, deliver, onFailure }: MailSenderDeps) {
  async function send(row: MailRow): Promise<void> {
    const { id, attempts } = row;
    try {
      if (row.is_over) throw new MessageRefused("it is too late for it");
      const content = sealer.open(row.sealed, purposeOf(row.user_id));
      await deliver({ id, ...SealedLetter.parse(JSON.parse(content)) });
    } catch (error) {
      const seconds = error instanceof MessageRefused ? undefined : waitAfter(attempts);
      onFailure({ error, mail: { id, attempts, isGivenUp: seconds === undefined } });
      if (seconds !== undefined) return postponeMail(database, { id, seconds });
    }
    await removeMail(database, id);
  }

  async function empty(ending: AbortSignal): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX && !ending.aborted; round++) {
      const taken = await takeMails(database, { limit: BATCH_MAX, leaseSeconds: LEASE_SECONDS });
      await Promise.all(taken.map(send));
      if (taken.length < BATCH_MAX) return;
    }
  }

  return repeat({ everyMs: POLL_MS, work: empty, onError: (error) => onFailure({ error }) });
}
