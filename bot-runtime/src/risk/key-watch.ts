import type { BotConfig } from "@tradingbots/crds";
import { type Log, messageOf } from "../bot/log.ts";
import type { Clock } from "../clock.ts";
import {
  type Exchange,
  isExchangeFault,
  isPassing,
  type KeyDescription,
} from "../exchange/exchange.ts";
import { isRealMoney, keyRefusal } from "./key-checks.ts";
import type { Refusal } from "./gate.ts";

/** Rights can be given to a key at the exchange while a bot runs. */
const ASK_EVERY_MS = 600_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
const MESSAGE_MAX = 300;

const UNCHECKED: Refusal = {
  reason: "KeyUnchecked",
  message: "the exchange has not said yet what the key may do",
};

export interface KeyWatchOptions {
  readonly exchange: Pick<Exchange, "describeKey">;
  readonly config: () => BotConfig;
  readonly clock: Pick<Clock, "nowMs" | "monotonicMs">;
  readonly log: Log;
  /** Called when an answer may have changed the refusal. */
  readonly changed: () => void;
}

/**
 * Looks at the key before the first order of the process, and again while it runs: `verify` saw it once, its owner can change
 * it at any time. A paper bot has none.
 */
export class KeyWatch {
  readonly #options: KeyWatchOptions;
  #key: KeyDescription | undefined;
  #refused: Refusal | undefined = UNCHECKED;
  #dueMs = -Infinity;
  #failures = 0;
  #asking = false;

  constructor(options: KeyWatchOptions) {
    this.#options = options;
  }

  /** Asks when it is time to. */
  tick(): void {
    const { clock, config } = this.#options;
    if (this.#asking || config().mode === "paper" || clock.monotonicMs() < this.#dueMs) return;
    this.#asking = true;
    void this.#ask().finally(() => {
      this.#asking = false;
      this.#options.changed();
    });
  }

  /** Why nothing may be opened with this key; undefined when it is fit, by the configuration and the time as they are now. */
  get refusal(): Refusal | undefined {
    const config = this.#options.config();
    if (config.mode === "paper") return undefined;
    if (this.#key === undefined) return this.#refused;
    const message = this.otherAccount ?? this.#unnamedAccount;
    if (message !== undefined) return { reason: "WrongAccount", message };
    const use = { realMoney: isRealMoney(config), nowMs: this.#options.clock.nowMs() };
    const unfit = keyRefusal(this.#key, use);
    return unfit && { reason: "KeyUnfit", message: unfit.message };
  }

  /** The sentence when the key belongs to another account of the exchange than the one that was connected. */
  get otherAccount(): string | undefined {
    const { exchangeAccountId: wanted } = this.#options.config();
    const shown = this.#key?.accountId;
    if (shown === undefined || wanted === null || shown === wanted) return undefined;
    return "the key belongs to another account of the exchange than the one that was connected: positions and orders of this bot are there; store a key of that account";
  }

  /** Nothing is opened then; what is open is looked after, because it proves no other account. */
  get #unnamedAccount(): string | undefined {
    const { exchangeAccountId: wanted } = this.#options.config();
    if (this.#key === undefined || wanted === null || this.#key.accountId !== undefined)
      return undefined;
    return "the exchange does not say which account the key belongs to";
  }

  async #ask(): Promise<void> {
    const { exchange, clock, log } = this.#options;
    try {
      this.#key = await exchange.describeKey();
      this.#failures = 0;
      this.#dueMs = clock.monotonicMs() + ASK_EVERY_MS;
    } catch (error) {
      const pauseMs = Math.min(RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10), RETRY_MAX_MS);
      this.#failures += 1;
      this.#dueMs = clock.monotonicMs() + pauseMs;
      log.warn("key-not-described", { message: messageOf(error) });
      // Of a key that was fit the traders' own requests tell when it is refused.
      if (isExchangeFault(error) && !isPassing(error)) {
        this.#refused = { reason: "KeyUnfit", message: error.message.slice(0, MESSAGE_MAX) };
      }
    }
  }
}
