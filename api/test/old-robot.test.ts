import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { credentialsPath } from "@tradingbots/crds";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { createPool } from "../src/database.ts";
import { ApiError } from "../src/errors.ts";
import { createKube, type Kube } from "../src/kube.ts";
import { readOldRobots } from "../src/old-robot/input.ts";
import { migrateUser, type MigrationDeps, type Outcome } from "../src/old-robot/migrate-user.ts";
import { signUp, startApi, type TestApi } from "./api.ts";

let api: TestApi;
let directory: string;
let authPool: ReturnType<typeof createPool>;
beforeAll(async () => {
  [api, directory] = await Promise.all([startApi(), mkdtemp(join(tmpdir(), "old-robot-"))]);
  authPool = createPool({ url: api.database.authUrl, connectionsMax: 2 });
  await mkdir(join(directory, "profiles"));
});
afterAll(async () => {
  await authPool.end();
  await api.stop();
  await rm(directory, { recursive: true });
});

const SECRETS = { api_key: "THE-API-KEY", api_secret: "THE-API-SECRET" };
const KEY = { exchange: "bybit", name: "Main", ...SECRETS };

async function read(users: unknown, profiles: Readonly<Record<string, string>> = {}) {
  const keys = join(directory, "keys.json");
  const folder = await mkdtemp(join(directory, "profiles-"));
  await writeFile(keys, typeof users === "string" ? users : JSON.stringify({ users }));
  for (const [name, text] of Object.entries(profiles)) await writeFile(join(folder, name), text);
  return { keys, folder, robots: () => readOldRobots(keys, folder) };
}

async function migrate(
  { robots }: Awaited<ReturnType<typeof read>>,
  isApplied: boolean,
  kube: Kube = createKube(api.cluster.client),
): Promise<readonly Outcome[]> {
  const { users, profiles } = await robots();
  const deps: MigrationDeps = {
    pool: api.pool,
    authPool,
    kube,
    credentials: api.credentials,
    passwords: { hash: async () => "nobody's" },
    buckets: 1,
    profiles,
    isApplied,
    requireStepUp: async () => {},
    mailer: undefined,
  };
  const outcomes = [];
  for (const user of users) outcomes.push(...(await migrateUser(deps, user)));
  return outcomes;
}

const short = (outcomes: readonly Outcome[]) =>
  outcomes.map(({ what, outcome }) => `${outcome}: ${what}`);

async function counts() {
  const { rows } = await api.database.superuser.query(
    "select (select count(*)::int from users) as users, (select count(*)::int from accounts) as accounts, (select count(*)::int from bots) as bots",
  );
  return rows[0] as unknown;
}

/** The report of two users, whose lines all say the same. */
function annAndBen(outcome: string): readonly string[] {
  return [
    `${outcome}: user ann@example.com`,
    `${outcome}: account bybit "Main" of ann@example.com`,
    `${outcome}: robot "careful" on account bybit "Main" of ann@example.com`,
    `${outcome}: user ben@example.com`,
    `${outcome}: account bybit "Main" of ben@example.com`,
    `${outcome}: account bybit "Second" of ben@example.com`,
    `${outcome}: robot "careful" on account bybit "Second" of ben@example.com`,
  ];
}

test("a dry run says what would be done, a run does it, and another finds it done", async () => {
  const file = await read(
    [
      {
        email: "Ann@example.com",
        keys: [{ ...KEY, profile: "careful" }],
      },
      {
        email: "ben@example.com",
        keys: [KEY, { ...KEY, name: "Second", testnet: true, profile: "careful" }],
      },
    ],
    { "careful.yaml": "symbol: ETH/USDT:USDT\nleverage: 3\nauto_trade: true\n" },
  );
  const before = await counts();
  expect(short(await migrate(file, false))).toEqual(annAndBen("would be created"));
  expect(await counts()).toEqual(before);
  expect(short(await migrate(file, true))).toEqual(annAndBen("created"));
  expect(short(await migrate(file, true))).toEqual(annAndBen("is there"));
  expect(short(await migrate(file, false))).toEqual(annAndBen("is there"));
  expect(await counts()).toEqual({ users: 2, accounts: 3, bots: 2 });

  const { rows } = await api.database.superuser.query<{ id: string; account: string }>(
    `select b.id, b.account_id as account from bots b join users u on u.id = b.user_id
      where u.email = 'ann@example.com' and b.is_default`,
  );
  const { id = "", account = "" } = rows[0] ?? {};
  const kube = createKube(api.cluster.client);
  expect(await kube.bots.get({ namespace: "tradingbots-00", name: id })).toMatchObject({
    spec: {
      mode: "live",
      state: "Stopped",
      symbols: ["ETH/USDT:USDT"],
      autoTrade: true,
      risk: { leverage: 3, balancePercent: 90 },
      accountName: account,
    },
  });
  expect(api.credentials.peek(credentialsPath("tradingbots-00", account))).toEqual({
    apiKey: SECRETS.api_key,
    apiSecret: SECRETS.api_secret,
  });
});

test("a key that was replaced since stays, and an account that was given up stays so", async () => {
  const file = await read([{ email: "cleo@example.com", keys: [KEY] }]);
  await migrate(file, true);
  const { rows } = await api.database.superuser.query<{ id: string; user_id: string }>(
    `select a.id, a.user_id from accounts a join users u on u.id = a.user_id where u.email = 'cleo@example.com'`,
  );
  const path = credentialsPath("tradingbots-00", rows[0]?.id ?? "");
  await api.credentials.replace(path, { apiKey: "newer", apiSecret: "newer" });
  await migrate(file, true);
  expect(api.credentials.peek(path)).toMatchObject({ apiKey: "newer" });
  await api.database.superuser.query(
    "update accounts set retired_at = now(), gone_at = now() where id = $1",
    [rows[0]?.id],
  );
  expect(short(await migrate(file, true))).toEqual([
    "is there: user cleo@example.com",
    `refused: account bybit "Main" of cleo@example.com`,
  ]);
});

function lost(): never {
  throw new ApiError("cluster_unavailable", "lost");
}

test.each(["accounts", "bots"] as const)(
  "what a run without an answer left half made (%s) the next one finishes",
  async (kind) => {
    const email = `${kind}@example.com`;
    const file = await read([{ email, keys: [{ ...KEY, profile: "careful" }] }], {
      "careful.yaml": "leverage: 3\n",
    });
    const kube = createKube(api.cluster.client);
    const lossy = { ...kube, [kind]: { ...kube[kind], create: lost } };
    await expect(migrate(file, true, lossy)).rejects.toThrow("lost");
    expect(short(await migrate(file, true))).toEqual([
      `is there: user ${email}`,
      `${kind === "accounts" ? "created" : "is there"}: account bybit "Main" of ${email}`,
      `created: robot "careful" on account bybit "Main" of ${email}`,
    ]);
    const { rows } = await api.database.superuser.query<{ account: string; bot: string }>(
      `select a.id as account, b.id as bot from users u join accounts a on a.user_id = u.id join bots b on b.user_id = u.id
        where u.email = $1`,
      [email],
    );
    const { account = "", bot = "" } = rows[0] ?? {};
    const namespace = "tradingbots-00";
    expect(await kube.accounts.get({ namespace, name: account })).toMatchObject({
      spec: { state: "Active" },
    });
    expect(await kube.bots.get({ namespace, name: bot })).toMatchObject({
      spec: { state: "Stopped", accountName: account },
    });
    expect(api.credentials.peek(credentialsPath(namespace, account))).toMatchObject({
      apiKey: SECRETS.api_key,
    });
  },
);

test("whoever took somebody's address beforehand gets none of their keys", async () => {
  const squatter = await signUp(api, "victim");
  const file = await read([{ email: "victim@example.com", keys: [KEY] }]);
  const [refused, ...more] = await migrate(file, true);
  expect(refused).toMatchObject({ outcome: "refused" });
  expect(refused?.reason).toMatch(/has not confirmed/);
  expect(more).toEqual([]);
  expect((await squatter.call("GET /api/accounts")).body).toMatchObject({ items: [] });
  await api.database.superuser.query("update users set email_verified_at = now() where id = $1", [
    squatter.id,
  ]);
  expect(short(await migrate(file, true))).toEqual([
    "is there: user victim@example.com",
    `created: account bybit "Main" of victim@example.com`,
  ]);
});

test("what the class does not allow is told, and the rest goes on", async () => {
  const file = await read([{ email: "dora@example.com", keys: [{ ...KEY, profile: "wild" }] }], {
    "wild.yml": "leverage: 100\n",
  });
  for (const [isApplied, done] of [
    [false, "would be created"],
    [true, "created"],
    [false, "is there"],
  ] as const) {
    const outcomes = await migrate(file, isApplied);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([done, done, "refused"]);
    expect(outcomes.at(-1)?.reason).toMatch(/leverage 100 is above the limit 10/);
  }
});

function keysNamed(count: number, profile?: string) {
  return Array.from({ length: count }, (_, index) => ({ ...KEY, name: `${index}`, profile }));
}

test("a dry run counts as the run does: robots of the class, and accounts", async () => {
  const profiles = { "careful.yaml": "leverage: 3\n" };
  const users = [{ email: "greta@example.com", keys: keysNamed(5, "careful") }];
  const robots = await read(users, profiles);
  const refused = [
    `robot "careful" on account bybit "3" of greta@example.com: class free allows 3 bots`,
    `robot "careful" on account bybit "4" of greta@example.com: class free allows 3 bots`,
  ];
  for (const isApplied of [false, true, false]) {
    expect(await refusals(robots, isApplied)).toEqual(refused);
  }

  await api.database.superuser.query(
    `insert into accounts (user_id, id, namespace) select id, 'acct-' || n, namespace from users, generate_series(1, 14) n
      where email = 'greta@example.com'`,
  );
  const accounts = await read([{ email: "greta@example.com", keys: keysNamed(7) }]);
  for (const isApplied of [false, true, false]) {
    expect(await refusals(accounts, isApplied)).toEqual([
      `account bybit "6" of greta@example.com: at most 20: delete one first`,
    ]);
  }
});

test("a dry run says that an account was given up since", async () => {
  const file = await read([{ email: "hugo@example.com", keys: [KEY] }]);
  await migrate(file, true);
  await api.database.superuser.query(
    `update accounts set retired_at = now(), gone_at = now()
      where user_id = (select id from users where email = 'hugo@example.com')`,
  );
  const [refused] = await refusals(file, false);
  expect(refused).toMatch(/given up since/);
  expect(await refusals(file, true)).toEqual([refused]);
});

async function refusals(
  file: Awaited<ReturnType<typeof read>>,
  isApplied: boolean,
): Promise<readonly string[]> {
  const outcomes = await migrate(file, isApplied);
  return outcomes
    .filter(({ outcome }) => outcome === "refused")
    .map(({ what, reason }) => `${what}: ${reason}`);
}

test("what no bot can trade at is refused before a key is kept, in a dry run too", async () => {
  const keys = [{ ...KEY, exchange: "binance" }];
  const file = await read([{ email: "finn@example.com", keys }]);
  for (const isApplied of [false, true]) {
    const [, account] = await migrate(file, isApplied);
    expect(account).toMatchObject({ outcome: "refused" });
  }
  const { rows } = await api.database.superuser.query(
    "select from accounts a join users u on u.id = a.user_id where u.email = 'finn@example.com'",
  );
  expect(rows).toEqual([]);
});

test.for<[name: string, users: unknown, profiles: Record<string, string>, told: RegExp]>([
  ["no JSON", `{"users": [THE-API-SECRET`, {}, /is not valid JSON$/],
  [
    "a key as a member",
    [{ email: "a@b.co", keys: [{ ...KEY, "THE-API-SECRET": 1 }] }],
    {},
    /users.0.keys.0: has a member that is not known/,
  ],
  [
    "a key as an exchange",
    [{ email: "a@b.co", keys: [{ ...KEY, exchange: "THE-API-SECRET" }] }],
    {},
    /users.0.keys.0.exchange: /,
  ],
  ["no address", [{ email: "THE-API-SECRET" }], {}, /users.0.email: /],
  ["twice", [{ email: "a@b.co" }, { email: "A@b.co" }], {}, /a@b.co is there twice/],
  [
    "no such profile",
    [{ email: "a@b.co", keys: [KEY, { ...KEY, name: "Second", profile: "THE-API-SECRET" }] }],
    {},
    /a@b.co: keys.1.profile: there is no such profile$/,
  ],
  ["a profile that is no YAML", [], { "x.yaml": "a: [THE-API-SECRET" }, /x.yaml is not valid YAML/],
  [
    "a profile with a slip",
    [],
    { "x.yaml": "leverage: 1000" },
    /x.yaml cannot be used:\n {2}leverage: /,
  ],
])(
  "refused before anything is done, and no secret in the words: %s",
  async ([, users, profiles, told]) => {
    const { robots } = await read(users, profiles);
    const error = await robots().then(
      () => "nothing was wrong",
      (thrown: unknown) => String(thrown),
    );
    expect(error).toMatch(told);
    expect(error).not.toContain("THE-API-SECRET");
  },
);

test("the command prints the report and no key", async () => {
  const { keys, folder } = await read([{ email: "emma@example.com", keys: [KEY] }]);
  const main = join(import.meta.dirname, "..", "src", "old-robot", "main.ts");
  const jwtKey = join(directory, "unused.pem");
  const env = {
    DATABASE_URL: api.database.apiUrl,
    AUTH_DATABASE_URL: api.database.authUrl,
    ADMIN_DATABASE_URL: api.database.adminUrl,
    WORKER_DATABASE_URL: api.database.workerUrl,
    VAULT_ADDR: "http://127.0.0.1:1",
    JWT_PRIVATE_KEY_FILE: jwtKey,
    SERVICE_KEY_FILE: jwtKey,
    KUBECONFIG: api.cluster.controlPlane.kubeconfigPath,
  };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [main, keys, "--profiles", folder],
    { env },
  );
  expect(stdout).toBe(
    `would be created: user emma@example.com
would be created: account bybit "Main" of emma@example.com
1 users: 2 would be created
This was a dry run: nothing was changed. Add --apply.
`,
  );
  const applied = await promisify(execFile)(process.execPath, [main, keys, "--apply"], {
    env,
  }).catch((error: unknown) =>
    z.looseObject({ stderr: z.string(), stdout: z.string() }).parse(error),
  );
  const output = `${applied.stdout}${applied.stderr}`;
  expect(output).toContain("vault_unavailable"); // nothing listens there
  for (const secret of Object.values(SECRETS)) expect(output).not.toContain(secret);
});
