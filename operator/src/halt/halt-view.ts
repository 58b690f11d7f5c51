import type { TradingHalt } from "@tradingbots/crds";

export type HaltStatus = NonNullable<TradingHalt["status"]>;

export interface HaltView {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly createdAt: string;
  readonly isDeleting: boolean;
  readonly spec: TradingHalt["spec"];
  readonly status: HaltStatus;
}

export function haltView({ metadata, spec, status }: TradingHalt): HaltView {
  return {
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    generation: metadata.generation,
    createdAt: metadata.creationTimestamp,
    isDeleting: metadata.deletionTimestamp !== undefined,
    spec,
    status: status ?? {},
  };
}
