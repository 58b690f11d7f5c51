import type { Settings } from "./settings.ts";

/** Bybit's windows (https://bybit-exchange.github.io/docs/v5/rate-limit): per second, account and endpoint; per 5 s and address. */
const ENDPOINT_WINDOW_MS = 1_000;
const ADDRESS_WINDOW_MS = 5_000;
const MAX_WINDOWS = 100_000;

export interface LimitReading {
  readonly limit: number;
  /** Requests left in the window; below zero when this one was too many. */
  readonly remaining: number;
  /** When the window has room again, server time; now while it has. */
  readonly resetMs: number;
}

/** Counts requests against the limits in the settings. */
export class RateLimits {
  readonly #windows = new Map<string, number[]>();
  readonly #bannedUntilMs = new Map<string, number>();

  /** Counts a request of an address; true while it is banned, from the request that is too many on. */
  isBanned(address: string, settings: Settings, nowMs: number): boolean {
    if (settings.requestsPer5Seconds === null) return false;
    if (nowMs < (this.#bannedUntilMs.get(address) ?? 0)) return true;
    const sent = this.#window(address, nowMs - ADDRESS_WINDOW_MS);
    sent.push(nowMs);
    if (sent.length <= settings.requestsPer5Seconds) return false;
    this.#bannedUntilMs.set(address, nowMs + settings.banMs);
    return true;
  }

  /** Counts a request of `caller` to `endpoint`; undefined without a limit. A request that is too many does not count. */
  read(
    request: { readonly caller: string; readonly endpoint: string },
    settings: Settings,
    nowMs: number,
  ): LimitReading | undefined {
    const limit = settings.requestsPerSecond;
    if (limit === null) return undefined;
    const sent = this.#window(`${request.caller} ${request.endpoint}`, nowMs - ENDPOINT_WINDOW_MS);
    const remaining = limit - sent.length - 1;
    if (remaining >= 0) sent.push(nowMs);
    const resetMs = remaining >= 0 ? nowMs : (sent[0] ?? nowMs) + ENDPOINT_WINDOW_MS;
    return { limit, remaining, resetMs };
  }

  /** When requests came since `sinceMs`, oldest first. */
  #window(name: string, sinceMs: number): number[] {
    const window = (this.#windows.get(name) ?? []).filter((ms) => ms > sinceMs);
    if (this.#windows.size >= MAX_WINDOWS) this.#windows.clear();
    this.#windows.set(name, window);
    return window;
  }
}
