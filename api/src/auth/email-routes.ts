import type { FastifyBaseLogger } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import type { Addressee, Mailer } from "../mail/mailer.ts";
import { FAILURE } from "../problem.ts";
import type { Sealer } from "../sealer.ts";
import { endApiTokens } from "./api-token-store.ts";
import { createAfterwards } from "./afterwards.ts";
import { callerOf } from "./authenticate.ts";
import type { IsBreached } from "./breached-passwords.ts";
import { EmailCodePattern, issueEmailCode, useEmailCode } from "./email-code.ts";
import {
  type EmailToken,
  isGoodEmailToken,
  issueEmailToken,
  readEmailToken,
  useEmailToken,
} from "./email-token.ts";
import type { KnownDevices } from "./known-devices.ts";
import { noticeLetter, resetLetter, verificationLetter } from "./letters.ts";
import { type AddressLimit, limitAddress } from "./limit-address.ts";
import { noteDeed, type Origin } from "./note.ts";
import { assertAcceptable, type Passwords } from "./passwords.ts";
import { removeFactors } from "./second-factor-store.ts";
import { endSessions } from "./session-store.ts";
import { Email } from "./user.ts";
import { findLogin, findUser, lockUser, markEmailVerified, setPasswordHash } from "./user-store.ts";

const Nothing = z.null().describe("Nothing.");
const OPEN = { tags: ["auth"], security: [] };
const LinkToken = z.string().max(128).describe("What follows `#token=` in the link.");
const LINK_TOKEN_EXAMPLE = "5d0c9c3e-5b5f-4a53-9f0c-1f4f3ba1d7a2.q8Zk3vQ…";

const SCHEMAS = {
  verify: {
    ...OPEN,
    summary: "Confirm an e-mail address with the token of the mailed link",
    body: z.strictObject({ token: LinkToken }).meta({ examples: [{ token: LINK_TOKEN_EXAMPLE }] }),
    response: { 204: Nothing, ...FAILURE },
  },
  forgot: {
    ...OPEN,
    summary:
      "Ask for a mail to choose a new password; the answer is the same for unknown addresses",
    body: z.strictObject({ email: Email }).meta({ examples: [{ email: "anna@example.com" }] }),
    response: { 202: Nothing, ...FAILURE },
  },
  reset: {
    ...OPEN,
    summary:
      "Choose a new password with the token of the mailed link; every device is logged out and every API token revoked",
    body: z.strictObject({ token: LinkToken, newPassword: z.string().max(1_024) }).meta({
      examples: [{ token: LINK_TOKEN_EXAMPLE, newPassword: "correct horse battery staple" }],
    }),
    response: { 204: Nothing, ...FAILURE },
  },
  resend: {
    tags: ["auth"],
    summary: "Ask for another mail to confirm the e-mail address; one in five minutes is sent",
    response: { 202: Nothing, ...FAILURE },
  },
  code: {
    tags: ["auth"],
    summary: "Confirm the e-mail address with the code of the mail: ten minutes, five tries a day",
    body: z
      .strictObject({ code: z.string().regex(EmailCodePattern, "is not six digits") })
      .meta({ examples: [{ code: "041733" }] }),
    response: { 204: Nothing, ...FAILURE },
  },
} as const;

export interface LetterDeps {
  /** Of the auth role: it may look anybody up. */
  readonly authPool: Database;
  readonly sealer: Pick<Sealer, "seal" | "open">;
  /** Undefined when mails cannot be sent here. */
  readonly mailer: Mailer | undefined;
}

interface EmailDeps extends LetterDeps, AddressLimit {
  readonly passwords: Pick<Passwords, "hash">;
  readonly isBreached: IsBreached;
  readonly devices: KnownDevices;
}

/** POST /api/auth/verify-email, /forgot, /reset: for whoever reads the user's mail. */
export function emailRoutes(deps: EmailDeps): FastifyPluginAsyncZod {
  const { authPool } = deps;
  return async (app) => {
    const afterwards = createAfterwards();
    app.addHook("onClose", afterwards.end);
    app.addHook("onRequest", limitAddress(deps, "address"));

    app.post("/verify-email", { schema: SCHEMAS.verify }, async (request, reply) => {
      const token = requireToken(request.body.token);
      const { userId } = token;
      await asTenant(authPool, { userId }, async (database) => {
        if (!(await useEmailToken(database, token, "verify"))) throw linkInvalid();
        await markEmailVerified(database, userId);
        await noteDeed(database, request, { userId, action: "email.verify" });
      });
      return reply.code(204).send(null);
    });

    app.post("/forgot", { schema: SCHEMAS.forgot }, async (request, reply) => {
      const mailer = requireMailer(deps.mailer);
      const { email } = request.body;
      afterwards.run(request.log, () => sendResetLink({ authPool, mailer }, request, email));
      return reply.code(202).send(null);
    });

    app.post("/reset", { schema: SCHEMAS.reset }, async (request, reply) => {
      const { newPassword } = request.body;
      assertAcceptable(newPassword, deps.isBreached);
      const token = requireToken(request.body.token);
      const passwordHash = await resetPassword(deps, request, { token, newPassword });
      // Whatever strangers have tried: from here the user gets in.
      deps.devices.remember(request, reply, { id: token.userId, passwordHash });
      return reply.code(204).send(null);
    });
  };
}

/** POST /api/auth/verification-mail, for users whose first one was lost, and /verification-code, for those who read it elsewhere. */
export function verificationMailRoutes(
  deps: LetterDeps & { readonly pool: Database },
): FastifyPluginAsyncZod {
  return async (app) => {
    app.post("/verification-mail", { schema: SCHEMAS.resend }, async (request, reply) => {
      const mailer = requireMailer(deps.mailer);
      const { userId } = callerOf(request);
      const user = await asTenant(deps.pool, { userId }, (database) => findUser(database, userId));
      if (user === undefined) throw new ApiError("unauthenticated", "the user is gone");
      if (user.email_verified_at === null) {
        await sendVerificationLink({ ...deps, mailer }, { userId, email: user.email });
      }
      return reply.code(202).send(null);
    });

    app.post("/verification-code", { schema: SCHEMAS.code }, async (request, reply) => {
      const { userId } = callerOf(request);
      const { code } = request.body;
      const isRight = await asTenant(deps.authPool, { userId }, async (database) => {
        if (!(await useEmailCode(database, deps, { userId, code }))) return false;
        await markEmailVerified(database, userId);
        await noteDeed(database, request, { userId, action: "email.verify" });
        return true;
      });
      if (!isRight)
        throw new ApiError("code_invalid", "open the mailed link, or ask for another mail");
      return reply.code(204).send(null);
    });
  };
}

type LinkDeps = LetterDeps & { readonly mailer: Mailer };

/** Mails the link that confirms an address, unless one has just been mailed. */
async function sendVerificationLink(
  { authPool, sealer, mailer }: LinkDeps,
  user: Addressee,
): Promise<void> {
  await asTenant(authPool, user, async (database) => {
    const issued = await issueEmailToken(database, { userId: user.userId, purpose: "verify" });
    if (issued === undefined) return;
    const { token, livesForSeconds } = issued;
    const code = await issueEmailCode(database, { sealer }, user.userId);
    const letter = verificationLetter({ appUrl: mailer.appUrl, token, code });
    await mailer.queue(database, user, { ...letter, livesForSeconds });
  });
}

/** The same for somebody who has just signed up: they are signed up whether it can be queued or not, and can ask for another. */
export async function welcome(
  { mailer, ...deps }: LetterDeps,
  user: Addressee,
  log: Pick<FastifyBaseLogger, "warn">,
): Promise<void> {
  if (mailer === undefined) return;
  await sendVerificationLink({ ...deps, mailer }, user).catch((error: unknown) =>
    log.warn({ err: error }, "no link to confirm an address was queued"),
  );
}

async function sendResetLink(
  { authPool, mailer }: Pick<LinkDeps, "authPool" | "mailer">,
  origin: Origin,
  email: string,
): Promise<void> {
  const user = await findLogin(authPool, email);
  if (user === undefined) return;
  const { id: userId } = user;
  await asTenant(authPool, { userId }, async (database) => {
    const issued = await issueEmailToken(database, { userId, purpose: "reset" });
    if (issued === undefined) return;
    const { token, livesForSeconds } = issued;
    const letter = resetLetter({ appUrl: mailer.appUrl, token });
    await mailer.queue(database, { userId, email }, { ...letter, livesForSeconds });
    await noteDeed(database, origin, { userId, action: "password.forgot" });
  });
}

/** Hashing is costly: only for a token that is good. It is used up with the change and not before. Answers the new hash. */
async function resetPassword(
  { authPool, passwords, mailer }: EmailDeps,
  origin: Origin,
  { token, newPassword }: { readonly token: EmailToken; readonly newPassword: string },
): Promise<string> {
  const { userId } = token;
  const isGood = await asTenant(authPool, { userId }, (database) =>
    isGoodEmailToken(database, token, "reset"),
  );
  if (!isGood) throw linkInvalid();
  const passwordHash = await passwords.hash(newPassword);
  await asTenant(authPool, { userId }, async (database) => {
    await lockUser(database, userId); // a factor or token that is being made now is seen below
    if (!(await useEmailToken(database, token, "reset"))) throw linkInvalid();
    const email = await setPasswordHash(database, { userId, to: passwordHash });
    await endSessions(database, userId, "password");
    // What was enrolled before anybody had shown that the mailbox is theirs may be a stranger's.
    if (await markEmailVerified(database, userId)) await removeFactors(database, userId);
    await endApiTokens(database, userId); // whoever had the account may have made some
    await noteDeed(database, origin, { userId, action: "password.reset" });
    await mailer?.notify(database, { userId, email }, noticeLetter("password", mailer));
  });
  return passwordHash;
}

function requireMailer(mailer: Mailer | undefined): Mailer {
  if (mailer !== undefined) return mailer;
  throw new ApiError("mail_unavailable", "ask whoever runs this installation");
}

function requireToken(text: string): EmailToken {
  const token = readEmailToken(text);
  if (token === undefined) throw linkInvalid();
  return token;
}

function linkInvalid(): ApiError {
  return new ApiError("link_invalid", "ask for another mail");
}
