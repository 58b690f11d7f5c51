import { expect, test } from "vitest";
import { readPage } from "./list-page.ts";

const metadata = { resourceVersion: "42", continue: "more" };
const item = (name: string, more: object = {}) => ({ metadata: { name }, ...more });
const awkward = item("a", {
  data: { text: 'a "quoted" } and { a \\ and "items":[{', empty: {}, list: [{ b: [{}] }] },
});

test.each([
  { name: "of a built-in kind", list: { kind: "PodList", metadata, items: [awkward, item("b")] } },
  { name: "of a custom kind", list: { items: [awkward, item("b")], kind: "List", metadata } },
  {
    name: "whose objects hold lists of the like",
    list: { items: [item("a", { parts: [item("c"), item("d")] }), item("b")], metadata },
  },
  {
    name: "whose objects begin with different fields",
    list: { items: [item("a"), { kind: "B" }, item("c")], metadata },
  },
  { name: "with no object", list: { kind: "PodList", metadata, items: [] } },
  { name: "whose objects are no objects", list: { kind: "List", metadata, items: [1, [2]] } },
  {
    name: "whose metadata have a field of the same name",
    list: { metadata: { ...metadata, items: [{ c: 1 }] }, items: [item("b")] },
  },
])("a list $name", ({ list }) => {
  for (const text of [
    JSON.stringify(list),
    `${JSON.stringify(list)}\n`,
    JSON.stringify(list, null, 2),
  ]) {
    const { items, ...page } = readPage(text);
    expect({ ...page, items: [...items] }).toEqual({
      items: list.items,
      resourceVersion: "42",
      next: "more",
    });
  }
});

test("null is no object, and no continuation the end", () => {
  const page = readPage('{"items":null,"metadata":{"resourceVersion":"1","continue":""}}');
  expect({ ...page, items: [...page.items] }).toEqual({
    items: [],
    resourceVersion: "1",
    next: undefined,
  });
});

test("objects of a custom kind are cut apart, and their managed fields left out", () => {
  const kind = { apiVersion: "tradingbots.dev/v1alpha1", kind: "TradingBot" };
  const managedFields = ["a", "b"].map((manager) => ({ apiVersion: kind.apiVersion, manager }));
  const managed = { ...kind, metadata: { name: "a", managedFields } };
  const { items } = readPage(JSON.stringify({ items: [managed, managed], metadata }));
  // A list that is parsed as a whole keeps them.
  expect([...items]).toEqual([item("a", kind), item("a", kind)]);
});

test.each([
  ["", "JSON"],
  ["{}", "not a list"],
  ["[]", "not a list"],
  ['{"items":[{"a":1}', "JSON"],
  ['{"items":[{"a":1}],"metadata":{"resourceVersion":"1"', "JSON"],
  ['{"items":[{"a":1},{"a":],"metadata":{"resourceVersion":"1"}}', "JSON"],
])("what is cut off or no list is refused: %s", (text, message) => {
  expect(() => [...readPage(text).items]).toThrow(message);
});
