import { expect, test } from "vitest";
import { payloads } from "./announcer.ts";

test("ids travel in as few payloads as fit below Postgres' 8,000 bytes", () => {
  expect(payloads([])).toEqual([]);
  expect(payloads(["bot-a", "bot-b"])).toEqual(["bot-a,bot-b"]);
  const ids = Array.from({ length: 1_000 }, (_, index) => `bot-${String(index).padStart(20, "0")}`);
  const packed = payloads(ids);
  expect(packed).toHaveLength(4);
  for (const payload of packed) expect(payload.length).toBeLessThan(8_000);
  expect(packed.flatMap((payload) => payload.split(","))).toEqual(ids);
});
