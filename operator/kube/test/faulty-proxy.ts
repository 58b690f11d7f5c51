import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface FaultyProxy {
  readonly port: number;
  /** Ends every connection with a TCP reset, in the middle of whatever it carries. */
  resetAll(): void;
  /** While false, new connections are reset at once. */
  setOpen(open: boolean): void;
  /** From now on nothing is passed on by the connections that there are, and nobody is told. */
  silence(): void;
  connections(): number;
  close(): Promise<void>;
}

/** A TCP proxy on loopback that breaks connections on demand; TLS passes through untouched. */
export async function startFaultyProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<FaultyProxy> {
  const sockets = new Set<Socket>();
  let open = true;
  const server = createServer((client) => {
    if (!open) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(target.port, target.host);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the proxy has no port");
  const resetAll = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: address.port,
    resetAll,
    setOpen: (value) => void (open = value),
    silence: () => {
      for (const socket of sockets) socket.unpipe().resume();
    },
    connections: () => sockets.size / 2,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      resetAll();
      await closed;
    },
  };
}
