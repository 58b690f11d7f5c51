import {
  generateAuthenticationOptions,
  verifyAuthenticationResponse,
} from "@simplewebauthn/server";
import { z } from "zod";
import { asTenant, type Database } from "../database.ts";
import type { Sealer } from "../sealer.ts";
import {
  Base64Url,
  ChallengeState,
  createPasskeyChallenges,
  CREDENTIAL,
  CREDENTIAL_EXAMPLE,
  partyOf,
  passkeyInvalid,
  STATE_EXAMPLE,
} from "./passkey-challenge.ts";
import { findPasskey, takeAnswer } from "./passkey-store.ts";

/** Whose passkey has answered. */
interface Answered {
  readonly userId: string;
  /** Whether it was ever shown together with the password. */
  readonly isVouched: boolean;
}

/** What a browser's `PublicKeyCredential.toJSON` gives for a known one; members that are not named here are ignored. */
export const PasskeyAnswer = z
  .strictObject({
    state: ChallengeState,
    credential: z.object({
      ...CREDENTIAL,
      response: z.object({
        clientDataJSON: Base64Url,
        authenticatorData: Base64Url,
        signature: Base64Url,
        userHandle: Base64Url,
      }),
    }),
  })
  .meta({
    examples: [
      {
        state: STATE_EXAMPLE,
        credential: {
          ...CREDENTIAL_EXAMPLE,
          response: {
            clientDataJSON: "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0",
            authenticatorData: "SZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2MFAAAABA",
            signature: "MEUCIQDRvJ3pZ0Yb2mE6vQ1h",
            userHandle: "NWQwYzljM2UtNWI1Zi00YTUz",
          },
        },
      },
    ],
  });
export type PasskeyAnswer = z.infer<typeof PasskeyAnswer>;

export interface PasskeyDeps {
  /** Of the auth role. */
  readonly authPool: Database;
  readonly sealer: Sealer;
  /** Where the web app is: passkeys belong to its host. Undefined: there are none here. */
  readonly appUrl: string | undefined;
  readonly now: () => number;
}

/**
 * Checks the answers of passkeys, by WebAuthn level 3. A passkey remembers when the last challenge that it answered was made, so that
 * none is answered twice. The device must have verified its user: a passkey that somebody has vouched for is two factors.
 */
export function createPasskeyAnswers({ authPool, sealer, appUrl, now }: PasskeyDeps) {
  const challenges = createPasskeyChallenges({ sealer, now });

  /** What the browser needs to use a passkey, whosever: it tells nothing of anybody. @throws ApiError `passkeys_unavailable` */
  async function challenge() {
    const options = await generateAuthenticationOptions({
      rpID: partyOf(appUrl).hostname,
      userVerification: "required",
    });
    const state = challenges.seal({ challenge: options.challenge }, "passkey answer");
    return { state, options };
  }

  /** Whose passkey has answered. @throws ApiError `passkey_invalid` */
  async function verify({ state, credential }: PasskeyAnswer): Promise<Answered> {
    const { hostname, origin } = partyOf(appUrl);
    const asked = challenges.open(state, "passkey answer");
    const userId = userIdOf(credential.response.userHandle);
    const { id } = credential;
    const known = await asTenant(authPool, { userId }, (database) =>
      findPasskey(database, { userId, id }),
    );
    if (known === undefined) throw passkeyInvalid();
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: { ...credential, clientExtensionResults: {} },
      expectedChallenge: asked.challenge,
      expectedOrigin: origin,
      expectedRPID: hostname,
      credential: {
        id,
        publicKey: new Uint8Array(known.public_key),
        counter: Number(known.counter),
        transports: [...known.transports],
      },
      requireUserVerification: true,
    }).catch((error: unknown) => {
      throw passkeyInvalid(error);
    });
    if (!verified) throw passkeyInvalid();
    const counter = { from: known.counter, to: authenticationInfo.newCounter };
    const use = { userId, id, counter, challengedAt: new Date(asked.madeAtMs) };
    const isTaken = await asTenant(authPool, { userId }, (database) => takeAnswer(database, use));
    if (!isTaken) throw passkeyInvalid();
    return { userId, isVouched: known.is_vouched };
  }

  return { challenge, verify };
}
export type PasskeyAnswers = ReturnType<typeof createPasskeyAnswers>;

function userIdOf(handle: string): string {
  const { data } = z.uuid().safeParse(Buffer.from(handle, "base64url").toString("utf8"));
  if (data === undefined) throw passkeyInvalid();
  return data;
}
