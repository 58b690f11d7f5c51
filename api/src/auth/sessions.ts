import { timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import {
  hashOf,
  newToken,
  readToken,
  successorOf,
  type Token,
  writeToken,
} from "./refresh-token.ts";
import {
  endSession,
  findSession,
  insertSession,
  makeRoom,
  type NewSession,
  rotateSession,
  type SessionRow,
} from "./session-store.ts";
import { noteDeed, type Origin } from "./note.ts";
import { isTwoFactors, type Method } from "./second-factors.ts";
import type { Tokens } from "./tokens.ts";
import type { Tier } from "./user.ts";
import { holdPassword, lockUser } from "./user-store.ts";

/** A device that has not been heard of for so long must log in again. */
export const IDLE_DAYS_MAX = 30;
/** However busy it is: OWASP ASVS 5 V7.3 asks for both limits. */
const AGE_DAYS_MAX = 180;
const DAY_MS = 86_400_000;
/** Phones, browsers and a few old ones; beyond, the one unused for longest is logged out. */
const DEVICES_MAX = 20;
/**
 * A refresh whose answer was lost is repeated with the same token, and two tabs refresh at once: for so long the token
 * gets the very same successor again, also when the database was frozen for half of it. Later it is a copy in other hands.
 */
const REPEAT_MS = 60_000;
const USER_AGENT_MAX = 256;
/** A proxy wrote something that is no address: no reason to keep anybody out. */
const UNKNOWN_ADDRESS = "::";

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

/** A user, and the hash of the password that was theirs when they proved to be them. */
export interface Proven {
  readonly user: SessionUser;
  readonly passwordHash: string;
}

interface Client {
  readonly origin: Origin;
  readonly userAgent: string;
  /** How the user has proven to be them. */
  readonly method: Method;
}

export interface SignedIn {
  readonly accessToken: string;
  /** `<session id>.<proof><secret>`: for the device's cookie and nothing else. */
  readonly refreshToken: string;
}

/** Log-ins of devices: each has a refresh token that is used once, and the use of a used one ends the session. */
export function createSessions({ authPool, tokens, successorKeys, onReuse }: SessionDeps) {
  /**
   * Begins a session for a user who has proven to be them.
   * @throws ApiError `invalid_credentials` when the password has been changed since it was compared, `user_disabled`
   */
  async function begin({ user, passwordHash }: Proven, client: Client): Promise<SignedIn> {
    const token = newToken();
    await asTenant(authPool, { userId: user.id }, async (database) => {
      await lockUser(database, user.id); // log-ins at once must not all be the twentieth
      const password = await holdPassword(database, { userId: user.id, hash: passwordHash });
      if (password !== "good") throw refused(password);
      await makeRoom(database, user.id, { idleDays: IDLE_DAYS_MAX, keep: DEVICES_MAX - 1 });
      await insertSession(database, newSession(user.id, token, client));
      const deed = deedOf({ userId: user.id, id: token.id }, "session.begin");
      await noteDeed(database, client.origin, { ...deed, details: { method: client.method } });
    });
    return signedIn(user, token);
  }

  /** Gives a new pair for a refresh token. @throws ApiError `session_ended` */
  async function refresh(refreshToken: string, origin: Origin): Promise<SignedIn> {
    const presented = readToken(refreshToken);
    const session = presented && (await findOwn(presented));
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
      return isRotated
        ? signedIn(user, { ...presented, secret: successor })
        : refresh(refreshToken, origin);
    }
    if (isRepeated(session, hash)) {
      const successors = successorKeys.map((key) => successorOf(presented.secret, key));
      const given = successors.find((each) => timingSafeEqual(hashOf(each), session.refresh_hash));
      if (given !== undefined) return signedIn(user, { ...presented, secret: given });
    }
    await asTenant(authPool, { userId }, async (database) => {
      await endSession(database, { userId, id }, "reuse");
      await noteDeed(database, origin, deedOf({ userId, id }, "session.reuse"));
    });
    onReuse({ userId, id });
    throw sessionEnded();
  }

  /** Ends the session of the token, when there is one. */
  async function end(refreshToken: string, origin: Origin): Promise<void> {
    const presented = readToken(refreshToken);
    const session = presented && (await findOwn(presented));
    if (session === undefined) return;
    const { id, user_id: userId } = session;
    await asTenant(authPool, { userId }, async (database) => {
      await endSession(database, { userId, id }, "logout");
      await noteDeed(database, origin, deedOf({ userId, id }, "session.end"));
    });
  }

  /** The session of a token that was once ours: knowing an id, which every access token holds, proves nothing. */
  async function findOwn({ id, proof }: Token): Promise<SessionRow | undefined> {
    const session = await findSession(authPool, id);
    if (session === undefined) return undefined;
    return timingSafeEqual(session.proof_hash, hashOf(proof)) ? session : undefined;
  }

  async function signedIn(user: SessionUser, token: Token): Promise<SignedIn> {
    const { id: userId, email, tier } = user;
    const accessToken = await tokens.issue({ userId, email, tier, sessionId: token.id });
    return { accessToken, refreshToken: writeToken(token) };
  }

  return { begin, refresh, end };
}
export type Sessions = ReturnType<typeof createSessions>;

function newSession(
  userId: string,
  token: Token,
  { origin, userAgent, method }: Client,
): NewSession {
  const { ip: address } = origin;
  return {
    userId,
    id: token.id,
    proofHash: hashOf(token.proof),
    refreshHash: hashOf(token.secret),
    address: isIP(address) === 0 ? UNKNOWN_ADDRESS : address,
    userAgent: userAgent.slice(0, USER_AGENT_MAX),
    hasSecondFactor: isTwoFactors(method),
    isFresh: method !== "new_passkey",
  };
}

function deedOf({ userId, id }: { readonly userId: string; readonly id: string }, action: string) {
  return { userId, action, object: `session/${id}` };
}

function refused(password: "changed" | "disabled"): ApiError {
  return password === "changed"
    ? new ApiError("invalid_credentials", "the password has just been changed")
    : new ApiError("user_disabled", "an administrator has disabled it, or it is being erased");
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
