import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { signUp, startApi, type TestUser } from "../api.ts";
import { signUpAdministrator } from "../second-factor.ts";

/**
 * Schemathesis against the running API, as a user, as an admin, and as one who ends log-ins: node api/test/schemathesis/main.ts [--examples 50]
 * Needs python3 and, the first time, PyPI; the environment is kept in the cache.
 */
const VERSION = "4.32.5";
const ENVIRONMENT = join(homedir(), ".cache", "tradingbots", `schemathesis-${VERSION}`);

/** They end the log-in that all others use, or what it may: somebody of their own asks for these alone. */
const ENDINGS = ["DELETE /api/auth/mfa/totp", "DELETE /api/sessions/{id}", "DELETE /api/sessions"];
/** Longer than a run lasts. */
const STEP_UP_SECONDS = 3_600;
/** So long the endless stream of events is listened to. */
const EVENTS_MS = 200;

const run = promisify(execFile);

const { values } = parseArgs({
  options: { examples: { type: "string", default: "25" }, seed: { type: "string" } },
});

async function install(): Promise<string> {
  const program = join(ENVIRONMENT, "bin", "schemathesis");
  const isThere = await access(program).then(
    () => true,
    () => false,
  );
  if (isThere) return program;
  await run("python3", ["-m", "venv", ENVIRONMENT]);
  const packageName = `schemathesis==${VERSION}`;
  await run(join(ENVIRONMENT, "bin", "pip"), ["install", "--quiet", packageName]);
  return program;
}

const program = await install();
/** It keeps a diary where it runs. */
const directory = await mkdtemp(join(tmpdir(), "schemathesis-"));
const api = await startApi({ stepUpSeconds: STEP_UP_SECONDS });

/** Runs it as one user. With an ended log-in everything would be refused as described, and nothing tested. */
async function check(url: string, user: TestUser, selection: readonly string[]): Promise<void> {
  const child = spawn(
    program,
    [
      "--config-file",
      join(import.meta.dirname, "schemathesis.toml"),
      "run",
      `${url}/api/openapi.json`,
      "--header",
      `Authorization:Bearer ${user.accessToken}`,
      "--max-examples",
      values.examples,
      ...(values.seed === undefined ? [] : ["--seed", values.seed]),
      ...selection,
    ],
    { stdio: "inherit", cwd: directory },
  );
  await once(child, "exit");
  if (child.exitCode !== 0) process.exitCode = 1;
}

try {
  api.app.server.on("request", ({ url = "" }, answer) => {
    if (url.startsWith("/api/events")) setTimeout(() => answer.end(), EVENTS_MS);
  });
  const url = await api.app.listen({ host: "127.0.0.1", port: 0 });
  const user = await signUp(api, "schemathesis-user");
  const admin = await signUpAdministrator(api, "schemathesis-admin", "admin");
  for (const each of [user, admin]) {
    const others = ENDINGS.flatMap((name) => ["--exclude-name", name]);
    await check(url, each, others);
    const { status } = await each.call(each === admin ? "GET /api/admin/summary" : "GET /api/me");
    if (status !== 200) throw new Error(`what ${each.email} may did not outlive the run`);
  }
  const leaving = await signUp(api, "schemathesis-leaving");
  const endings = ENDINGS.flatMap((name) => ["--include-name", name]);
  await check(url, leaving, endings);
} finally {
  await api.stop();
  await rm(directory, { recursive: true });
}
