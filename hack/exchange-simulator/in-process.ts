import type { CandleSeries } from "./candles.ts";
import type { Control } from "./control.ts";
import type { ApiKey, Exchange } from "./exchange.ts";
import { createExchangeCore } from "./exchange-core.ts";
import type { PrivateStream } from "./private-stream.ts";
import type { PublicStream } from "./public-stream.ts";
import type { ReplayClock } from "./replay.ts";
import { answerRequest, type Envelope } from "./rest/answer.ts";
import { deliver, type Delivery } from "./rest/delivery.ts";
import { checkExpiry, checkReceiveWindow, validKey } from "./signature.ts";
import type { StreamSession } from "./stream-outlet.ts";

export interface InProcessOptions {
  /** What the server clock goes by, ms: a virtual clock. */
  readonly nowMs: () => number;
  /** Repeats every id and every random fault. */
  readonly seed: number;
  /** All over the same times; `loadCandles` (candles.ts) reads the committed ones. */
  readonly candles: readonly CandleSeries[];
  /** How many of them are past when the replay begins. */
  readonly historyCandles: number;
  /** Server clock minus `nowMs`, ms; 0 by default. */
  readonly skewMs?: number;
}

export interface InProcessRequest {
  /** Method and path, such as "POST /v5/order/create". */
  readonly endpoint: string;
  readonly parameters?: object;
  readonly apiKey?: string;
  /** The caller's clock when it sent a private request, ms: outside the receive window Bybit's 10002. Unchecked without it. */
  readonly timestampMs?: number;
  readonly receiveWindowMs?: number;
}

type Listener = (text: string, lateMs: number) => void;

/** The simulator in the caller's process and on the caller's clock: no HTTP, no signatures, no timers. */
export interface InProcessExchange {
  /** The true answer to a request, never spoilt by a fault. Throws for an endpoint that is not simulated. */
  readonly request: (endpoint: string, parameters?: object, apiKey?: string) => Envelope;
  /** What the caller of a request sees under the faults that are set, for the caller to act out on its own clock. */
  readonly deliver: (request: InProcessRequest) => Delivery;
  /**
   * A connection to the public stream; `onMessage` gets what the socket would, and for how long a fault holds it up, for the caller
   * to act out; `onReset` is called when a fault breaks the connection.
   */
  readonly openPublicStream: (onMessage: Listener, onReset: () => void) => StreamSession;
  /** Likewise to the private stream, which wants an auth operation first, as on the socket. */
  readonly openPrivateStream: (onMessage: Listener, onReset: () => void) => StreamSession;
  readonly control: Control;
  /** Its accounts as they are, for observers that need no text views. */
  readonly exchange: Exchange;
  /** Plays candles: the market moves by nothing else. */
  readonly step: (candles?: number) => ReplayClock;
  /** Plays a candle's open, or its inside and close. */
  readonly halfStep: () => ReplayClock;
}

export function createInProcessExchange(options: InProcessOptions): InProcessExchange {
  const core = createExchangeCore({ skewMs: 0, ...options, speed: "lockstep" });
  const { exchange, control, publicStream, privateStream } = core;
  return {
    request: (endpoint, parameters = {}, apiKey = "") =>
      answerRequest(apiRequest({ endpoint, parameters, apiKey }, exchange), exchange),
    deliver: (request) => deliver(apiRequest(request, exchange), core),
    openPublicStream: (onMessage, onReset) => connect(publicStream, onMessage, onReset),
    openPrivateStream: (onMessage, onReset) => connect(privateStream, onMessage, onReset),
    control,
    exchange,
    step: (candles) => control.step(candles),
    halfStep: () => control.halfStep(),
  };
}

/** A reset ends the session, as a broken socket would. */
function connect(
  stream: PublicStream | PrivateStream,
  onMessage: Listener,
  onReset: () => void,
): StreamSession {
  const session: StreamSession = stream.open({
    send: (text, lateMs = 0) => onMessage(text, lateMs),
    reset: () => {
      session.close();
      onReset();
    },
  });
  return session;
}

function apiRequest(request: InProcessRequest, exchange: Exchange) {
  return {
    endpoint: request.endpoint,
    apiKey: request.apiKey ?? "",
    address: "127.0.0.1",
    parameters: () => request.parameters ?? {},
    authenticate: () => authenticated(request, exchange),
  };
}

function authenticated(request: InProcessRequest, exchange: Exchange): ApiKey {
  const nowMs = exchange.clock.now();
  if (request.timestampMs !== undefined) {
    const window = request.receiveWindowMs === undefined ? "" : `${request.receiveWindowMs}`;
    checkReceiveWindow({ timestamp: `${request.timestampMs}`, window }, nowMs);
  }
  const key = validKey(request.apiKey ?? "", exchange);
  checkExpiry(key, nowMs);
  return key;
}
