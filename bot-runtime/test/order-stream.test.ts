import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { accountOf, createWorld, endWorld, playUntil, until, untilTrading } from "./world.ts";

const HOLD_MS = 3_000;
const POSITION_LOOK = "GET /v5/position/list";

test("a held position is looked at rarely while the exchange tells of changes, and its end is heard", async () => {
  const world = await createWorld();
  const { control } = world.exchange;
  const looks = () => control.faults()[0]?.seen ?? 0;
  try {
    await world.bot.start("pod-1");
    await untilTrading(world);
    const isHeld = () => world.journal.report?.positions.length === 1;
    await playUntil(world, "a protected position is held", isHeld);
    await sleep(1_000);
    // A rule that never strikes counts what it sees.
    const match = { endpoint: POSITION_LOOK };
    control.setFaults([{ match, fault: { kind: "delay", ms: 0, when: "before" }, after: 1e6 }]);
    await sleep(HOLD_MS);
    // Four a second without the stream.
    expect(looks()).toBeLessThan(5);
    const isFlat = () => accountOf(world).positions.length === 0;
    await playUntil(world, "stop or target has ended it", isFlat);
    await until("the journal knows the end", () => world.journal.trades[0]?.closedAt !== null);
  } finally {
    await endWorld(world);
  }
});
