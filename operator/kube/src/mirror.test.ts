import { expect, test } from "vitest";
import { createMirror } from "./mirror.ts";
import { NAMESPACES, type Namespace } from "./resource.ts";

interface View {
  readonly name: string;
  readonly team: string | undefined;
}

function object(name: string, version: number, more: { uid?: string; team?: string } = {}) {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name,
      uid: more.uid ?? `uid-${name}`,
      resourceVersion: String(version),
      ...(more.team === undefined ? {} : { labels: { team: more.team } }),
    },
  };
}

function mirrorOf() {
  const told: string[] = [];
  const mirror = createMirror<Namespace, View>({
    resource: NAMESPACES,
    project: ({ metadata }) => ({ name: metadata?.name ?? "", team: metadata?.labels?.["team"] }),
    indexes: { team: (view) => view.team },
    handlers: {
      onUpsert: (view, previous, origin) =>
        void told.push(`${origin} ${previous === undefined ? "new" : "changed"} ${view.name}`),
      onDelete: (view) => void told.push(`gone ${view.name}`),
    },
    onInvalid: (key) => void told.push(`invalid ${key}`),
  });
  return { told, mirror };
}

function filled(...objects: ReturnType<typeof object>[]) {
  const { told, mirror } = mirrorOf();
  const fill = mirror.startFill();
  for (const each of objects) fill.add(each);
  fill.finish("10");
  told.length = 0;
  return { told, mirror };
}

test("a fill tells what is new, what changed and what is gone, and nothing of what stayed", () => {
  const { told, mirror } = filled(object("stays", 1), object("changes", 2), object("goes", 3));
  const fill = mirror.startFill();
  fill.add(object("stays", 1));
  fill.add(object("changes", 12));
  fill.add(object("comes", 11));
  fill.finish("13");
  expect(told).toEqual(["fill changed changes", "fill new comes", "gone goes"]);
});

test("an own write shows at once, and the watch's echo of it tells nothing", () => {
  const { told, mirror } = filled();
  mirror.observe(object("mine", 11));
  mirror.upsert(object("mine", 11), "watch");
  mirror.upsert(object("mine", 12), "watch");
  expect(told).toEqual(["own new mine", "watch changed mine"]);
});

test("a fill that began before an own write does not take it away", () => {
  const { told, mirror } = filled();
  const fill = mirror.startFill();
  mirror.observe(object("mine", 21));
  fill.finish("20");
  expect(told).toEqual(["own new mine"]);
});

test("a late answer does not bring back what the watch saw go", () => {
  const { told, mirror } = filled();
  mirror.upsert(object("brief", 11), "watch");
  mirror.remove(object("brief", 12));
  mirror.advance("12");
  mirror.observe(object("brief", 11));
  expect(told).toEqual(["watch new brief", "gone brief"]);
  expect(mirror.store.size()).toBe(0);
});

test("another incarnation of a name is an end and a beginning", () => {
  const { told, mirror } = filled(object("twice", 1, { uid: "first" }));
  mirror.upsert(object("twice", 11, { uid: "second" }), "watch");
  mirror.remove(object("twice", 5, { uid: "first" }));
  expect(told).toEqual(["gone twice", "watch new twice"]);
  expect(mirror.store.get("twice")).toBeDefined();
});

test("indexes follow changes", () => {
  const { mirror } = filled(object("a", 1, { team: "red" }), object("b", 2, { team: "red" }));
  mirror.upsert(object("b", 11, { team: "blue" }), "watch");
  const names = (team: string) => [...mirror.store.find("team", team)].map((view) => view.name);
  expect({ red: names("red"), blue: names("blue") }).toEqual({ red: ["a"], blue: ["b"] });
  mirror.remove(object("a", 12));
  expect(names("red")).toEqual([]);
});

test("an object of another shape is reported and passed over", () => {
  const { told, mirror } = filled();
  mirror.upsert({ ...object("strange", 11), kind: "Other" }, "watch");
  mirror.upsert(object("good", 12), "watch");
  expect(told).toEqual(["invalid strange", "watch new good"]);
});
