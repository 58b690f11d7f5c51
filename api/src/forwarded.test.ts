import { expect, test } from "vitest";
import { z } from "zod";
import { warnOfUnknownProxies } from "./forwarded.ts";
import { createServer } from "./server.ts";

const Line = z.object({ msg: z.string(), peer: z.string().optional() });

test.for<
  [
    what: string,
    trustedProxies: readonly string[] | undefined,
    header: string | undefined,
    peers: readonly string[],
  ]
>([
  ["none is trusted", undefined, "192.0.2.1", ["10.0.0.7"]],
  ["another is trusted", ["10.0.1.0/24"], "192.0.2.1", ["10.0.0.7"]],
  ["the peer is trusted", ["10.0.0.0/24"], "192.0.2.1", []],
  ["nothing is forwarded", undefined, undefined, []],
])("%s: a forwarded address of no use is told once", async ([, trustedProxies, header, peers]) => {
  const lines: z.infer<typeof Line>[] = [];
  const stream = { write: (line: string) => void lines.push(Line.parse(JSON.parse(line))) };
  const server = createServer({
    log: { level: "warn", stream },
    bodyBytesMax: 1_000,
    ...(trustedProxies === undefined ? {} : { trustedProxies }),
  });
  warnOfUnknownProxies(server);
  server.get("/", async () => "here");
  const headers = header === undefined ? {} : { "x-forwarded-for": header };
  for (let time = 0; time < 3; time++) {
    const answer = await server.inject({ url: "/", headers, remoteAddress: "10.0.0.7" });
    expect(answer.statusCode).toBe(200);
  }
  expect(lines.map(({ peer }) => peer)).toEqual(peers);
  for (const { msg } of lines) expect(msg).toContain("TRUSTED_PROXIES");
});
