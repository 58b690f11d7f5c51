import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { json } from "node:stream/consumers";
import {
  type Intent,
  IntentRequest,
  RecordBatch,
  type RecordBody,
  type Report,
  type SessionAnswer,
  type Trade,
} from "@tradingbots/crds";

/** How the journal behaves at the moment. */
export type JournalMode = "up" | "down" | "silent-after-intent";

const UNKNOWN_SESSION = { status: 409, body: { code: "unknown_session" } };

/**
 * The journal protocol of crds over memory, for one bot. Bearer tokens are pod uids. The real one is Postgres-backed and has
 * its own tests; e2e runs bots against it.
 */
export class JournalServer {
  mode: JournalMode = "up";
  readonly intents = new Map<string, Intent>();
  #newestEpoch = 0;
  /** Pod that each epoch was granted to. */
  readonly #pods = new Map<number, string>();
  readonly #records = new Map<string, RecordBody>();
  readonly #lastSequences = new Map<number, number>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not a TCP server");
    return `http://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Another process of the bot asks for its session: every epoch before is stale from now on. */
  takeOver(): void {
    this.#newestEpoch += 1;
  }

  /** As after a restored backup: no session of before is known. */
  forgetSessions(): void {
    this.#pods.clear();
  }

  get records(): readonly RecordBody[] {
    return [...this.#records.values()];
  }

  ofType<Type extends RecordBody["type"]>(type: Type): Extract<RecordBody, { type: Type }>[] {
    return this.records.filter(
      (body): body is Extract<RecordBody, { type: Type }> => body.type === type,
    );
  }

  /** The last word on every trade, in the order of their opening. */
  get trades(): readonly Trade[] {
    return [...new Map(this.ofType("trade").map(({ trade }) => [trade.id, trade])).values()];
  }

  get report(): Report | undefined {
    return this.ofType("report").at(-1)?.report;
  }

  get events(): readonly string[] {
    return this.ofType("event").map(({ kind, message }) => `${kind}: ${message}`);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.mode === "down") {
      request.socket.destroy();
      return;
    }
    const body: unknown = await json(request);
    const podUid = (request.headers.authorization ?? "").replace("Bearer ", "");
    const answer = this.#handle(request.url ?? "", podUid, body);
    if (answer === undefined) return;
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer.body));
  }

  #handle(
    path: string,
    podUid: string,
    body: unknown,
  ): { status: number; body: unknown } | undefined {
    if (path === "/v1/session") return { status: 200, body: this.#session(podUid) };
    if (path === "/v1/intents") return this.#intent(podUid, body);
    if (path === "/v1/records") return this.#append(podUid, body);
    return { status: 404, body: { code: "not_found" } };
  }

  #session(podUid: string): SessionAnswer {
    this.#newestEpoch += 1;
    const epoch = this.#newestEpoch;
    this.#pods.set(epoch, podUid);
    const final = new Set(
      this.ofType("order")
        .filter(({ status }) => ["filled", "cancelled", "refused"].includes(status))
        .map(({ clientOrderId }) => clientOrderId),
    );
    const baseline = this.ofType("day-baseline").at(-1);
    const closed = this.trades.filter(({ closedAt }) => closedAt !== null);
    return {
      epoch,
      lastSequence: 0,
      openTrades: this.trades.filter(({ closedAt }) => closedAt === null),
      openIntents: [...this.intents.values()].filter(
        ({ clientOrderId }) => !final.has(clientOrderId),
      ),
      errors: null,
      dayBaseline: baseline
        ? {
            day: baseline.day,
            equity: baseline.equity,
            realised: closed.reduce((sum, { pnl }) => sum + Number(pnl), 0).toFixed(8),
          }
        : null,
    };
  }

  #intent(podUid: string, body: unknown): { status: number; body: unknown } | undefined {
    const { epoch, intent } = IntentRequest.parse(body);
    if (this.#pods.get(epoch) !== podUid) return UNKNOWN_SESSION;
    if (epoch < this.#newestEpoch)
      return { status: 409, body: { code: "stale_epoch", detail: "another pod" } };
    this.intents.set(intent.clientOrderId, intent);
    if (this.mode === "silent-after-intent") return undefined;
    return { status: 200, body: { accepted: true } };
  }

  #append(podUid: string, body: unknown): { status: number; body: unknown } {
    const { epoch, records } = RecordBatch.parse(body);
    if (this.#pods.get(epoch) !== podUid) return UNKNOWN_SESSION;
    for (const { sequence, body: record } of records) {
      const key = `${epoch}/${sequence}`;
      if (!this.#records.has(key)) this.#records.set(key, record);
      this.#lastSequences.set(epoch, Math.max(sequence, this.#lastSequences.get(epoch) ?? 0));
    }
    return { status: 200, body: { lastSequence: this.#lastSequences.get(epoch) ?? 0 } };
  }
}
