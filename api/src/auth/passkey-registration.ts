import { generateRegistrationOptions, verifyRegistrationResponse } from "@simplewebauthn/server";
import { z } from "zod";
import { asTenant } from "../database.ts";
import type { PasskeyDeps } from "./passkey-answer.ts";
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
import { listPasskeys, type NewPasskey } from "./passkey-store.ts";

const NAME = "Trading bots";
/** COSE names of Ed25519, ES256 and RS256: what phones, security keys and Windows Hello sign with. */
const ALGORITHMS = [-8, -7, -257];

/** What a browser's `PublicKeyCredential.toJSON` gives for a new one; members that are not named here are ignored. */
export const PasskeyRegistration = z.strictObject({
  state: ChallengeState,
  credential: z.object({
    ...CREDENTIAL,
    response: z.object({
      clientDataJSON: Base64Url,
      attestationObject: Base64Url,
      transports: z.array(z.string().max(32)).max(8).default([]),
    }),
  }),
});
type PasskeyRegistration = z.infer<typeof PasskeyRegistration>;
export const REGISTRATION_EXAMPLE: PasskeyRegistration = {
  state: STATE_EXAMPLE,
  credential: {
    ...CREDENTIAL_EXAMPLE,
    response: {
      clientDataJSON: "eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0",
      attestationObject: "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YQ",
      transports: ["internal"],
    },
  },
};

interface Owner {
  readonly userId: string;
  readonly email: string;
}

/** Makes passkeys known, by WebAuthn level 3. */
export function createPasskeyRegistration({ authPool, sealer, appUrl, now }: PasskeyDeps) {
  const challenges = createPasskeyChallenges({ sealer, now });

  /** What the browser needs to make a passkey. @throws ApiError `passkeys_unavailable` */
  async function offer({ userId, email }: Owner) {
    const { hostname } = partyOf(appUrl);
    const known = await asTenant(authPool, { userId }, (database) =>
      listPasskeys(database, userId),
    );
    const options = await generateRegistrationOptions({
      rpName: NAME,
      rpID: hostname,
      userName: email,
      userID: new TextEncoder().encode(userId),
      attestationType: "none",
      supportedAlgorithmIDs: ALGORITHMS,
      excludeCredentials: known.map(({ id, transports }) => ({ id, transports: [...transports] })),
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
    });
    const { challenge } = options;
    return { state: challenges.seal({ challenge, userId }, "passkey registration"), options };
  }

  /** The passkey that the browser has made. @throws ApiError `passkey_invalid` */
  async function accept(
    userId: string,
    { state, credential }: PasskeyRegistration,
  ): Promise<Omit<NewPasskey, "name">> {
    const { hostname, origin } = partyOf(appUrl);
    const offered = challenges.open(state, "passkey registration");
    if (offered.userId !== userId) throw passkeyInvalid();
    const { registrationInfo } = await verifyRegistrationResponse({
      response: { ...credential, clientExtensionResults: {} },
      expectedChallenge: offered.challenge,
      expectedOrigin: origin,
      expectedRPID: hostname,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    }).catch((error: unknown) => {
      throw passkeyInvalid(error);
    });
    if (registrationInfo === undefined) throw passkeyInvalid();
    const { id, publicKey, counter } = registrationInfo.credential;
    return { userId, id, publicKey, counter, transports: credential.response.transports };
  }

  return { offer, accept };
}
export type PasskeyRegistrar = ReturnType<typeof createPasskeyRegistration>;
