import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { exportJWK, SignJWT } from "jose";
import { expect, test } from "vitest";
import { createTokenVerifier } from "./tokens.ts";

const ISSUER = "https://kubernetes.default.svc.cluster.local";
const START = Date.parse("2026-01-01T00:00:00Z");

interface Signer {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

function newSigner(id: string): Signer {
  return { id, ...generateKeyPairSync("ec", { namedCurve: "prime256v1" }) };
}

function tokenBy(
  { id, privateKey }: Signer,
  change: Record<string, unknown> = {},
): Promise<string> {
  const claims = {
    iss: ISSUER,
    aud: ["journal"],
    sub: "system:serviceaccount:tradingbots-00:acct-a",
    iat: START / 1_000,
    exp: START / 1_000 + 600,
    "kubernetes.io": {
      namespace: "tradingbots-00",
      serviceaccount: { name: "acct-a", uid: "1" },
      pod: { name: "bot-a", uid: "2" },
    },
    ...change,
  };
  return new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: id }).sign(privateKey);
}

/** A cluster whose keys change and which may be away. */
function fakeCluster(signers: readonly Signer[]) {
  const cluster = { now: START, signers, isAway: false, frozen: Promise.resolve(), asked: 0 };
  const raw = async (path: string): Promise<unknown> => {
    if (path === "/openid/v1/jwks") cluster.asked++;
    await cluster.frozen;
    if (cluster.isAway) throw new Error("no answer");
    if (path === "/.well-known/openid-configuration") return { issuer: ISSUER };
    const keys = cluster.signers.map(async ({ id, publicKey }) => ({
      ...(await exportJWK(publicKey)),
      kid: id,
      alg: "ES256",
    }));
    return { keys: await Promise.all(keys) };
  };
  return { cluster, verifier: createTokenVerifier({ raw, now: () => cluster.now }) };
}

test("a token says which pod speaks", async () => {
  const signer = newSigner("one");
  const { verifier } = fakeCluster([signer]);
  expect(await verifier.verify(await tokenBy(signer))).toEqual({
    subject: "system:serviceaccount:tradingbots-00:acct-a",
    namespace: "tradingbots-00",
    serviceAccount: "acct-a",
    pod: { name: "bot-a", uid: "2" },
    issuedAt: new Date(START),
  });
});

test.for<[name: string, change: Record<string, unknown>]>([
  ["another audience", { aud: ["vault"] }],
  ["another issuer", { iss: "https://elsewhere" }],
  ["an expired token", { exp: START / 1_000 - 1 }],
  ["a token that is no service account's", { "kubernetes.io": undefined }],
])("refused: %s", async ([, change]) => {
  const signer = newSigner("one");
  const { verifier } = fakeCluster([signer]);
  const token = await tokenBy(signer, change);
  await expect(verifier.verify(token)).rejects.toMatchObject({ code: "unauthenticated" });
});

test("a new signing key is asked for when a token names it, though not for every invented one", async () => {
  const [old, young] = [newSigner("old"), newSigner("young")];
  const { cluster, verifier } = fakeCluster([old]);
  await verifier.verify(await tokenBy(old));
  cluster.signers = [old, young];
  cluster.now += 11_000;
  await verifier.verify(await tokenBy(young));
  expect(cluster.asked).toBe(2);
  for (let index = 0; index < 5; index++) {
    const invented = await tokenBy(newSigner(`invented-${index}`));
    await expect(verifier.verify(invented)).rejects.toMatchObject({ code: "unauthenticated" });
  }
  expect(cluster.asked).toBe(2);
});

test("while no keys are known, requests at once share one question, and a failure is not for ever", async () => {
  const signer = newSigner("one");
  const { cluster, verifier } = fakeCluster([signer]);
  const tokens = await Promise.all(
    Array.from({ length: 20 }, (_, index) => tokenBy(signer, { sub: `subject-${index}` })),
  );
  const verifyAll = () => Promise.allSettled(tokens.map((token) => verifier.verify(token)));
  cluster.isAway = true;
  expect((await verifyAll()).every(({ status }) => status === "rejected")).toBe(true);
  expect(cluster.asked).toBe(1);
  cluster.isAway = false;
  expect((await verifyAll()).every(({ status }) => status === "fulfilled")).toBe(true);
  expect(cluster.asked).toBe(2);
});

test("a refresh is waited for by nobody whose key is known", async () => {
  const [old, young] = [newSigner("old"), newSigner("young")];
  const { cluster, verifier } = fakeCluster([old]);
  await verifier.verify(await tokenBy(old));
  const frozen = Promise.withResolvers<void>();
  cluster.frozen = frozen.promise;
  cluster.signers = [old, young];
  cluster.now += 301_000;
  await verifier.verify(await tokenBy(old, { sub: "another" }));
  expect(cluster.asked).toBe(2);
  const waiting = verifier.verify(await tokenBy(young));
  frozen.resolve();
  await waiting;
  expect(cluster.asked).toBe(2);
});

test("known keys serve on while the API server is away; without any the bot is told to come back", async () => {
  const signer = newSigner("one");
  const { cluster, verifier } = fakeCluster([signer]);
  cluster.isAway = true;
  const early = verifier.verify(await tokenBy(signer));
  await expect(early).rejects.toMatchObject({ code: "cluster_unavailable", retryAfterSeconds: 2 });
  cluster.isAway = false;
  await verifier.verify(await tokenBy(signer));
  cluster.isAway = true;
  cluster.now += 301_000;
  const other = await tokenBy(signer, { sub: "system:serviceaccount:tradingbots-00:acct-b" });
  expect((await verifier.verify(other)).subject).toContain("acct-b");
});
