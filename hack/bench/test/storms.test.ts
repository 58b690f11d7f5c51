import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startDatabase } from "../../../api/test/database.ts";
import { measureSockets } from "../api/sockets.ts";

// Five programs start one after the other: on a machine that is busy this takes many times as long as by itself.
const LIMIT_MS = 180_000;

test(
  "whoever listened to a server that is killed comes back and has missed nothing",
  async () => {
    await using stack = new AsyncDisposableStack();
    const database = stack.adopt(await startDatabase(), (open) => open.stop());
    const directory = await mkdtemp(join(tmpdir(), "storms-"));
    stack.defer(() => rm(directory, { recursive: true }));
    const run = { replicas: 2, each: 120, tellingMs: 500, floor: "not weighed" };
    // It throws for an event that is lost or comes twice, and for a listener that does not come back.
    const figures = await measureSockets(database, directory, run);
    const back = figures.find(({ key }) => key === "reconnect_storm_s");
    expect(back?.how).toContain("250 events of 250, in order");
  },
  LIMIT_MS,
);
