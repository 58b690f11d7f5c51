import {
  createHash,
  createHmac,
  hkdfSync,
  type KeyObject,
  randomBytes,
  randomUUID,
  timingSafeEqual,
} from "node:crypto";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import {
  endCrowdedSessions,
  endSession,
  findSession,
  forgetOldSessions,
  insertSession,
  rotateSession,
  type SessionRow,
} from "./session-store.ts";
import type { Tokens } from "./tokens.ts";
import type { Tier } from "./user.ts";

/** A device that has not been heard of for so long must log in again. */
export const IDLE_DAYS_MAX = 30;
/** However busy it is: OWASP ASVS 5 V7.3 asks for both limits. */
const AGE_DAYS_MAX = 180;
const DAY_MS = 86_400_000;
/** Phones, browsers and a few old ones; beyond, the one unused for longest is logged out. */
const DEVICES_MAX = 20;
/**
 * A refresh whose answer was lost is repeated with the same token, and two tabs refresh at once: for so long the token
 * gets the very same successor again. Later it is a copy in other hands.
 */
const REPEAT_MS = 10_000;
const SECRET_BYTES = 32;
const USER_AGENT_MAX = 256;

export interface SessionDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly tokens: Pick<Tokens, "issue">;
  /** Make a successor out of a secret, so that asking twice gives the same one. The first is used, all are recognised. */
  readonly successorKeys: readonly [Buffer, ...Buffer[]];
  /** A used token came back: somebody else has a copy. */
  readonly onReuse: (session: { readonly userId: string; readonly id: string }) => void;
}

export interface SessionUser {
  readonly id: string;
  readonly email: string;
  readonly tier: Tier;
}

interface Client {
  readonly address: string;
  readonly userAgent: string;
}

export interface SignedIn {
  readonly accessToken: string;
  /** `<session id>.<secret>`: for the device's cookie and nothing else. */
  readonly refreshToken: string;
}

/** Log-ins of devices: each has a refresh token that is used once, and the use of a used one ends the session. */
export function createSessions({ authPool, tokens, successorKeys, onReuse }: SessionDeps) {
  /** Begins a session for a user who has proven to be them. */
  async function begin(user: SessionUser, { address, userAgent }: Client): Promise<SignedIn> {
    const id = randomUUID();
    const secret = randomBytes(SECRET_BYTES);
    await asTenant(authPool, { userId: user.id }, async (database) => {
      await forgetOldSessions(database, user.id, AGE_DAYS_MAX);
      await insertSession(database, {
        userId: user.id,
        id,
        refreshHash: hashOf(secret),
        address,
        userAgent: userAgent.slice(0, USER_AGENT_MAX),
      });
      await endCrowdedSessions(database, user.id, DEVICES_MAX);
    });
    return signedIn(user, id, secret);
  }

  /** Gives a new pair for a refresh token. @throws ApiError `session_ended` */
  async function refresh(refreshToken: string): Promise<SignedIn> {
    const presented = readToken(refreshToken);
    const session = presented && (await findSession(authPool, presented.id));
    if (presented === undefined || session === undefined || isOver(session)) throw sessionEnded();
    const { id, user_id: userId, email, tier } = session;
    const user = { id: userId, email, tier };
    const hash = hashOf(presented.secret);
    if (timingSafeEqual(hash, session.refresh_hash)) {
      const successor = successorOf(presented.secret, successorKeys[0]);
      const rotation = { userId, id, from: hash, to: hashOf(successor) };
      const isRotated = await asTenant(authPool, { userId }, (database) =>
        rotateSession(database, rotation),
      );
      // Somebody was faster with the same token: what they got is found, and given again, or the session has ended.
      return isRotated ? signedIn(user, id, successor) : refresh(refreshToken);
    }
    if (isRepeated(session, hash)) {
      const successors = successorKeys.map((key) => successorOf(presented.secret, key));
      const given = successors.find((each) => timingSafeEqual(hashOf(each), session.refresh_hash));
      if (given !== undefined) return signedIn(user, id, given);
    }
    await asTenant(authPool, { userId }, (database) =>
      endSession(database, { userId, id }, "reuse"),
    );
    onReuse({ userId, id });
    throw sessionEnded();
  }

  /** Ends the session of the token, when there is one. */
  async function end(refreshToken: string): Promise<void> {
    const presented = readToken(refreshToken);
    const session = presented && (await findSession(authPool, presented.id));
    if (presented === undefined || session === undefined) return;
    const hash = hashOf(presented.secret);
    const known = [session.refresh_hash, session.previous_hash ?? session.refresh_hash];
    if (!known.some((each) => timingSafeEqual(each, hash))) return;
    const { id, user_id: userId } = session;
    await asTenant(authPool, { userId }, (database) =>
      endSession(database, { userId, id }, "logout"),
    );
  }

  async function signedIn(user: SessionUser, id: string, secret: Buffer): Promise<SignedIn> {
    const { id: userId, email, tier } = user;
    const accessToken = await tokens.issue({ userId, email, tier, sessionId: id });
    return { accessToken, refreshToken: `${id}.${secret.toString("base64url")}` };
  }

  return { begin, refresh, end };
}
export type Sessions = ReturnType<typeof createSessions>;

/** All processes derive the same one from a key that they share; RFC 5869. */
export function successorKeyOf(signingKey: KeyObject): Buffer {
  const secret = signingKey.export({ type: "pkcs8", format: "der" });
  return Buffer.from(hkdfSync("sha256", secret, "", "tradingbots refresh successor", SECRET_BYTES));
}

/** What a page of ours proves by reading its cookie: another site can make the browser send it, and not read it. */
export function csrfTokenOf(refreshToken: string): string {
  return createHmac("sha256", refreshToken).update("csrf").digest("base64url");
}

export function sessionEnded(): ApiError {
  return new ApiError("session_ended", "log in again");
}

function isOver({ is_over, idle_ms, age_ms }: SessionRow): boolean {
  return is_over || idle_ms > IDLE_DAYS_MAX * DAY_MS || age_ms > AGE_DAYS_MAX * DAY_MS;
}

function isRepeated({ previous_hash: previous, idle_ms }: SessionRow, hash: Buffer): boolean {
  return previous !== null && idle_ms <= REPEAT_MS && timingSafeEqual(previous, hash);
}

function successorOf(secret: Buffer, key: Buffer): Buffer {
  return createHmac("sha256", key).update(secret).digest();
}

const RefreshToken = z.tuple([z.uuid(), z.base64url()]);

function readToken(text: string): { readonly id: string; readonly secret: Buffer } | undefined {
  const { data } = RefreshToken.safeParse(text.split(".", 3));
  if (data === undefined) return undefined;
  const secret = Buffer.from(data[1], "base64url");
  return secret.length === SECRET_BYTES ? { id: data[0], secret } : undefined;
}

function hashOf(secret: Buffer): Buffer {
  return createHash("sha256").update(secret).digest();
}
