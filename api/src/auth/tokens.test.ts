import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, exportJWK, SignJWT } from "jose";
import { expect, test } from "vitest";
import { createTokens, readSigningKeys } from "./tokens.ts";

const CALLER = {
  userId: "00000000-0000-4000-8000-000000000001",
  email: "a@example.com",
  tier: "pro",
  sessionId: "00000000-0000-4000-8000-000000000002",
} as const;
const START = Date.parse("2026-01-01T00:00:00Z");
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });

test("a token says who, for 15 minutes, and names its key", async () => {
  let now = START;
  const tokens = await createTokens([privateKey], () => now);
  const token = await tokens.issue(CALLER);
  expect(decodeJwt(token)).toEqual({
    user_id: CALLER.userId,
    email: CALLER.email,
    tier: "pro",
    sid: CALLER.sessionId,
    iss: "tradingbots",
    aud: "tradingbots-api",
    iat: START / 1_000,
    exp: START / 1_000 + 900,
  });
  expect(decodeProtectedHeader(token)).toMatchObject({ alg: "ES256", kid: await thumbprint() });
  for (const at of [START, START + 899_000]) {
    now = at;
    expect(await tokens.verify(token)).toEqual(CALLER);
  }
  now = START + 900_000; // known as good a second ago
  await expect(tokens.verify(token)).rejects.toMatchObject({ code: "token_expired" });
});

test("who showed a good token is known by the whole header until it expires", async () => {
  let now = START;
  const tokens = await createTokens([privateKey], () => now);
  const [token, other] = [await tokens.issue(CALLER), await tokens.issue(CALLER)];
  expect(tokens.find(`Bearer ${token}`)).toBeUndefined();
  await tokens.verify(token);
  expect(tokens.find(`Bearer ${token}`)).toEqual(CALLER);
  const strangers = [
    token,
    `Bearer ${other}`,
    `Bearer ${token} `,
    `Bearer x${token}`,
    "Bearer ",
    "",
  ];
  expect(strangers.map(tokens.find)).toEqual(strangers.map(() => undefined));
  now = START + 900_000;
  expect(tokens.find(`Bearer ${token}`)).toBeUndefined();
});

test.for<[name: string, sign: () => Promise<string>]>([
  [
    "another key",
    async () => {
      const other = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
      return (await createTokens([other.privateKey], () => START)).issue(CALLER);
    },
  ],
  [
    "no signature",
    async () => {
      return `${part({ alg: "none" })}.${part({ iss: "tradingbots", exp: START, user_id: CALLER.userId })}.`;
    },
  ],
  ["another issuer", () => sign({ ...CALLER, iss: "somebody" })],
  ["claims that are none", () => sign({ iss: "tradingbots", user_id: "root", tier: "god" })],
])("refused: %s", async ([, make]) => {
  const tokens = await createTokens([privateKey], () => START);
  await expect(tokens.verify(await make())).rejects.toMatchObject({ code: "unauthenticated" });
});

async function thumbprint(): Promise<string> {
  return calculateJwkThumbprint(await exportJWK(createPublicKey(privateKey)));
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function sign(claims: Record<string, string>): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "ES256" })
    .setExpirationTime(START / 1_000 + 60)
    .sign(privateKey);
}

test.for(["pkcs8", "sec1"] as const)("a key is read from %s", (type) => {
  const pem = privateKey.export({ type, format: "pem" }).toString();
  expect(readSigningKeys(pem)).toEqual([privateKey]);
});

test("a new key signs while tokens of the one before are believed", async () => {
  const next = generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey;
  const pem = [next, privateKey]
    .map((key) => key.export({ type: "pkcs8", format: "pem" }))
    .join("");
  const before = await createTokens([privateKey], () => START);
  const during = await createTokens(readSigningKeys(pem), () => START);
  const after = await createTokens([next], () => START);
  const [old, fresh] = [await before.issue(CALLER), await during.issue(CALLER)];
  expect(await during.verify(old)).toEqual(CALLER);
  expect(await after.verify(fresh)).toEqual(CALLER);
  await expect(after.verify(old)).rejects.toMatchObject({ code: "unauthenticated" });
  expect(during.jwks.keys.map(({ kid }) => kid)).toEqual([
    decodeProtectedHeader(fresh).kid,
    decodeProtectedHeader(old).kid,
  ]);
  expect(JSON.stringify(during.jwks)).not.toContain('"d"');
});

test.each([0, 4])("a file with %d keys is refused", (count) => {
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString().repeat(count);
  expect(() => readSigningKeys(pem)).toThrow(/1 to 3 private keys/);
});

test("a key on another curve is refused with a hint", () => {
  const other = generateKeyPairSync("ec", { namedCurve: "secp384r1" }).privateKey;
  const pem = other.export({ type: "pkcs8", format: "pem" }).toString();
  expect(() => readSigningKeys(pem)).toThrow(/openssl ecparam -name prime256v1/);
});
