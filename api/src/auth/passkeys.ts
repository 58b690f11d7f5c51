import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from "@simplewebauthn/server";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import { ApiError } from "../errors.ts";
import type { Sealer } from "../sealer.ts";
import { findPasskey, listPasskeys, type NewPasskey, takeAnswer } from "./passkey-store.ts";

const NAME = "Trading bots";
/** As long as browsers show their dialogue. */
const CHALLENGE_MS = 5 * 60_000;

const Base64Url = z
  .string()
  .max(16_384)
  .regex(/^[A-Za-z0-9_-]+$/, "is not base64url");
const State = z.string().max(1_024).describe("As it came with the options.");
const Transports = z.array(z.string().max(32)).max(8);

/** What a browser's `PublicKeyCredential.toJSON` gives; members that are not named here are ignored. */
const shared = {
  id: Base64Url,
  rawId: Base64Url,
  type: z.literal("public-key"),
};
export const PasskeyAnswer = z.strictObject({
  state: State,
  credential: z.object({
    ...shared,
    response: z.object({
      clientDataJSON: Base64Url,
      authenticatorData: Base64Url,
      signature: Base64Url,
      userHandle: Base64Url,
    }),
  }),
});
export type PasskeyAnswer = z.infer<typeof PasskeyAnswer>;

export const PasskeyRegistration = z.strictObject({
  state: State,
  credential: z.object({
    ...shared,
    response: z.object({
      clientDataJSON: Base64Url,
      attestationObject: Base64Url,
      transports: Transports.default([]),
    }),
  }),
});
export type PasskeyRegistration = z.infer<typeof PasskeyRegistration>;

const Challenge = z.object({
  challenge: z.string(),
  madeAtMs: z.number(),
  userId: z.string().optional(),
});
type Challenge = z.infer<typeof Challenge>;
type ChallengePurpose = "passkey registration" | "passkey answer";

export interface PasskeyDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly sealer: Sealer;
  /** Where the web app is: passkeys belong to its host. Undefined: there are none here. */
  readonly appUrl: string | undefined;
  readonly now: () => number;
}

interface Owner {
  readonly userId: string;
  readonly email: string;
}

/**
 * Passkeys by WebAuthn level 3. A challenge is kept by whoever asked for it, sealed, so that asking for one writes nothing; the
 * passkey remembers when the last one that it answered was made. The user must be verified by the device: a passkey is two factors.
 */
export function createPasskeys({ authPool, sealer, appUrl, now }: PasskeyDeps) {
  /** @throws ApiError `passkeys_unavailable` */
  function party() {
    if (appUrl === undefined) {
      throw new ApiError("passkeys_unavailable", "ask whoever runs this installation");
    }
    const { hostname, origin } = new URL(appUrl);
    return { hostname, origin };
  }

  function sealChallenge(
    challenge: Omit<Challenge, "madeAtMs">,
    purpose: ChallengePurpose,
  ): string {
    const text = JSON.stringify({ ...challenge, madeAtMs: now() });
    return sealer.seal(text, purpose).toString("base64url");
  }

  function openChallenge(state: string, purpose: ChallengePurpose): Challenge {
    let challenge: Challenge;
    try {
      const text = sealer.open(Buffer.from(state, "base64url"), purpose);
      challenge = Challenge.parse(JSON.parse(text));
    } catch {
      throw passkeyInvalid();
    }
    if (now() - challenge.madeAtMs > CHALLENGE_MS) throw passkeyInvalid();
    return challenge;
  }

  /** What the browser needs to make a passkey. */
  async function offer({ userId, email }: Owner) {
    const { hostname } = party();
    const known = await asTenant(authPool, { userId }, (database) =>
      listPasskeys(database, userId),
    );
    const options = await generateRegistrationOptions({
      rpName: NAME,
      rpID: hostname,
      userName: email,
      userID: new TextEncoder().encode(userId),
      attestationType: "none",
      excludeCredentials: known.map(({ id, transports }) => ({ id, transports: [...transports] })),
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
    });
    const state = sealChallenge({ challenge: options.challenge, userId }, "passkey registration");
    return { state, options };
  }

  /** The passkey that the browser has made. @throws ApiError `passkey_invalid` */
  async function accept(
    userId: string,
    { state, credential }: PasskeyRegistration,
  ): Promise<Omit<NewPasskey, "name">> {
    const { hostname, origin } = party();
    const challenge = openChallenge(state, "passkey registration");
    if (challenge.userId !== userId) throw passkeyInvalid();
    const { registrationInfo } = await verifyRegistrationResponse({
      response: { ...credential, clientExtensionResults: {} },
      expectedChallenge: challenge.challenge,
      expectedOrigin: origin,
      expectedRPID: hostname,
      requireUserVerification: true,
    }).catch(refuse);
    if (registrationInfo === undefined) throw passkeyInvalid();
    const { id, publicKey, counter } = registrationInfo.credential;
    return { userId, id, publicKey, counter, transports: credential.response.transports };
  }

  /** What the browser needs to use a passkey, whosever: it tells nothing of anybody. */
  async function challenge() {
    const { hostname } = party();
    const options = await generateAuthenticationOptions({
      rpID: hostname,
      userVerification: "required",
    });
    return { state: sealChallenge({ challenge: options.challenge }, "passkey answer"), options };
  }

  /** Whose passkey has answered. It has answered this challenge once. @throws ApiError `passkey_invalid` */
  async function verify({ state, credential }: PasskeyAnswer): Promise<string> {
    const { hostname, origin } = party();
    const { challenge: expectedChallenge, madeAtMs } = openChallenge(state, "passkey answer");
    const userId = userIdOf(credential.response.userHandle);
    const { id } = credential;
    const known = await asTenant(authPool, { userId }, (database) =>
      findPasskey(database, { userId, id }),
    );
    if (known === undefined) throw passkeyInvalid();
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: { ...credential, clientExtensionResults: {} },
      expectedChallenge,
      expectedOrigin: origin,
      expectedRPID: hostname,
      credential: {
        id,
        publicKey: new Uint8Array(known.public_key),
        counter: Number(known.counter),
        transports: [...known.transports],
      },
      requireUserVerification: true,
    }).catch(refuse);
    if (!verified) throw passkeyInvalid();
    const counter = { from: known.counter, to: authenticationInfo.newCounter };
    const use = { userId, id, counter, challengedAt: new Date(madeAtMs) };
    const isTaken = await asTenant(authPool, { userId }, (database) => takeAnswer(database, use));
    if (!isTaken) throw passkeyInvalid();
    return userId;
  }

  return { offer, accept, challenge, verify };
}
export type Passkeys = ReturnType<typeof createPasskeys>;

/** The library's sentences say what was wrong; whoever tries is told no more than that it was. */
function refuse(cause: unknown): never {
  throw passkeyInvalid(cause);
}

function passkeyInvalid(cause?: unknown): ApiError {
  const options = cause === undefined ? {} : { cause };
  return new ApiError("passkey_invalid", "ask for another challenge and try again", options);
}

function userIdOf(handle: string): string {
  const { data } = z.uuid().safeParse(Buffer.from(handle, "base64url").toString("utf8"));
  if (data === undefined) throw passkeyInvalid();
  return data;
}
