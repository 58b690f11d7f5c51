export { type BackOff, backOffMs } from "./back-off.ts";
export {
  createKubeClient,
  type CreateOptions,
  type DeleteOptions,
  type KubeClient,
  type NewObject,
  type Patch,
  type Selection,
  type WatchEvent,
  type WatchOptions,
} from "./client.ts";
export {
  type ClusterAccess,
  inClusterAccess,
  isInCluster,
  kubeconfigAccess,
} from "./cluster-access.ts";
export { fileText } from "./file-text.ts";
export {
  isAlreadyExists,
  isConflict,
  isExpired,
  isNotFound,
  KubernetesError,
  retryAfterMs,
} from "./kubernetes-error.ts";
export {
  becomeLeader,
  type ElectionOptions,
  type ElectionTiming,
  type Leadership,
} from "./leader-election.ts";
export { linesOf } from "./lines.ts";
export type { Kept, ObjectVersion, ReadonlyObjectStore, StoreOptions } from "./object-store.ts";
export type { Origin, ReflectorHandlers } from "./mirror.ts";
export {
  createReflector,
  type Reflector,
  type ReflectorOptions,
  type ReflectorTiming,
  type RestartReason,
} from "./reflector.ts";
export {
  customResource,
  EVENTS,
  keyOf,
  type KubernetesEvent,
  type Lease,
  LEASES,
  type Namespace,
  NAMESPACES,
  type Node,
  NODES,
  type ObjectKey,
  parseKey,
  type Pod,
  PODS,
  type Resource,
  resourcePath,
  type ServiceAccount,
  SERVICE_ACCOUNTS,
  type Wire,
} from "./resource.ts";
export { inTurns, timeSlices } from "./time-slices.ts";
export type { RequestReport, TransportOptions } from "./transport.ts";
export { PRIORITIES, type Priority } from "./waiting-line.ts";
export {
  createWorkQueue,
  type QueueHooks,
  type QueueOptions,
  type WorkQueue,
} from "./work-queue.ts";
export { admitWrite, WriteForbiddenError, type WriteGuard } from "./write-guard.ts";
