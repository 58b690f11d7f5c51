/** Where an object stands in the history of the cluster. */
export interface ObjectVersion {
  readonly key: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/**
 * A view at rest. Objects and texts for each field are memory, and work for the garbage collector, that a hundred thousand views need
 * at no moment: whoever keeps many keeps them packed, and one is put together when somebody asks for it.
 */
export interface Kept<View> {
  /** @param at what the store knows itself, so that nobody else need keep it */
  view(at: ObjectVersion): View;
}

export interface StoreOptions<View> {
  readonly indexes?: Indexes<View>;
  /** Whole, unless told otherwise. */
  readonly keep?: (view: View) => Kept<View>;
}

interface Entry<View> {
  readonly uid: string;
  readonly version: number;
  readonly kept: Kept<View>;
}

/** Names of indexes, each with the value under which a view is found; undefined leaves it out. */
type Indexes<View> = Readonly<Record<string, (view: View) => string | undefined>>;

/** The keys under one value of an index. Most values have a few, and a list of them takes a third of a set's memory. */
type Keys = readonly string[] | Set<string>;
/** A longer list takes longer to look through than a set. */
const LIST_MAX = 8;

/**
 * Views of objects by key and by index. Newer resource versions win, whatever order they come in: an answer to an own
 * write and the watch may overtake each other.
 */
export function createObjectStore<View>({
  indexes = {},
  keep = (view) => ({ view: () => view }),
}: StoreOptions<View> = {}) {
  const entries = new Map<string, Entry<View>>();
  /** What was put or asked for last is asked for again in the same breath. */
  let last: { readonly entry: Entry<View>; readonly view: View } | undefined;
  const filed = createIndexes(indexes);

  /** Where the stored object stands; undefined when there is none. */
  function versionOf(key: string): { readonly uid: string; readonly version: number } | undefined {
    return entries.get(key);
  }

  /** What is there already keeps its place, so that whoever goes through views or an index meets it once. */
  function put(version: ObjectVersion, view: View): void {
    const { key, uid, resourceVersion } = version;
    const before = get(key);
    const entry = { uid, version: versionNumber(resourceVersion), kept: keep(view) };
    entries.set(key, entry);
    last = { entry, view };
    filed.move(key, before, view);
  }

  function remove(key: string): void {
    const before = get(key);
    if (before === undefined) return;
    entries.delete(key);
    filed.move(key, before, undefined);
  }

  function get(key: string): View | undefined {
    const entry = entries.get(key);
    return entry && viewOf(key, entry);
  }

  function viewOf(key: string, entry: Entry<View>): View {
    if (last?.entry === entry) return last.view;
    const { uid, version, kept } = entry;
    const view = kept.view({ key, uid, resourceVersion: String(version) });
    last = { entry, view };
    return view;
  }

  function* views(): Generator<View, void, undefined> {
    for (const [key, entry] of entries) yield viewOf(key, entry);
  }

  /** Views whose index `name` has this value. */
  function* find(name: string, value: string): Generator<View, void, undefined> {
    for (const key of filed.keysOf(name, value)) {
      const view = get(key);
      if (view !== undefined) yield view;
    }
  }

  return {
    get,
    has: (key: string) => entries.has(key),
    views,
    find,
    keys: () => entries.keys(),
    size: () => entries.size,
    versionOf,
    put,
    remove,
  };
}

/** Keys by what each index says of their views. */
function createIndexes<View>(indexes: Indexes<View>) {
  const indexed = new Map<string, Map<string, Keys>>();
  for (const name of Object.keys(indexes)) indexed.set(name, new Map());

  /** From one view of an object to another; undefined: it is not there. */
  function move(key: string, before: View | undefined, after: View | undefined): void {
    for (const [name, values] of indexed) {
      const from = before && indexes[name]?.(before);
      const to = after && indexes[name]?.(after);
      if (from === to) continue;
      if (from !== undefined) {
        const rest = withoutKey(values.get(from) ?? [], key);
        if (rest === undefined) values.delete(from);
        else values.set(from, rest);
      }
      if (to !== undefined) values.set(to, withKey(values.get(to) ?? [], key));
    }
  }

  function keysOf(name: string, value: string): Keys {
    const values = indexed.get(name);
    if (values === undefined) throw new Error(`there is no index ${name}`);
    return values.get(value) ?? [];
  }

  return { move, keysOf };
}

function withKey(keys: Keys, key: string): Keys {
  if (keys instanceof Set) return keys.add(key);
  return keys.length < LIST_MAX ? keys.concat(key) : new Set(keys).add(key);
}

/** Undefined when none is left. A list is made anew, so that whoever goes through the old one misses none. */
function withoutKey(keys: Keys, key: string): Keys | undefined {
  if (keys instanceof Set) {
    keys.delete(key);
    return keys.size === 0 ? undefined : keys;
  }
  const rest = keys.filter((each) => each !== key);
  return rest.length === 0 ? undefined : rest;
}

type ObjectStore<View> = ReturnType<typeof createObjectStore<View>>;

/** The side of a store that only reads. */
export type ReadonlyObjectStore<View> = Pick<
  ObjectStore<View>,
  "get" | "has" | "views" | "find" | "size"
>;

/** Resource versions are etcd revisions: they grow over all objects of a kind, and Kubernetes lets clients compare them. */
export function versionNumber(resourceVersion: string): number {
  const version = Number(resourceVersion);
  if (!Number.isSafeInteger(version) || version < 0) {
    throw new Error(`resourceVersion ${resourceVersion} is not a number`);
  }
  return version;
}
