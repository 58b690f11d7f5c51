import { expect, test } from "vitest";
import { createObjectStore } from "./object-store.ts";

interface View {
  readonly name: string;
  readonly owner: string | undefined;
}

function storeOf(count: number) {
  const store = createObjectStore<View>({ indexes: { owner: ({ owner }) => owner } });
  for (let number = 1; number <= count; number++) put(store, String(number), "a");
  return store;
}

function put(store: ReturnType<typeof storeOf>, name: string, owner: string | undefined): void {
  store.put({ key: name, uid: name, resourceVersion: "1" }, { name, owner });
}

function namesOf(views: Iterable<View>): string[] {
  return Array.from(views, ({ name }) => name).toSorted((a, b) => Number(a) - Number(b));
}

// Few keys under one value are a list, many a set.
test.each([1, 2, 8, 9, 40])("%d views under one value are found until they go", (count) => {
  const store = storeOf(count);
  put(store, "1", "a"); // what is put again is there once
  const names = Array.from({ length: count }, (_, at) => String(at + 1));
  expect(namesOf(store.find("owner", "a"))).toEqual(names);
  put(store, "1", "b");
  expect(namesOf(store.find("owner", "a"))).toEqual(names.slice(1));
  expect(namesOf(store.find("owner", "b"))).toEqual(["1"]);
  put(store, "1", undefined);
  expect(namesOf(store.find("owner", "b"))).toEqual([]);
  for (const name of names) store.remove(name);
  expect(namesOf(store.find("owner", "a"))).toEqual([]);
  expect(store.size()).toBe(0);
});

test.each([3, 40])("of %d views none is missed while those that were seen go", (count) => {
  const store = storeOf(count);
  const seen: string[] = [];
  for (const { name } of store.find("owner", "a")) {
    seen.push(name);
    store.remove(name);
  }
  expect(seen).toHaveLength(count);
});

type Store = ReturnType<typeof storeOf>;

test.each([
  { what: "all views", through: (store: Store) => store.views() },
  { what: "the views under a value", through: (store: Store) => store.find("owner", "a") },
])("whoever goes through $what meets each once, though they change meanwhile", ({ through }) => {
  const store = storeOf(40);
  const met: string[] = [];
  for (const { name } of through(store)) {
    met.push(name);
    if (met.length <= 40) put(store, name, "a");
  }
  expect(met).toEqual(Array.from({ length: 40 }, (_, at) => String(at + 1)));
});
