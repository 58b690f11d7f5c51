import type { Pod } from "@tradingbots/kube";
import { expect, test } from "vitest";
import { podTrouble } from "./pod-trouble.ts";

type Status = NonNullable<Pod["status"]>;
type Container = NonNullable<Status["containerStatuses"]>[number];

const container = (name: string, more: Partial<Container>): Container => ({
  name,
  image: "bot:1",
  imageID: "",
  ready: false,
  restartCount: 0,
  ...more,
});
const bot = (more: Partial<Container>): Status => ({
  phase: "Running",
  containerStatuses: [container("bot", more)],
});
const agent = (more: Partial<Container>): Status => ({
  phase: "Pending",
  initContainerStatuses: [container("vault-agent", more)],
  containerStatuses: [container("bot", { state: { waiting: { reason: "PodInitializing" } } })],
});

test.each<{ name: string; status: Status | undefined; reason?: string; message?: RegExp }>([
  { name: "no status yet", status: undefined },
  { name: "starting", status: bot({ state: { waiting: { reason: "ContainerCreating" } } }) },
  { name: "running", status: bot({ state: { running: {} }, ready: true }) },
  {
    name: "running again after many restarts",
    status: bot({ state: { running: {} }, ready: true, restartCount: 7 }),
  },
  {
    name: "unschedulable",
    status: {
      phase: "Pending",
      conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }],
    },
    reason: "Unschedulable",
  },
  {
    name: "no such image",
    status: bot({ state: { waiting: { reason: "ImagePullBackOff" } } }),
    reason: "ImagePullFailed",
    message: /bot:1/,
  },
  {
    name: "a missing ConfigMap",
    status: bot({
      state: { waiting: { reason: "CreateContainerConfigError", message: "no vault-agent" } },
    }),
    reason: "ContainerRefused",
    message: /no vault-agent/,
  },
  {
    name: "the agent failed",
    status: agent({ state: { terminated: { exitCode: 1 } } }),
    reason: "CredentialsUnavailable",
  },
  {
    name: "the agent waits to try again",
    status: agent({ restartCount: 2, state: { waiting: { reason: "CrashLoopBackOff" } } }),
    reason: "CredentialsUnavailable",
  },
  {
    name: "the agent succeeded at the second attempt",
    status: agent({ restartCount: 1, state: { terminated: { exitCode: 0 } } }),
  },
  { name: "one restart", status: bot({ restartCount: 1, state: { running: {} } }) },
  {
    name: "the second restart, between two attempts",
    status: bot({
      restartCount: 2,
      state: { running: {} },
      lastState: { terminated: { exitCode: 3 } },
    }),
    reason: "CrashLooping",
    message: /exit code 3/,
  },
  {
    name: "out of memory",
    status: bot({
      restartCount: 1,
      state: { waiting: { reason: "CrashLoopBackOff" } },
      lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } },
    }),
    reason: "CrashLooping",
    message: /more memory/,
  },
])("$name: $reason", ({ status, reason, message = /^/ }) => {
  const trouble = podTrouble(status === undefined ? {} : { status }, "live");
  expect(trouble?.reason).toBe(reason);
  expect(trouble?.message ?? "").toMatch(message);
});

test("stops at an exchange are spoken of where there are some", () => {
  const status = bot({ state: { waiting: { reason: "CrashLoopBackOff" } }, restartCount: 3 });
  const [live, paper] = (["live", "paper"] as const).map(
    (mode) => podTrouble({ status }, mode)?.message,
  );
  expect(live).toBe(`${paper} Stops at the exchange stay in force.`);
});
