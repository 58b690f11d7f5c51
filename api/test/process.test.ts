import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TradingBot } from "@tradingbots/crds";
import { customResource } from "@tradingbots/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { freePorts } from "../../hack/control-plane/free-ports.ts";
import { startCluster, type TestCluster, until } from "./cluster.ts";
import { startDatabase, type TestDatabase } from "./database.ts";
import { openApiDocument } from "../src/openapi/document.ts";

/** The API as it is deployed: a process with an environment. */

let database: TestDatabase;
let cluster: TestCluster;
let directory: string;
let api: ChildProcess;
let ports: { readonly http: number; readonly metrics: number };
let output = "";

beforeAll(async () => {
  [database, cluster, directory] = await Promise.all([
    startDatabase(),
    startCluster(),
    mkdtemp(join(tmpdir(), "api-process-")),
  ]);
  const [http = 0, metrics = 0] = await freePorts(2);
  ports = { http, metrics };
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const keyFile = join(directory, "jwt.pem");
  await writeFile(keyFile, privateKey.export({ type: "sec1", format: "pem" }));
  const serviceKeyFile = join(directory, "service.key");
  await writeFile(serviceKeyFile, `${randomBytes(32).toString("base64")}\n`);
  api = spawn(process.execPath, [join(import.meta.dirname, "..", "src", "main.ts")], {
    env: {
      PORT: String(http),
      METRICS_PORT: String(metrics),
      HOST: "127.0.0.1",
      DATABASE_URL: database.apiUrl,
      AUTH_DATABASE_URL: database.authUrl,
      ADMIN_DATABASE_URL: database.adminUrl,
      WORKER_DATABASE_URL: database.workerUrl,
      VAULT_ADDR: "http://127.0.0.1:1",
      JWT_PRIVATE_KEY_FILE: keyFile,
      SERVICE_KEY_FILE: serviceKeyFile,
      KUBECONFIG: cluster.controlPlane.kubeconfigPath,
      RATE_LIMIT_FREE: "5",
    },
  });
  api.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  api.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await until(async () => {
    const { status } = await get("/readyz");
    if (status !== 200) throw new Error(output);
  });
});
afterAll(async () => {
  if (api.exitCode === null) api.kill("SIGKILL");
  await Promise.all([database.stop(), cluster.stop()]);
  await rm(directory, { recursive: true });
});

async function get(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`http://127.0.0.1:${ports.http}${path}`, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

test("it is ready without Vault and says that Vault fails", async () => {
  expect(JSON.parse((await get("/readyz")).text)).toEqual({
    ready: true,
    checks: {
      database: "ok",
      authDatabase: "ok",
      kubernetes: "ok",
      logins: "ok",
      vault: "failing",
      passwords: "ok",
    },
  });
});

test("a user signs up with a password of cost 12 and has as many requests as the tier", async () => {
  const response = await fetch(`http://127.0.0.1:${ports.http}/api/auth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: "a@example.com", password: "a-secret-password" }),
  });
  expect(response.status).toBe(201);
  const { accessToken } = z.object({ accessToken: z.string() }).parse(await response.json());
  const { rows } = await database.superuser.query<{ password_hash: string }>(
    "select password_hash from users",
  );
  expect(rows[0]?.password_hash).toMatch(/^\$2b\$12\$/);
  const authorization = `Bearer ${accessToken}`;
  const answers = [];
  for (let request = 0; request < 6; request++)
    answers.push(await get("/api/me", { authorization }));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
  expect(answers[0]?.headers.get("ratelimit")).toMatch(/^"free";r=4;t=\d+$/);
  expect(answers[5]?.headers.get("retry-after")).toMatch(/^\d+$/);
  expect(output).not.toContain("a-secret-password");
  expect(output).not.toContain(accessToken);
});

test("it says at its start that no mails can be sent", async () => {
  await until(async () => expect(output).toContain("mails cannot be sent: neither SMTP_URL"));
});

test("metrics are on their own port, by route", async () => {
  const response = await fetch(`http://127.0.0.1:${ports.metrics}/metrics`);
  expect(await response.text()).toContain('route="/api/me",status="200"');
  expect((await get("/metrics")).status).toBe(404);
});

test("the rights of its service account do not include deleting", async () => {
  const key = { namespace: "tradingbots-00", name: "bot-x" };
  await expect(cluster.client.remove(customResource(TradingBot), key)).rejects.toMatchObject({
    status: 403,
  });
});

test("the committed description is the one that is served", async () => {
  const committed: unknown = JSON.parse(
    await readFile(join(import.meta.dirname, "..", "openapi.json"), "utf8"),
  );
  expect(JSON.parse((await get("/api/openapi.json")).text)).toEqual(committed);
  expect(await openApiDocument()).toEqual(committed);
});

test("SIGTERM ends it with its bcrypt process", async () => {
  const exited = once(api, "exit");
  api.kill("SIGTERM");
  await exited;
  expect(api.exitCode).toBe(0);
  await expect(get("/healthz")).rejects.toThrow("fetch failed");
});
