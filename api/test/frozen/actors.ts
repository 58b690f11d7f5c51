import { setTimeout as sleep } from "node:timers/promises";
import type { RecordBody } from "@tradingbots/crds";
import type { Server } from "../../src/server.ts";
import { event, fill, intent, trade } from "../journal.ts";

/** One request and what became of it. */
export interface Seen {
  readonly what: string;
  readonly sentMs: number;
  readonly endedMs: number;
  readonly status: number;
  readonly hasRetryAfter: boolean;
  readonly body: unknown;
}

interface Request {
  readonly what: string;
  readonly server: Server;
  readonly line: `${"GET" | "POST"} ${string}`;
  readonly token?: string;
  readonly body?: object;
}

export const EVENTS_PER_BATCH = 10;
const PAUSE_MS = 20;

/** People and bots who go on asking, whatever they hear. `seen` is what they heard. */
export function createActors() {
  const seen: Seen[] = [];
  const over = new AbortController();

  async function ask({ what, server, line, token, body }: Request): Promise<Seen> {
    const [method, url] = line.split(" ", 2);
    const sentMs = performance.now();
    const answer = await server.inject({
      method: method === "GET" ? "GET" : "POST",
      url: url ?? "",
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { payload: body }),
    });
    const found = {
      what,
      sentMs,
      endedMs: performance.now(),
      status: answer.statusCode,
      hasRetryAfter: answer.headers["retry-after"] !== undefined,
      body: answer.json<unknown>(),
    };
    seen.push(found);
    return found;
  }

  return {
    seen,
    ask,
    stop: () => over.abort(),
    /** Asks the same again and again, as people do who do not know of one another: nobody waits for the answer before. */
    repeat: async (request: Request, everyMs: number): Promise<void> => {
      const asked: Promise<Seen>[] = [];
      while (!over.signal.aborted) {
        asked.push(ask(request));
        await sleep(everyMs);
      }
      await Promise.all(asked);
    },
    /** As a bot does: batch after batch, each until it is acknowledged. Answers how many were. */
    tell: async (server: Server, token: string, epoch: number): Promise<number> => {
      let batch = 0;
      while (!over.signal.aborted) {
        batch += 1;
        const body = { epoch, records: recordsOf(batch) };
        const request = { what: "batch", server, line: "POST /v1/records", token, body } as const;
        while ((await ask(request)).status !== 200) await sleep(PAUSE_MS);
        await sleep(PAUSE_MS);
      }
      return batch;
    },
  };
}
export type Actors = ReturnType<typeof createActors>;

function recordsOf(batch: number) {
  const bodies: RecordBody[] = [
    trade(batch),
    fill(`execution-${batch}`, batch),
    ...Array.from({ length: EVENTS_PER_BATCH }, (_, index) => event(`${batch}-${index}`)),
  ];
  const first = (batch - 1) * bodies.length + 1;
  return bodies.map((body, index) => ({ sequence: first + index, body }));
}

export const intentRequest = (server: Server, token: string, epoch: number): Request => ({
  what: "intent",
  server,
  line: "POST /v1/intents",
  token,
  body: { epoch, intent: intent(1_000_001) },
});
