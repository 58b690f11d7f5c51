import type { BotClass, PodTemplate, RolloutStatus } from "@tradingbots/crds";
import { type HashedTemplate, hashedTemplate } from "./class/pod-template.ts";

export type ClassStatus = NonNullable<BotClass["status"]>;

export interface ClassView {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly spec: BotClass["spec"];
  readonly status: ClassStatus;
  /** What the specification asks for. Bots do not look at it: a rollout brings it to them. */
  readonly wanted: HashedTemplate;
  readonly rollout: RolloutView;
}

/** What decides which template a bot's pod is made from. */
export interface RolloutView extends Pick<RolloutStatus, "direction"> {
  readonly stable: HashedTemplate;
  /** Undefined while no rollout is under way. */
  readonly target: HashedTemplate | undefined;
  readonly reach: number;
}

export function classView({ metadata, spec, status = {} }: BotClass): ClassView {
  const { name, uid, resourceVersion, generation } = metadata;
  const wanted = hashedTemplate(spec);
  return {
    name,
    uid,
    resourceVersion,
    generation,
    spec,
    status,
    wanted,
    rollout: rolloutView(status.rollout ?? unseen(spec), spec),
  };
}

/** Before its first status nobody's turn has come: pods of a class that was deleted and made anew stay until it is decided. */
function unseen(template: PodTemplate): RolloutStatus {
  return { stable: template, target: template, direction: "Forward", reach: 0 };
}

export function rolloutView(
  rollout: RolloutStatus,
  now: Pick<PodTemplate, "endpoints"> = {},
): RolloutView {
  const { stable, target, direction, reach = 0 } = rollout;
  return {
    stable: withAddresses(stable, now),
    target: target === undefined ? undefined : withAddresses(target, now),
    direction,
    reach,
  };
}

/**
 * Where a status says nothing of addresses, they are those that the class has now and not the public ones: its bots have been there. The
 * hash is that of what is written, for their pods carry it.
 */
function withAddresses(
  written: PodTemplate,
  { endpoints }: Pick<PodTemplate, "endpoints">,
): HashedTemplate {
  const template = hashedTemplate(written);
  return endpoints === undefined ? template : { endpoints, ...template };
}
