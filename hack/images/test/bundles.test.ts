import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { bundledSources, prepareContext } from "../images.ts";

const Bill = z.object({ components: z.array(z.object({ name: z.string() })) });

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

test("the API's image names the packages that are in it, and no other", async () => {
  const context = await mkdtemp(join(tmpdir(), "image-"));
  await prepareContext("api", context);
  const text = await readFile(join(context, "app", "sbom.cdx.json"), "utf8");
  const copied = await readdir(join(context, "app", "node_modules"));
  await rm(context, { recursive: true });
  const sources = [...(await bundledSources("api")).values()].flat();
  const parts = sources.flatMap(
    (path) => path.split(/node_modules\/(?!.*node_modules\/)/)[1] ?? [],
  );
  const names = parts.map((path) => /^(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  const named = Bill.parse(JSON.parse(text)).components.map(({ name }) => name);
  expect(new Set(named)).toEqual(new Set(["node", ...copied, ...names]));
  expect(named).toEqual(expect.arrayContaining(["bcrypt", "fastify", "pg"]));
});
