import type { BotClass } from "@tradingbots/crds";

export interface ClassView {
  readonly name: string;
  readonly generation: number;
  readonly spec: BotClass["spec"];
}

export function classView({ metadata, spec }: BotClass): ClassView {
  return { name: metadata.name, generation: metadata.generation, spec };
}
