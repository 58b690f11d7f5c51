import type { PodTemplate } from "@tradingbots/crds";
import { hashOf } from "../pod-view.ts";

/** A template with its hash, which is worked out once for all bots of a class. */
export interface HashedTemplate extends PodTemplate {
  readonly hash: string;
}

/** The same content has the same hash, in whatever order its fields come. */
export function hashedTemplate(template: PodTemplate): HashedTemplate {
  const { image, resources, placement, endpoints = [] } = template;
  const { requests, limits } = resources;
  const { nodeSelector = {}, runtimeClassName, priorityClassName } = placement ?? {};
  const content = [
    image,
    [requests.cpu, requests.memory, limits.cpu, limits.memory],
    Object.entries(nodeSelector).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    runtimeClassName,
    priorityClassName,
    // Most classes have none.
    ...endpoints
      .map(({ exchange, restUrl, websocketUrl }) => [exchange, restUrl, websocketUrl])
      .toSorted(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
  ];
  return { ...withoutHash(template), hash: hashOf(JSON.stringify(content)) };
}

/**
 * As a status holds it. No addresses are written as such: a status without the field is of an operator that knew of none in templates,
 * and gave bots those of the specification.
 */
export function writtenTemplate(template: PodTemplate): PodTemplate {
  return { ...withoutHash(template), endpoints: template.endpoints ?? [] };
}

/** Whether a template of a status is what the specification asks for, as far as it says. */
export function isAskedFor(written: PodTemplate, wanted: HashedTemplate): boolean {
  const { endpoints = wanted.endpoints ?? [] } = written;
  return hashedTemplate({ ...written, endpoints }).hash === wanted.hash;
}

function withoutHash({ image, resources, placement, endpoints }: PodTemplate): PodTemplate {
  return {
    image,
    resources,
    ...(placement === undefined ? {} : { placement }),
    ...(endpoints === undefined ? {} : { endpoints }),
  };
}
