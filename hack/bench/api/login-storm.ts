import { randomInt } from "node:crypto";
import type { Figure } from "../figure.ts";
import { percentile, spread } from "../statistics.ts";
import { type Answer, closedLoop, openLoop, requestBytes } from "./http-load.ts";
import { accessToken, type startServer } from "./server-process.ts";

/** The others' requests. */
const PACED = { connections: 4, perSecond: 200 } as const;
const CALM_MS = 5_000;
/** Two cores judge about eight passwords a second. */
const LOGINS = { connections: 100, perSecond: 200 } as const;
/** Somebody is judged again at most so long after the storm: by then the queue has been worked off, on a machine that is busy as well. */
const RECOVERED_WITHIN_MS = 60_000;

const REFUSED = new Set([429, 503]);

/**
 * Far more log-ins than bcrypt can judge. All are answered: judged, or sent away with the time to come back; other routes go on.
 * @throws Error for any other answer, for a refusal that names no time, and when nobody is judged soon after it
 */
export async function measureLoginStorm(
  server: Awaited<ReturnType<typeof startServer>>,
  durationMs: number,
): Promise<readonly Figure[]> {
  const token = await accessToken("00000000-0000-4000-8000-00000000000a");
  const path = "GET /secured/orders/bot-abcdefghij0123456789";
  const request = requestBytes(path, { authorization: `Bearer ${token}` });
  const others = { ...PACED, port: server.routes, next: () => request };
  const calm = await openLoop({ ...others, durationMs: Math.min(CALM_MS, durationMs) });
  const answers: Answer[] = [];
  const logins = { port: server.api, next: anyLogin, alsoFine: [401, ...REFUSED] };
  const heard = (answer: Answer) => void answers.push(answer);
  const [stormy] = await Promise.all([
    openLoop({ ...others, durationMs }),
    openLoop({ ...logins, ...LOGINS, durationMs, heard }),
  ]);
  const refused = answers.filter(({ status }) => REFUSED.has(status));
  const untold = refused.filter(({ text }) => !/\r\nretry-after: [1-9]/i.test(text)).length;
  const judged = answers.length - refused.length;
  if (untold > 0) throw new Error(`${untold} refusals do not say when to come back`);
  if (refused.length === 0 || judged === 0)
    throw new Error(`${refused.length} refused, ${judged} judged: that was no storm`);
  const recoveredMs = await untilJudged(server.api);
  const refusalsMs = refused.map(({ latencyMs }) => latencyMs);
  const how = `${answers.length} log-ins in ${durationMs / 1_000} s, bcrypt cost 12: ${judged} judged, ${refused.length} sent away with Retry-After; judged again ${recoveredMs.toFixed(0)} ms after the storm`;
  return [
    {
      key: "login_storm_refusal_ms_p99",
      value: percentile(refusalsMs, 0.99),
      aim: { most: 50 },
      baseline: `its own median ${percentile(refusalsMs, 0.5).toFixed(1)}`,
      how: `${spread(refusalsMs)}; ${how}`,
    },
    {
      key: "login_storm_other_ms_p99",
      value: percentile(stormy.latenciesMs, 0.99),
      aim: { most: 50 },
      baseline: `the same route before the storm: ${spread(calm.latenciesMs)}`,
      how: `${spread(stormy.latenciesMs)}; an authenticated route, ${PACED.perSecond} requests/s; ${how}`,
    },
  ];
}

/** Milliseconds until somebody is judged again, asked one after the other. */
async function untilJudged(port: number): Promise<number> {
  const startedMs = performance.now();
  while (performance.now() - startedMs < RECOVERED_WITHIN_MS) {
    const statuses: number[] = [];
    const heard = ({ status }: Answer) => void statuses.push(status);
    const load = { port, next: anyLogin, alsoFine: [401, ...REFUSED], heard };
    await closedLoop({ ...load, connections: 1, durationMs: 1 });
    if (statuses.includes(401)) return performance.now() - startedMs;
  }
  throw new Error("nobody is judged after the storm");
}

/** Somebody with a wrong password, from an address of their own: no throttle knows them. */
export function anyLogin(): string {
  const address = `10.${randomInt(256)}.${randomInt(256)}.${randomInt(256)}`;
  const body = JSON.stringify({ email: `${randomInt(1e9)}@example.com`, password: "not the one" });
  const headers = { "content-type": "application/json", "x-forwarded-for": address };
  return requestBytes("POST /api/auth/login", headers, body);
}
