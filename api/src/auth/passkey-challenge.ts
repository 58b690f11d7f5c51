import { z } from "zod";
import { ApiError } from "../errors.ts";
import type { Sealer } from "../sealer.ts";

/** As long as browsers show their dialogue. */
const CHALLENGE_MS = 5 * 60_000;

export const Base64Url = z
  .string()
  .max(16_384)
  .regex(/^[A-Za-z0-9_-]+$/, "is not base64url");
export const ChallengeState = z.string().max(1_024).describe("As it came with the options.");
/** What a browser's `PublicKeyCredential.toJSON` always gives. */
export const CREDENTIAL = { id: Base64Url, rawId: Base64Url, type: z.literal("public-key") };
export const STATE_EXAMPLE = "AQ7fWm2cR9…";
export const CREDENTIAL_EXAMPLE = {
  id: "Vb0c9mSg2Qx7h1kL",
  rawId: "Vb0c9mSg2Qx7h1kL",
  type: "public-key",
} as const;

const Challenge = z.object({
  challenge: z.string(),
  madeAtMs: z.number(),
  userId: z.string().optional(),
});
type Challenge = z.infer<typeof Challenge>;
type Purpose = "passkey registration" | "passkey answer";

interface ChallengeDeps {
  readonly sealer: Sealer;
  readonly now: () => number;
}

/** A challenge is kept by whoever asked for it, sealed, so that asking for one writes nothing. */
export function createPasskeyChallenges({ sealer, now }: ChallengeDeps) {
  function seal(content: Omit<Challenge, "madeAtMs">, purpose: Purpose): string {
    const text = JSON.stringify({ ...content, madeAtMs: now() });
    return sealer.seal(text, purpose).toString("base64url");
  }

  /** @throws ApiError `passkey_invalid` when it is none of ours, or too old */
  function open(state: string, purpose: Purpose): Challenge {
    let content: Challenge;
    try {
      const text = sealer.open(Buffer.from(state, "base64url"), purpose);
      content = Challenge.parse(JSON.parse(text));
    } catch {
      throw passkeyInvalid();
    }
    if (now() - content.madeAtMs > CHALLENGE_MS) throw passkeyInvalid();
    return content;
  }

  return { seal, open };
}

/** Whom passkeys are made for, by WebAuthn the relying party. @throws ApiError `passkeys_unavailable` */
export function partyOf(appUrl: string | undefined) {
  if (appUrl === undefined) {
    throw new ApiError("passkeys_unavailable", "ask whoever runs this installation");
  }
  const { hostname, origin } = new URL(appUrl);
  return { hostname, origin };
}

/** The cause says what was wrong; whoever tries is told no more than that it was. */
export function passkeyInvalid(cause?: unknown): ApiError {
  const options = cause === undefined ? {} : { cause };
  return new ApiError("passkey_invalid", "ask for another challenge and try again", options);
}
