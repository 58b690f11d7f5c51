import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { signUp, startApi } from "../api.ts";

/**
 * Schemathesis against the running API, as two users one after the other: node api/test/schemathesis/main.ts [--examples 50]
 * Needs python3 and, the first time, PyPI; the environment is kept in the cache.
 */
const VERSION = "4.32.5";
const ENVIRONMENT = join(homedir(), ".cache", "tradingbots", `schemathesis-${VERSION}`);

/** It never ends. */
const LEFT_OUT = ["--exclude-path", "/api/events"];

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
const api = await startApi();
try {
  const url = await api.app.listen({ host: "127.0.0.1", port: 0 });
  for (const name of ["first", "second"]) {
    const { accessToken } = await signUp(api, `schemathesis-${name}`);
    const child = spawn(
      program,
      [
        "--config-file",
        join(import.meta.dirname, "schemathesis.toml"),
        "run",
        `${url}/api/openapi.json`,
        "--header",
        `Authorization:Bearer ${accessToken}`,
        "--max-examples",
        values.examples,
        ...(values.seed === undefined ? [] : ["--seed", values.seed]),
        ...LEFT_OUT,
      ],
      { stdio: "inherit", cwd: directory },
    );
    await once(child, "exit");
    if (child.exitCode !== 0) process.exitCode = 1;
  }
} finally {
  await api.stop();
  await rm(directory, { recursive: true });
}
