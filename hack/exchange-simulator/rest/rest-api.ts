import { setTimeout } from "node:timers/promises";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { BybitError, RetCode } from "../bybit-error.ts";
import type { Exchange } from "../exchange.ts";
import { authenticate } from "../signature.ts";
import { endpoints } from "./answer.ts";
import {
  answerOf,
  deliver,
  type Delivery,
  type DeliveryParts,
  type GatewayRequest,
} from "./delivery.ts";

/** Registers Bybit's REST API: request → delivery → what the connection shows of it. */
export function registerRestApi(app: FastifyInstance, parts: DeliveryParts): void {
  for (const endpoint of Object.keys(endpoints)) {
    const [method, url = ""] = endpoint.split(" ");
    app.route({
      method: method === "POST" ? "POST" : "GET",
      url,
      handler: (request, reply) => act(deliveryOf(request, endpoint, parts), reply),
    });
  }
}

function deliveryOf(request: FastifyRequest, endpoint: string, parts: DeliveryParts): Delivery {
  try {
    return deliver(httpRequest(request, endpoint, parts.exchange), parts);
  } catch (error) {
    request.log.error(error, "the simulator failed");
    const retMsg = "System error. Please try again later.";
    const time = parts.exchange.clock.now();
    const failure = { retCode: RetCode.serverError, retMsg, result: {}, retExtInfo: {}, time };
    return answerOf(failure);
  }
}

function httpRequest(
  request: FastifyRequest,
  endpoint: string,
  exchange: Exchange,
): GatewayRequest {
  const apiKey = request.headers["x-bapi-api-key"];
  return {
    endpoint,
    address: request.ip,
    apiKey: typeof apiKey === "string" ? apiKey : "",
    parameters: () => parametersOf(request),
    authenticate: () =>
      authenticate(
        { headers: request.headers, payload: payloadOf(request), address: request.ip },
        exchange,
        exchange.clock.now(),
      ),
  };
}

async function act(delivery: Delivery, reply: FastifyReply): Promise<FastifyReply> {
  const { raw } = reply;
  switch (delivery.kind) {
    case "answer":
      return reply.code(delivery.status).headers(delivery.headers).send(delivery.text);
    case "hang":
      // Ends with the caller's connection, or with the server.
      return reply.hijack();
    case "reset":
      reply.hijack();
      raw.socket?.resetAndDestroy();
      return reply;
    case "truncated":
      reply.hijack();
      raw.writeHead(200, { "content-length": Buffer.byteLength(delivery.whole) });
      raw.write(delivery.text, () => raw.destroy());
      return reply;
    case "stalled":
      // Ends as "hang" does.
      reply.hijack();
      raw.writeHead(200, { "content-length": Buffer.byteLength(delivery.whole) });
      raw.write(delivery.text);
      return reply;
    case "wait":
      await setTimeout(delivery.ms, undefined, { ref: false });
      return act(delivery.next(), reply);
    default:
      return delivery satisfies never;
  }
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
