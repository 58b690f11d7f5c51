import type { ClusterAccess } from "./cluster-access.ts";
import { isJsonObject, jsonField, type JsonObject } from "./json.ts";
import { isNotFound, KubernetesError, readErrorAnswer } from "./kubernetes-error.ts";
import { type ListPage, readPage } from "./list-page.ts";
import { type ObjectKey, type Resource, resourcePath } from "./resource.ts";
import {
  createTransport,
  type KubeRequest,
  type Transport,
  type TransportOptions,
} from "./transport.ts";
import { admitWrite, type WriteGuard } from "./write-guard.ts";

/** Objects of one list request: larger pages are not faster and take more memory. */
const PAGE_SIZE = 250;

export interface Selection {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WatchOptions extends Selection {
  /** Absent with `sendInitialEvents`: the present state. */
  readonly resourceVersion?: string;
  /** Streams what exists as ADDED events and ends that with a marked bookmark. */
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: unknown;
}

export interface Patch {
  /** `merge` is RFC 7386, `json` RFC 6902, `apply` server-side apply under `fieldManager`. */
  readonly type: "merge" | "json" | "apply";
  readonly body: unknown;
  readonly subresource?: "status";
  readonly fieldManager?: string;
  /** Take fields over from other managers (`apply` only). */
  readonly force?: boolean;
}

export interface NewObject {
  readonly metadata: ObjectKey & { readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** An object as it was when a decision was made about it. */
interface ObjectState extends ObjectKey {
  readonly uid: string;
  readonly resourceVersion: string;
}

export interface CreateOptions {
  /** Check everything and store nothing. */
  readonly dryRun?: boolean;
}

export interface DeleteOptions {
  /** Delete this incarnation only; another one of the same name is a conflict. */
  readonly uid?: string;
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
}

const PATCH_CONTENT_TYPES = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml", // JSON is YAML
} as const;

export function createKubeClient(
  access: ClusterAccess,
  options: TransportOptions = {},
): KubeClient {
  return clientOver(createTransport(access, options), { mayWrite: () => true });
}
export interface KubeClient
  extends
    ReturnType<typeof readsOver>,
    ReturnType<typeof watchesOver>,
    ReturnType<typeof writesOver> {
  guarded(guard: WriteGuard): KubeClient;
  close(): Promise<void>;
}

function clientOver(transport: Transport, guard: WriteGuard): KubeClient {
  return {
    ...readsOver(transport),
    ...watchesOver(transport),
    ...writesOver(transport, guard),
    /**
     * The same connections; a write is refused with `WriteForbiddenError` unless the guard allows it just before it is sent.
     * Once `lost` is aborted the connections are reset, those of reads too: who has lost the lead begins anew.
     */
    guarded: (stricter: WriteGuard): KubeClient => {
      // Registered before those of the requests, or they would close their connections in the ordinary way first.
      stricter.lost?.addEventListener("abort", transport.resetRequests, { once: true });
      return clientOver(transport, stricter);
    },
    close: transport.close,
  };
}

function readsOver(transport: Transport) {
  /** The object, or undefined when there is none. */
  async function get<T>(resource: Resource<T>, key: ObjectKey): Promise<T | undefined> {
    try {
      return resource.read(
        await transport.json({ method: "GET", path: resourcePath(resource, key) }),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** All objects as they came, in pages of 250. @throws KubernetesError 410 when the list expires between two pages. */
  async function* pages(
    resource: Resource<unknown>,
    selection: Selection & { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Omit<ListPage, "next">, void, undefined> {
    let next: string | undefined;
    do {
      const answer = await transport.text({
        method: "GET",
        path: resourcePath(resource, { namespace: selection.namespace }),
        query: {
          limit: String(PAGE_SIZE),
          labelSelector: selection.labelSelector,
          fieldSelector: selection.fieldSelector,
          continue: next,
        },
        ...(selection.signal === undefined ? {} : { signal: selection.signal }),
      });
      const page = readPage(answer);
      yield {
        items: withKind(resource, page.items),
        resourceVersion: page.resourceVersion,
      };
      next = page.next;
    } while (next !== undefined);
  }

  /** All objects of a selection that is known to be small. */
  async function list<T>(resource: Resource<T>, selection: Selection = {}): Promise<readonly T[]> {
    const found: T[] = [];
    for await (const page of pages(resource, selection)) {
      for (const item of page.items) found.push(resource.read(item));
    }
    return found;
  }

  /** GET of a path that is no resource, such as `/version`. */
  function raw(path: string): Promise<unknown> {
    return transport.json({ method: "GET", path });
  }

  return { get, pages, list, raw };
}

function watchesOver(transport: Transport) {
  /** Changes as they happen. @throws KubernetesError for a refusal and for an ERROR event. */
  async function* watch(
    resource: Resource<unknown>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent, void, undefined> {
    const path = resourcePath(resource, { namespace: options.namespace });
    const events = transport.lines({
      method: "GET",
      path,
      query: {
        watch: "true",
        allowWatchBookmarks: "true",
        resourceVersion: options.resourceVersion,
        labelSelector: options.labelSelector,
        fieldSelector: options.fieldSelector,
        timeoutSeconds: String(options.timeoutSeconds),
        ...(options.sendInitialEvents === true
          ? { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" }
          : {}),
      },
      signal: options.signal,
    });
    for await (const line of events) yield readEvent(line, path);
  }

  return { watch };
}

function writesOver(transport: Transport, guard: WriteGuard) {
  const { lost } = guard;

  /** Every write passes here. */
  async function write(request: KubeRequest): Promise<unknown> {
    const admit = () => admitWrite(guard, `${request.method} is not sent`);
    admit();
    return transport.json({ ...request, admit, ...(lost === undefined ? {} : { signal: lost }) });
  }

  async function create<T>(
    resource: Resource<T>,
    object: NewObject,
    options: CreateOptions = {},
  ): Promise<T> {
    const path = resourcePath(resource, { namespace: object.metadata.namespace });
    const query = { dryRun: options.dryRun === true ? "All" : undefined };
    return resource.read(await write({ method: "POST", path, query, body: object }));
  }

  /** @throws KubernetesError NotFound, Conflict (a precondition in the patch), Invalid… */
  async function patch<T>(resource: Resource<T>, key: ObjectKey, change: Patch): Promise<T> {
    const answer = await write({
      method: "PATCH",
      path: resourcePath(resource, { ...key, subresource: change.subresource }),
      query: {
        fieldManager: change.fieldManager,
        force: change.force === true ? "true" : undefined,
      },
      body: change.body,
      contentType: PATCH_CONTENT_TYPES[change.type],
    });
    return resource.read(answer);
  }

  /**
   * Puts this status in the place of the one that the object of a custom kind has; all else stays. A patch would be merged, defaulted and
   * checked twice: it costs the API server a quarter more (9.4 against 7.4 ms a bot).
   * @throws KubernetesError Conflict when the object is not this one any more, or has changed
   */
  async function replaceStatus<T>(
    resource: Resource<T>,
    { namespace, name, uid, resourceVersion }: ObjectState,
    status: object,
  ): Promise<T> {
    const { apiVersion, kind } = resource;
    const answer = await write({
      method: "PUT",
      path: resourcePath(resource, { namespace, name, subresource: "status" }),
      body: { apiVersion, kind, metadata: { namespace, name, uid, resourceVersion }, status },
    });
    return resource.read(answer);
  }

  /**
   * Asks for the deletion; an object that is not there is fine.
   * @returns what is left: the object while finalizers or its grace period hold it, undefined when it is gone
   * @throws KubernetesError Conflict for another uid; Error for an answer that is no JSON, which says nothing of what is left
   */
  async function remove<T>(
    resource: Resource<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const { uid, ...rest } = options;
    try {
      const answer = await write({
        method: "DELETE",
        path: resourcePath(resource, key),
        body: {
          apiVersion: "v1",
          kind: "DeleteOptions",
          ...rest,
          ...(uid === undefined ? {} : { preconditions: { uid } }),
        },
      });
      return isHeld(record(answer)) ? resource.read(answer) : undefined;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  return { create, patch, replaceStatus, remove };
}

/** The answer to a deletion is a `Status` or the object's last state when it is gone, and the object when it stays for now. */
function isHeld(answer: JsonObject): boolean {
  const metadata = jsonField(answer, "metadata");
  const finalizers = jsonField(metadata, "finalizers");
  const isFinalized = !Array.isArray(finalizers) || finalizers.length === 0;
  return !isFinalized || Number(jsonField(metadata, "deletionGracePeriodSeconds") ?? 0) > 0;
}

/** Items of a list of a built-in kind say neither kind nor version. */
function* withKind({ apiVersion, kind }: Resource<unknown>, items: Iterable<unknown>) {
  for (const item of items) yield { apiVersion, kind, ...record(item) };
}

function readEvent(line: unknown, path: string): WatchEvent {
  const { type, object } = record(line);
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
    case "BOOKMARK":
      return { type, object };
    case "ERROR":
      throw new KubernetesError(readErrorAnswer(0, object), `watching ${path}`);
    default:
      throw new Error(`watching ${path}: unknown event ${JSON.stringify(type)}`);
  }
}

function record(value: unknown): JsonObject {
  if (!isJsonObject(value)) throw new Error("expected a JSON object");
  return value;
}
