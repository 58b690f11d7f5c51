import * as z from "zod";
import { API_VERSION, GROUP, VERSION } from "./names.ts";

/** A column of `kubectl get`; `priority` 1 shows it with `-o wide` only. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  readonly jsonPath: string;
  readonly description?: string;
  readonly priority?: number;
}

interface KindOptions<Kind extends string, Spec extends z.ZodType, Status extends z.ZodType> {
  readonly kind: Kind;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly scope: "Namespaced" | "Cluster";
  readonly columns: readonly PrinterColumn[];
  /** Fields behind the scale subresource, which lets one PodDisruptionBudget cover the pods of many objects. */
  readonly scale?: Scale;
  readonly spec: Spec;
  readonly status: Status;
  /** Rules that look at specification and status together. */
  readonly rules?: readonly Rule[];
}

export interface Scale {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
}

export interface Rule {
  readonly rule: string;
  readonly message: string;
  /** `oldSelf` is an optional, and the rule holds for new objects as well. */
  readonly optionalOldSelf?: true;
}

const OwnerReference = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  name: z.string(),
  uid: z.string(),
  controller: z.boolean().optional(),
});

/** The part of metadata that this project reads; whatever else the API server sends is kept. */
export const ObjectMeta = z.looseObject({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string(),
  resourceVersion: z.string(),
  generation: z.int(),
  creationTimestamp: z.string(),
  deletionTimestamp: z.string().optional(),
  finalizers: z.array(z.string()).optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  ownerReferences: z.array(OwnerReference).optional(),
});
export type ObjectMeta = z.infer<typeof ObjectMeta>;

/** One custom resource kind: the schema of its objects and what its CRD says besides. */
export function defineKind<Kind extends string, Spec extends z.ZodType, Status extends z.ZodType>(
  options: KindOptions<Kind, Spec, Status>,
) {
  const schema = z.object({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(options.kind),
    metadata: ObjectMeta,
    spec: options.spec,
    status: options.status.optional(),
  });
  return { ...options, group: GROUP, version: VERSION, apiVersion: API_VERSION, schema };
}

/** A rule of the Common Expression Language that the API server enforces; `message` is what `kubectl apply` prints. */
export function rule(cel: string, message: string): Rule {
  return { rule: cel, message };
}

/**
 * A rule for new objects. Without that a rule about what cannot be changed is asked at each write of a status or finalizer too: an object
 * that is older than the rule could neither tell how it stands nor end.
 */
export function ruleForNew(cel: string, message: string): Rule {
  return { rule: `oldSelf.hasValue() || ${cel}`, message, optionalOldSelf: true };
}

/** Attaches rules to a schema: `.meta(rules(rule(…), …))`. */
export function rules(...list: readonly Rule[]) {
  return { "x-kubernetes-validations": list };
}

export function immutable(field: string) {
  return rules(rule("self == oldSelf", `${field} cannot be changed`));
}
