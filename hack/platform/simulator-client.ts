import { z } from "zod";

const Execution = z.looseObject({
  orderLinkId: z.string(),
  symbol: z.string(),
  side: z.string(),
  price: z.string(),
  quantity: z.string(),
  fee: z.string(),
});
const AccountState = z.looseObject({
  orders: z.array(z.looseObject({ orderLinkId: z.string(), status: z.string() })),
  executions: z.array(Execution),
  positions: z.array(
    z.looseObject({
      symbol: z.string(),
      side: z.string(),
      size: z.string(),
      entryPrice: z.string().nullable(),
      stopLoss: z.string().nullable(),
      takeProfit: z.string().nullable(),
    }),
  ),
  wallet: z.looseObject({ balance: z.string() }),
});
type AccountState = z.infer<typeof AccountState>;

/** The control side of the exchange simulator: what a real exchange would never tell. */
export function simulatorClient(url: string) {
  async function call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${url}/control${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`simulator ${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : (JSON.parse(text) as unknown);
  }
  return {
    /** Opens an exchange account with this key and a balance in USDT. */
    addKey: (key: { apiKey: string; apiSecret: string; balance: string }) =>
      call("POST", "/keys", key),
    revokeKey: (apiKey: string) => call("DELETE", `/keys/${apiKey}`),
    account: async (apiKey: string) => AccountState.parse(await call("GET", `/accounts/${apiKey}`)),
    /** Candles per second; 0 holds the market still. */
    setSpeed: (speed: number) => call("POST", "/speed", { speed }),
  };
}
