import type {
  EventsV1Event,
  V1Lease,
  V1Namespace,
  V1Node,
  V1Pod,
  V1ServiceAccount,
} from "@kubernetes/client-node";
import { jsonField } from "./json.ts";

/** One kind of object at the API server, and how an answer becomes a value that the program trusts. */
export interface Resource<T> {
  /** `v1`, or `<group>/<version>`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly scope: "Namespaced" | "Cluster";
  /** @throws Error when the value is not of this kind. */
  readonly read: (value: unknown) => T;
}

export interface ObjectKey {
  /** Absent for cluster-scoped objects. */
  readonly namespace?: string | undefined;
  readonly name: string;
}

/** `namespace/name`, or `name` for cluster-scoped objects: the form in which stores and queues know an object. */
export function keyOf({ namespace, name }: ObjectKey): string {
  // Joined it is one text; a template would be a tree of three, and stores keep keys.
  return namespace === undefined ? name : [namespace, name].join("/");
}

export function parseKey(key: string): ObjectKey {
  const slash = key.indexOf("/");
  if (slash < 0) return { name: key };
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Generated types say `Date` where JSON holds RFC 3339 text; answers are not converted, so the types are. */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Field in keyof T]: Wire<T[Field]> }
      : T;

export type Pod = Wire<V1Pod>;
export type ServiceAccount = Wire<V1ServiceAccount>;
export type Lease = Wire<V1Lease>;
export type KubernetesEvent = Wire<EventsV1Event>;
export type Namespace = Wire<V1Namespace>;
export type Node = Wire<V1Node>;

export const PODS = builtIn(
  { apiVersion: "v1", kind: "Pod", plural: "pods" },
  (value): value is Pod => isOfKind(value, "Pod"),
);
export const SERVICE_ACCOUNTS = builtIn(
  { apiVersion: "v1", kind: "ServiceAccount", plural: "serviceaccounts" },
  (value): value is ServiceAccount => isOfKind(value, "ServiceAccount"),
);
export const NAMESPACES: Resource<Namespace> = {
  ...builtIn(
    { apiVersion: "v1", kind: "Namespace", plural: "namespaces" },
    (value): value is Namespace => isOfKind(value, "Namespace"),
  ),
  scope: "Cluster",
};
export const NODES: Resource<Node> = {
  ...builtIn({ apiVersion: "v1", kind: "Node", plural: "nodes" }, (value): value is Node =>
    isOfKind(value, "Node"),
  ),
  scope: "Cluster",
};
export const LEASES = builtIn(
  { apiVersion: "coordination.k8s.io/v1", kind: "Lease", plural: "leases" },
  (value): value is Lease => isOfKind(value, "Lease"),
);
export const EVENTS = builtIn(
  { apiVersion: "events.k8s.io/v1", kind: "Event", plural: "events" },
  (value): value is KubernetesEvent => isOfKind(value, "Event"),
);

/** The resource of a custom kind, parsed by its own schema. */
export function customResource<T>(kind: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly scope: "Namespaced" | "Cluster";
  readonly schema: { parse(value: unknown): T };
}): Resource<T> {
  const { apiVersion, plural, scope } = kind;
  return { apiVersion, kind: kind.kind, plural, scope, read: (value) => kind.schema.parse(value) };
}

/** A namespaced built-in kind. The API server is the authority on its shape, so what it is called is check enough. */
function builtIn<T>(
  names: { readonly apiVersion: string; readonly kind: string; readonly plural: string },
  isKind: (value: unknown) => value is T,
): Resource<T> {
  return {
    ...names,
    scope: "Namespaced",
    read: (value) => {
      if (!isKind(value)) throw new Error(`an object that is no ${names.kind}`);
      return value;
    },
  };
}

function isOfKind(value: unknown, kind: string): boolean {
  return jsonField(value, "kind") === kind;
}

export interface ResourcePath {
  readonly namespace?: string | undefined;
  readonly name?: string;
  readonly subresource?: string | undefined;
}

/** `/apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>/<subresource>` */
export function resourcePath(resource: Resource<unknown>, path: ResourcePath = {}): string {
  const { apiVersion } = resource;
  const api = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const namespace =
    path.namespace === undefined ? "" : `/namespaces/${encodeURIComponent(path.namespace)}`;
  const name = path.name === undefined ? "" : `/${encodeURIComponent(path.name)}`;
  const subresource = path.subresource === undefined ? "" : `/${path.subresource}`;
  return `${api}${namespace}/${resource.plural}${name}${subresource}`;
}
