import { createHash, randomBytes } from "node:crypto";
import type { Queryable } from "../database.ts";
import { base32 } from "./totp.ts";

const CODES = 10;
/** 120 bits: OWASP ASVS 5 V6.5.2 wants 112 where a plain hash is kept. */
const BYTES = 15;

/** Such as `ABCDEF-GHIJKL-MNOPQR-STUVWX`: shown once, for paper. */
function newCode(): string {
  return (base32(randomBytes(BYTES)).match(/.{6}/g) ?? []).join("-");
}

/** However it was typed. */
function hashOfCode(code: string): Buffer {
  const plain = code.toUpperCase().replaceAll(/[^A-Z2-7]/g, "");
  return createHash("sha256").update(plain).digest();
}

/** Ten new codes in place of all before; for the auth role inside the user's transaction. */
export async function replaceRecoveryCodes(database: Queryable, userId: string): Promise<string[]> {
  const codes = Array.from({ length: CODES }, newCode);
  await removeRecoveryCodes(database, userId);
  await database.query(
    "insert into recovery_codes (user_id, hash) select $1, unnest($2::bytea[])",
    [userId, codes.map(hashOfCode)],
  );
  return codes;
}

export async function removeRecoveryCodes(database: Queryable, userId: string): Promise<void> {
  await database.query("delete from recovery_codes where user_id = $1", [userId]);
}

/** Uses a code up; false when it is none. For the auth role inside the user's transaction. */
export async function useRecoveryCode(
  database: Queryable,
  userId: string,
  code: string,
): Promise<boolean> {
  const { rowCount } = await database.query(
    "delete from recovery_codes where user_id = $1 and hash = $2",
    [userId, hashOfCode(code)],
  );
  return rowCount === 1;
}
