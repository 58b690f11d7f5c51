import { z } from "zod";
import { BybitError, RetCode } from "../bybit-error.ts";
import type { Exchange } from "../exchange.ts";
import type { Fault, Faults } from "../faults.ts";
import type { LimitReading, RateLimits } from "../rate-limits.ts";
import { answerRequest, type ApiRequest, endpoints, type Envelope } from "./answer.ts";

type Headers = Readonly<Record<string, string>>;

interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What becomes of a request on its way back to the caller. */
export type Delivery =
  | Answer
  /** No answer, ever, on a connection that lives. */
  | { readonly kind: "hang" }
  /** The connection is reset. */
  | { readonly kind: "reset" }
  /** The connection ends after `text`, the beginning of `whole`. */
  | { readonly kind: "truncated"; readonly text: string; readonly whole: string }
  /** Nothing comes after `text`, the beginning of `whole`, on a connection that lives. */
  | { readonly kind: "stalled"; readonly text: string; readonly whole: string }
  /** Nothing for `ms`; then what `next` gives. */
  | { readonly kind: "wait"; readonly ms: number; readonly next: () => Delivery };

const JSON_TYPE: Headers = { "content-type": "application/json; charset=utf-8" };
/** Bybit's limit for orders. */
const ORDERS_PER_SECOND = 10;
const HTML_TYPE: Headers = { "content-type": "text/html" };

/** Messages that Bybit sends with codes that only faults give. */
const messages: Readonly<Record<number, string>> = {
  10000: "Server Timeout",
  10006: "Too many visits!",
  10016: "Server error.",
};
/** What Bybit's gateway sends instead of an envelope. */
const pages: Readonly<Record<number, string>> = {
  // https://bybit-exchange.github.io/docs/v5/rate-limit
  403: "403, access too frequent",
};

export interface DeliveryParts {
  readonly exchange: Exchange;
  readonly faults: Faults;
  readonly rateLimits: RateLimits;
}

/** A request as it comes to the exchange's gateway. */
export interface GatewayRequest extends ApiRequest {
  readonly apiKey: string;
  /** Where it comes from. */
  readonly address: string;
}

/**
 * Lets the exchange answer a request under its limits and its state, or spoils it as the faults ask: without time passing and
 * without a connection.
 */
export function deliver(request: GatewayRequest, parts: DeliveryParts): Delivery {
  const { exchange, faults, rateLimits } = parts;
  const nowMs = exchange.clock.now();
  if (rateLimits.isBanned(request.address, exchange.settings(), nowMs)) return httpFailure(403);
  const fault = faults.take({
    endpoint: request.endpoint,
    apiKey: request.apiKey,
    ...orderFacts(request),
  });
  const accept = (): Answer => {
    const reading = limitReading(request, parts);
    const headers = reading === undefined ? {} : limitHeaders(reading);
    if (reading !== undefined && reading.remaining < 0) {
      return answerOf(refusal(RetCode.tooManyVisits, exchange.clock.now()), headers);
    }
    if (exchange.settings().maintenance && isPrivate(request)) {
      // "Service is restarting" is https://bybit-exchange.github.io/docs/v5/error on 10016; there is no code of its own.
      return answerOf(refusal(RetCode.serverError, exchange.clock.now()), headers);
    }
    const envelope = answerRequest(request, exchange);
    if (fault !== undefined && "hideMs" in fault && fault.hideMs !== undefined) {
      hideOrder(envelope, { request, exchange, hideMs: fault.hideMs });
    }
    return answerOf(envelope, headers);
  };
  return fault === undefined ? accept() : spoil(fault, accept, nowMs);
}

function isPrivate({ endpoint }: GatewayRequest): boolean {
  return endpoints[endpoint]?.access !== "public";
}

/** Counts a private request against its account's limit. */
function limitReading(
  request: GatewayRequest,
  { exchange, rateLimits }: DeliveryParts,
): LimitReading | undefined {
  if (!isPrivate(request)) return undefined;
  const userId = exchange.findKey(request.apiKey)?.account.userId;
  const caller = userId === undefined ? request.apiKey : `${userId}`;
  const counted = { caller, endpoint: request.endpoint };
  return rateLimits.read(counted, exchange.settings(), exchange.clock.now());
}

function refusal(retCode: number, nowMs: number): Envelope {
  return { retCode, retMsg: messages[retCode] ?? "", result: {}, retExtInfo: {}, time: nowMs };
}

export function answerOf(envelope: Envelope, headers: Headers = {}): Answer {
  return {
    kind: "answer",
    status: 200,
    headers: { ...JSON_TYPE, ...headers },
    text: JSON.stringify(envelope),
  };
}

function spoil(fault: Fault, accept: () => Answer, nowMs: number): Delivery {
  if ("when" in fault && fault.kind !== "delay" && fault.when === "after") accept();
  switch (fault.kind) {
    case "hang":
    case "reset":
      return { kind: fault.kind };
    case "truncate":
      return { kind: "truncated", ...halfOf(accept()) };
    case "stall":
      return { kind: "stalled", ...halfOf(accept()) };
    case "empty":
      return { kind: "answer", status: 200, headers: JSON_TYPE, text: "" };
    case "retCode":
      return falseRefusal(fault, nowMs);
    case "http":
      return httpFailure(fault.status);
    case "delay": {
      if (fault.when === "before") return { kind: "wait", ms: fault.ms, next: accept };
      const answer = accept();
      return { kind: "wait", ms: fault.ms, next: () => answer };
    }
    case "twice":
      accept();
      return accept();
    case "hide":
      return accept();
    case "silence":
    case "duplicate":
    case "reorder":
      throw new Error(`${fault.kind} is a fault of streams`);
    default:
      return fault satisfies never;
  }
}

function halfOf({ text: whole }: Answer) {
  return { text: whole.slice(0, Math.floor(whole.length / 2)), whole };
}

function falseRefusal(fault: Extract<Fault, { kind: "retCode" }>, nowMs: number): Answer {
  const { retCode, retMsg } = fault;
  const envelope = refusal(retCode, nowMs);
  const spent = { limit: ORDERS_PER_SECOND, remaining: 0, resetMs: nowMs + 1_000 };
  return answerOf(
    retMsg === undefined ? envelope : { ...envelope, retMsg },
    retCode === RetCode.tooManyVisits ? limitHeaders(spent) : {},
  );
}

/** https://bybit-exchange.github.io/docs/v5/rate-limit: the limit, what is left of it, and when it is whole again. */
function limitHeaders({ limit, remaining, resetMs }: LimitReading): Headers {
  return {
    "x-bapi-limit": `${limit}`,
    "x-bapi-limit-status": `${Math.max(0, remaining)}`,
    "x-bapi-limit-reset-timestamp": `${resetMs}`,
  };
}

function httpFailure(status: number): Answer {
  const text = pages[status] ?? `<html><body><h1>${status}</h1></body></html>`;
  return { kind: "answer", status, headers: HTML_TYPE, text };
}

const OrderFacts = z.object({
  side: z.enum(["Buy", "Sell"]).optional(),
  reduceOnly: z.boolean().default(false),
});

/** Side and reduceOnly of an order; nothing for requests that cannot be read or have neither. */
function orderFacts(request: ApiRequest): Partial<z.infer<typeof OrderFacts>> {
  try {
    return OrderFacts.safeParse(request.parameters()).data ?? {};
  } catch (error) {
    if (error instanceof BybitError) return {};
    throw error;
  }
}

const Made = z.object({ orderId: z.string() });

function hideOrder(
  envelope: Envelope,
  hiding: {
    readonly request: ApiRequest;
    readonly exchange: Exchange;
    readonly hideMs: number;
  },
): void {
  const made = Made.safeParse(envelope.result);
  if (!made.success) return;
  const untilMs = hiding.exchange.clock.now() + hiding.hideMs;
  hiding.request.authenticate().account.hiddenOrders.set(made.data.orderId, untilMs);
}
