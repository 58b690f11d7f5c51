import { expect, test } from "vitest";
import { livingProcess, processIdentity, startTimeFromStat } from "./process-identity.ts";

const fields = "1 2 3 -1 4194560 8 0 0 0 1 1 0 0 20 0 1 0 0";

test.each([
  ["a plain name", `42 (etcd) S ${fields} 777 1 1`, "777"],
  ["a name with spaces and brackets", `42 (a) b (c) S ${fields} 777 1 1`, "777"],
  ["a zombie", `42 (etcd) Z ${fields} 777 1 1`, undefined],
])("start time of %s", (_name, stat, expected) => {
  expect(startTimeFromStat(stat)).toBe(expected);
});

test("only the very process that was recorded counts as living", async () => {
  const own = await processIdentity(process.pid);
  expect(await livingProcess(own ?? "")).toBe(process.pid);
  expect(await livingProcess(`${process.pid} 1`)).toBeUndefined();
  expect(await livingProcess("not a number")).toBeUndefined();
  expect(await livingProcess("1 1")).toBeUndefined();
});
