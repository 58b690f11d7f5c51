import type { InProcessRequest } from "../../../hack/exchange-simulator/in-process.ts";
import type { Arrival } from "./network.ts";
import { runningProcess } from "./virtual-globals.ts";
import type { VirtualProcess } from "./timeline.ts";

export interface StreamListener {
  readonly onOpen: () => void;
  readonly onMessage: (text: string) => void;
  readonly onClose: () => void;
}

export interface StreamWire {
  readonly send: (text: string) => void;
  readonly terminate: () => void;
}

/** What leads out of one process. */
export interface Wires {
  readonly askExchange: (request: InProcessRequest, receive: (arrival: Arrival) => void) => void;
  readonly openStream: (url: string, listener: StreamListener) => StreamWire;
}

const wires = new WeakMap<VirtualProcess, Wires>();

export function wireProcess(process: VirtualProcess, its: Wires): void {
  wires.set(process, its);
}

/** The wires of the process whose code asks. */
export function ownWires(): Wires {
  const found = wires.get(runningProcess());
  if (found === undefined) throw new Error("this process has no wires");
  return found;
}
