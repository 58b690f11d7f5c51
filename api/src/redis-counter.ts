import { createClient } from "@redis/client";
import { z } from "zod";
import { WINDOW_MS } from "./rate-limit.ts";
import type { SharedCounter } from "./shared-rate-limit.ts";

const CONNECT_LIMIT_MS = 1_000;
const RECONNECT_MS_MAX = 500;
/** Commands without an answer: what a frozen server owes must not fill our memory. */
const COMMANDS_MAX = 1_000;

/** One step, so that no key stays without an end. Answers the count and how many milliseconds its window has left. */
const COUNT = `
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}`;
const Counted = z.tuple([z.int(), z.int()]);

export interface RedisOptions {
  /** `redis://` or `rediss://`, with a user's name before the host where there are users. */
  readonly url: string;
  readonly password?: string | undefined;
  readonly onError: (error: unknown) => void;
}

/** Counts in Redis or Valkey. It connects in the background, for ever: whether Redis is there keeps nothing from starting. */
export function createRedisCounter({ url, password, onError }: RedisOptions) {
  const client = createClient({
    url: password === undefined ? url : withPassword(url, password),
    socket: {
      connectTimeout: CONNECT_LIMIT_MS,
      reconnectStrategy: (retries) => Math.min(50 * 2 ** Math.min(retries, 8), RECONNECT_MS_MAX),
    },
    disableOfflineQueue: true,
    commandsQueueMaxLength: COMMANDS_MAX,
  });
  client.on("error", onError);
  const connecting = client.connect().catch(onError);

  const counter: SharedCounter = {
    count: async (key) => {
      const answer = await client.eval(COUNT, {
        keys: [`tradingbots:requests:${key}`],
        arguments: [String(WINDOW_MS)],
      });
      const [count, resetMs] = Counted.parse(answer);
      return { count, resetMs };
    },
  };
  return {
    ...counter,
    close: async () => {
      client.destroy();
      await connecting;
    },
  };
}

/** The client takes both from the address as soon as that names a user, and then knows of no password beside it. */
function withPassword(url: string, password: string): string {
  const address = new URL(url);
  address.password = encodeURIComponent(password);
  return address.href;
}
