import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer, type ServerResponse } from "node:http";

const BUFFERED_MAX = 1024 * 1024;
/** The real journal sends one every 5 s. */
const HEARTBEAT_MS = 5_000;

export interface FakeJournal {
  readonly url: string;
  /** Replaces what every later reader is told first, and tells those that listen. */
  readonly tell: (lines: Iterable<string>) => void;
  readonly stop: () => Promise<void>;
}

/** Streams reports as the journal does: all that there are, `synced`, news, heartbeats. It asks nobody for a token. */
export async function startFakeJournal(): Promise<FakeJournal> {
  const readers = new Set<ServerResponse>();
  let known: Iterable<string> = [];
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    readers.add(response);
    response.once("close", () => readers.delete(response));
    void send(response, known).then(() => response.write('{"synced":true}\n'));
  });
  const beat = setInterval(() => {
    for (const reader of readers) reader.write('{"heartbeat":true}\n');
  }, HEARTBEAT_MS);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP port was given");
  return {
    url: `http://127.0.0.1:${address.port}`,
    tell: (lines) => {
      known = lines;
      for (const reader of readers) void send(reader, lines);
    },
    stop: async () => {
      clearInterval(beat);
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** As fast as the reader reads. */
async function send(reader: ServerResponse, lines: Iterable<string>): Promise<void> {
  for (const line of lines) {
    if (reader.destroyed) return;
    reader.write(line);
    while (reader.writableLength > BUFFERED_MAX && !reader.destroyed) await sleep(2);
  }
}
