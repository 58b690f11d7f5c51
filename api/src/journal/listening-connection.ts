import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import type { connectionOptions } from "../database.ts";

const PROVEN_EVERY_MS = 5_000;
/** A connection that does not answer this fast is taken for dead. */
const ALIVE_LIMIT_MS = 4_000;
const RECONNECT_AFTER_MS = 1_000;

export interface ListeningOptions {
  /** A direct connection: LISTEN does not work through a transaction pooler. */
  readonly direct: ReturnType<typeof connectionOptions>;
  readonly channel: string;
  readonly onPayload: (payload: string) => void;
  /** Every 5 s, after the connection has answered: until now nothing was missed. */
  readonly onProven: () => void;
  /** The connection is gone, and what happens until the next one is unknown. */
  readonly onLost: (error: unknown) => void;
}

/** Listens to a channel of Postgres' NOTIFY, and after a failure listens anew, until it is closed. */
export function createListeningConnection(options: ListeningOptions) {
  const ending = new AbortController();
  const { signal } = ending;
  let isListening = false;

  async function run(): Promise<void> {
    while (!signal.aborted) {
      const client = new Client({
        ...options.direct,
        query_timeout: ALIVE_LIMIT_MS,
        keepAlive: true,
      });
      const failure: unknown = await listen(client).catch((error: unknown) => error);
      isListening = false;
      options.onLost(failure);
      await client.end().catch(() => {});
      await sleep(RECONNECT_AFTER_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** Never returns: it throws when the connection fails or the end has come. */
  async function listen(client: Client): Promise<never> {
    const failed = new Promise<never>((_, reject) => {
      client.on("error", reject);
      client.on("end", () => reject(new Error("the listening connection has ended")));
    });
    failed.catch(() => {}); // it is awaited below, perhaps after it has failed
    await client.connect();
    client.on("notification", ({ payload = "" }) => options.onPayload(payload));
    await client.query(`listen ${options.channel}`);
    isListening = true;
    for (;;) {
      await Promise.race([sleep(PROVEN_EVERY_MS, undefined, { signal }), failed]);
      await Promise.race([client.query("select 1"), failed]);
      options.onProven();
    }
  }

  const running = run();
  return {
    isListening: () => isListening,
    close: async () => {
      ending.abort();
      await running;
    },
  };
}
