import {
  type BotRequest,
  type RecordBody,
  REQUESTS_MAX,
  REQUESTS_REMEMBERED,
  type Report,
  type RequestResult,
} from "@tradingbots/crds";
import { storable } from "./records.ts";

const REASON_MAX = 64;

/** What became of a request. `reason` says why it was refused. */
export interface RequestEnd {
  readonly status: "done" | "refused" | "expired";
  readonly reason?: string;
  readonly message: string;
  readonly orderId?: string | undefined;
}

/** What is known of the requests of a bot: which have begun, and what became of them. The journal is told of each step once. */
export class RequestLog {
  readonly #record: (body: RecordBody) => void;
  readonly #nowMs: () => number;
  /** Oldest first. */
  readonly #known = new Map<string, RequestResult>();
  #newest: Report["requests"];
  #isRemembered = false;

  constructor(deps: { readonly record: (body: RecordBody) => void; readonly nowMs: () => number }) {
    this.#record = deps.record;
    this.#nowMs = deps.nowMs;
  }

  /** The journal has told what earlier processes did: before that nobody knows what is not to be done again. */
  get isRemembered(): boolean {
    return this.#isRemembered;
  }

  /** For reports; undefined when there was no request. */
  get newest(): Report["requests"] {
    return this.#newest;
  }

  /** Those that have begun, here or in an earlier process, and whose end nobody has told. */
  get begun(): readonly RequestResult[] {
    return [...this.#known.values()].filter(({ status }) => status === "begun");
  }

  /** An end that this process has told stands, and is told once more to a journal that has not heard it or has lost it. */
  remember(results: readonly RequestResult[]): void {
    this.#isRemembered = true;
    for (const result of results) {
      const told = this.isOver(result.id) ? this.#known.get(result.id) : undefined;
      if (told === undefined || result.status !== "begun") this.#keep(result);
      else this.#record({ type: "request", result: told });
    }
  }

  isKnown(id: string): boolean {
    return this.#known.has(id);
  }

  /** Its end is told. */
  isOver(id: string): boolean {
    const known = this.#known.get(id);
    return known !== undefined && known.status !== "begun";
  }

  /** `orderId` is of the entry that it closes or cancels. */
  begin(request: BotRequest | RequestResult, orderId?: string): void {
    if (this.isKnown(request.id)) return;
    this.#tell(request, { status: "begun", message: "the bot is doing it", orderId });
  }

  end(request: BotRequest | RequestResult, end: RequestEnd): void {
    if (!this.isOver(request.id)) this.#tell(request, end);
  }

  #tell(
    { id, action, symbol, side }: BotRequest | RequestResult,
    said: Omit<RequestEnd, "status"> & Pick<RequestResult, "status">,
  ): void {
    const result: RequestResult = {
      id,
      action,
      symbol,
      side: side ?? null,
      status: said.status,
      reason: said.reason?.slice(0, REASON_MAX) ?? null,
      message: storable(said.message),
      orderId: said.orderId ?? null,
      at: this.#known.get(id)?.at ?? new Date(this.#nowMs()).toISOString(),
    };
    this.#keep(result);
    this.#record({ type: "request", result });
  }

  #keep(result: RequestResult): void {
    this.#known.set(result.id, result);
    for (const [id, { status }] of this.#known) {
      if (this.#known.size <= REQUESTS_REMEMBERED) break;
      if (status !== "begun") this.#known.delete(id);
    }
    this.#newest = [...this.#known.values()]
      .slice(-REQUESTS_MAX)
      .map(({ id, status, reason }) => ({ id, status, reason }));
  }
}
