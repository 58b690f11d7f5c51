import { BybitError, RetCode } from "../bybit-error.ts";
import type { ApiKey, Exchange } from "../exchange.ts";
import { accountEndpoints } from "./account-endpoints.ts";
import type { Access, Endpoints } from "./endpoint.ts";
import { marketEndpoints } from "./market-endpoints.ts";
import { orderEndpoints } from "./order-endpoints.ts";
import { positionEndpoints } from "./position-endpoints.ts";

export const endpoints: Endpoints = {
  ...marketEndpoints,
  ...accountEndpoints,
  ...orderEndpoints,
  ...positionEndpoints,
};

/** What every answer of Bybit looks like. Refusals too come with HTTP 200. */
export interface Envelope {
  readonly retCode: number;
  readonly retMsg: string;
  readonly result: object;
  readonly retExtInfo: object;
  /** Server time, ms. */
  readonly time: number;
}

/** A request however it came: over HTTP with a signature, or from the same process without one. */
export interface ApiRequest {
  /** A name of `endpoints`: "POST /v5/order/create". */
  readonly endpoint: string;
  /** Query parameters of a GET, or the parsed body of a POST; throws a BybitError when they cannot be read. */
  readonly parameters: () => unknown;
  /** The key that a private request comes with; throws a BybitError when it may not. */
  readonly authenticate: () => ApiKey;
}

/** What the exchange does with a request, and its answer. Throws for an endpoint that is not simulated. */
export function answerRequest(request: ApiRequest, exchange: Exchange): Envelope {
  const time = exchange.clock.now();
  try {
    const result = resultOf(request, exchange);
    return { retCode: RetCode.ok, retMsg: "OK", result, retExtInfo: {}, time };
  } catch (error) {
    if (!(error instanceof BybitError)) throw error;
    return { retCode: error.retCode, retMsg: error.message, result: {}, retExtInfo: {}, time };
  }
}

function resultOf(request: ApiRequest, exchange: Exchange): object {
  const endpoint = endpoints[request.endpoint];
  if (endpoint === undefined) throw new Error(`${request.endpoint} is not simulated`);
  if (endpoint.access === "public") {
    return endpoint.answer({ parameters: request.parameters(), exchange });
  }
  const key = request.authenticate();
  checkPermission(key, endpoint.access);
  return endpoint.answer({ parameters: request.parameters(), exchange, key });
}

function checkPermission(key: ApiKey, access: Access): void {
  if (access !== "trade") return;
  const allowed = (key.permissions["ContractTrade"] ?? []).includes("Order");
  if (allowed && !key.readOnly) return;
  throw new BybitError(
    RetCode.permissionDenied,
    "Permission denied, please check your API key permissions.",
  );
}
