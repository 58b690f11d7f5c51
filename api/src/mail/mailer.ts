import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Queryable } from "../database.ts";
import type { Sealer } from "../sealer.ts";
import { queueMail } from "./outbox.ts";

/** What a person reads. */
export interface Letter {
  readonly subject: string;
  readonly text: string;
}

export interface Addressee {
  readonly userId: string;
  readonly email: string;
}

export const SealedLetter = z.object({ to: z.string(), subject: z.string(), text: z.string() });

/** A letter in the outbox holds a secret link, so it lies there sealed. */
export const purposeOf = (userId: string): string => `mail of ${userId}`;

const LIVES_FOR_SECONDS = 24 * 3_600;

interface MailerOptions {
  readonly sealer: Pick<Sealer, "seal">;
  /** Where the web app is: links lead there. */
  readonly appUrl: string;
}

/** Writes letters into the outbox; nobody who asks for one waits for a mail server. */
export function createMailer({ sealer, appUrl }: MailerOptions) {
  /** For the auth role inside the user's transaction. */
  async function queue(
    database: Queryable,
    { userId, email }: Addressee,
    { livesForSeconds = LIVES_FOR_SECONDS, ...letter }: Letter & { livesForSeconds?: number },
  ): Promise<void> {
    const content = JSON.stringify({ to: email, ...letter });
    const sealed = sealer.seal(content, purposeOf(userId));
    await queueMail(database, { userId, id: randomUUID(), sealed, livesForSeconds });
  }

  return {
    appUrl,
    queue,
    /** The same, when the address is confirmed: else anybody could have anybody's mailbox filled. */
    notify: async (database: Queryable, addressee: Addressee, letter: Letter): Promise<void> => {
      const { rowCount } = await database.query(
        "select 1 from users where id = $1 and email_verified_at is not null",
        [addressee.userId],
      );
      if (rowCount === 1) await queue(database, addressee, letter);
    },
  };
}
export type Mailer = ReturnType<typeof createMailer>;
