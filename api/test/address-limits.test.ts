import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { startApi, type TestApi } from "./api.ts";

const LIMIT = 3;
/** A device refreshes by itself, and many sit behind one address. */
const OF_COOKIES = 10 * LIMIT;

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ requestsPerMinutePerAddress: LIMIT });
});
afterAll(() => api.stop());

const Description = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({ security: z.array(z.record(z.string(), z.unknown())).optional() }),
    ),
  ),
});

/** Routes by which one gets a token, and how often an address may try them: a new one is in here by being described. */
function doors() {
  const { paths } = Description.parse(api.app.swagger());
  return Object.entries(paths)
    .filter(([path]) => path.startsWith("/api/auth/"))
    .flatMap(([path, methods]) =>
      Object.values(methods).map(({ security }) => ({ path, security })),
    )
    .filter(({ security }) => security?.every((way) => !("accessToken" in way)))
    .map(({ path, security = [] }) => ({ path, limit: security.length > 0 ? OF_COOKIES : LIMIT }));
}

async function statusFrom(remoteAddress: string, url: string): Promise<number> {
  return (await api.app.inject({ method: "POST", url, remoteAddress })).statusCode;
}

test("an address knocks so often a minute at every door that needs no token, and others meanwhile", async () => {
  const all = doors();
  expect(all.length).toBeGreaterThan(8);
  for (const [index, { path, limit }] of all.entries()) {
    const address = `192.0.2.${index + 1}`;
    const statuses = [];
    for (let time = 0; time < limit; time++) statuses.push(await statusFrom(address, path));
    expect({ path, statuses }).toEqual({ path, statuses: statuses.filter((each) => each !== 429) });
    expect({ path, status: await statusFrom(address, path) }).toEqual({ path, status: 429 });
    expect(await statusFrom(`198.51.100.${index + 1}`, path)).not.toBe(429);
  }
});

test("all addresses of one network of 64 bits are one, and what a stranger forwards is none", async () => {
  const path = "/api/auth/login";
  for (let host = 1; host <= LIMIT; host++) {
    expect(await statusFrom(`2001:db8:1:2::${host}`, path)).not.toBe(429);
  }
  expect(await statusFrom("2001:db8:1:2:ffff::1", path)).toBe(429);
  expect(await statusFrom("2001:db8:1:3::1", path)).not.toBe(429);
  const forwarded = await api.app.inject({
    method: "POST",
    url: path,
    remoteAddress: "2001:db8:1:2::1",
    headers: { "x-forwarded-for": "203.0.113.1" },
  });
  expect(forwarded.statusCode).toBe(429);
});

test("whoever makes API tokens up is stopped by their address before the database is asked", async () => {
  const statuses = [];
  for (let time = 0; time <= LIMIT; time++) {
    const { statusCode } = await api.app.inject({
      url: "/api/me",
      remoteAddress: "192.0.2.200",
      headers: { authorization: `Bearer tbt_${String(time).repeat(43)}` },
    });
    statuses.push(statusCode);
  }
  expect(statuses).toEqual([401, 401, 401, 429]);
});
