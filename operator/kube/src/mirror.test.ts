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

async function filled(...objects: ReturnType<typeof object>[]) {
  const { told, mirror } = mirrorOf();
  const fill = mirror.startFill();
  for (const each of objects) fill.add(each);
  await fill.finish("10");
  told.length = 0;
  return { told, mirror };
}

test("a fill tells what is new, what changed and what is gone, and nothing of what stayed", async () => {
  const { told, mirror } = await filled(
    object("stays", 1),
    object("changes", 2),
    object("goes", 3),
  );
  const fill = mirror.startFill();
  fill.add(object("stays", 1));
  fill.add(object("changes", 12));
  fill.add(object("comes", 11));
  await fill.finish("13");
  expect(told).toEqual(["fill changed changes", "fill new comes", "gone goes"]);
});

test("an own write shows at once, and the watch's echo of it tells nothing", async () => {
  const { told, mirror } = await filled();
  mirror.observe(object("mine", 11));
  mirror.upsert(object("mine", 11), "watch");
  mirror.upsert(object("mine", 12), "watch");
  expect(told).toEqual(["own new mine", "watch changed mine"]);
});

test("a fill that began before an own write does not take it away", async () => {
  const { told, mirror } = await filled();
  const fill = mirror.startFill();
  mirror.observe(object("mine", 21));
  await fill.finish("20");
  expect(told).toEqual(["own new mine"]);
});

test("a late answer does not bring back what the watch saw go", async () => {
  const { told, mirror } = await filled();
  mirror.upsert(object("brief", 11), "watch");
  mirror.remove(object("brief", 12));
  mirror.advance("12");
  mirror.observe(object("brief", 11));
  expect(told).toEqual(["watch new brief", "gone brief"]);
  expect(mirror.store.size()).toBe(0);
});

test("another incarnation of a name is an end and a beginning", async () => {
  const { told, mirror } = await filled(object("twice", 1, { uid: "first" }));
  mirror.upsert(object("twice", 11, { uid: "second" }), "watch");
  mirror.remove(object("twice", 5, { uid: "first" }));
  expect(told).toEqual(["gone twice", "watch new twice"]);
  expect(mirror.store.get("twice")).toBeDefined();
});

test("indexes follow changes", async () => {
  const { mirror } = await filled(object("a", 1, { team: "red" }), object("b", 2, { team: "red" }));
  mirror.upsert(object("b", 11, { team: "blue" }), "watch");
  const names = (team: string) => [...mirror.store.find("team", team)].map((view) => view.name);
  expect({ red: names("red"), blue: names("blue") }).toEqual({ red: ["a"], blue: ["b"] });
  mirror.remove(object("a", 12));
  expect(names("red")).toEqual([]);
});

test("an object of another shape is reported and passed over", async () => {
  const { told, mirror } = await filled();
  mirror.upsert({ ...object("strange", 11), kind: "Other" }, "watch");
  mirror.upsert(object("good", 12), "watch");
  expect(told).toEqual(["invalid strange", "watch new good"]);
});

/** What may reach a mirror that knows everything up to version 10, told by incarnation: `+x` came, `~x` changed, `-x` went. */
async function history(sequence: readonly Step[]): Promise<string> {
  const told: string[] = [];
  const mirror = createMirror<Namespace, string>({
    resource: NAMESPACES,
    project: ({ metadata }) => metadata?.uid ?? "",
    handlers: {
      onUpsert: (uid, previous) => void told.push(`${previous === undefined ? "+" : "~"}${uid}`),
      onDelete: (uid) => void told.push(`-${uid}`),
    },
  });
  await mirror.startFill().finish("10");
  for (const step of sequence) await step(mirror);
  const last = told.at(-1);
  expect(mirror.store.get("a")).toBe(last?.startsWith("-") === true ? undefined : last?.slice(1));
  return told.join(" ");
}

type Step = (mirror: ReturnType<typeof createMirror<Namespace, string>>) => void | Promise<void>;

const watched =
  (version: number, uid: string): Step =>
  (mirror) => {
    mirror.upsert(object("a", version, { uid }), "watch");
    mirror.advance(String(version));
  };
const gone =
  (version: number, uid: string): Step =>
  (mirror) => {
    mirror.remove(object("a", version, { uid }));
    mirror.advance(String(version));
  };
const others =
  (version: number): Step =>
  (mirror) =>
    mirror.advance(String(version));
const answered =
  (version: number, uid: string): Step =>
  (mirror) =>
    mirror.observe(object("a", version, { uid }));
const removed =
  (uid: string, left?: number): Step =>
  (mirror) =>
    mirror.observeRemoval(
      { key: "a", uid },
      left === undefined ? undefined : object("a", left, { uid }),
    );
const expired: Step = (mirror) => mirror.forgetVersion();
const filledAgain =
  (asOf: number, ...found: readonly { version: number; uid: string }[]): Step =>
  async (mirror) => {
    const fill = mirror.startFill();
    for (const { version, uid } of found) fill.add(object("a", version, { uid }));
    await fill.finish(String(asOf));
  };

test.each<{ name: string; steps: readonly Step[]; told: string }>([
  {
    name: "an answer after the deletion, while the state is read anew",
    steps: [watched(11, "x"), gone(12, "x"), expired, answered(11, "x")],
    told: "+x -x",
  },
  {
    name: "an answer after a state without the object",
    steps: [expired, filledAgain(30), answered(21, "x")],
    told: "",
  },
  {
    name: "an answer that is newer than the state that is read meanwhile",
    steps: [expired, answered(31, "x"), filledAgain(30), watched(31, "x")],
    told: "+x",
  },
  {
    name: "an older event after the answer, which others made",
    steps: [answered(20, "x"), watched(15, "x"), others(25)],
    told: "+x ~x",
  },
  {
    name: "the deletion of the incarnation before, after the answer to the new one's creation",
    steps: [watched(11, "x"), answered(20, "y"), gone(15, "x"), watched(20, "y")],
    told: "+x -x +y",
  },
  {
    name: "an answer for an incarnation that has been replaced",
    steps: [watched(11, "x"), gone(13, "x"), watched(14, "y"), answered(12, "x")],
    told: "+x -x +y",
  },
  {
    name: "an answer for what somebody deleted in the same moment",
    steps: [watched(11, "x"), gone(13, "x"), answered(12, "x"), others(14)],
    told: "+x -x",
  },
  {
    name: "an event that is told again after the deletion",
    steps: [watched(11, "x"), gone(12, "x"), watched(11, "x")],
    told: "+x -x",
  },
  {
    name: "a deletion that is told again after the name was used anew",
    steps: [watched(11, "x"), gone(12, "x"), watched(13, "y"), gone(12, "x")],
    told: "+x -x +y",
  },
  {
    name: "a change of others that the answer to an own write has shown already",
    steps: [watched(11, "x"), answered(13, "x"), watched(12, "x"), watched(13, "x")],
    told: "+x ~x ~x",
  },
  {
    name: "own writes one after the other, and their echoes",
    steps: [watched(11, "x"), answered(12, "x"), answered(13, "x"), watched(12, "x"), others(13)],
    told: "+x ~x ~x",
  },
  {
    name: "an own write, and a state in which others may have changed something before",
    steps: [
      watched(11, "x"),
      answered(13, "x"),
      expired,
      filledAgain(20, { version: 13, uid: "x" }),
    ],
    told: "+x ~x ~x",
  },
  {
    name: "an own deletion, and events from before it",
    steps: [watched(11, "x"), removed("x"), watched(12, "x"), gone(13, "x")],
    told: "+x -x",
  },
  {
    name: "an own deletion, and the name is used anew",
    steps: [watched(11, "x"), removed("x"), answered(14, "y"), gone(13, "x"), watched(14, "y")],
    told: "+x -x +y",
  },
  {
    name: "an own deletion that something holds up",
    steps: [watched(11, "x"), removed("x", 12), watched(12, "x"), gone(13, "x")],
    told: "+x ~x -x",
  },
  {
    name: "an own deletion whose answer comes after the next incarnation",
    steps: [watched(11, "x"), gone(12, "x"), watched(13, "y"), removed("x")],
    told: "+x -x +y",
  },
  {
    name: "an own deletion, a stale state that does not know of it, and a fresh one",
    steps: [
      watched(11, "x"),
      removed("x"),
      expired,
      filledAgain(12, { version: 11, uid: "x" }),
      watched(12, "x"),
      expired,
      filledAgain(20),
    ],
    told: "+x -x",
  },
  {
    name: "a stale state that still has what is gone",
    steps: [
      watched(11, "x"),
      gone(20, "x"),
      expired,
      filledAgain(15, { version: 11, uid: "x" }),
      gone(20, "x"),
    ],
    told: "+x -x",
  },
  {
    name: "a stale state that does not have yet what is there",
    steps: [watched(20, "x"), expired, filledAgain(15), watched(20, "x")],
    told: "+x",
  },
  {
    name: "an end and a beginning that both happened while nobody watched",
    steps: [watched(11, "x"), expired, filledAgain(30, { version: 25, uid: "y" })],
    told: "+x -x +y",
  },
])("history is told once: $name", async ({ steps, told }) => {
  expect(await history(steps)).toBe(told);
});
