import { z } from "zod";
import { asTenant, type Database, type Queryable } from "../database.ts";
import { ApiError } from "../errors.ts";
import type { Sealer } from "../sealer.ts";
import type { Mailer } from "../mail/mailer.ts";
import { noticeLetter } from "./letters.ts";
import { PasskeyAnswer, type PasskeyAnswers } from "./passkey-answer.ts";
import { vouchForPasskey } from "./passkey-store.ts";
import { useRecoveryCode } from "./recovery-codes.ts";
import {
  claimAttempt,
  type FactorsRow,
  findFactors,
  forgiveFailures,
  FREE_FAILURES,
  secondsToWait,
  takeStep,
  type TotpRow,
} from "./second-factor-store.ts";
import { looksLikeTotp, stepOf } from "./totp.ts";
import { findLoginById, lockUser } from "./user-store.ts";

/** What comes with a password. */
export const Proof = {
  code: z.string().max(64).optional().describe("Of an authenticator app, or a recovery code."),
  passkey: PasskeyAnswer.optional().describe("In place of a code."),
};
export interface Proof {
  readonly code?: string | undefined;
  readonly passkey?: PasskeyAnswer | undefined;
}

/**
 * How a user has proven to be them. A new passkey is one that was never shown together with the password: whoever has stolen an access
 * token may have registered it.
 */
export type Method = "password" | "totp" | "recovery_code" | "passkey" | "new_passkey";

/** Whether it takes more than one thing to prove it so. */
export const isTwoFactors = (method: Method): boolean =>
  method !== "password" && method !== "new_passkey";

/** The wrong guesses among the errors of `prove`: the others say nothing about what was shown. */
export function isWrongProof(error: unknown): boolean {
  return (
    error instanceof ApiError && (error.code === "code_invalid" || error.code === "passkey_invalid")
  );
}

export const isEnrolled = ({ has_totp, passkeys }: FactorsRow): boolean => has_totp || passkeys > 0;

export interface SecondFactorDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly sealer: Sealer;
  readonly passkeys: Pick<PasskeyAnswers, "verify">;
  /** Undefined when mails cannot be sent here. */
  readonly mailer: Mailer | undefined;
  readonly now: () => number;
}

export const totpPurpose = (userId: string): string => `totp of ${userId}`;

/** Judges what comes after a right password. */
export function createSecondFactors(deps: SecondFactorDeps) {
  const { authPool, sealer, now } = deps;

  /**
   * Passes who has no second factor, or shows one.
   * @throws ApiError `mfa_required`, `code_invalid`, `passkey_invalid`, `too_many_attempts`
   */
  async function prove(userId: string, { code, passkey }: Proof): Promise<Method> {
    const factors = await asTenant(authPool, { userId }, (database) =>
      findFactors(database, userId),
    );
    if (!isEnrolled(factors)) return "password";
    if (passkey !== undefined) return takePasskey(deps, userId, passkey);
    if (code === undefined) {
      throw new ApiError("mfa_required", "send a code of your app, a recovery code or a passkey");
    }
    const row = await claim(userId);
    const isTotp = row.is_confirmed && looksLikeTotp(code);
    const isRight = await asTenant(authPool, { userId }, (database) =>
      isTotp ? takeTotp(database, { userId, code, row }) : takeRecovery(database, userId, code),
    );
    if (!isRight && row.failures === FREE_FAILURES) await warn(deps, userId);
    if (!isRight) throw codeInvalid();
    return isTotp ? "totp" : "recovery_code";
  }

  /**
   * Takes the first code of an offered secret, which is confirmed by it, in one transaction with what `enrolled` writes and answers.
   * @throws ApiError `code_invalid`, `too_many_attempts`
   */
  async function confirm<T>(
    userId: string,
    code: string,
    enrolled: (database: Queryable) => Promise<T>,
  ): Promise<T> {
    const row = await claim(userId);
    return asTenant(authPool, { userId }, async (database) => {
      await lockUser(database, userId); // before the row, as whoever removes it does
      if (row.is_confirmed || !(await takeTotp(database, { userId, code, row })))
        throw codeInvalid();
      return enrolled(database);
    });
  }

  async function claim(userId: string): Promise<TotpRow> {
    const claimed = await asTenant(authPool, { userId }, async (database) => {
      const row = await claimAttempt(database, userId);
      return row ?? (await secondsToWait(database, userId));
    });
    if (claimed === undefined) throw codeInvalid();
    if (typeof claimed !== "number") return claimed;
    throw new ApiError("too_many_attempts", `try again in ${claimed} seconds`, {
      retryAfterSeconds: claimed,
    });
  }

  async function takeTotp(
    database: Queryable,
    {
      userId,
      code,
      row,
    }: { readonly userId: string; readonly code: string; readonly row: TotpRow },
  ): Promise<boolean> {
    const { totp_sealed: from, totp_last_step: lastStep } = row;
    if (from === null) return false;
    const text = sealer.open(from, totpPurpose(userId));
    const secret = Buffer.from(text, "base64");
    const step = stepOf(code, { secret, nowMs: now(), lastStep: Number(lastStep) });
    if (step === undefined) return false;
    const sealed = sealer.seal(text, totpPurpose(userId)); // with the newest key, whichever it was
    if (!(await takeStep(database, { userId, step, sealed, from }))) return false;
    await forgiveFailures(database, userId);
    return true;
  }

  return { prove, confirm };
}
export type SecondFactors = ReturnType<typeof createSecondFactors>;

/** Whoever got so far has the password: its owner must know of it (OWASP ASVS 5 V6.3.4). */
async function warn(
  { authPool, mailer }: Pick<SecondFactorDeps, "authPool" | "mailer">,
  userId: string,
): Promise<void> {
  if (mailer === undefined) return;
  const user = await findLoginById(authPool, userId);
  if (user === undefined) return;
  const addressee = { userId, email: user.email };
  await asTenant(authPool, addressee, (database) =>
    mailer.notify(database, addressee, noticeLetter("wrongCodes", mailer)),
  );
}

/** Beside the password, which vouches for it. */
async function takePasskey(
  { authPool, passkeys }: Pick<SecondFactorDeps, "authPool" | "passkeys">,
  userId: string,
  answer: PasskeyAnswer,
): Promise<"passkey"> {
  const shown = await passkeys.verify(answer);
  if (shown.userId !== userId) throw anothersPasskey();
  const { id } = answer.credential;
  await asTenant(authPool, { userId }, (database) => vouchForPasskey(database, { userId, id }));
  return "passkey";
}

async function takeRecovery(database: Queryable, userId: string, code: string): Promise<boolean> {
  if (!(await useRecoveryCode(database, userId, code))) return false;
  await forgiveFailures(database, userId);
  return true;
}

export function anothersPasskey(): ApiError {
  return new ApiError("passkey_invalid", "the passkey is another user's");
}

function codeInvalid(): ApiError {
  return new ApiError("code_invalid", "wait for the next code and try again");
}
