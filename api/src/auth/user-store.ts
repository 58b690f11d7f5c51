import { DatabaseError } from "pg";
import { atMostOne, type Queryable } from "../database.ts";
import type { Tier } from "./user.ts";

export interface UserRow {
  readonly id: string;
  readonly email: string;
  readonly tier: Tier;
  readonly namespace: string;
  readonly created_at: Date;
  readonly email_verified_at: Date | null;
}

type LoginRow = Pick<UserRow, "id" | "email" | "tier"> & { readonly password_hash: string };

/** Looks a login up by address; for the auth role. */
export async function findLogin(database: Queryable, email: string): Promise<LoginRow | undefined> {
  const { rows } = await database.query<LoginRow>(
    "select id, email, tier, password_hash from users where email = $1",
    [email],
  );
  return atMostOne(rows);
}

/** The same by id. */
export async function findLoginById(
  database: Queryable,
  userId: string,
): Promise<LoginRow | undefined> {
  const { rows } = await database.query<LoginRow>(
    "select id, email, tier, password_hash from users where id = $1",
    [userId],
  );
  return atMostOne(rows);
}

interface NewUser {
  readonly id: string;
  readonly email: string;
  readonly passwordHash: string;
  readonly namespace: string;
}

const UNIQUE_VIOLATION = "23505";

/** Adds a user of the lowest tier; undefined when the address is taken. For the auth role. */
export async function insertUser(database: Queryable, user: NewUser) {
  try {
    const { rows } = await database.query<Pick<UserRow, "id" | "email" | "tier">>(
      `insert into users (id, email, password_hash, namespace) values ($1, $2, $3, $4)
       returning id, email, tier`,
      [user.id, user.email, user.passwordHash, user.namespace],
    );
    return atMostOne(rows);
  } catch (error) {
    if (error instanceof DatabaseError && error.code === UNIQUE_VIOLATION) return undefined;
    throw error;
  }
}

/** The caller's own row; for the API's role inside the caller's transaction. */
export async function findUser(database: Queryable, userId: string): Promise<UserRow | undefined> {
  const { rows } = await database.query<UserRow>(
    "select id, email, tier, namespace, created_at, email_verified_at from users where id = $1",
    [userId],
  );
  return atMostOne(rows);
}

/** Creations of one user happen one after the other, so that counting and adding is one step. */
export async function lockUser(database: Queryable, userId: string): Promise<void> {
  await database.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [userId]);
}

/** The hash of the user's own password; for the auth role. */
export async function findPasswordHash(
  database: Queryable,
  userId: string,
): Promise<string | undefined> {
  const { rows } = await database.query<{ password_hash: string }>(
    "select password_hash from users where id = $1",
    [userId],
  );
  return atMostOne(rows)?.password_hash;
}

/**
 * Whether this is the password still, and of a user who may log in; it stays so until the end of the transaction. For the auth role.
 */
export async function holdPassword(
  database: Queryable,
  { userId, hash }: { readonly userId: string; readonly hash: string },
): Promise<"good" | "changed" | "disabled"> {
  const { rows } = await database.query<{ is_disabled: boolean }>(
    `select disabled_at is not null as is_disabled from users
      where id = $1 and password_hash = $2 for share`,
    [userId, hash],
  );
  const user = atMostOne(rows);
  if (user === undefined) return "changed";
  return user.is_disabled ? "disabled" : "good";
}

interface PasswordReplacement {
  readonly userId: string;
  readonly from: string;
  readonly to: string;
}

/** False when somebody else changed it first. For the auth role inside the user's transaction. */
export async function replacePasswordHash(
  database: Queryable,
  { userId, from, to }: PasswordReplacement,
): Promise<boolean> {
  const { rowCount } = await database.query(
    "update users set password_hash = $3 where id = $1 and password_hash = $2",
    [userId, from, to],
  );
  return rowCount === 1;
}

/** Replaces the password of whoever has shown that the mailbox is theirs, and answers the address. */
export async function setPasswordHash(
  database: Queryable,
  { userId, to }: Omit<PasswordReplacement, "from">,
): Promise<string> {
  const { rows } = await database.query<{ email: string }>(
    "update users set password_hash = $2 where id = $1 returning email",
    [userId, to],
  );
  const user = atMostOne(rows);
  if (user === undefined) throw new Error("a user with a good link is not there");
  return user.email;
}

/** The first time counts; for the auth role inside the user's transaction. */
export async function markEmailVerified(database: Queryable, userId: string): Promise<boolean> {
  const { rowCount } = await database.query(
    "update users set email_verified_at = now() where id = $1 and email_verified_at is null",
    [userId],
  );
  return rowCount === 1;
}
