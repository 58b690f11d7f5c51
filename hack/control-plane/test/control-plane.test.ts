import { existsSync, readFileSync } from "node:fs";
import { get } from "node:https";
import { json } from "node:stream/consumers";
import { AuthorizationV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startControlPlane, type ControlPlane } from "../control-plane.ts";

let controlPlane: ControlPlane;
let config: KubeConfig;

beforeAll(async () => {
  controlPlane = await startControlPlane();
  config = new KubeConfig();
  config.loadFromFile(controlPlane.kubeconfigPath);
  await config.makeApiClient(CoreV1Api).createNamespacedServiceAccount({
    namespace: "default",
    body: { metadata: { name: "acct-a" } },
  });
});
afterAll(() => controlPlane.stop());

async function tokenFor(audience: string): Promise<string> {
  const request = await config.makeApiClient(CoreV1Api).createNamespacedServiceAccountToken({
    namespace: "default",
    name: "acct-a",
    body: { spec: { audiences: [audience], expirationSeconds: 600 } },
  });
  return request.status?.token ?? "";
}

function read(path: string, token: string): Promise<{ status: number | undefined; body: unknown }> {
  const options = {
    ca: readFileSync(controlPlane.caPath),
    headers: { authorization: `Bearer ${token}` },
  };
  return new Promise((resolve, reject) => {
    get(`${controlPlane.url}${path}`, options, (response) => {
      json(response).then((body) => resolve({ status: response.statusCode, body }), reject);
    }).on("error", reject);
  });
}

function decode(token: string): { header: unknown; claims: unknown } {
  const [header = "", claims = ""] = token.split(".");
  return { header: parsePart(header), claims: parsePart(claims) };
}

function parsePart(part: string): unknown {
  return JSON.parse(Buffer.from(part, "base64url").toString());
}

test("a service account's token carries the issuer and is signed by a key that the API server serves", async () => {
  const { header, claims } = decode(await tokenFor("journal"));
  expect(claims).toMatchObject({
    iss: controlPlane.issuer,
    aud: ["journal"],
    sub: "system:serviceaccount:default:acct-a",
  });
  const { body } = await read("/openid/v1/jwks", await tokenFor(controlPlane.issuer));
  expect(body).toMatchObject({ keys: [header] });
});

test("a token for another audience is no one to the API server", async () => {
  expect(await read("/api", await tokenFor("journal"))).toMatchObject({ status: 401 });
});

test("RBAC decides: an account without a role may not list pods", async () => {
  const path = "/api/v1/namespaces/default/pods";
  expect(await read(path, await tokenFor(controlPlane.issuer))).toMatchObject({ status: 403 });
  const admin = config.makeApiClient(AuthorizationV1Api);
  const review = await admin.createSelfSubjectAccessReview({
    body: { spec: { resourceAttributes: { verb: "*", resource: "*", group: "*" } } },
  });
  expect(review.status?.allowed).toBe(true);
});

test("stop leaves nothing behind", async () => {
  const another = await startControlPlane();
  await another.stop();
  expect(existsSync(another.directory)).toBe(false);
  await expect(fetch(another.etcdUrl)).rejects.toThrow("fetch failed");
});
