import { createHmac, createSecretKey } from "node:crypto";
// The file itself: ccxt exports only the whole of it (130 MB resident; this one exchange: 61 MB bundled). A relative path
// passes by the package's exports map in Node and in esbuild alike. npm hoists ccxt to the root: no other package has it.
import Bybit from "../../../node_modules/ccxt/js/src/bybit.js";
import { systemClock } from "../clock.ts";
import { createHttpClient } from "../http-client.ts";
import { type Dated, type ExchangeOptions, RECEIVE_WINDOW_MS } from "./exchange.ts";
import { RequestWindow } from "./request-window.ts";

export type BybitClient = Bybit;

/** One answer may take this long to its last byte; an order without one is `unknown` from then on. */
const REQUEST_TIMEOUT_MS = 8_000;
/**
 * Weight units of ccxt: 20 look-ups or 40 orders a second, below Bybit's 50 and 20 per key, and 600 requests in 5 s per
 * address. ccxt's default queue makes each order wait 50 ms; a rolling window only says no when it is full.
 */
const RATE = { windowMs: 5_000, weightMax: 500 };

/** The currency that the contracts settle in. */
export const QUOTE = "USDT";

/**
 * Signs a request that says when it was decided (`madeMs`, this machine's time) with that time and with the receive window that
 * it asks for, and with OpenSSL: ccxt's own signature is plain JavaScript.
 */
class TimedBybit extends Bybit {
  readonly #window = new RequestWindow(RATE, systemClock);
  #madeMs: number | undefined;

  constructor(secret: string, config: ConstructorParameters<typeof Bybit>[0]) {
    super({ ...config, secret });
    // Made once: of every signature's time it was the longer part.
    const key = createSecretKey(secret, "utf8");
    // ccxt also hands on secret, hash and form: for Bybit always this secret, SHA-256, hexadecimal.
    this.hmac = (message) => createHmac("sha256", key).update(message).digest("hex");
  }

  /** ccxt's own windows go by the wall clock: after a step back nothing would leave until the clock is where it was. */
  override throttle(weight: number): Promise<void> {
    return this.#window.pass(weight);
  }

  override sign(...[path, api, method, params, headers, body]: Parameters<Bybit["sign"]>) {
    const { madeMs, receiveWindowMs = RECEIVE_WINDOW_MS, ...rest }: Dated & object = params ?? {};
    this.#madeMs = madeMs;
    this.options["recvWindow"] = receiveWindowMs;
    const signed = super.sign(path, api, method, rest, headers, body);
    this.#madeMs = undefined;
    return signed;
  }

  override nonce(): number {
    return (this.#madeMs ?? this.milliseconds()) - Number(this.options["timeDifference"]);
  }
}

/**
 * A client with its own connections and rate budget. ccxt's `maxRetriesOnFailure` stays at its default of 0: it would send
 * an order again whose answer was lost.
 */
export function createClient(options: ExchangeOptions): BybitClient {
  const { apiKey, apiSecret } = options.key.reveal();
  const client = new TimedBybit(apiSecret, {
    apiKey,
    timeout: REQUEST_TIMEOUT_MS,
    fetchImplementation: createHttpClient(),
  });
  if (options.testnet) client.setSandboxMode(true);
  // After setSandboxMode, which replaces the addresses. `hostname` could change neither scheme nor port.
  if (options.restUrl !== undefined)
    Object.assign(client.urls, { api: redirect(client.urls["api"], options.restUrl) });
  return client;
}

/** The same shape with every address replaced. */
function redirect(urls: unknown, restUrl: string): unknown {
  if (typeof urls === "string") return restUrl;
  if (typeof urls !== "object" || urls === null) return urls;
  return Object.fromEntries(
    Object.entries(urls).map(([name, url]) => [name, redirect(url, restUrl)]),
  );
}
