import { expect, test } from "vitest";
import { createServer } from "./server.ts";

test("a client that sends far too much still reads why it is refused", async () => {
  const server = createServer({ log: { level: "silent" }, bodyBytesMax: 1_000_000 });
  server.post("/", async () => "taken");
  const url = await server.listen({ host: "127.0.0.1", port: 0 });
  try {
    for (const _ of Array.from({ length: 5 })) {
      const body = JSON.stringify("x".repeat(10_000_000));
      const headers = { "content-type": "application/json" };
      const response = await fetch(url, { method: "POST", headers, body });
      expect(response.status).toBe(413);
      expect(await response.json()).toMatchObject({ code: "body_too_large", status: 413 });
    }
  } finally {
    await server.close();
  }
});
