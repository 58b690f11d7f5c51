import { DatabaseError } from "pg";
import { atMostOne, type Queryable } from "../database.ts";

// Everything in here is for the auth role inside the user's transaction.

export interface PasskeyRow {
  readonly id: string;
  readonly public_key: Buffer;
  readonly counter: string;
  readonly transports: readonly string[];
  readonly name: string;
  readonly created_at: Date;
  readonly last_used_at: Date | null;
  readonly is_vouched: boolean;
}

const COLUMNS =
  "id, public_key, counter, transports, name, created_at, last_used_at, vouched_at is not null as is_vouched";

/** The user's passkeys, the oldest first. */
export async function listPasskeys(
  database: Queryable,
  userId: string,
): Promise<readonly PasskeyRow[]> {
  const { rows } = await database.query<PasskeyRow>(
    `select ${COLUMNS} from passkeys where user_id = $1 order by created_at, id`,
    [userId],
  );
  return rows;
}

export async function findPasskey(
  database: Queryable,
  { userId, id }: { readonly userId: string; readonly id: string },
): Promise<PasskeyRow | undefined> {
  const { rows } = await database.query<PasskeyRow>(
    `select ${COLUMNS} from passkeys where user_id = $1 and id = $2`,
    [userId, id],
  );
  return atMostOne(rows);
}

export interface NewPasskey {
  readonly userId: string;
  readonly id: string;
  readonly publicKey: Uint8Array;
  readonly counter: number;
  readonly transports: readonly string[];
  readonly name: string;
}

const UNIQUE_VIOLATION = "23505";

/** False when the passkey is registered already, by whomever. */
export async function insertPasskey(database: Queryable, passkey: NewPasskey): Promise<boolean> {
  const { userId, id, publicKey, counter, transports, name } = passkey;
  try {
    await database.query(
      `insert into passkeys (user_id, id, public_key, counter, transports, name)
       values ($1, $2, $3, $4, $5, $6)`,
      [userId, id, Buffer.from(publicKey), counter, transports, name],
    );
    return true;
  } catch (error) {
    if (error instanceof DatabaseError && error.code === UNIQUE_VIOLATION) return false;
    throw error;
  }
}

interface Use {
  readonly userId: string;
  readonly id: string;
  readonly counter: { readonly from: string; readonly to: number };
  readonly challengedAt: Date;
}

/** Takes an answer; false when this challenge, or a later one, was answered before, or the counter has moved meanwhile. */
export async function takeAnswer(
  database: Queryable,
  { userId, id, counter, challengedAt }: Use,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `update passkeys set counter = $4, last_used_at = now(), challenged_at = $5
      where user_id = $1 and id = $2 and counter = $3
        and (challenged_at is null or challenged_at < $5)`,
    [userId, id, counter.from, counter.to, challengedAt],
  );
  return rowCount === 1;
}

/** The passkey was shown together with the password: from now on it is two factors by itself. */
export async function vouchForPasskey(
  database: Queryable,
  { userId, id }: { readonly userId: string; readonly id: string },
): Promise<void> {
  await database.query(
    "update passkeys set vouched_at = now() where user_id = $1 and id = $2 and vouched_at is null",
    [userId, id],
  );
}

/** False when there is no such passkey of the user. */
export async function removePasskey(
  database: Queryable,
  { userId, id }: { readonly userId: string; readonly id: string },
): Promise<boolean> {
  const { rowCount } = await database.query("delete from passkeys where user_id = $1 and id = $2", [
    userId,
    id,
  ]);
  return rowCount === 1;
}
