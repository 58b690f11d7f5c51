#!/usr/bin/env node
import { parseArgs } from "node:util";
import { createKubeClient, inClusterAccess, kubeconfigAccess } from "@tradingbots/kube";
import { createVaultStore } from "../accounts/credential-store.ts";
import { createPasswords } from "../auth/passwords.ts";
import { runCommand, UsageError } from "../command-line.ts";
import { loadConfig } from "../config.ts";
import { createPool } from "../database.ts";
import { createKube } from "../kube.ts";
import { type OldRobots, readOldRobots } from "./input.ts";
import { type MigrationDeps, migrateUser, type Outcome } from "./migrate-user.ts";

const USAGE = `tradingbots-migrate KEYS.json [--profiles DIRECTORY] [--apply]

Brings users, exchange keys and settings of the old robot over. Without --apply it only says what it would do. It can be
run again: what is there already stays as it is. It runs with the environment of the API, best in one of its pods, which
takes the file on its standard input:

  kubectl -n tradingbots exec -i deploy/tradingbots-api -- node /app/migrate-old-robots.mjs /dev/stdin < KEYS.json

KEYS.json:
  {"users": [{"email": "ann@example.com", "keys": [
    {"exchange": "bybit", "name": "Main", "testnet": false, "api_key": "…", "api_secret": "…", "profile": "careful"}]}],
   "profiles": {"careful": {"leverage": 5}}}
Profiles may also lie in a directory, as DIRECTORY/careful.yaml; everything in them is optional:
  symbol: BTC/USDT:USDT
  leverage: 10
  balance_percent: 90
  tp_percent: 2
  sl_percent: 1
  min_confidence: 60
  auto_trade: false

Users choose a password with "forgot password"; robots are made Stopped.`;

const BCRYPT_COST = 12;

await runCommand(USAGE, async () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { profiles: { type: "string" }, apply: { type: "boolean", default: false } },
  });
  const [keysFile, ...others] = positionals;
  if (keysFile === undefined || others.length > 0) throw new UsageError("one KEYS.json is needed");
  await run(await readOldRobots(keysFile, values.profiles), values.apply);
});

async function run({ users, profiles }: OldRobots, isApplied: boolean): Promise<void> {
  const config = loadConfig(process.env);
  await using stack = new AsyncDisposableStack();
  const pools = [config.database, config.authDatabase].map((database) =>
    stack.adopt(createPool({ ...database, connectionsMax: 2 }), (open) => open.end()),
  );
  const [pool, authPool] = pools;
  if (pool === undefined || authPool === undefined) throw new Error("there are two");
  const access =
    config.kubeconfig === undefined
      ? inClusterAccess({
          host: process.env["KUBERNETES_SERVICE_HOST"] ?? "kubernetes.default.svc",
          port: process.env["KUBERNETES_SERVICE_PORT"] ?? "443",
        })
      : await kubeconfigAccess(config.kubeconfig);
  const client = stack.adopt(createKubeClient(access), (open) => open.close());
  const passwords = stack.adopt(createPasswords({ cost: BCRYPT_COST }), (open) => open.close());
  const deps: MigrationDeps = {
    pool,
    authPool,
    passwords,
    profiles,
    kube: createKube(client),
    credentials: createVaultStore({ ...config.vault, now: Date.now }),
    buckets: config.buckets,
    isApplied,
    // Whoever may run this may do what the step-up protects from a stolen access token.
    requireStepUp: async () => {},
    mailer: undefined, // whoever migrates them answers for them
  };
  const counts = new Map<Outcome["outcome"], number>();
  for (const user of users) {
    for (const { what, outcome, reason } of await migrateUser(deps, user)) {
      console.log(`${outcome}: ${what}${reason === undefined ? "" : ` (${reason})`}`);
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
  }
  const sums = [...counts].map(([outcome, count]) => `${count} ${outcome}`);
  console.log(`${users.length} users: ${sums.join(", ") || "nothing to do"}`);
  if (!isApplied) console.log("This was a dry run: nothing was changed. Add --apply.");
  if (counts.has("refused")) process.exitCode = 1;
}
