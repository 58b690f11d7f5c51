import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { BybitError, RetCode } from "../bybit-error.ts";
import type { ApiKey, Exchange } from "../exchange.ts";
import { authenticate } from "../signature.ts";
import { accountEndpoints } from "./account-endpoints.ts";
import type { Access, Endpoint, Endpoints } from "./endpoint.ts";
import { marketEndpoints } from "./market-endpoints.ts";
import { orderEndpoints } from "./order-endpoints.ts";
import { positionEndpoints } from "./position-endpoints.ts";

const endpoints: Endpoints = {
  ...marketEndpoints,
  ...accountEndpoints,
  ...orderEndpoints,
  ...positionEndpoints,
};

/** What every answer of Bybit looks like. Refusals too come with HTTP 200. */
interface Envelope {
  readonly retCode: RetCode;
  readonly retMsg: string;
  readonly result: object;
  readonly retExtInfo: object;
  /** Server time, ms. */
  readonly time: number;
}

/** Registers Bybit's REST API. Request → envelope → reply: what may go wrong on the way belongs between the last two. */
export function registerRestApi(app: FastifyInstance, exchange: Exchange): void {
  for (const [name, endpoint] of Object.entries(endpoints)) {
    const [method, url = ""] = name.split(" ");
    app.route({
      method: method === "POST" ? "POST" : "GET",
      url,
      handler: (request, reply) => deliver(reply, answer(request, endpoint, exchange)),
    });
  }
}

function deliver(reply: FastifyReply, envelope: Envelope): FastifyReply {
  return reply.code(200).send(envelope);
}

function answer(request: FastifyRequest, endpoint: Endpoint, exchange: Exchange): Envelope {
  const time = exchange.clock.now();
  try {
    const result = resultOf(request, endpoint, exchange);
    return { retCode: RetCode.ok, retMsg: "OK", result, retExtInfo: {}, time };
  } catch (error) {
    const { retCode, message } = refusalFrom(error, request.log);
    return { retCode, retMsg: message, result: {}, retExtInfo: {}, time };
  }
}

function resultOf(request: FastifyRequest, endpoint: Endpoint, exchange: Exchange): object {
  if (endpoint.access === "public") {
    return endpoint.answer({ parameters: parametersOf(request), exchange });
  }
  const signed = { headers: request.headers, payload: payloadOf(request), address: request.ip };
  const key = authenticate(signed, exchange, exchange.clock.now());
  checkPermission(key, endpoint.access);
  return endpoint.answer({ parameters: parametersOf(request), exchange, key });
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

/** Bodies arrive as text (server.ts), because their bytes are what was signed. */
function payloadOf(request: FastifyRequest): string {
  if (request.method === "POST") return typeof request.body === "string" ? request.body : "";
  return request.raw.url?.split("?")[1] ?? "";
}

function parametersOf(request: FastifyRequest): unknown {
  if (request.method !== "POST") return request.query;
  try {
    return JSON.parse(payloadOf(request));
  } catch (error) {
    throw new BybitError(RetCode.invalidParameter, `params error: ${String(error)}`);
  }
}

function refusalFrom(error: unknown, log: FastifyBaseLogger): BybitError {
  if (error instanceof BybitError) return error;
  log.error(error, "the simulator failed");
  return new BybitError(RetCode.serverError, "System error. Please try again later.");
}
