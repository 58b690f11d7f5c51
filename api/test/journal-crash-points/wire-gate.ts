import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { freePorts } from "../../../hack/control-plane/free-ports.ts";

/** What stays at the gate: a question before Postgres hears it, or the answer before the journal does. */
interface Hold {
  readonly what: "question" | "answer";
  /** All of them are in the question. */
  readonly words: readonly string[];
  readonly reached: () => void;
}

/**
 * Stands between the journal and Postgres, and keeps what it was told to keep until either of them is gone. Each hold is for once:
 * the next attempt passes.
 */
export async function startWireGate(databaseUrl: string) {
  const upstream = new URL(databaseUrl);
  const holds = new Set<Hold>();
  const sockets = new Set<Socket>();

  function holdOn(question: Buffer): Hold | undefined {
    const text = question.toString("latin1");
    const hold = [...holds].find(({ words }) => words.every((word) => text.includes(word)));
    if (hold !== undefined) holds.delete(hold);
    return hold;
  }

  function serve(journal: Socket): void {
    const postgres = connect(Number(upstream.port), upstream.hostname);
    let held: Hold | undefined;
    journal.on("data", (question) => {
      if (held !== undefined) return;
      held = holdOn(question);
      if (held?.what === "question") held.reached();
      else postgres.write(question);
    });
    postgres.on("data", (answer) => {
      if (held === undefined) journal.write(answer);
      else held.reached();
    });
    for (const [one, other] of [
      [journal, postgres],
      [postgres, journal],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {}); // killed, as is the plan
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  }

  const server = createServer(serve);
  const [port = 0] = await freePorts(1);
  await once(server.listen(port, "127.0.0.1"), "listening");
  const url = new URL(databaseUrl);
  url.port = String(port);
  return {
    url: url.href,
    /** Resolves when what is to be kept has come. */
    hold: (what: Hold["what"], words: readonly string[]) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      holds.add({ what, words, reached: resolve });
      return promise;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await once(server.close(), "close");
    },
  };
}
export type WireGate = Awaited<ReturnType<typeof startWireGate>>;
