import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { z } from "zod";
import { WebSocketServer } from "ws";
import { readFileSync } from "node:fs";
import { weightAfterCollection } from "./weight.ts";

/** What a WebSocket weighs without an API around it: a bare connection after its handshake, or a library's. Tells its parent the port. */
const Settings = z.object({ kind: z.enum(["bare", "library"]) });
const { kind } = Settings.parse(JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")));
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, section 1.3

const server = createServer();
const held = new Set<object>();
if (kind === "bare") {
  server.on("upgrade", ({ headers }, socket) => {
    const key = headers["sec-websocket-key"] ?? "";
    const accept = createHash("sha1").update(`${key}${GUID}`).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.resume();
    held.add(socket);
  });
} else {
  const library = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false });
  library.on("connection", (socket) => void held.add(socket));
}
await once(server.listen(0, "127.0.0.1"), "listening");
const address = server.address();
if (address === null || typeof address === "string") throw new Error("not a TCP server");
process.send?.({ port: address.port });
process.on("disconnect", () => process.exit());
process.on("message", () => {
  process.send?.(weightAfterCollection());
});
