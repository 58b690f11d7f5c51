import { createServer, type Server } from "node:http";
import { readdir, readFile } from "node:fs/promises";
import { text as readText } from "node:stream/consumers";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { OrderPlaced } from "../../src/exchange/bybit-answers.ts";
import { createClient } from "../../src/exchange/bybit-client.ts";
import { readError } from "../../src/exchange/bybit-outcomes.ts";
import { ThinBybit } from "./thin-bybit.ts";
import { Timeline, VirtualProcess } from "./timeline.ts";
import { useTimeline } from "./virtual-globals.ts";
import { wireProcess } from "./wires.ts";

/** What a client asked for, without what differs by nature: signature and time. */
interface Asked {
  readonly endpoint: string;
  readonly parameters: Record<string, unknown>;
  readonly isPrivate: boolean;
}

/** What is answered: a body, or a connection that breaks. */
type Answer = { readonly status: number; readonly body: string } | "broken";

type Client = Pick<ThinBybit, "fetchTime"> & Record<string, unknown>;

const Parameters = z.record(z.string(), z.unknown());

const ok = (result: object): Answer => ({
  status: 200,
  body: JSON.stringify({ retCode: 0, retMsg: "OK", result, retExtInfo: {}, time: 1 }),
});

let server: Server;
let url: string;
let answer: Answer = "broken";
let asked: Asked[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    void readText(request).then((body) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://exchange");
      const parameters =
        body === "" ? Object.fromEntries(searchParams) : Parameters.parse(JSON.parse(body));
      const isPrivate = request.headers["x-bapi-api-key"] !== undefined;
      asked.push({ endpoint: `${request.method ?? ""} ${pathname}`, parameters, isPrivate });
      if (answer === "broken") request.socket.resetAndDestroy();
      else response.writeHead(answer.status).end(answer.body);
      return undefined;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  url = `http://127.0.0.1:${address.port}`;
});

afterAll(() => server.closeAllConnections());

function realClient(): Client {
  const key = { reveal: () => ({ apiKey: "k", apiSecret: "s" }), scrub: (said: string) => said };
  const client: unknown = createClient({ key, testnet: false, restUrl: url });
  if (!isClient(client)) throw new Error("ccxt is not as the simulation takes it");
  return client;
}

function thinClient(): Client {
  const timeline = new Timeline(Date.now());
  useTimeline(timeline);
  const process = new VirtualProcess("bot", timeline, 0);
  wireProcess(process, {
    askExchange: ({ endpoint, parameters = {}, apiKey }, receive) => {
      asked.push({ endpoint, parameters: { ...parameters }, isPrivate: apiKey !== undefined });
      receive(
        answer === "broken"
          ? { kind: "broken", message: "socket hang up" }
          : { kind: "answer", status: answer.status, text: answer.body },
      );
    },
    openStream: () => ({ send: () => undefined, terminate: () => undefined }),
  });
  let client: unknown;
  timeline.enter(process, () => {
    client = new ThinBybit({ apiKey: "k", timeout: 1_000, options: { recvWindow: 5_000 } });
  });
  if (!isClient(client)) throw new Error("not a client");
  return client;
}

function isClient(value: unknown): value is Client {
  return typeof value === "object" && value !== null && "fetchTime" in value;
}

/** What a call asks, and what it gives or how it fails, of either client. */
async function observe(client: Client, given: Answer, call: (client: Client) => Promise<unknown>) {
  answer = given;
  asked = [];
  const outcome = await call(client).then(
    (value) => ({ gives: value }),
    (error: unknown) => ({ fails: readError(error).code }),
  );
  return { asked: asked.map((each) => ({ ...each, parameters: texts(each.parameters) })), outcome };
}

/** As both transports write them: a query knows no numbers. */
function texts(parameters: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      typeof value === "number" ? String(value) : value,
    ]),
  );
}

function implicit(client: Client, name: string, parameters: object): Promise<unknown> {
  const method = client[name];
  if (typeof method !== "function") throw new Error(`no method ${name}`);
  const asking: unknown = Reflect.apply(method, client, [parameters]);
  return Promise.resolve(asking);
}

/** The adapter's own order, by either client. */
async function orderId(client: Client): Promise<unknown> {
  const answered: unknown = await implicit(client, "privatePostV5OrderCreate", {
    category: "linear",
    symbol: "BTCUSDT",
    side: "Buy",
    orderType: "Market",
    qty: "0.001",
    orderLinkId: "11111111-1111-8111-8111-111111111111",
  });
  return OrderPlaced.safeParse(answered).data?.result;
}
const accepted = ok({ orderId: "x", orderLinkId: "y" });

async function compare(given: Answer, call: (client: Client) => Promise<unknown>) {
  const real = await observe(realClient(), given, call);
  const thin = await observe(thinClient(), given, call);
  return { real, thin };
}

describe("the simulation's stand-in for ccxt", () => {
  test("asks for an order as ccxt does, and gives its ids", async () => {
    const { real, thin } = await compare(accepted, orderId);
    expect(thin).toEqual(real);
    expect(real.outcome).toEqual({ gives: { orderId: "x", orderLinkId: "y" } });
  });

  test("knows what its time is", async () => {
    const time = ok({ timeSecond: "1700000000", timeNano: "1700000000123000000" });
    const { real, thin } = await compare(time, (client) => client.fetchTime());
    expect(thin.asked).toEqual(real.asked);
    expect(real.asked.map(({ endpoint }) => endpoint)).toEqual(["GET /v5/market/time"]);
  });

  test.each<{ name: string; given: Answer }>([
    {
      name: "a refusal",
      given: { status: 200, body: `{"retCode":110007,"retMsg":"no","result":{}}` },
    },
    {
      name: "a duplicate",
      given: { status: 200, body: `{"retCode":110072,"retMsg":"dup","result":{}}` },
    },
    {
      name: "a server error",
      given: { status: 200, body: `{"retCode":10016,"retMsg":"?","result":{}}` },
    },
    {
      name: "a server timeout",
      given: { status: 200, body: `{"retCode":10000,"retMsg":"?","result":{}}` },
    },
    {
      name: "a rate limit",
      given: { status: 200, body: `{"retCode":10006,"retMsg":"!","result":{}}` },
    },
    { name: "a ban", given: { status: 403, body: "403, access too frequent" } },
    { name: "a bad gateway", given: { status: 502, body: "<html><h1>502</h1></html>" } },
    { name: "a broken connection", given: "broken" },
    { name: "an empty answer", given: { status: 200, body: "" } },
  ])("$name means the same to the bot", async ({ given }) => {
    const { real, thin } = await compare(given, orderId);
    expect(thin.asked.length).toBe(1);
    expect(real.asked.length).toBe(1);
    // Whatever has no code of the exchange's own is the same to the bot: nothing is known.
    expect(meaning(thin.outcome)).toEqual(meaning(real.outcome));
  });

  test("has every method of ccxt that the adapter calls", async () => {
    const names = await implicitMethods();
    expect(names.length).toBeGreaterThan(6);
    for (const name of names) {
      const { real, thin } = await compare(ok({}), (client) =>
        implicit(client, name, { category: "linear", symbol: "BTCUSDT" }),
      );
      expect(thin.asked).toEqual(real.asked);
    }
  });
});

function meaning(outcome: object): unknown {
  if (!("fails" in outcome)) return outcome;
  return /^\d+$/.test(String(outcome.fails)) ? outcome : "nothing is known";
}

/** ccxt's implicit methods, by their names in the adapter's own text. */
async function implicitMethods(): Promise<readonly string[]> {
  const folder = join(import.meta.dirname, "..", "..", "src", "exchange");
  const files = (await readdir(folder)).filter((file) => /^bybit-.*(?<!test)\.ts$/.test(file));
  const modules = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  const names = modules.flatMap((file) => [
    ...file.matchAll(/\b(?:public|private)(?:Get|Post)V5[A-Za-z]+/g),
  ]);
  return [...new Set(names.map(([name]) => name))];
}
