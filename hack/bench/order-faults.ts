import type { FaultRule } from "../exchange-simulator/faults.ts";

const ORDER = "POST /v5/order/create";
const LATE_LISTING_MS = 3_000;
/** Of every order request this share meets each of the faults. */
const SHARE = 0.005;

const orderFaults: readonly FaultRule["fault"][] = [
  { kind: "hang", when: "before" },
  { kind: "hang", when: "after" },
  { kind: "reset", when: "before" },
  { kind: "reset", when: "after" },
  { kind: "truncate" },
  { kind: "empty", when: "after" },
  { kind: "retCode", retCode: 10_000, when: "after" },
  { kind: "retCode", retCode: 10_006, when: "before" },
  { kind: "retCode", retCode: 10_016, when: "after" },
  { kind: "http", status: 502, when: "before" },
  { kind: "http", status: 504, when: "after" },
  { kind: "twice" },
  { kind: "delay", ms: 1_000, when: "after" },
  { kind: "hide", hideMs: LATE_LISTING_MS },
];

export function faultsOfOrders(): readonly FaultRule[] {
  return orderFaults.map((fault) => ({
    match: { endpoint: ORDER },
    fault,
    times: null,
    share: SHARE,
  }));
}

/** `14 faults on 0.5 % of the order requests each` */
export const faultsInWords = `${orderFaults.length} faults on ${SHARE * 100} % of the order requests each`;
