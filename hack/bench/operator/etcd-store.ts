import { z } from "zod";

/** etcd's own limit on the operations of one transaction. */
const TRANSACTION_MAX = 128;

const Count = z.object({ count: z.string().default("0") });
const Range = z.object({ kvs: z.array(z.object({ value: z.string() })).max(1) });

/**
 * What the API server stores, by its raw keys. Writing here is a second API server as far as the first one can tell: it hears
 * of every key by its own watch of etcd.
 */
export function createEtcdStore(url: string) {
  async function post(path: string, body: unknown): Promise<unknown> {
    const response = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** @throws Error when there is no such key. */
  async function get(key: string): Promise<Buffer> {
    const answer = await post("/v3/kv/range", { key: base64(key) });
    const [found] = Range.parse(answer).kvs;
    if (found === undefined) throw new Error(`etcd holds no ${key}`);
    return Buffer.from(found.value, "base64");
  }

  async function put(pairs: readonly (readonly [key: string, value: Buffer])[]): Promise<void> {
    for (let start = 0; start < pairs.length; start += TRANSACTION_MAX) {
      const success = pairs.slice(start, start + TRANSACTION_MAX).map(([key, value]) => ({
        requestPut: { key: base64(key), value: value.toString("base64") },
      }));
      await post("/v3/kv/txn", { success });
    }
  }

  /** How many keys begin so. */
  async function count(prefix: string): Promise<number> {
    const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
    const question = { key: base64(prefix), rangeEnd: base64(end), countOnly: true };
    return Number(Count.parse(await post("/v3/kv/range", question)).count);
  }

  return { get, put, count };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
