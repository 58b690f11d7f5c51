import { createHash, randomUUID } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Sealer } from "../sealer.ts";

/** Nothing but guesses is counted by it: it lets nobody in. */
const COOKIE = "__Host-tradingbots-device";
const PURPOSE = "known device";
/** As long as a log-in may last. */
const DAYS = 180;
const DAY_SECONDS = 86_400;
const SETTINGS = {
  secure: true,
  httpOnly: true,
  sameSite: "strict",
  path: "/",
  maxAge: DAYS * DAY_SECONDS,
} as const;

const Known = z.object({
  id: z.uuid(),
  userId: z.uuid(),
  password: z.string(),
  endsAtMs: z.int(),
});
/** Enough to tell the passwords of one user apart. */
const FINGERPRINT_BYTES = 8;

interface DeviceUser {
  readonly id: string;
  readonly passwordHash: string;
}

interface KnownDeviceDeps {
  readonly sealer: Sealer;
  readonly now: () => number;
}

/**
 * Devices remember, sealed, whose they have been: who guesses elsewhere must not make their owners wait. Until the password
 * changes: whoever knew the one before is a stranger then.
 */
export function createKnownDevices({ sealer, now }: KnownDeviceDeps) {
  /** The device's id, when the user has proven to be them on it before. */
  function find({ cookies }: FastifyRequest, user: DeviceUser | undefined): string | undefined {
    const shown = cookies[COOKIE];
    if (shown === undefined || user === undefined) return undefined;
    const known = open(shown);
    const isTheirs =
      known?.userId === user.id && known.password === fingerprintOf(user.passwordHash);
    return isTheirs && known.endsAtMs > now() ? known.id : undefined;
  }

  function open(shown: string): z.infer<typeof Known> | undefined {
    try {
      return Known.parse(JSON.parse(sealer.open(Buffer.from(shown, "base64url"), PURPOSE)));
    } catch {
      return undefined; // made up, or sealed with a key that is no more
    }
  }

  /** The user has proven to be them. */
  function remember(request: FastifyRequest, reply: FastifyReply, user: DeviceUser): void {
    const known: z.infer<typeof Known> = {
      id: find(request, user) ?? randomUUID(),
      userId: user.id,
      password: fingerprintOf(user.passwordHash),
      endsAtMs: now() + DAYS * DAY_SECONDS * 1_000,
    };
    const sealed = sealer.seal(JSON.stringify(known), PURPOSE);
    reply.setCookie(COOKIE, sealed.toString("base64url"), SETTINGS);
  }

  return { find, remember };
}
export type KnownDevices = ReturnType<typeof createKnownDevices>;

/** A hash has a salt of its own, so that each password leaves another, also one that was the user's before. */
function fingerprintOf(passwordHash: string): string {
  const hash = createHash("sha256").update(passwordHash).digest();
  return hash.subarray(0, FINGERPRINT_BYTES).toString("base64url");
}
