import { z } from "zod";
import { BybitError } from "../bybit-error.ts";
import type { Exchange } from "../exchange.ts";
import type { Fault, Faults } from "../faults.ts";
import { answerRequest, type ApiRequest, type Envelope } from "./answer.ts";

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
  /** Nothing for `ms`; then what `next` gives. */
  | { readonly kind: "wait"; readonly ms: number; readonly next: () => Delivery };

const JSON_TYPE: Headers = { "content-type": "application/json; charset=utf-8" };
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

interface DeliveryParts {
  readonly exchange: Exchange;
  readonly faults: Faults;
}

/** Lets the exchange answer a request, or spoils it as the faults ask: without time passing and without a connection. */
export function deliver(
  request: ApiRequest & { readonly apiKey: string },
  { exchange, faults }: DeliveryParts,
): Delivery {
  const fault = faults.take({
    endpoint: request.endpoint,
    apiKey: request.apiKey,
    ...orderFacts(request),
  });
  const accept = (): Answer => {
    const envelope = answerRequest(request, exchange);
    if (fault !== undefined && "hideMs" in fault && fault.hideMs !== undefined) {
      hideOrder(envelope, { request, exchange, hideMs: fault.hideMs });
    }
    return answerOf(envelope);
  };
  return fault === undefined ? accept() : spoil(fault, accept, exchange.clock.now());
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
    case "truncate": {
      const whole = accept().text;
      return { kind: "truncated", text: whole.slice(0, Math.floor(whole.length / 2)), whole };
    }
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

function falseRefusal(fault: Extract<Fault, { kind: "retCode" }>, nowMs: number): Answer {
  const { retCode, retMsg = messages[retCode] ?? "" } = fault;
  const envelope = { retCode, retMsg, result: {}, retExtInfo: {}, time: nowMs };
  return answerOf(envelope, retCode === 10006 ? spentLimit(nowMs) : {});
}

/** https://bybit-exchange.github.io/docs/v5/rate-limit: the limit, what is left of it, and when it is whole again. */
function spentLimit(nowMs: number): Headers {
  return {
    "x-bapi-limit": "10",
    "x-bapi-limit-status": "0",
    "x-bapi-limit-reset-timestamp": `${nowMs + 1_000}`,
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
