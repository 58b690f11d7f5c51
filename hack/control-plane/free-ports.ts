import { createServer } from "node:net";
import { once } from "node:events";

/**
 * Loopback ports that were free a moment ago. Held open together, so they differ from each other; whoever takes one has
 * to expect that, rarely, somebody else was faster.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no TCP port was given");
    return address.port;
  });
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
