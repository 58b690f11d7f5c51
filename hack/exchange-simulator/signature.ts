import { createHmac, timingSafeEqual } from "node:crypto";
import { BybitError, RetCode } from "./bybit-error.ts";
import type { ApiKey } from "./exchange.ts";

/** How far ahead of the server a request's timestamp may be, ms (Bybit: `timestamp < server_time + 1000`). */
const MAX_AHEAD_MS = 1_000;
const DEFAULT_RECEIVE_WINDOW_MS = 5_000;

export interface SignedRequest {
  /** Lower-case header names, as node gives them. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Raw query string of a GET, raw body of a POST: what the client signed. */
  readonly payload: string;
  readonly address: string;
}

export interface KeyRing {
  readonly findKey: (apiKey: string) => ApiKey | undefined;
}

/** The key that signed the request, or Bybit's refusal. `nowMs` is server time. */
export function authenticate(request: SignedRequest, keys: KeyRing, nowMs: number): ApiKey {
  const apiKey = header(request, "x-bapi-api-key");
  const timestamp = header(request, "x-bapi-timestamp");
  const signature = header(request, "x-bapi-sign");
  if (apiKey === "" || timestamp === "" || signature === "") {
    throw new BybitError(
      RetCode.invalidParameter,
      `empty value: apiTimestamp[${timestamp}] apiKey[${apiKey}] apiSignature[${signature}]: openapi sign params error!`,
    );
  }
  const window = header(request, "x-bapi-recv-window");
  checkReceiveWindow({ timestamp, window }, nowMs);
  const key = validKey(apiKey, keys);
  const signed = `${timestamp}${apiKey}${window}${request.payload}`;
  if (!isSignature(signature, signed, key.apiSecret)) {
    throw new BybitError(
      RetCode.invalidSignature,
      `error sign! origin_string[${signed}], please check your signature generation algorithm.`,
    );
  }
  checkExpiry(key, nowMs);
  if (!key.ips.includes("*") && !key.ips.includes(request.address)) {
    throw new BybitError(
      RetCode.addressNotAllowed,
      "Unmatched IP, please check your API key's bound IP addresses.",
    );
  }
  return key;
}

/**
 * The key that authenticates a private stream: HMAC of "GET/realtime" and an expiry ahead of the server
 * (https://bybit-exchange.github.io/docs/v5/ws/connect). Undefined when it does not.
 */
export function streamKey(
  asked: { readonly apiKey: string; readonly expires: string; readonly signature: string },
  keys: KeyRing,
  nowMs: number,
): ApiKey | undefined {
  const key = keys.findKey(asked.apiKey);
  if (key === undefined || key.revoked || key.expiresMs <= nowMs) return undefined;
  const signed = isSignature(asked.signature, `GET/realtime${asked.expires}`, key.apiSecret);
  return signed && Number(asked.expires) > nowMs ? key : undefined;
}

/** The key of that name; Bybit's refusal when there is none, or none any more. */
export function validKey(apiKey: string, keys: KeyRing): ApiKey {
  const key = keys.findKey(apiKey);
  if (key !== undefined && !key.revoked) return key;
  throw new BybitError(RetCode.invalidKey, "API key is invalid.");
}

export function checkExpiry(key: ApiKey, nowMs: number): void {
  if (key.expiresMs > nowMs) return;
  throw new BybitError(RetCode.keyExpired, "Your api key has expired.");
}

/** `timestamp` is the caller's clock in ms as it sent it, `window` its receive window or "" for Bybit's. */
export function checkReceiveWindow(
  { timestamp, window }: { readonly timestamp: string; readonly window: string },
  nowMs: number,
): void {
  const sentMs = Number(timestamp);
  const windowMs = window === "" ? DEFAULT_RECEIVE_WINDOW_MS : Number(window);
  // Also false when either is no number.
  if (sentMs >= nowMs - windowMs && sentMs < nowMs + MAX_AHEAD_MS) return;
  throw new BybitError(
    RetCode.outsideReceiveWindow,
    "invalid request, please check your server timestamp or recv_window param. " +
      `req_timestamp[${timestamp}],server_timestamp[${nowMs}],recv_window[${windowMs}]`,
  );
}

function isSignature(signature: string, signed: string, secret: string): boolean {
  const expected = createHmac("sha256", secret).update(signed).digest();
  const given = Buffer.from(signature, "hex");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function header(request: SignedRequest, name: string): string {
  const value = request.headers[name];
  return typeof value === "string" ? value : "";
}
