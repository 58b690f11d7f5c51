import { expect, test } from "vitest";
import { z } from "zod";
import { cutPage, decodeCursor } from "./page.ts";

const rows = [{ id: "a" }, { id: "b" }, { id: "c" }];
const positionOf = ({ id }: { id: string }) => id;

test("a further row makes a cursor that leads to it, and the last page has none", () => {
  const { items, next } = cutPage(rows, 2, positionOf);
  expect(items).toEqual([{ id: "a" }, { id: "b" }]);
  expect(decodeCursor(next ?? "", z.string())).toBe("b");
  expect(cutPage(rows, 3, positionOf).next).toBeNull();
  expect(cutPage([], 3, positionOf)).toEqual({ items: [], next: null });
});

test.for(["", "nonsense", "bnVsbA", "W10"])("no cursor of ours: %j", (cursor) => {
  expect(() => decodeCursor(cursor, z.string())).toThrow(/is not a cursor of this list/);
});
