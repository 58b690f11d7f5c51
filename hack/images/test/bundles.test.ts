import { beforeAll, expect, test } from "vitest";
import { bundledSources } from "../images.ts";

let programs: ReadonlyMap<string, readonly string[]>;

beforeAll(async () => {
  programs = await bundledSources("bot");
});

/** `node_modules/ccxt/js/src/bybit.js` → `bybit` */
function exchangesIn(sources: readonly string[]): readonly string[] {
  return sources.flatMap((path) => /\/ccxt\/js\/src\/(?:pro\/)?(\w+)\.js$/.exec(path)?.[1] ?? []);
}

test("no Kubernetes code, operator or API is inside anything that a bot's pod runs", () => {
  const foreign = /@kubernetes\/|^operator\/|^api\/|^hack\/|\/(pg|fastify|node-vault)\//;
  const found = [...programs.values()].flat().filter((path) => foreign.test(path));
  expect(found).toEqual([]);
});

test.each(["bot", "verify"])("%s itself holds no exchange: it loads the one it needs", (name) => {
  const sources = programs.get(name);
  expect(sources).toContain(`bot-runtime/src/${name}/main.ts`);
  expect(sources?.filter((path) => path.includes("/ccxt/"))).toEqual([]);
});

test("each exchange's file holds that exchange alone", () => {
  const files = [...programs].filter(([name]) => name.startsWith("exchange-"));
  expect(files.map(([name, sources]) => [name, exchangesIn(sources)])).toEqual([
    ["exchange-bybit", ["bybit"]],
  ]);
});

test("what a bot never uses of zod and ccxt is in no program of its pod", () => {
  const unused =
    /\/zod\/v4\/(locales\/(?!en\.js)|classic\/from-json-schema)|\/undici\/|\/protobufjs\//;
  const found = [...programs.values()].flat().filter((path) => unused.test(path));
  expect(found).toEqual([]);
});

test("what only ccxt can do without is in the programs of others", async () => {
  const { operator, "vault-setup": setup } = Object.fromEntries(await bundledSources("operator"));
  for (const sources of [operator, setup])
    expect(sources?.some((path) => path.includes("node_modules/undici/"))).toBe(true);
});
