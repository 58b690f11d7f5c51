import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { z } from "zod";

/** Opens WebSockets and notes how long after its `openedAt` each trade arrives. Tells its parent when all are open, and the times. */
const Settings = z.object({ port: z.int(), tokens: z.array(z.string()).min(1), count: z.int() });
const { port, tokens, count } = Settings.parse(
  JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")),
);
const AT_ONCE = 100;

let latenciesMs: number[] = [];
let gone = 0;

async function open(index: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(
    `GET /api/events HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer ${tokens[index % tokens.length] ?? ""}\r\n\r\n`,
  );
  const head = await new Promise<string>((resolve) => {
    socket.once("data", (bytes: Buffer) => resolve(bytes.toString()));
  });
  if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
  socket.on("data", (bytes: Buffer) => {
    if (bytes[0] === 0x89) socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0])); // a pong, masked with zeros
    const now = Date.now();
    for (const [, openedAt] of bytes.toString("latin1").matchAll(/"openedAt": ?"([^"]+)"/g)) {
      latenciesMs.push(now - Date.parse(openedAt ?? ""));
    }
  });
  socket.on("close", () => (gone += 1));
}

for (let index = 0; index < count; index += AT_ONCE) {
  const these = Array.from({ length: Math.min(AT_ONCE, count - index) }, (_, n) => open(index + n));
  await Promise.all(these);
}
process.send?.({ opened: count });
process.on("message", () => {
  process.send?.({ latenciesMs, gone });
  latenciesMs = [];
});
process.on("disconnect", () => process.exit());
