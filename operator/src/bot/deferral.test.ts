import { type RolloutStatus, SLOTS } from "@tradingbots/crds";
import { expect, test } from "vitest";
import { rolloutView } from "../class-view.ts";
import { DEFERRAL_MAX_MS, ROLLOUT_DEFERRED } from "../class/turn.ts";
import { conditionOf } from "../conditions.ts";
import {
  condition,
  exampleBot,
  exampleClass,
  exampleReport,
  NOW,
  runningFacts,
} from "./example-facts.ts";
import type { BotFacts } from "./facts.ts";
import { planBot } from "./plan.ts";
import { botStatus } from "./status.ts";

const rollout: RolloutStatus = {
  stable: exampleClass.wanted,
  target: { ...exampleClass.wanted, image: "bot:2" },
  direction: "Forward",
  reach: SLOTS,
  wave: 7,
  waveStartedAt: NOW.toISOString(),
};
const holding = { report: { kind: "fresh", latest: exampleReport({ flat: false }) } } as const;
const botClass = { ...exampleClass, rollout: rolloutView(rollout) };
const SINCE = new Date(NOW.getTime() - DEFERRAL_MAX_MS).toISOString().replace(".000Z", "Z");
const waiting = exampleBot(
  {},
  {},
  {
    conditions: [
      { ...condition(ROLLOUT_DEFERRED, "True", "PositionOpen"), lastTransitionTime: SINCE },
    ],
  },
);

test.each<[string, BotFacts, string | undefined]>([
  ["begins now", runningFacts({ ...holding, botClass }), "2026-01-01T12:00:00Z"],
  [
    "is remembered past later waves, and when it is over too",
    runningFacts({ ...holding, botClass, bot: waiting }),
    SINCE,
  ],
  ["ends when nothing is open", runningFacts({ botClass, bot: waiting }), undefined],
  ["ends with the rollout", runningFacts({ ...holding, bot: waiting }), undefined],
  [
    "ends with the pod",
    runningFacts({ ...holding, botClass, bot: waiting }, { isDeleting: true }),
    undefined,
  ],
])("a bot's own hour of deferral %s", (_name, facts, since) => {
  const { conditions } = botStatus(facts, planBot(facts));
  expect(conditionOf(conditions, ROLLOUT_DEFERRED)?.lastTransitionTime).toBe(since);
});
