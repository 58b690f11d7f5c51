import { createEchoes } from "./echoes.ts";
import { jsonField } from "./json.ts";
import {
  createObjectStore,
  type ObjectVersion,
  type ReadonlyObjectStore,
  type StoreOptions,
  versionNumber,
} from "./object-store.ts";
import { keyOf, type Resource } from "./resource.ts";
import { timeSlices } from "./time-slices.ts";

/** How a change became known: with the first or a repeated fill, by the watch, or as the answer to an own write. */
export type Origin = "fill" | "watch" | "own";

export interface ReflectorHandlers<View> {
  /**
   * `previous` is what was told last; undefined for an object that was not known. The view itself when the answer to an own write
   * had shown a change of others before the watch told it.
   */
  onUpsert(view: View, previous: View | undefined, origin: Origin): void;
  onDelete(view: View): void;
}

export interface MirrorOptions<T, View> extends StoreOptions<View> {
  readonly resource: Resource<T>;
  /** What is kept of an object. Whole objects cost seven times the memory of a slim view; one that tells its key keeps this one. */
  readonly project: (object: T, key: string) => View;
  readonly handlers: ReflectorHandlers<View>;
  /** An object that `resource.read` or `project` refuses, or a handler that throws: reported and passed over. */
  readonly onInvalid?: (key: string, error: unknown) => void;
}

/** Takes in the complete state, object by object. */
export interface Fill {
  add(object: unknown): void;
  /** The object went while the state was being told: it is no part of it, whatever was said before. */
  remove(object: unknown): void;
  /** The state was complete as of this resource version: what it did not mention is deleted, unless it is newer. */
  finish(resourceVersion: string): Promise<void>;
}

/**
 * The store's side of a reflector: takes objects in, whatever way and order they come, and tells what changed. Fills, watches and the
 * answers to own writes may overtake each other; two rules settle every such race. Of one key the newest version counts. And of a key
 * that is not there, only what is newer than everything known so far is news: whatever is older has been deleted since.
 */
export function createMirror<T, View>(options: MirrorOptions<T, View>) {
  const store = createObjectStore<View>(options);
  const progress = createProgress();
  /** By key, the uid of what an own write has ended and the watch has not told yet: it does not come back. */
  const ended = new Map<string, string>();
  const echoes = createEchoes();

  function upsert(object: unknown, origin: Origin): void {
    takeIn(object, origin, () => options.resource.read(object));
  }

  function takeIn(object: unknown, origin: Origin, read: () => T): void {
    const position = positionOf(object);
    const { key, uid } = position;
    const version = versionNumber(position.resourceVersion);
    const known = store.versionOf(key);
    if (version <= (known?.version ?? progress.completeAsOf())) {
      const view = store.get(key);
      const isNews = origin !== "own" && echoes.revealsOthers(key, version, origin);
      if (view && isNews) guarded(key, () => options.handlers.onUpsert(view, view, origin));
      return;
    }
    if (ended.get(key) === uid) return;
    guarded(key, () => {
      const view = options.project(read(), key);
      if (known !== undefined && known.uid !== uid) drop(key);
      const previous = store.get(key);
      store.put(position, view);
      if (origin === "own") echoes.expect(key, version);
      else echoes.forget(key);
      options.handlers.onUpsert(view, previous, origin);
    });
  }

  function remove(object: unknown): void {
    const { key, uid, resourceVersion } = positionOf(object);
    const known = store.versionOf(key);
    if (known !== undefined && known.version <= versionNumber(resourceVersion)) drop(key);
    if (ended.get(key) === uid) ended.delete(key);
  }

  function drop(key: string): void {
    const view = store.get(key);
    store.remove(key);
    echoes.forget(key);
    if (view !== undefined) guarded(key, () => options.handlers.onDelete(view));
  }

  function guarded(key: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      options.onInvalid?.(key, error);
    }
  }

  /**
   * Takes in the answer to an own write, so that the next decision sees it although the watch has not brought it yet.
   * An answer that the watch has already overtaken changes nothing.
   */
  const observe = (object: T): void => takeIn(object, "own", () => object);

  /**
   * Takes in what an own deletion left: the object, which waits for finalizers or its grace period, or nothing. It is told like a
   * watch event, because it calls for another look.
   */
  function observeRemoval({ key, uid }: { key: string; uid: string }, left: T | undefined): void {
    if (left !== undefined) {
      upsert(left, "watch");
      return;
    }
    if (store.versionOf(key)?.uid !== uid) return;
    ended.set(key, uid);
    drop(key);
  }

  const readonlyStore: ReadonlyObjectStore<View> = store;
  return {
    store: readonlyStore,
    upsert,
    remove,
    startFill: () => startFill({ store, progress, ended, upsert, remove, drop }),
    observe,
    observeRemoval,
    ...progress,
  };
}
export type Mirror<T, View> = ReturnType<typeof createMirror<T, View>>;

interface FillTarget {
  readonly store: Pick<ReturnType<typeof createObjectStore>, "keys" | "versionOf">;
  readonly progress: ReturnType<typeof createProgress>;
  readonly ended: Map<string, string>;
  readonly upsert: (object: unknown, origin: Origin) => void;
  readonly remove: (object: unknown) => void;
  readonly drop: (key: string) => void;
}

function startFill({ store, progress, ended, upsert, remove, drop }: FillTarget): Fill {
  const seen = new Set<string>();
  const gone = new Map<string, number>();
  return {
    add: (object) => {
      const { key, resourceVersion } = positionOf(object);
      if ((gone.get(key) ?? 0) >= versionNumber(resourceVersion)) return;
      seen.add(key);
      upsert(object, "fill");
    },
    remove: (object) => {
      const { key, resourceVersion } = positionOf(object);
      gone.set(key, versionNumber(resourceVersion));
      seen.delete(key);
      remove(object);
    },
    finish: async (resourceVersion) => {
      const asOf = versionNumber(resourceVersion);
      progress.raise(asOf); // first: from now on an own write's late answer brings back nothing
      const isNewer = (key: string) => (store.versionOf(key)?.version ?? 0) > asOf;
      for (const key of store.keys()) {
        if (timeSlices.isOver()) await timeSlices.next();
        if (!seen.has(key) && !isNewer(key)) drop(key);
      }
      for (const key of ended.keys()) if (!seen.has(key)) ended.delete(key);
      progress.filled(resourceVersion);
    },
  };
}

/** How far the store has come. */
function createProgress() {
  const synced = Promise.withResolvers<void>();
  let hasSynced = false;
  let version: string | undefined;
  let completeAsOf = 0;

  function raise(asOf: number): void {
    completeAsOf = Math.max(completeAsOf, asOf);
  }

  return {
    /** From where a watch goes on; undefined: from a new fill. */
    version: () => version,
    /** The store knows everything that happened up to this version. Never falls, whatever a stale server says. */
    completeAsOf: () => completeAsOf,
    raise,
    advance: (resourceVersion: string) => {
      const asOf = versionNumber(resourceVersion);
      raise(asOf);
      if (version === undefined || asOf > versionNumber(version)) version = resourceVersion;
    },
    forgetVersion: () => void (version = undefined),
    filled: (resourceVersion: string) => {
      version = resourceVersion;
      hasSynced = true;
      synced.resolve();
    },
    synced: synced.promise,
    hasSynced: () => hasSynced,
  };
}

/** Where an object of the API server stands in history. Bookmarks carry a resource version only. */
export function positionOf(object: unknown): ObjectVersion {
  const metadata = jsonField(object, "metadata");
  const text = (name: string) => {
    const value = jsonField(metadata, name);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const resourceVersion = text("resourceVersion");
  if (resourceVersion === undefined) throw new Error("an object without resourceVersion");
  const key = keyOf({ namespace: text("namespace"), name: text("name") ?? "" });
  return { key, uid: text("uid") ?? "", resourceVersion };
}
