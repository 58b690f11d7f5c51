import { Gauge, type Registry } from "prom-client";
import type { LiveHub } from "./live-hub.ts";

/** How many listen in this process. */
export function countListeners(live: Pick<LiveHub, "count">, registry: Registry): void {
  registry.registerMetric(
    new Gauge({
      name: "live_listeners",
      help: "Connections of users that listen to /api/events.",
      registers: [],
      collect() {
        this.set(live.count());
      },
    }),
  );
}
