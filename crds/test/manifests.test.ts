import { execFile, spawn, type ChildProcess } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startControlPlane, type ControlPlane } from "../../hack/control-plane/control-plane.ts";
import { toolPath } from "../../hack/tools/tools.ts";
import { API_VERSION, BotClass, ExchangeAccount, TradingBot, TradingHalt } from "../src/index.ts";

/** The CRDs as the API server itself understands them: what it takes, refuses, fills in and prints. */

const run = promisify(execFile);
const crds = join(import.meta.dirname, "..");
const NAMESPACE = "tradingbots-00";
const ANOTHER_USER = "00000000-0000-4000-8000-000000000000";

type Spec = Record<string, unknown>;
interface KindUnderTest {
  readonly kind: string;
  readonly plural: string;
  readonly scope: "Namespaced" | "Cluster";
}

let controlPlane: ControlPlane;
let proxy: ChildProcess;
let baseUrl: string;

beforeAll(async () => {
  controlPlane = await startControlPlane();
  await kubectl("create", "namespace", NAMESPACE);
  await kubectl("apply", "-f", join(crds, "manifests"));
  await kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s");
  // Plain HTTP on loopback for the tables below: a kubectl process per case would take minutes.
  proxy = spawn(
    await toolPath("kubectl"),
    ["--kubeconfig", controlPlane.kubeconfigPath, "proxy", "--port=0"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  baseUrl = await announcedUrl(proxy);
});

afterAll(async () => {
  proxy?.kill();
  await controlPlane?.stop();
});

const bot = {
  userId: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
  exchange: "bybit",
  displayName: "Dip buyer",
  mode: "paper",
  symbols: ["BTC/USDT:USDT"],
  strategy: { name: "rsi" },
};
const testnetBot = { ...bot, mode: "testnet", accountName: "acct-4h7n2d9s5b1f8j3k6p0r" };
const account = { userId: bot.userId, exchange: "bybit", name: "Main" };
const botClass = { image: "tradingbots/bot:1.0.0" };
const halt = { scope: { type: "all" }, action: "BlockEntries", reason: "exchange maintenance" };

const request = {
  id: "c0ffee00-1111-4222-8333-444455556666",
  action: "ClosePosition",
  symbol: "BTC/USDT:USDT",
  notAfter: "2026-01-01T00:01:00Z",
};
const order = { ...request, action: "Order", side: "long" };
const requestsOf = (count: number, of: object = request) =>
  Array.from({ length: count }, (_, index) => ({
    ...of,
    id: request.id.replace(/.$/, String(index)),
  }));

describe("TradingBot on create", () => {
  describeCreates(TradingBot, [
    ["a paper bot without an account", bot],
    ["a testnet bot with an account", testnetBot],
    ["a live bot with an account", { ...testnetBot, mode: "live" }],
    ["eight symbols", { ...bot, symbols: symbols(8) }],
    ["a spot symbol", { ...bot, symbols: ["BTC/USDT"] }],
    ["any parameters of a strategy", withParams({ period: 9, nested: { deep: [1, "a"] } })],
    [
      "the narrowest stop at the highest leverage",
      withRisk({ leverage: 100, stopLossPercent: 0.05 }),
    ],
    // As the risk gate of a bot (bot-runtime/src/risk/gate.test.ts).
    ["a stop before liquidation", withRisk({ leverage: 10, stopLossPercent: 7.59 })],
    ["a stop before it at leverage 100", withRisk({ leverage: 100, stopLossPercent: 0.39 })],
    ["the smallest position", withRisk({ positionPercent: 2 })],
    ["the largest position", withRisk({ positionPercent: 10 })],
    ["four requests", { ...bot, requests: [...requestsOf(3), order] }],
  ]);
  describeRefusals(TradingBot, [
    ["no user", without(bot, "userId"), "spec.userId: Required value"],
    ["a user id that is no UUID", { ...bot, userId: "bob" }, "spec.userId in body should match"],
    ["an upper-case user id", { ...bot, userId: bot.userId.toUpperCase() }, "should match"],
    ["an unknown exchange", { ...bot, exchange: "mtgox" }, 'Unsupported value: "mtgox"'],
    ["an unknown mode", { ...bot, mode: "yolo" }, 'Unsupported value: "yolo"'],
    ["an unknown state", { ...bot, state: "Frozen" }, 'Unsupported value: "Frozen"'],
    ["an unknown timeframe", { ...bot, timeframe: "2m" }, 'Unsupported value: "2m"'],
    ["an empty display name", { ...bot, displayName: "" }, "should be at least 1 chars long"],
    ["a long display name", { ...bot, displayName: "x".repeat(65) }, "may not be more than 64"],
    ["a class name that is no name", { ...bot, className: "Free Tier" }, "should match"],
    ["no symbols", { ...bot, symbols: [] }, "should have at least 1 items"],
    ["nine symbols", { ...bot, symbols: symbols(9) }, "must have at most 8 items"],
    ["a symbol twice", { ...bot, symbols: ["BTC/USDT", "BTC/USDT"] }, "Duplicate value"],
    ["an exchange's own symbol", { ...bot, symbols: ["BTCUSDT"] }, "should match"],
    ["no strategy", without(bot, "strategy"), "spec.strategy: Required value"],
    ["a nameless strategy", { ...bot, strategy: {} }, "spec.strategy.name: Required value"],
    [
      "a live bot without an account",
      { ...bot, mode: "live" },
      "a testnet or live bot needs accountName",
    ],
    [
      "a testnet bot without an account",
      { ...bot, mode: "testnet" },
      "a testnet or live bot needs accountName",
    ],
    [
      "a paper bot with an account",
      { ...testnetBot, mode: "paper" },
      "a paper bot has no accountName",
    ],
    [
      "a stop too near to liquidation",
      withRisk({ leverage: 10, stopLossPercent: 7.6 }),
      "stopLossPercent must stay below 0.8 × (100 / leverage − 0.5)",
    ],
    [
      "a stop too near to it at leverage 100",
      withRisk({ leverage: 100, stopLossPercent: 0.4 }),
      "stopLossPercent must stay below 0.8 × (100 / leverage − 0.5)",
    ],
    ["leverage 0", withRisk({ leverage: 0 }), "should be greater than or equal to 1"],
    ["leverage 101", withRisk({ leverage: 101 }), "should be less than or equal to 100"],
    ["a broken leverage", withRisk({ leverage: 1.5 }), "must be of type integer"],
    [
      "position below 2 %",
      withRisk({ positionPercent: 1.99 }),
      "should be greater than or equal to 2",
    ],
    [
      "position above 10 %",
      withRisk({ positionPercent: 10.01 }),
      "should be less than or equal to 10",
    ],
    [
      "balance above 100 %",
      withRisk({ balancePercent: 100.5 }),
      "should be less than or equal to 100",
    ],
    ["no take-profit", withRisk({ takeProfitPercent: 0 }), "must be at least 0.05"],
    ["no stop", withRisk({ stopLossPercent: 0 }), "must be at least 0.05"],
    [
      "confidence above 100",
      withRisk({ minConfidence: 101 }),
      "should be less than or equal to 100",
    ],
    [
      "a stop below 0.05 %",
      withRisk({ stopLossPercent: 0.04 }),
      "should be greater than or equal to 0.05",
    ],
    ["no daily loss limit", withRisk({ dailyLossPercent: 0 }), "must be at least 0.1"],
    [
      "no error limit",
      withRisk({ maxConsecutiveErrors: 0 }),
      "should be greater than or equal to 1",
    ],
    ["a misspelt field", { ...bot, autotrade: true }, 'unknown field "spec.autotrade"'],
    ["an amount as text", withRisk({ leverage: "10" }), "must be of type integer"],
    ["five requests", { ...bot, requests: requestsOf(5) }, "must have at most 4 items"],
    ["a request twice", { ...bot, requests: [request, request] }, "Duplicate value"],
    [
      "an order without a side",
      { ...bot, requests: requestsOf(1, { ...order, side: undefined }) },
      "an Order needs side",
    ],
    [
      "a closing with a side",
      { ...bot, requests: [{ ...request, side: "long" }] },
      "an Order needs side",
    ],
    [
      "a request without an end",
      { ...bot, requests: [without(request, "notAfter")] },
      "notAfter: Required value",
    ],
    [
      "a request that ends at no time",
      { ...bot, requests: [{ ...request, notAfter: "soon" }] },
      "must be of type date-time",
    ],
  ]);
});

describe("TradingBot on update", () => {
  const stopped = { ...bot, state: "Stopped" };
  const running = { ...bot, state: "Running" };
  const live = { ...testnetBot, state: "Running" };
  describeUpdates(TradingBot, [
    ["start", stopped, running],
    ["retire", running, { ...running, state: "Retired" }],
    ["other risk limits while Running", running, { ...running, risk: { leverage: 3 } }],
    ["another class while Running", running, { ...running, className: "pro" }],
    ["a request of a Running bot", running, { ...running, requests: [request] }],
    [
      "another request for one of the past",
      { ...running, requests: requestsOf(4) },
      { ...running, requests: [...requestsOf(4).slice(1), order] },
    ],
    ["mode while Stopped", { ...testnetBot, state: "Stopped" }, { ...testnetBot, mode: "live" }],
    ["mode and account while Stopped, and start", stopped, live],
    [
      "mode while Stopped, starting with it",
      { ...testnetBot, state: "Stopped" },
      { ...live, mode: "live" },
    ],
    [
      "a Retired bot's display name",
      { ...bot, state: "Retired" },
      { ...bot, state: "Retired", displayName: "Old" },
    ],
  ]);
  describeUpdateRefusals(TradingBot, [
    ["another user", bot, { ...bot, userId: ANOTHER_USER }, "userId cannot be changed"],
    ["another exchange", bot, { ...bot, exchange: "kraken" }, "exchange cannot be changed"],
    [
      "a request that is valid for longer",
      { ...bot, requests: [request] },
      { ...bot, requests: [{ ...request, notAfter: "2026-01-01T00:02:00Z" }] },
      "a request cannot be changed",
    ],
    [
      "another account",
      testnetBot,
      { ...testnetBot, accountName: "acct-other" },
      "accountName cannot be changed once it is set",
    ],
    ["account taken away", testnetBot, bot, "accountName cannot be changed once it is set"],
    [
      "account set while Running",
      running,
      live,
      "accountName can be set only while the bot is Stopped",
    ],
    [
      "account set while Paused",
      { ...bot, state: "Paused" },
      testnetBot,
      "accountName can be set only while the bot is Stopped",
    ],
    [
      "mode while Running",
      live,
      { ...live, mode: "live" },
      "mode can be changed only while the bot is Stopped",
    ],
    [
      "mode while Paused",
      { ...live, state: "Paused" },
      { ...live, mode: "live" },
      "mode can be changed only while the bot is Stopped",
    ],
    [
      "mode together with the stop",
      live,
      { ...testnetBot, mode: "live", state: "Stopped" },
      "mode can be changed only while the bot is Stopped",
    ],
    [
      "a Retired bot started again",
      { ...bot, state: "Retired" },
      running,
      "a Retired bot cannot be used again",
    ],
    [
      "a Retired bot stopped",
      { ...bot, state: "Retired" },
      stopped,
      "a Retired bot cannot be used again",
    ],
  ]);
});

describe("ExchangeAccount on create", () => {
  describeCreates(ExchangeAccount, [
    ["a live account", account],
    ["a testnet account", { ...account, testnet: true }],
    ["a later key version", { ...account, credentialsVersion: 7 }],
  ]);
  describeRefusals(ExchangeAccount, [
    ["no user", without(account, "userId"), "spec.userId: Required value"],
    ["no exchange", without(account, "exchange"), "spec.exchange: Required value"],
    ["an unknown exchange", { ...account, exchange: "ftx" }, 'Unsupported value: "ftx"'],
    ["an empty name", { ...account, name: "" }, "should be at least 1 chars long"],
    ["a long name", { ...account, name: "x".repeat(65) }, "may not be more than 64"],
    [
      "key version 0",
      { ...account, credentialsVersion: 0 },
      "should be greater than or equal to 1",
    ],
    ["an unknown state", { ...account, state: "Off" }, 'Unsupported value: "Off"'],
    ["a key in the object", { ...account, apiKey: "secret" }, 'unknown field "spec.apiKey"'],
  ]);
});

describe("ExchangeAccount on update", () => {
  const second = { ...account, credentialsVersion: 2 };
  describeUpdates(ExchangeAccount, [
    ["a new key version", account, second],
    ["another name", account, { ...account, name: "Second" }],
    ["retirement", account, { ...account, state: "Retired" }],
  ]);
  describeUpdateRefusals(ExchangeAccount, [
    ["another user", account, { ...account, userId: ANOTHER_USER }, "userId cannot be changed"],
    ["another exchange", account, { ...account, exchange: "kraken" }, "exchange cannot be changed"],
    ["testnet to live", { ...account, testnet: true }, account, "testnet cannot be changed"],
    ["an older key version", second, account, "credentialsVersion only grows"],
    [
      "return from retirement",
      { ...account, state: "Retired" },
      account,
      "a Retired account cannot be used again",
    ],
  ]);
});

describe("BotClass", () => {
  const withCeilings = (ceilings: Spec): Spec => ({ ...botClass, ceilings });
  const withRollout = (rollout: Spec): Spec => ({ ...botClass, rollout });
  const withLimits = (resources: Spec): Spec => ({ ...botClass, resources });
  const endpoint = { exchange: "bybit", restUrl: "http://sim:8090", websocketUrl: "ws://sim:8090" };
  describeCreates(BotClass, [
    ["an image alone", botClass],
    ["no bots at all", withCeilings({ botsPerUser: 0 })],
    ["an exchange's other address", { ...botClass, endpoints: [endpoint] }],
    [
      "a CPU limit beside its request",
      withLimits({ requests: { cpu: "10m" }, limits: { cpu: "1" } }),
    ],
    ["a place to run", { ...botClass, placement: { nodeSelector: { pool: "bots" } } }],
  ]);
  describeRefusals(BotClass, [
    ["no image", {}, "spec.image: Required value"],
    ["an empty image", { image: "" }, "should be at least 1 chars long"],
    [
      "a CPU limit without a request",
      withLimits({ requests: { memory: "1Mi" }, limits: { cpu: "1" } }),
      "resources.limits.cpu needs resources.requests.cpu beside it",
    ],
    ["a quantity that is none", withLimits({ requests: { cpu: "lots" } }), "should match"],
    [
      "a negative number of bots",
      withCeilings({ botsPerUser: -1 }),
      "should be greater than or equal to 0",
    ],
    ["too many bots", withCeilings({ botsPerUser: 1001 }), "should be less than or equal to 1000"],
    ["leverage above 100", withCeilings({ leverage: 101 }), "should be less than or equal to 100"],
    [
      "position above 10 %",
      withCeilings({ positionPercent: 11 }),
      "should be less than or equal to 10",
    ],
    ["no daily loss limit", withCeilings({ dailyLossPercent: 0 }), "must be at least 0.1"],
    ["an unknown mode", withCeilings({ modes: ["demo"] }), 'Unsupported value: "demo"'],
    ["a mode twice", withCeilings({ modes: ["live", "live"] }), "Duplicate value"],
    [
      "an exchange's address twice",
      { ...botClass, endpoints: [endpoint, endpoint] },
      "Duplicate value",
    ],
    [
      "an address of another scheme",
      { ...botClass, endpoints: [{ ...endpoint, restUrl: "ftp://x" }] },
      "should match",
    ],
    [
      "waves of nothing",
      withRollout({ maxUnavailablePercent: 0 }),
      "should be greater than or equal to 1",
    ],
    [
      "a soak of more than a day",
      withRollout({ soakSeconds: 86_401 }),
      "should be less than or equal to 86400",
    ],
    [
      "a budget above 100 %",
      withRollout({ failureBudgetPercent: 101 }),
      "should be less than or equal to 100",
    ],
  ]);
  describeUpdates(BotClass, [
    ["another image", botClass, { image: "tradingbots/bot:2.0.0" }],
    ["lower ceilings", botClass, withCeilings({ leverage: 1 })],
  ]);
});

describe("TradingHalt on create", () => {
  const expiresAt = "2030-01-31T04:00:00Z";
  describeCreates(TradingHalt, [
    ["everything", halt],
    ["one user's bots", { ...halt, scope: { type: "user", value: bot.userId } }],
    ["one bot", { ...halt, scope: { type: "bot", value: "bot-1" } }],
    ["one exchange", { ...halt, scope: { type: "exchange", value: "bybit" } }],
    ["a perpetual", { ...halt, scope: { type: "symbol", value: "BTC/USDT:USDT" } }],
    [
      "one symbol, flattened",
      { ...halt, scope: { type: "symbol", value: "BTC/USDT" }, action: "Flatten" },
    ],
    ["an expiry of BlockEntries", { ...halt, expiresAt }],
  ]);
  describeRefusals(TradingHalt, [
    ["no reason", without(halt, "reason"), "spec.reason: Required value"],
    ["an empty reason", { ...halt, reason: "" }, "should be at least 1 chars long"],
    ["an unknown action", { ...halt, action: "Panic" }, 'Unsupported value: "Panic"'],
    ["an unknown scope", { ...halt, scope: { type: "planet" } }, 'Unsupported value: "planet"'],
    [
      "a value for scope all",
      { ...halt, scope: { type: "all", value: "x" } },
      "it is left out for scope.type all",
    ],
    [
      "no value for scope bot",
      { ...halt, scope: { type: "bot" } },
      "scope.value names the user, bot, exchange or symbol",
    ],
    [
      "a symbol without its slash",
      { ...halt, scope: { type: "symbol", value: "BTCUSDT" } },
      "write it as bots have it, like BTC/USDT:USDT",
    ],
    [
      "an unknown exchange",
      { ...halt, scope: { type: "exchange", value: "Bybit" } },
      "it is one of bybit, binance",
    ],
    [
      "a user who is no UUID",
      { ...halt, scope: { type: "user", value: "somebody" } },
      "it is a UUID in lower case",
    ],
    [
      "a bot with its namespace",
      { ...halt, scope: { type: "bot", value: "tradingbots-00/bot-1" } },
      "write it without its namespace",
    ],
    [
      "an expiry of Flatten",
      { ...halt, action: "Flatten", expiresAt },
      "expiresAt is for action BlockEntries only",
    ],
    [
      "an expiry of CancelOrders",
      { ...halt, action: "CancelOrders", expiresAt },
      "expiresAt is for action BlockEntries only",
    ],
    ["an expiry that is no time", { ...halt, expiresAt: "tomorrow" }, "must be of type date-time"],
  ]);
});

describe("TradingHalt on update", () => {
  const lifted = { ...halt, lifted: true };
  describeUpdates(TradingHalt, [
    ["lifting", halt, lifted],
    ["a later expiry", halt, { ...halt, expiresAt: "2031-01-01T00:00:00Z" }],
    ["a better reason", lifted, { ...lifted, reason: "done" }],
  ]);
  describeUpdateRefusals(TradingHalt, [
    ["lifting undone", lifted, halt, "a lifted halt cannot be put in force again"],
    ["another action", halt, { ...halt, action: "Flatten" }, "scope and action cannot be changed"],
    [
      "another scope",
      halt,
      { ...halt, scope: { type: "exchange", value: "bybit" } },
      "scope and action cannot be changed",
    ],
  ]);
});

describe("the API server fills in", () => {
  it("a TradingBot's defaults, and what a user writes stays below 2 kB", async () => {
    const { status, body } = await create(TradingBot, bot);
    expect(status).toBe(201);
    expect(body.spec).toEqual({
      ...bot,
      className: "free",
      replicas: 1,
      timeframe: "1m",
      strategy: { name: "rsi", params: {} },
      autoTrade: false,
      state: "Stopped",
      risk: {
        leverage: 10,
        balancePercent: 90,
        positionPercent: 5,
        takeProfitPercent: 2,
        stopLossPercent: 1,
        minConfidence: 60,
        dailyLossPercent: 5,
        maxConsecutiveErrors: 5,
      },
    });
    expect(TradingBot.schema.parse(body).spec).toEqual(body.spec);
    expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(2_000);
  });

  it("the defaults of the other kinds, the same as zod's", async () => {
    const cases = [
      [ExchangeAccount, account, { testnet: false, credentialsVersion: 1, state: "Active" }],
      [TradingHalt, halt, { lifted: false }],
      [BotClass, botClass, { rollout: { soakSeconds: 60 }, ceilings: { botsPerUser: 3 } }],
    ] as const;
    for (const [kind, spec, defaults] of cases) {
      const { body } = await create(kind, spec, { dryRun: true });
      expect(body.spec).toMatchObject(defaults);
      expect(body.spec).toEqual(kind.spec.parse(spec));
    }
  });
});

describe("kubectl", () => {
  beforeAll(async () => {
    await kubectl("apply", "-f", join(crds, "samples"));
  });

  it("applies a sample of every kind, unchanged the second time", async () => {
    expect(await readdir(join(crds, "samples"))).toHaveLength(4);
    const { stdout } = await kubectl("apply", "-f", join(crds, "samples"));
    const lines = stdout.trim().split("\n");
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line).toMatch(/ unchanged$/);
  });

  it.each([
    ["tb", "NAME USER EXCHANGE SYMBOLS MODE STATE READY REASON POSITION DAY AGE"],
    ["ea", "NAME USER EXCHANGE TESTNET STATE KEY-VERSION READY REASON AGE"],
    ["bc", "NAME IMAGE ROLLOUT BOTS-PER-USER LEVERAGE MODES AGE"],
    ["th", "NAME SCOPE VALUE ACTION LIFTED MATCHED ACKNOWLEDGED FINISHED AGE"],
  ])("get %s prints %s", async (shortName, headers) => {
    const { stdout } = await kubectl("get", shortName, "-n", NAMESPACE);
    const [header = "", ...rows] = stdout.trim().split("\n");
    expect(header.split(/\s+/)).toEqual(headers.split(" "));
    expect(rows.length).toBeGreaterThan(0);
  });

  it("get tb -o wide adds what an SRE asks next", async () => {
    const { stdout } = await kubectl("get", "tb", "-n", NAMESPACE, "-o", "wide");
    expect(stdout).toMatch(/CLASS +ACCOUNT +STRATEGY +AUTO-TRADE +LAST-TRADE +IMAGE +MESSAGE/);
  });

  it("get tradingbots shows condition and summary from status", async () => {
    const { metadata } = (await create(TradingBot, bot)).body;
    const condition = { type: "Ready", status: "False", reason: "SymbolTaken", message: "taken" };
    const answer = await patch(`${url(TradingBot)}/${metadata.name}/status`, {
      status: {
        conditions: [{ ...condition, lastTransitionTime: "2026-01-01T00:00:00Z" }],
        summary: { position: "long 0.5 BTC", dayResult: "-12.50" },
      },
    });
    expect(answer.status).toBe(200);
    const { stdout } = await kubectl("get", "tradingbots", metadata.name, "-n", NAMESPACE);
    expect(stdout).toMatch(/False +SymbolTaken +long 0.5 BTC +-12.50/);
  });

  it("get trading, the category, lists every kind", async () => {
    const { stdout } = await kubectl("api-resources", "--categories=trading", "-o", "name");
    expect(stdout.trim().split("\n")).toHaveLength(4);
  });
});

describe("TradingBot's subresources", () => {
  it("scale says one replica and cannot say another number", async () => {
    const { metadata } = (await create(TradingBot, bot)).body;
    const scale = `${url(TradingBot)}/${metadata.name}/scale`;
    expect((await send("GET", scale)).body.spec).toEqual({ replicas: 1 });
    const { status, body } = await patch(scale, { spec: { replicas: 2 } });
    expect(status).toBe(422);
    expect(body.message).toContain("spec.replicas");
  });

  it("a position is given up only while it is unknown, and only that one", async () => {
    const { metadata } = (await create(TradingBot, { ...bot, state: "Stopped" })).body;
    const path = `${url(TradingBot)}/${metadata.name}`;
    const since = "2026-01-01T00:00:00Z";
    const giveUp = (time: string) => patch(path, { spec: { abandonPosition: time } });
    const say = (status: string, lastTransitionTime: string) =>
      patch(`${path}/status`, {
        status: {
          conditions: [
            { type: "PositionUnknown", status, reason: "x", message: "", lastTransitionTime },
          ],
        },
      });
    const sentence = "can be set only while the condition PositionUnknown is True";
    expect((await giveUp(since)).body.message).toContain(sentence);
    await say("False", since);
    expect((await giveUp(since)).body.message).toContain(sentence);
    await say("True", since);
    expect((await giveUp("2026-01-01T00:00:01Z")).body.message).toContain(sentence);
    expect((await giveUp(since)).status).toBe(200);
    // Later it is history: neither a status nor another change is refused for it.
    expect((await say("True", "2026-02-01T00:00:00Z")).status).toBe(200);
    expect((await patch(path, { spec: { state: "Running" } })).status).toBe(200);
    expect((await giveUp("2026-01-02T00:00:00Z")).body.message).toContain(sentence);
    expect((await giveUp("2026-02-01T00:00:00Z")).status).toBe(200);
  });
});

describe("a TradingBot whose name is kept for pods that check keys", () => {
  const NAME = /name begins with verify-/;
  const CRD = "tradingbots.tradingbots.dev";
  const RULES = "/spec/versions/0/schema/openAPIV3Schema/x-kubernetes-validations";

  it("is refused", async () => {
    expect(await refusalOf("verify-new")).toMatch(NAME);
  });

  it("and was made before that, tells how it stands and goes", async () => {
    const none = JSON.stringify([{ op: "remove", path: RULES }]);
    await kubectl("patch", "crd", CRD, "--type=json", "-p", none);
    await expect.poll(() => refusalOf("verify-old"), { timeout: 20_000 }).toBeUndefined();
    await send("POST", url(TradingBot), botNamed("verify-old", ["tradingbots.dev/flat"]));
    await kubectl("apply", "-f", join(crds, "manifests", "tradingbots.yaml"));
    await expect.poll(() => refusalOf("verify-new"), { timeout: 20_000 }).toMatch(NAME);

    const old = `${url(TradingBot)}/verify-old`;
    const said = await patch(`${old}/status`, { status: { observedGeneration: 1 } });
    expect(said.body.message).toBeUndefined();
    const stopped = await patch(old, { spec: { state: "Stopped" } });
    expect(stopped.body.message).toBeUndefined();
    await send("DELETE", old);
    const freed = await patch(old, { metadata: { finalizers: null } });
    expect(freed.body.message).toBeUndefined();
    expect((await send("GET", old)).status).toBe(404);
  });
});

function botNamed(name: string, finalizers: readonly string[] = []) {
  const metadata = { name, finalizers };
  return { apiVersion: API_VERSION, kind: TradingBot.kind, metadata, spec: bot };
}

/** What the API server says against a bot of that name. */
async function refusalOf(name: string): Promise<string | undefined> {
  const { body } = await send("POST", `${url(TradingBot)}?${query(true)}`, botNamed(name));
  return body.message;
}

function symbols(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `C${index}/USDT:USDT`);
}

function withRisk(risk: Spec): Spec {
  return { ...bot, risk };
}

function withParams(params: Spec): Spec {
  return { ...bot, strategy: { name: "rsi", params } };
}

function without(spec: Spec, field: string): Spec {
  return Object.fromEntries(Object.entries(spec).filter(([name]) => name !== field));
}

function describeCreates(kind: KindUnderTest, cases: readonly (readonly [string, Spec])[]): void {
  it.each(cases)("accepts %s", async (_name, spec) => {
    const { status, body } = await create(kind, spec, { dryRun: true });
    expect(body.message ?? "").toBe("");
    expect(status).toBe(201);
  });
}

function describeRefusals(
  kind: KindUnderTest,
  cases: readonly (readonly [string, Spec, string])[],
): void {
  it.each(cases)("refuses %s", async (_name, spec, sentence) => {
    const { status, body } = await create(kind, spec, { dryRun: true });
    expect(body.message).toContain(sentence);
    expect([400, 422]).toContain(status);
  });
}

function describeUpdates(
  kind: KindUnderTest,
  cases: readonly (readonly [string, Spec, Spec])[],
): void {
  it.each(cases)("accepts %s", async (_name, before, after) => {
    const { status, body } = await replace(kind, before, after);
    expect(body.message ?? "").toBe("");
    expect(status).toBe(200);
  });
}

function describeUpdateRefusals(
  kind: KindUnderTest,
  cases: readonly (readonly [string, Spec, Spec, string])[],
): void {
  it.each(cases)("refuses %s", async (...[, before, after, sentence]) => {
    const { status, body } = await replace(kind, before, after);
    expect(body.message).toContain(sentence);
    expect(status).toBe(422);
  });
}

const AnsweredObject = z.looseObject({
  metadata: z.looseObject({ name: z.string().default("") }),
  spec: z.record(z.string(), z.unknown()).default({}),
  message: z.string().optional(),
});
interface Answer {
  readonly status: number;
  readonly body: z.infer<typeof AnsweredObject>;
}

function url({ plural, scope }: KindUnderTest): string {
  const namespace = scope === "Namespaced" ? `/namespaces/${NAMESPACE}` : "";
  return `${baseUrl}/apis/${API_VERSION}${namespace}/${plural}`;
}

async function create(
  kind: KindUnderTest,
  spec: Spec,
  options: { readonly dryRun?: boolean } = {},
): Promise<Answer> {
  return send("POST", `${url(kind)}?${query(options.dryRun)}`, {
    apiVersion: API_VERSION,
    kind: kind.kind,
    metadata: { generateName: "test-" },
    spec,
  });
}

async function replace(kind: KindUnderTest, before: Spec, after: Spec): Promise<Answer> {
  const { status, body } = await create(kind, before);
  expect(body.message ?? "").toBe("");
  expect(status).toBe(201);
  return send("PUT", `${url(kind)}/${body.metadata.name}?${query(true)}`, { ...body, spec: after });
}

function query(dryRun = false): string {
  return `fieldValidation=Strict${dryRun ? "&dryRun=All" : ""}`;
}

const patch = (to: string, body: object) => send("PATCH", to, body, "application/merge-patch+json");

async function send(
  ...[method, to, body, contentType = "application/json"]: readonly [
    method: string,
    to: string,
    body?: unknown,
    contentType?: string,
  ]
): Promise<Answer> {
  const response = await fetch(to, {
    method,
    headers: { "content-type": contentType },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: AnsweredObject.parse(await response.json()) };
}

/** `kubectl proxy` says where it listens in its first line. */
async function announcedUrl({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error("kubectl proxy has no output");
  for await (const line of createInterface(stdout)) {
    const address = /127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (address !== undefined) return `http://${address}`;
  }
  throw new Error("kubectl proxy ended without saying where it listens");
}

async function kubectl(...args: readonly string[]): Promise<{ readonly stdout: string }> {
  const kubeconfig = ["--kubeconfig", controlPlane.kubeconfigPath];
  return run(await toolPath("kubectl"), [...kubeconfig, ...args]);
}
