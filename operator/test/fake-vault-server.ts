import { createServer, type ServerResponse } from "node:http";
import { once } from "node:events";
import { VAULT } from "@tradingbots/crds";
import { createFakeVault } from "./fake-vault.ts";

const METADATA = new RegExp(`^/v1/${VAULT.mount}/metadata/([^/]+)/([^/]+)$`);
const TOKEN_SECONDS = 3_600;

/** The fake Vault over HTTP: what the operator asks of the real one, and nothing else. */
export async function startFakeVault() {
  const vault = createFakeVault();
  const server = createServer((request, response) => {
    request.resume();
    void answer(request.method ?? "", request.url ?? "", response);
  });

  async function answer(method: string, path: string, response: ServerResponse): Promise<void> {
    const [, namespace = "", account = ""] = METADATA.exec(path) ?? [];
    if (path === `/v1/auth/${VAULT.jwtMount}/login`) {
      reply(response, 200, { auth: { client_token: "token", lease_duration: TOKEN_SECONDS } });
    } else if (namespace === "") {
      reply(response, 404, { errors: ["no such path"] });
    } else if (method === "DELETE") {
      await vault.forget(namespace, account);
      response.writeHead(204).end();
    } else {
      const version = await vault.currentVersion(namespace, account);
      if (version === undefined) reply(response, 404, { errors: [] });
      else {
        const versions = { [version]: { deletion_time: "", destroyed: false } };
        reply(response, 200, { data: { current_version: version, versions } });
      }
    }
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  return {
    ...vault,
    url: `http://127.0.0.1:${address.port}`,
    stop: async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
export type FakeVaultServer = Awaited<ReturnType<typeof startFakeVault>>;

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
