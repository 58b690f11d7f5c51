import type { Arrival } from "./network.ts";
import { ownWires, type Wires } from "./wires.ts";

type Params = Readonly<Record<string, unknown>>;

/** As ccxt names what became of a request without a usable answer. */
class RequestTimeout extends Error {}
class ExchangeNotAvailable extends Error {}
class ExchangeError extends Error {}

interface Signed {
  readonly endpoint: string;
  readonly params: Params;
  /** Time of the request as signed, ms; undefined for public ones. */
  readonly timestampMs: number | undefined;
  readonly receiveWindowMs: number;
}

/** Path of ccxt's implicit methods, which the bot's adapter calls. */
const IMPLICIT = {
  privateGetV5OrderRealtime: "GET order/realtime",
  privateGetV5OrderHistory: "GET order/history",
  privateGetV5ExecutionList: "GET execution/list",
  privateGetV5PositionList: "GET position/list",
  privateGetV5AccountWalletBalance: "GET account/wallet-balance",
  privateGetV5AccountTransactionLog: "GET account/transaction-log",
  privateGetV5UserQueryApi: "GET user/query-api",
  privatePostV5OrderCreate: "POST order/create",
  privatePostV5OrderCancel: "POST order/cancel",
  privatePostV5PositionTradingStop: "POST position/trading-stop",
  privatePostV5PositionSetLeverage: "POST position/set-leverage",
} as const;

/** Weights of ccxt's: of an order or its cancellation, and (at most) of everything else. */
const WEIGHT = { order: 2.5, other: 5 };

/**
 * Stands where the bot's bundle has ccxt's Bybit: what the adapter (bybit-ccxt.ts) uses of it, with the same requests and the
 * same errors, and a twentieth of its time. `thin-bybit.test.ts` holds it to the real one.
 */
export class ThinBybit {
  readonly urls: Record<string, unknown> = { api: { public: "", private: "" } };
  readonly has: Record<string, boolean> = {};
  readonly options: Record<string, unknown> = { timeDifference: 0 };
  readonly #apiKey: string;
  readonly #timeoutMs: number;
  readonly #wires: Wires = ownWires();

  constructor(config: {
    readonly apiKey: string;
    readonly timeout: number;
    readonly options?: Params;
  }) {
    this.#apiKey = config.apiKey;
    this.#timeoutMs = config.timeout;
    Object.assign(this.options, config.options);
    for (const [name, call] of Object.entries(IMPLICIT)) {
      const [method = "", path = ""] = call.split(" ");
      Object.assign(this, {
        [name]: (params: Params = {}) =>
          this.#ask({ path: `v5/${path}`, api: "private", method, params }),
      });
    }
  }

  setSandboxMode(): void {
    throw new Error("the simulation has no testnet");
  }

  milliseconds(): number {
    return Date.now();
  }

  nonce(): number {
    return this.milliseconds() - Number(this.options["timeDifference"]);
  }

  /** The adapter overrides it with its own limiter. */
  throttle(_weight: number): Promise<void> {
    return Promise.resolve();
  }

  /** The adapter overrides it to sign with a time of its own. */
  sign(...[path, api, method, params]: [string, string, string, Params]): Signed {
    return {
      endpoint: `${method} /${path}`,
      params,
      timestampMs: api === "private" ? this.nonce() : undefined,
      receiveWindowMs: Number(this.options["recvWindow"]),
    };
  }

  /** The exchange's time, ms. */
  async fetchTime(): Promise<number> {
    const { result } = parsed(await this.#public("v5/market/time", {}));
    return Math.floor(Number(result["timeNano"]) / 1e6);
  }

  async loadTimeDifference(): Promise<void> {
    const serverMs = await this.fetchTime();
    this.options["timeDifference"] = this.milliseconds() - serverMs;
  }

  publicGetV5MarketInstrumentsInfo(params: Params): Promise<unknown> {
    return this.#public("v5/market/instruments-info", params);
  }

  publicGetV5MarketKline(params: Params): Promise<unknown> {
    return this.#public("v5/market/kline", params);
  }

  #public(path: string, params: Params): Promise<unknown> {
    return this.#ask({ path, api: "public", method: "GET", params });
  }

  async #ask(call: {
    readonly path: string;
    readonly api: "public" | "private";
    readonly method: string;
    readonly params: Params;
  }): Promise<unknown> {
    const isOrder = /^v5\/order\/(create|cancel)$/.test(call.path);
    await this.throttle(isOrder ? WEIGHT.order : WEIGHT.other);
    const signed = this.sign(call.path, call.api, call.method, call.params);
    const arrival = await this.#send(signed);
    if (arrival.kind === "broken") throw new ExchangeNotAvailable(`bybit ${arrival.message}`);
    if (arrival.text === "") return "";
    if (!arrival.text.startsWith("{"))
      throw new ExchangeNotAvailable(`bybit ${signed.endpoint} ${arrival.status}`);
    const body: unknown = JSON.parse(arrival.text);
    if (parsed(body).retCode !== 0) throw new ExchangeError(`bybit ${arrival.text}`);
    return body;
  }

  #send({ endpoint, params, timestampMs, receiveWindowMs }: Signed): Promise<Arrival> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new RequestTimeout(`bybit ${endpoint} request timed out (${this.#timeoutMs} ms)`));
      }, this.#timeoutMs);
      const request = {
        endpoint,
        parameters: params,
        ...(timestampMs === undefined
          ? {}
          : {
              apiKey: this.#apiKey,
              timestampMs,
              receiveWindowMs,
            }),
      };
      this.#wires.askExchange(request, (arrival) => {
        clearTimeout(timer);
        resolve(arrival);
      });
    });
  }
}

interface Envelope {
  readonly retCode: unknown;
  readonly result: Record<string, unknown>;
}

/** An answer's envelope; an empty answer has neither code nor result. */
function parsed(answer: unknown): Envelope {
  if (typeof answer !== "object" || answer === null) return { retCode: undefined, result: {} };
  const retCode = "retCode" in answer ? answer.retCode : undefined;
  const result = "result" in answer ? answer.result : {};
  return { retCode, result: isRecord(result) ? result : {} };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
