import { expect, test } from "vitest";
import { Timeline, VirtualProcess } from "./timeline.ts";

function frozenProcess(readsFirst: boolean) {
  const timeline = new Timeline(0);
  const process = new VirtualProcess("bot", timeline, 0);
  const told: string[] = [];
  const say = (what: string) => () => void told.push(`${what} at ${timeline.nowMs}`);
  process.freeze(5_000, readsFirst);
  return { timeline, process, told, say, play: () => timeline.runUntil(10_000, () => false) };
}

test.for<[readsFirst: boolean, order: readonly string[]]>([
  [true, ["answer at 5000", "second answer at 5000", "time-out at 5000", "later at 5001"]],
  [false, ["time-out at 5000", "answer at 5000", "second answer at 5000", "later at 5001"]],
])(
  "what waited for a frozen process that reads first (%s) comes in its order",
  ([first, order]) => {
    const { timeline, process, told, say, play } = frozenProcess(first);
    timeline.arrive(2_000, say("answer"), process);
    timeline.after(1_000, say("time-out"), process);
    timeline.after(5_001, say("later"), process);
    timeline.arrive(2_000, say("second answer"), process);
    play();
    expect(told).toEqual(order);
  },
);

test("a timer that is called off after it waited for a frozen process does not fire", () => {
  const { timeline, process, told, say, play } = frozenProcess(true);
  const callOff = timeline.after(3_000, say("time-out"), process);
  timeline.arrive(
    4_000,
    () => {
      say("answer")();
      callOff();
    },
    process,
  );
  play();
  expect(told).toEqual(["answer at 5000"]);
});
