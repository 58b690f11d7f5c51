import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startDatabase } from "../../../api/test/database.ts";
import { measureLoginStorm } from "../api/login-storm.ts";
import { startServer } from "../api/server-process.ts";
import { measureSockets } from "../api/sockets.ts";

// Programs start one after the other: on a machine that is busy this takes many times as long as by itself.
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

test(
  "far more log-ins than bcrypt can judge are judged or told when to come back, and then it judges again",
  async () => {
    await using stack = new AsyncDisposableStack();
    const database = stack.adopt(await startDatabase(), (open) => open.stop());
    const directory = await mkdtemp(join(tmpdir(), "storms-"));
    stack.defer(() => rm(directory, { recursive: true }));
    const server = await startServer(database, join(directory, "server.log"));
    stack.defer(() => server.stop());
    // It throws for a refusal that names no time, for any other answer, and when nobody is judged after the storm.
    const [refusals] = await measureLoginStorm(server, 2_000);
    expect(refusals?.how).toMatch(/ 400 log-ins in 2 s, .* [1-9]\d* sent away with Retry-After/);
  },
  LIMIT_MS,
);
