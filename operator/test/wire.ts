import { connect, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";

interface Connection {
  readonly near: Socket;
  readonly far: Socket;
  /** What the wire has not carried yet, towards the server and back. */
  readonly held: { readonly to: Socket; readonly bytes: Buffer }[];
  /** Made while the wire was cut: the other side has never heard of it. */
  readonly isStillborn: boolean;
}

/**
 * Carries bytes between a process and a server, and can be cut as a network is: nobody is told of it, what is sent meanwhile stays
 * on its way, and arrives when the network is whole again; unless the process has reset the connection, which takes back what
 * has not arrived.
 */
export class Wire {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #isCut = false;

  private constructor(port: number) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => this.#carry(near, port));
  }

  /** @param port of the server on loopback */
  static async lay(port: number): Promise<Wire> {
    const wire = new Wire(port);
    wire.#server.listen(0, "127.0.0.1");
    await once(wire.#server, "listening");
    return wire;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not a TCP server");
    return address.port;
  }

  cut(): void {
    this.#isCut = true;
  }

  heal(): void {
    this.#isCut = false;
    for (const connection of this.#connections) {
      if (connection.isStillborn) connection.near.resetAndDestroy();
      for (const { to, bytes } of connection.held.splice(0)) to.write(bytes);
      if (connection.near.readableEnded) connection.far.end();
    }
  }

  async close(): Promise<void> {
    for (const { near, far } of this.#connections) for (const end of [near, far]) end.destroy();
    await once(this.#server.close(), "close");
  }

  #carry(near: Socket, port: number): void {
    const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const connection: Connection = { near, far, held: [], isStillborn: this.#isCut };
    this.#connections.add(connection);
    this.#carryFrom(near, far, connection);
    this.#carryFrom(far, near, connection);
    near.once("close", () => {
      this.#connections.delete(connection);
      far.destroy();
    });
    far.once("close", () => {
      if (!this.#isCut) near.destroy();
    });
  }

  #carryFrom(from: Socket, to: Socket, { held }: Connection): void {
    from.on("data", (bytes: Buffer) => {
      if (this.#isCut) held.push({ to, bytes });
      else to.write(bytes);
    });
    from.once("end", () => {
      if (!this.#isCut) to.end();
    });
    from.on("error", () => from.destroy());
  }
}
