import type { PodTemplate } from "@tradingbots/crds";
import { hashOf } from "../pod-view.ts";

/** A template with its hash, which is worked out once for all bots of a class. */
export interface HashedTemplate extends PodTemplate {
  readonly hash: string;
}

/** The same content has the same hash, in whatever order its fields come. */
export function hashedTemplate({ image, resources, placement }: PodTemplate): HashedTemplate {
  const { requests, limits } = resources;
  const { nodeSelector = {}, runtimeClassName, priorityClassName } = placement ?? {};
  const content = [
    image,
    [requests.cpu, requests.memory, limits.cpu, limits.memory],
    Object.entries(nodeSelector).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    runtimeClassName,
    priorityClassName,
  ];
  return {
    image,
    resources,
    ...(placement === undefined ? {} : { placement }),
    hash: hashOf(JSON.stringify(content)),
  };
}

/** As a status holds it. */
export function withoutHash({ image, resources, placement }: HashedTemplate): PodTemplate {
  return { image, resources, ...(placement === undefined ? {} : { placement }) };
}
