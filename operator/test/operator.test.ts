import { EVENTS, PODS, type Resource, SERVICE_ACCOUNTS } from "@tradingbots/kube";
import { PAPER_PROCESS, type VerificationResult } from "@tradingbots/crds";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BOT_CLASSES, EXCHANGE_ACCOUNTS, TRADING_BOTS, TRADING_HALTS } from "../src/resources.ts";
import {
  botClass,
  NAMESPACE,
  type OperatorUnderTest,
  OTHER_USER,
  type Platform,
  startOperator,
  startPlatform,
  USER,
  VERIFIED,
} from "./platform.ts";
import { kubectl } from "./kubectl.ts";
import { foreignPod, setPodQuota } from "./pod-quota.ts";
import * as scenes from "./scenes.ts";
import { eventually, HOLDING } from "./scenes.ts";

/** The operator against a real API server; people, kubelet, bots, Vault and journal are played by the test. */

let platform: Platform;
let under: OperatorUnderTest;

beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform?.stop());
beforeEach(async () => {
  under = await startOperator(platform);
});
afterEach(async () => {
  await removeAll();
  await under.stop();
});

/** Ends a test's objects without the operator's help, so that the next test begins with none. */
async function removeAll(): Promise<void> {
  await under.operator.stop();
  await clear(TRADING_BOTS);
  await clear(EXCHANGE_ACCOUNTS);
  await clear(TRADING_HALTS);
  for (const { metadata } of await platform.client.list(PODS, { namespace: NAMESPACE })) {
    await platform.kill(metadata?.name ?? "");
  }
}

async function clear(
  resource: Resource<{ metadata: { name: string; namespace?: string | undefined } }>,
): Promise<void> {
  for (const { metadata } of await platform.client.list(resource)) {
    const body = { metadata: { finalizers: null } };
    await platform.client.patch(resource, metadata, { type: "merge", body });
    await platform.client.remove(resource, metadata);
  }
}

const runningBot = (spec: Record<string, unknown> = {}) =>
  scenes.runningBot({ platform, under }, spec);
const becomeReady = (name: string) => scenes.becomeReady({ platform, under }, name);
const verifiedAccount = (spec: Record<string, unknown> = {}, result = VERIFIED) =>
  scenes.verifiedAccount({ platform, under }, spec, result);

async function changeKey(name: string, credentialsVersion: number, result: VerificationResult) {
  await under.vault.store(NAMESPACE, name);
  await platform.patch(EXCHANGE_ACCOUNTS, name, { credentialsVersion });
  const verify = `verify-${name}-v${credentialsVersion}`;
  await eventually(() => platform.pod(verify)).toBeDefined();
  await platform.end(verify, "Succeeded", result);
}

describe("a bot starts", () => {
  test("with one POST and two statuses, and then nothing is written", async () => {
    const account = await verifiedAccount();
    await under.settle();
    under.writes.length = 0;
    const readsBefore = under.reads.length;
    const { name } = await runningBot({ accountName: account });
    await under.settle();
    expect(under.writes).toEqual([
      `PUT tradingbots/${name}/status`,
      "POST pods",
      `PUT tradingbots/${name}/status`,
    ]);
    expect(under.reads).toHaveLength(readsBefore);
    expect(await platform.conditionsOf(name)).toEqual({
      Ready: "True Running",
      CredentialsReady: "True Verified",
      PodReady: "True Ready",
      ConfigApplied: "True Applied",
      Trading: "True Trading",
      Protected: "True NoPosition",
      Halted: "False NoHalt",
      Flat: "True NothingOpen",
    });
    expect((await platform.bot(name))?.status).toMatchObject({
      observedGeneration: 1,
      podName: name,
      image: "bot:1",
      summary: { position: "none", dayResult: "0" },
    });
  });

  test("in a pod of exactly this shape", async () => {
    const account = await verifiedAccount();
    const { name } = await runningBot({ accountName: account });
    const bot = await platform.bot(name);
    const pod = await platform.pod(name);
    expect(pod?.metadata).toMatchObject({
      labels: {
        "app.kubernetes.io/name": "tradingbots",
        "app.kubernetes.io/component": "bot",
        "app.kubernetes.io/managed-by": "tradingbots-operator",
        "tradingbots.dev/role": "bot",
        "tradingbots.dev/user": USER,
        "tradingbots.dev/bot": name,
        "tradingbots.dev/account": account,
      },
      annotations: { "tradingbots.dev/credentials-version": "1" },
      ownerReferences: [
        {
          kind: "TradingBot",
          name,
          uid: bot?.metadata.uid,
          controller: true,
        },
      ],
    });
    expect(pod?.spec).toMatchObject({
      serviceAccountName: account,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: "OnFailure",
      terminationGracePeriodSeconds: 30,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 10_001,
        seccompProfile: { type: "RuntimeDefault" },
      },
    });
    expect(pod?.spec?.initContainers).toMatchObject([
      {
        name: "vault-agent",
        image: "vault:1",
        command: ["vault", "agent", "-config=/etc/vault-agent/agent.hcl"],
        resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "192Mi" } },
        securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
      },
    ]);
    expect(pod?.spec?.containers).toMatchObject([
      {
        name: "bot",
        image: "bot:1",
        args: ["/app/bot.mjs"],
        resources: { requests: { cpu: "10m", memory: "96Mi" }, limits: { memory: "192Mi" } },
        terminationMessagePath: "/dev/termination-log",
        volumeMounts: [
          { name: "config", mountPath: "/etc/tradingbots", readOnly: true },
          {
            name: "journal-token",
            mountPath: "/var/run/secrets/tradingbots/journal",
            readOnly: true,
          },
          { name: "credentials", mountPath: "/vault/secrets", readOnly: true },
        ],
      },
    ]);
    const mountsOfVaultToken = [
      ...(pod?.spec?.initContainers ?? []),
      ...(pod?.spec?.containers ?? []),
    ]
      .filter(({ volumeMounts }) => volumeMounts?.some((mount) => mount.name === "vault-token"))
      .map((container) => container.name);
    expect(mountsOfVaultToken).toEqual(["vault-agent"]);
    const audiences = pod?.spec?.volumes?.flatMap(
      ({ projected }) =>
        projected?.sources?.map((source) => source.serviceAccountToken?.audience) ?? [],
    );
    expect(audiences).toEqual(["journal", "vault"]);
    expect(await platform.config(name)).toMatchObject({
      botName: name,
      botUid: bot?.metadata.uid,
      generation: 1,
      accountName: account,
      state: "Running",
      halts: [],
      endpoint: null,
    });
  });

  test("without Vault and as nobody else when it trades on paper", async () => {
    const { name } = await runningBot();
    const pod = await platform.pod(name);
    expect(pod?.spec?.serviceAccountName).toBe(`paper-${name}`);
    expect(pod?.spec?.initContainers).toBeUndefined();
    const [container] = pod?.spec?.containers ?? [];
    expect(container?.args).toEqual([...PAPER_PROCESS.flags, "/app/bot.mjs"]);
    for (const variable of PAPER_PROCESS.environment)
      expect(container?.env).toContainEqual(variable);
    const account = await platform.client.get(SERVICE_ACCOUNTS, {
      namespace: NAMESPACE,
      name: `paper-${name}`,
    });
    expect(account).toMatchObject({
      automountServiceAccountToken: false,
      metadata: { ownerReferences: [{ kind: "TradingBot", name }] },
    });
  });

  test("not at all when it was created Stopped", async () => {
    const name = await platform.createBot({ state: "Stopped" });
    await eventually(() => platform.ready(name)).toBe("False Stopped");
    await under.settle();
    expect(await platform.pod(name)).toBeUndefined();
    expect((await platform.conditionsOf(name))["Flat"]).toBe("True NeverStarted");
  });
});

describe("changes", () => {
  test("of limits reach the running pod's annotation and replace nothing", async () => {
    const { name, uid } = await runningBot();
    await platform.patch(TRADING_BOTS, name, { risk: { dailyLossPercent: 3 } });
    await eventually(() => platform.config(name)).toMatchObject({
      generation: 2,
      risk: { dailyLossPercent: 3 },
    });
    await eventually(async () => (await platform.conditionsOf(name))["ConfigApplied"]).toBe(
      "False Pending",
    );
    under.report(name, uid, { generation: 2 });
    await eventually(async () => (await platform.conditionsOf(name))["ConfigApplied"]).toBe(
      "True Applied",
    );
    expect((await platform.pod(name))?.metadata?.uid).toBe(uid);
    const applied = (await platform.bot(name))?.status?.conditions?.find(
      ({ type }) => type === "ConfigApplied",
    );
    expect(applied?.observedGeneration).toBe(2);
  });

  test("that ask for something once reach the running pod, and what became of it is shown", async () => {
    const { name, uid } = await runningBot();
    const id = "c0ffee00-1111-4222-8333-444455556666";
    const request = { id, action: "ClosePosition", symbol: "BTC/USDT:USDT" };
    const requests = [{ ...request, notAfter: "2026-01-01T00:00:00Z" }];
    await platform.patch(TRADING_BOTS, name, { requests });
    await eventually(() => platform.config(name)).toMatchObject({ generation: 2, requests });
    under.report(name, uid, { generation: 2 });
    await eventually(async () => (await platform.conditionsOf(name))["ConfigApplied"]).toBe(
      "True Applied",
    );
    under.report(name, uid, { generation: 2, requests: [{ id, status: "done", reason: null }] });
    await eventually(async () => (await platform.bot(name))?.status?.requests).toEqual([
      { id, status: "done" },
    ]);
    expect((await platform.pod(name))?.metadata?.uid).toBe(uid);
  });

  test("of the image replace the pod, the new one only when the old one is gone", async () => {
    await platform.client.create(BOT_CLASSES, botClass("rolling", "bot:1"));
    const { name, uid } = await runningBot({ className: "rolling" });
    await platform.bind(name);
    await platform.patch(BOT_CLASSES, "rolling", { image: "bot:2" });
    await eventually(
      async () => (await platform.pod(name))?.metadata?.deletionTimestamp,
    ).toBeDefined();
    await under.settle();
    expect(await platform.ready(name)).toBe("False Replacing");
    await platform.kill(name);
    await eventually(async () => (await platform.pod(name))?.spec?.containers[0]?.image).toBe(
      "bot:2",
    );
    expect((await platform.pod(name))?.metadata?.uid).not.toBe(uid);
  });

  test("of the key replace the pod once the new key is verified, not before", async () => {
    const account = await verifiedAccount();
    const { name, uid } = await runningBot({ accountName: account });
    await under.vault.store(NAMESPACE, account);
    await platform.patch(EXCHANGE_ACCOUNTS, account, { credentialsVersion: 2 });
    await eventually(() => platform.pod(`verify-${account}-v2`)).toBeDefined();
    await under.settle();
    expect((await platform.pod(name))?.metadata?.uid).toBe(uid);
    await platform.end(`verify-${account}-v2`, "Succeeded", {
      ...VERIFIED,
      asOf: "2026-01-02T00:00:00Z",
    });
    await eventually(
      async () =>
        (await platform.pod(name))?.metadata?.annotations?.["tradingbots.dev/credentials-version"],
    ).toBe("2");
  });

  test("of the key to another account of the exchange are refused, and the pod stays", async () => {
    const account = await verifiedAccount();
    const { name, uid } = await runningBot({ accountName: account });
    const other = { ...VERIFIED, exchangeAccountId: "4712" };
    await changeKey(account, 2, other);
    await eventually(() => platform.ready(account)).toBe("False AccountChanged");
    await eventually(() => platform.ready(name)).toBe("False AccountChanged");
    await under.settle();
    expect((await platform.account(account))?.status?.exchangeAccountId).toBe("4711");
    const pod = await platform.pod(name);
    expect(pod?.metadata?.uid).toBe(uid);
    expect(pod?.metadata?.annotations?.["tradingbots.dev/credentials-version"]).toBe("1");
    // Once the pod is gone none is made that would look for its positions on the other account.
    await platform.patch(TRADING_BOTS, name, { state: "Stopped" });
    await platform.kill(name);
    await under.settle();
    expect(await platform.pod(name)).toBeUndefined();

    await changeKey(account, 3, VERIFIED);
    await eventually(() => platform.ready(account)).toBe("True Verified");
    await eventually(() => platform.config(name)).toMatchObject({ state: "Stopped" });
  });

  test("the mark of an earlier failure goes from a pod that has long been well", async () => {
    const { name } = await runningBot();
    const key = { namespace: NAMESPACE, name };
    const mark = { metadata: { annotations: { "tradingbots.dev/unwell-before": "true" } } };
    await platform.client.patch(PODS, key, { type: "merge", body: mark });
    const ready = { type: "Ready", status: "True", lastTransitionTime: "2026-01-01T00:00:00Z" };
    await platform.setStatus(name, { conditions: [ready] });
    const marks = async () => (await platform.pod(name))?.metadata?.annotations ?? mark;
    await eventually(marks).not.toHaveProperty(["tradingbots.dev/unwell-before"]);
    await under.settle();
    expect(under.writes.filter((write) => write === `PATCH pods/${name}`)).toHaveLength(1);
  });

  test("a pod deleted by hand is replaced by exactly one", async () => {
    const { name, uid } = await runningBot();
    under.writes.length = 0;
    await platform.kill(name);
    await eventually(async () => (await platform.pod(name))?.metadata?.uid ?? uid).not.toBe(uid);
    await under.settle();
    expect(under.writes.filter((write) => write === "POST pods")).toHaveLength(1);
  });
});

describe("ends", () => {
  test("a Stopped bot closes by itself; flat is recorded before its pod goes", async () => {
    const { name, uid } = await runningBot();
    under.report(name, uid, { generation: 1, flat: false });
    await platform.patch(TRADING_BOTS, name, { state: "Stopped" });
    await eventually(() => platform.config(name)).toMatchObject({ state: "Stopped" });
    await eventually(() => platform.ready(name)).toBe("False Stopping");
    await under.settle();
    expect((await platform.pod(name))?.metadata?.uid).toBe(uid);
    under.writes.length = 0;
    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.pod(name)).toBeUndefined();
    await eventually(() => platform.ready(name)).toBe("False Stopped");
    await under.settle();
    expect(under.writes.slice(0, 2)).toEqual([
      `PUT tradingbots/${name}/status`,
      `DELETE pods/${name}`,
    ]);
    expect(await platform.pod(name)).toBeUndefined();
    expect((await platform.bot(name))?.status?.podName).toBeUndefined();
    await platform.patch(TRADING_BOTS, name, { state: "Running" });
    await eventually(() => platform.pod(name)).toBeDefined();
    await eventually(async () => (await platform.conditionsOf(name))["Flat"]).toBe(
      "Unknown Starting",
    );
  });

  test("a Stopped bot whose pod vanished gets a pod that closes", async () => {
    const { name, uid } = await runningBot();
    under.report(name, uid, { generation: 1, flat: false });
    await under.settle();
    await platform.patch(TRADING_BOTS, name, { state: "Stopped" });
    await platform.kill(name);
    await eventually(async () => (await platform.pod(name))?.metadata?.uid ?? uid).not.toBe(uid);
    expect(await platform.config(name)).toMatchObject({ state: "Stopped" });
  });

  test("a Paused bot runs its position to the exit; then it costs no pod until it is started again", async () => {
    const { name, uid } = await runningBot();
    under.report(name, uid, { flat: false });
    await platform.patch(TRADING_BOTS, name, { state: "Paused" });
    await eventually(() => platform.ready(name)).toBe("False Pausing");
    await under.settle();
    expect((await platform.pod(name))?.metadata?.uid).toBe(uid);
    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.pod(name)).toBeUndefined();
    await eventually(() => platform.ready(name)).toBe("False Paused");
    const before = await under.settle();
    expect(await under.settle()).toBe(before);
    await platform.patch(TRADING_BOTS, name, { state: "Running" });
    await eventually(() => platform.pod(name)).toBeDefined();
  });

  test("Retired: nothing open, so pod and object go; a bot that never ran goes at once", async () => {
    const { name } = await runningBot();
    expect(under.isReported(name)).toBe(true);
    const idle = await platform.createBot({ state: "Stopped" });
    for (const each of [name, idle]) await platform.patch(TRADING_BOTS, each, { state: "Retired" });
    await eventually(() => platform.bot(idle)).toBeUndefined();
    await eventually(() => platform.ready(name)).toBe("False Retiring");
    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.bot(name)).toBeUndefined();
    expect(await platform.pod(name)).toBeUndefined();
    await eventually(async () => under.isReported(name)).toBe(false);
  });

  test("kubectl delete waits for the same, and says why", async () => {
    const { name, uid } = await runningBot();
    under.report(name, uid, { generation: 1, flat: false });
    await platform.client.remove(TRADING_BOTS, { namespace: NAMESPACE, name });
    await eventually(() => platform.config(name)).toMatchObject({ state: "Retired" });
    await eventually(() => platform.ready(name)).toBe("False Retiring");
    expect(await platform.bot(name)).toBeDefined();
    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.bot(name)).toBeUndefined();
  });

  test("a pod that ended although it should run is made anew, after a pause", async () => {
    const { name } = await runningBot();
    await platform.end(name, "Failed", { flat: false, epoch: 1 });
    await eventually(() => platform.ready(name)).toBe("False Restarting");
    await under.settle();
    expect(await platform.pod(name)).toBeDefined();
  });
});

describe("an account", () => {
  test("waits for its key, is verified once, and then nothing is written or asked", async () => {
    const name = await platform.createAccount();
    await eventually(() => platform.ready(name)).toBe("False CredentialsMissing");
    const bot = await platform.createBot({ accountName: name });
    await eventually(() => platform.ready(bot)).toBe("False CredentialsMissing");
    expect(await platform.pod(bot)).toBeUndefined();
    await under.vault.store(NAMESPACE, name);
    await platform.patch(EXCHANGE_ACCOUNTS, name, { name: "asks again" });
    await eventually(() => platform.pod(`verify-${name}-v1`)).toBeDefined();
    const pod = await platform.pod(`verify-${name}-v1`);
    expect(pod?.spec).toMatchObject({
      restartPolicy: "Never",
      serviceAccountName: name,
      containers: [{ args: ["/app/verify.mjs"] }],
    });
    expect(await platform.config(`verify-${name}-v1`)).toEqual({
      namespace: NAMESPACE,
      userId: USER,
      accountName: name,
      exchange: "bybit",
      mode: "live",
      endpoint: null,
    });
    await platform.end(`verify-${name}-v1`, "Succeeded", VERIFIED);
    await eventually(() => platform.ready(name)).toBe("True Verified");
    await eventually(() => platform.pod(bot)).toBeDefined();
    await eventually(() => platform.pod(`verify-${name}-v1`)).toBeUndefined();
    const before = await under.settle();
    await platform.client.patch(
      EXCHANGE_ACCOUNTS,
      { namespace: NAMESPACE, name },
      { type: "merge", body: { metadata: { annotations: { touched: "yes" } } } },
    );
    expect(await under.settle()).toBe(before);
  });

  test("with a refused key is not asked for again until the key is another one", async () => {
    const refused: VerificationResult = {
      ...VERIFIED,
      state: "refused",
      reason: "InvalidKey",
      message: "no such key",
      permissions: [],
    };
    const name = await verifiedAccount({}, refused);
    const bot = await platform.createBot({ accountName: name });
    await eventually(() => platform.ready(bot)).toBe("False CredentialsRefused");
    expect(await platform.ready(name)).toBe("False CredentialsRefused");
    await under.settle();
    expect(await platform.pod(`verify-${name}-v1`)).toBeUndefined();
    expect(await platform.pod(bot)).toBeUndefined();
    const events = await platform.client.list(EVENTS, { namespace: NAMESPACE });
    const told = events.filter(({ regarding }) => regarding?.name === name);
    expect(told.map(({ reason }) => reason)).toContain("CredentialsRefused");
  });

  test("that is connected already is refused", async () => {
    const first = await verifiedAccount();
    const second = await verifiedAccount({ userId: OTHER_USER });
    await eventually(() => platform.ready(second)).toBe("False AccountAlreadyConnected");
    expect(await platform.ready(first)).toBe("True Verified");
    await platform.patch(EXCHANGE_ACCOUNTS, first, { state: "Retired" });
    await eventually(() => platform.account(first)).toBeUndefined();
    await eventually(() => platform.ready(second)).toBe("True Verified");
  });

  test("in a namespace that is not the operator's is left alone, though its twin here ends", async () => {
    const elsewhere = { namespace: "default", name: `acct-${"9".repeat(20)}` };
    await platform.client.create(EXCHANGE_ACCOUNTS, {
      apiVersion: "tradingbots.dev/v1alpha1",
      kind: "ExchangeAccount",
      metadata: elsewhere,
      spec: { userId: OTHER_USER, exchange: "bybit", name: "elsewhere" },
    });
    const body = { status: { verification: { ...VERIFIED, credentialsVersion: 1 } } };
    const patch = { type: "merge", body, subresource: "status" } as const;
    const before = await platform.client.patch(EXCHANGE_ACCOUNTS, elsewhere, patch);
    const here = await verifiedAccount();
    await platform.patch(EXCHANGE_ACCOUNTS, here, { state: "Retired" });
    await eventually(() => platform.account(here)).toBeUndefined();
    await under.settle();
    const after = await platform.client.get(EXCHANGE_ACCOUNTS, elsewhere);
    expect(after?.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });

  test("that is Retired ends after its bots, and Vault forgets its key", async () => {
    const account = await verifiedAccount();
    const { name, uid } = await runningBot({ accountName: account });
    under.report(name, uid, { generation: 1, flat: false });
    await platform.patch(EXCHANGE_ACCOUNTS, account, { state: "Retired" });
    await eventually(() => platform.config(name)).toMatchObject({ state: "Retired" });
    await eventually(() => platform.ready(account)).toBe("False Retiring");
    expect(await under.vault.currentVersion(NAMESPACE, account)).toBe(1);
    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.bot(name)).toBeUndefined();
    await eventually(() => platform.account(account)).toBeUndefined();
    expect(await under.vault.currentVersion(NAMESPACE, account)).toBeUndefined();
  });

  test("whose bot no watch shows keeps its key while that bot has a pod", async () => {
    const account = await verifiedAccount();
    const name = "bot-unseen00000000000000";
    const labels = {
      "app.kubernetes.io/managed-by": "tradingbots-operator",
      "tradingbots.dev/role": "bot",
      "tradingbots.dev/account": account,
    };
    const pod = foreignPod(name);
    await platform.client.create(SERVICE_ACCOUNTS, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { namespace: NAMESPACE, name: "unseen" },
    });
    await platform.client.create(PODS, {
      ...pod,
      metadata: { ...pod.metadata, labels },
      spec: { ...pod.spec, serviceAccountName: "unseen" },
    });
    await platform.patch(EXCHANGE_ACCOUNTS, account, { state: "Retired" });
    await eventually(async () => (await platform.account(account))?.metadata).toHaveProperty(
      "deletionTimestamp",
    );
    await expect.poll(() => under.reads.filter((read) => read.includes("pods")).length).not.toBe(0);
    expect(await under.vault.currentVersion(NAMESPACE, account)).toBe(1);
    await platform.kill(name);
    await eventually(() => platform.account(account)).toBeUndefined();
    expect(await under.vault.currentVersion(NAMESPACE, account)).toBeUndefined();
  });
});

const ONE_BOT = { botsPerUser: 1 };

describe("who may trade", () => {
  test("what gets no pod takes no symbol, no place and no end from others", async () => {
    await platform.client.create(BOT_CLASSES, botClass("one", "bot:1", { ceilings: ONE_BOT }));
    const accountName = await verifiedAccount();
    const intruder = await platform.createBot({ accountName, userId: OTHER_USER });
    await eventually(() => platform.ready(intruder)).toBe("False UserMismatch");
    await platform.client.create(TRADING_BOTS, {
      apiVersion: "tradingbots.dev/v1alpha1",
      kind: "TradingBot",
      metadata: { namespace: "default", name: "bot-elsewhere" },
      spec: { ...(await platform.bot(intruder))?.spec, userId: USER, className: "one" },
    });
    const { name } = await runningBot({ accountName, className: "one" });
    await platform.patch(TRADING_BOTS, name, { state: "Retired" });
    await eventually(() => platform.ready(name)).toBe("False Retiring");
    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.bot(name)).toBeUndefined();
    // A finalizer of its own keeps the other user's bot; the account does not wait for it.
    const kept = { metadata: { finalizers: ["example.com/kept", "tradingbots.dev/flat"] } };
    await platform.client.patch(
      TRADING_BOTS,
      { namespace: NAMESPACE, name: intruder },
      { type: "merge", body: kept },
    );
    await platform.patch(EXCHANGE_ACCOUNTS, accountName, { state: "Retired" });
    await eventually(() => platform.account(accountName)).toBeUndefined();
    expect(await platform.bot(intruder)).toBeDefined();
    await platform.client.remove(BOT_CLASSES, { name: "one" });
  });

  test("nobody under the name of a pod that checks keys", async () => {
    const created = platform.createBot({}, `verify-acct-${"7".repeat(20)}-v2`);
    await expect(created).rejects.toThrow("pods that check keys are called so");
  });

  test("of two bots on one symbol the older; the other one follows when that one is gone", async () => {
    const accountName = await verifiedAccount();
    const { name: older } = await runningBot({ accountName });
    const younger = await platform.createBot({ accountName });
    await eventually(() => platform.ready(younger)).toBe("False SymbolTaken");
    expect(await platform.pod(younger)).toBeUndefined();
    await platform.patch(TRADING_BOTS, older, { state: "Stopped" });
    await eventually(() => platform.ready(older)).toBe("False Stopping");
    await platform.end(older, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.pod(younger)).toBeDefined();
  });

  test.each([
    { reason: "ClassNotFound", spec: { className: "no-such-class" } },
    { reason: "LeverageAboveClass", spec: { risk: { leverage: 11 } } },
    { reason: "AccountNotFound", spec: { accountName: "acct-nobody", mode: "live" } },
    { reason: "StrategyInvalid", spec: { strategy: { name: "rsi", params: { period: 1 } } } },
  ])("$reason: no pod", async ({ reason, spec }) => {
    const name = await platform.createBot(spec);
    await eventually(() => platform.ready(name)).toBe(`False ${reason}`);
    await under.settle();
    expect(await platform.pod(name)).toBeUndefined();
    await platform.patch(TRADING_BOTS, name, { state: "Retired" });
    await eventually(() => platform.bot(name)).toBeUndefined();
  });

  test("another user's account: no pod", async () => {
    const accountName = await verifiedAccount({ userId: OTHER_USER });
    const name = await platform.createBot({ accountName });
    await eventually(() => platform.ready(name)).toBe("False UserMismatch");
    expect(await platform.pod(name)).toBeUndefined();
  });

  test("a foreign pod of the bot's name is left alone, and costs nothing while it stays", async () => {
    const name = "bot-foreign0000000000000";
    await platform.client.create(SERVICE_ACCOUNTS, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { namespace: NAMESPACE, name: "somebody" },
    });
    await platform.client.create(PODS, foreignPod(name));
    await platform.createBot({}, name);
    await eventually(() => platform.ready(name)).toBe("False ForeignPod");
    await under.settle();
    expect((await platform.pod(name))?.spec?.serviceAccountName).toBe("somebody");
    expect((await platform.conditionsOf(name))["Flat"]).toBe("True NeverStarted");
    await platform.kill(name);
    await platform.patch(TRADING_BOTS, name, { displayName: "again" });
    await eventually(async () => (await platform.pod(name))?.spec?.serviceAccountName).toBe(
      `paper-${name}`,
    );
    await eventually(() => platform.ready(name)).toBe("False Starting");
  });

  test("a pod that the cluster refuses costs nothing while it is refused, and is no reason to stay", async () => {
    await setPodQuota(platform, "0");
    const name = await platform.createBot();
    await eventually(() => platform.ready(name)).toBe("False PodRefused");
    await under.settle();
    under.writes.length = 0;
    await platform.client.patch(
      TRADING_BOTS,
      { namespace: NAMESPACE, name },
      { type: "merge", body: { metadata: { annotations: { touched: "yes" } } } },
    );
    await under.settle();
    expect(under.writes).toEqual(["POST pods"]); // a dry run
    expect((await platform.conditionsOf(name))["Flat"]).toBe("True NeverStarted");

    const { conditions, events } = await described(name);
    const refused =
      /PodRefused.* The cluster refuses the pod: .*exceeded quota: pods, requested: pods=1, limited: pods=0$/;
    expect(conditions.get("Ready")).toMatch(refused);
    expect(conditions.get("Flat")).toBe("True NeverStarted The bot has never run.");
    expect(events).toEqual([expect.stringMatching(refused)]);
    expect(events[0]).toMatch(/^Warning PodRefused \S+ tradingbots.dev\/operator The cluster/);
    await platform.patch(TRADING_BOTS, name, { state: "Stopped" });
    await eventually(() => platform.ready(name)).toBe("False Stopped");
    await platform.patch(TRADING_BOTS, name, { state: "Retired" });
    await eventually(() => platform.bot(name)).toBeUndefined();
    await setPodQuota(platform, "100");
  });
});

/** What `kubectl describe` tells: status, reason and message of each condition, and the lines of Events. */
async function described(bot: string) {
  const told = await kubectl(platform, "describe", "tradingbot", bot);
  const [state = "", events = ""] = told.replaceAll(/ +/g, " ").split("\nEvents:");
  const found = state.matchAll(/Message: (.*)\n Reason: (.*)\n Status: (.*)\n Type: (.*)\n/g);
  const conditions = new Map<string | undefined, string>();
  for (const [, message, reason, status, type] of found) {
    conditions.set(type, `${status} ${reason} ${message}`);
  }
  const lines = events.split("\n").map((line) => line.trim());
  return {
    conditions,
    events: lines.filter((line) => line.startsWith("Warning") || line.startsWith("Normal")),
  };
}

describe("a halt", () => {
  test("reaches matching bots only, is acknowledged by their reports, and ends when lifted", async () => {
    const { name, uid } = await runningBot();
    const { name: other } = await runningBot({ symbols: ["ETH/USDT:USDT"] });
    const halt = await platform.createHalt({ scope: { type: "bot", value: name } });
    await eventually(() => platform.config(name)).toMatchObject({
      halts: [{ name: halt, action: "BlockEntries" }],
    });
    expect(await platform.config(other)).toMatchObject({ halts: [] });
    await eventually(async () => (await platform.halt(halt))?.status).toMatchObject({
      matched: 1,
      acknowledged: 0,
      laggards: [`${NAMESPACE}/${name}`],
    });
    await eventually(async () => (await platform.conditionsOf(name))["Halted"]).toBe(
      "True TradingHalt",
    );
    expect(await platform.ready(name)).toBe("False Halted"); // the column REASON of `kubectl get tb`
    under.report(name, uid, {
      halts: [await uidOf(halt)],
      trading: false,
      blocked: [{ reason: "Halted", message: "a halt" }],
    });
    await eventually(async () => (await platform.halt(halt))?.status).toMatchObject({
      acknowledged: 1,
      laggards: [],
    });
    await platform.patch(TRADING_HALTS, halt, { lifted: true });
    await eventually(() => platform.config(name)).toMatchObject({ halts: [] });
    await eventually(async () => (await platform.conditionsOf(halt))["InForce"]).toBe(
      "False Lifted",
    );
    await eventually(async () => (await platform.conditionsOf(name))["Halted"]).toBe(
      "False NoHalt",
    );
  });

  test("ends at its time", async () => {
    const { name } = await runningBot();
    const expiresAt = new Date(Date.now() + 2_500).toISOString();
    const halt = await platform.createHalt({ scope: { type: "all" }, expiresAt });
    await eventually(() => platform.config(name)).toMatchObject({ halts: [{ name: halt }] });
    await eventually(() => platform.config(name)).toMatchObject({ halts: [] });
    await eventually(async () => (await platform.halt(halt))?.status?.matched).toBe(0);
    expect((await platform.conditionsOf(halt))["InForce"]).toBe("False Expired");
  });

  test("that flattens is told to the bot, counted until it is done, and leaves the bot Paused", async () => {
    const { name, uid } = await runningBot();
    under.report(name, uid, HOLDING);
    const halt = await platform.createHalt({
      scope: { type: "user", value: USER },
      action: "Flatten",
    });
    await eventually(() => platform.config(name)).toMatchObject({
      halts: [{ name: halt, action: "Flatten", symbols: null }],
    });
    await eventually(() => platform.ready(name)).toBe("False Halted");
    under.report(name, uid, { ...HOLDING, halts: [await uidOf(halt)] });
    await eventually(() => haltOf(halt)).toMatchObject({
      matched: 1,
      acknowledged: 1,
      finished: 0,
      laggards: [`${NAMESPACE}/${name}`],
      Executed: "False InProgress",
    });
    await under.settle();
    expect((await platform.bot(name))?.spec.state).toBe("Running");

    under.report(name, uid, { halts: [await uidOf(halt)], openSymbols: [], openEntries: [] });
    await eventually(async () => (await platform.bot(name))?.spec.state).toBe("Paused");
    await eventually(() => haltOf(halt)).toMatchObject({
      finished: 1,
      laggards: [],
      Executed: "True AllBots",
    });
    await eventually(() => platform.config(name)).toMatchObject({ state: "Paused" });
    const generation = (await platform.bot(name))?.metadata.generation ?? 0;
    under.report(name, uid, {
      generation,
      state: "Paused",
      halts: [await uidOf(halt)],
      trading: false,
    });
    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.pod(name)).toBeUndefined();
    await eventually(() => platform.ready(name)).toBe("False Halted");
    await under.settle();
    expect(await haltOf(halt)).toMatchObject({ matched: 1, finished: 1, Executed: "True AllBots" });

    await platform.patch(TRADING_HALTS, halt, { lifted: true });
    await eventually(() => platform.ready(name)).toBe("False Paused");
    expect(await haltOf(halt)).toMatchObject({ Executed: "True AllBots" });
    await platform.patch(TRADING_BOTS, name, { state: "Running" });
    await eventually(() => platform.pod(name)).toBeDefined();
    await becomeReady(name);
    await under.settle();
    expect((await platform.bot(name))?.spec.state).toBe("Running");
  });

  test("that flattens pauses a bot once: whoever starts it under the halt is obeyed", async () => {
    const { name, uid } = await runningBot();
    const halt = await platform.createHalt({ scope: { type: "all" }, action: "Flatten" });
    await eventually(() => platform.config(name)).toMatchObject({ halts: [{ name: halt }] });
    under.report(name, uid, { halts: [await uidOf(halt)] });
    await eventually(async () => (await platform.bot(name))?.spec.state).toBe("Paused");
    await platform.patch(TRADING_BOTS, name, { state: "Running" });
    await eventually(() => platform.config(name)).toMatchObject({ state: "Running" });
    await under.settle();
    expect((await platform.bot(name))?.spec.state).toBe("Running");
    expect(await platform.ready(name)).toBe("False Halted");
    const second = await platform.createHalt({ scope: { type: "all" }, action: "Flatten" });
    await eventually(() => platform.config(name)).toMatchObject({
      halts: [{ name: halt }, { name: second }],
    });
    under.report(name, uid, { halts: [await uidOf(halt), await uidOf(second)] });
    await eventually(async () => (await platform.bot(name))?.spec.state).toBe("Paused");
  });

  test.each(["Paused", "Stopped"])(
    "that flattens pauses once a bot that was %s before, when it is started under the halt",
    async (state) => {
      const name = await platform.createBot({ state });
      const halt = await platform.createHalt({ scope: { type: "all" }, action: "Flatten" });
      await eventually(() => haltOf(halt)).toMatchObject({ matched: 1, Executed: "True AllBots" });
      await under.settle();
      expect((await platform.bot(name))?.spec.state).toBe(state);
      await platform.patch(TRADING_BOTS, name, { state: "Running" });
      await eventually(() => platform.ready(name)).toBe("False Halted");
      expect((await platform.bot(name))?.spec.state).toBe("Paused");
      expect(await platform.pod(name)).toBeUndefined();
      await platform.patch(TRADING_BOTS, name, { state: "Running" });
      await eventually(() => platform.pod(name)).toBeDefined();
      await under.settle();
      expect((await platform.bot(name))?.spec.state).toBe("Running");
    },
  );

  test("that flattens never takes back that a user stops the bot", async () => {
    const { name, uid } = await runningBot();
    for (let round = 0; round < 5; round++) {
      const halt = await platform.createHalt({
        scope: { type: "bot", value: name },
        action: "Flatten",
      });
      await eventually(() => platform.config(name)).toMatchObject({ halts: [{ name: halt }] });
      const stopping = platform.patch(TRADING_BOTS, name, { state: "Stopped" });
      under.report(name, uid, { halts: [await uidOf(halt)] });
      await stopping;
      await under.settle();
      expect((await platform.bot(name))?.spec.state).toBe("Stopped");
      await platform.patch(TRADING_HALTS, halt, { lifted: true });
      await platform.patch(TRADING_BOTS, name, { state: "Running" });
      await eventually(() => platform.config(name)).toMatchObject({ state: "Running", halts: [] });
      under.report(name, uid, {
        generation: (await platform.bot(name))?.metadata.generation ?? 0,
      });
    }
  });

  test("that cancels orders on one symbol is done when no entry order is open there", async () => {
    const { name, uid } = await runningBot({ symbols: ["BTC/USDT:USDT", "ETH/USDT:USDT"] });
    const scope = { type: "symbol", value: "ETH/USDT:USDT" };
    const halt = await platform.createHalt({ scope, action: "CancelOrders" });
    await eventually(() => platform.config(name)).toMatchObject({
      halts: [{ name: halt, action: "CancelOrders", symbols: ["ETH/USDT:USDT"] }],
    });
    const open = {
      flat: false,
      openSymbols: ["BTC/USDT:USDT", "ETH/USDT:USDT"],
      halts: [await uidOf(halt)],
    };
    under.report(name, uid, { ...open, openEntries: ["ETH/USDT:USDT"] });
    await eventually(() => haltOf(halt)).toMatchObject({
      acknowledged: 1,
      finished: 0,
      Executed: "False InProgress",
    });
    under.report(name, uid, { ...open, openEntries: ["BTC/USDT:USDT"] });
    await eventually(() => haltOf(halt)).toMatchObject({ finished: 1, Executed: "True AllBots" });
    await under.settle();
    expect((await platform.bot(name))?.spec.state).toBe("Running");
    expect(await platform.ready(name)).toBe("True Running"); // the other symbol goes on
  });

  test("on a symbol reaches a bot that has dropped the symbol and still holds it", async () => {
    const { name, uid } = await runningBot({ symbols: ["ETH/USDT:USDT"] });
    under.report(name, uid, HOLDING);
    const scope = { type: "symbol", value: "BTC/USDT:USDT" };
    const halt = await platform.createHalt({ scope, action: "Flatten" });
    await eventually(() => platform.config(name)).toMatchObject({
      halts: [{ name: halt, symbols: ["BTC/USDT:USDT"] }],
    });
    under.report(name, uid, { ...HOLDING, halts: [await uidOf(halt)] });
    await eventually(() => haltOf(halt)).toMatchObject({ matched: 1, acknowledged: 1 });
    expect(await haltOf(halt)).toMatchObject({ finished: 0, Executed: "False InProgress" });

    // An operator that has just started has heard nothing yet, and the halt itself closes what tells of the symbol.
    await under.settle();
    await under.stop();
    under = await startOperator(platform, { isJournalHeard: false });
    await under.settle();
    expect(await platform.config(name)).toMatchObject({ halts: [{ name: halt }] });
    expect(await haltOf(halt)).toMatchObject({ matched: 1, finished: 0 });
    under.setHeard(true);
    under.report(name, uid, { openSymbols: [], openEntries: [], halts: [await uidOf(halt)] });
    await eventually(async () => (await platform.bot(name))?.spec.state).toBe("Paused");
    await eventually(() => haltOf(halt)).toMatchObject({ finished: 1, Executed: "True AllBots" });

    await platform.end(name, "Succeeded", { flat: true, epoch: 1 });
    await eventually(() => platform.pod(name)).toBeUndefined();
    await under.settle();
    expect(await haltOf(halt)).toMatchObject({ matched: 1, finished: 1, Executed: "True AllBots" });
  });

  test("is obeyed when its own uid is told: another one of its name has ended", async () => {
    const { name, uid } = await runningBot();
    const halt = await platform.createHalt({ scope: { type: "bot", value: name } });
    await eventually(() => platform.config(name)).toMatchObject({ halts: [{ name: halt }] });
    const report = { halts: [await uidOf(halt)], trading: false };
    under.report(name, uid, report);
    await eventually(() => haltOf(halt)).toMatchObject({ acknowledged: 1 });
    await platform.client.remove(TRADING_HALTS, { name: halt });
    await eventually(() => platform.config(name)).toMatchObject({ halts: [] });

    await platform.createHalt({ scope: { type: "all" }, action: "Flatten" }, halt);
    await eventually(() => platform.config(name)).toMatchObject({ halts: [{ action: "Flatten" }] });
    under.report(name, uid, { ...report, dayResult: "1" });
    await under.settle();
    expect(await haltOf(halt)).toMatchObject({ matched: 1, acknowledged: 0, finished: 0 });
    expect((await platform.bot(name))?.spec.state).toBe("Running");

    under.report(name, uid, { ...report, halts: [await uidOf(halt)] });
    await eventually(async () => (await platform.bot(name))?.spec.state).toBe("Paused");
    await eventually(() => haltOf(halt)).toMatchObject({ finished: 1, Executed: "True AllBots" });
  });

  test("that nobody is concerned by is neither acknowledged nor executed", async () => {
    await runningBot();
    const scope = { type: "symbol", value: "BTC/USD:USDT" };
    const halt = await platform.createHalt({ scope, action: "Flatten" });
    await eventually(() => haltOf(halt)).toMatchObject({ matched: 0, Executed: "False NoBots" });
    expect((await platform.conditionsOf(halt))["Acknowledged"]).toBe("False NoBots");
  });

  test("that flattens is not done by a bot without a pod that may hold something", async () => {
    await platform.client.create(BOT_CLASSES, botClass("vanishing", "bot:1"));
    const { name, uid } = await runningBot({ className: "vanishing" });
    under.report(name, uid, HOLDING);
    await eventually(async () => (await platform.conditionsOf(name))["Flat"]).toBe(
      "False PositionOpen",
    );
    await platform.client.remove(BOT_CLASSES, { name: "vanishing" });
    await platform.kill(name);
    await eventually(() => platform.ready(name)).toBe("False ClassNotFound");
    const halt = await platform.createHalt({
      scope: { type: "bot", value: name },
      action: "Flatten",
    });
    await eventually(() => haltOf(halt)).toMatchObject({
      matched: 1,
      finished: 0,
      laggards: [`${NAMESPACE}/${name}`],
      Executed: "False InProgress",
    });
    await under.settle();
    expect((await platform.bot(name))?.spec.state).toBe("Running");
  });
});

/** What a bot acknowledges. */
async function uidOf(halt: string): Promise<string> {
  return (await platform.halt(halt))?.metadata.uid ?? "";
}

/** Its counts, and what its condition Executed says. */
async function haltOf(name: string) {
  const { Executed } = await platform.conditionsOf(name);
  return { ...(await platform.halt(name))?.status, Executed };
}

test("a restarted operator writes nothing when nothing has changed", async () => {
  const accountName = await verifiedAccount();
  const { name, uid } = await runningBot({ accountName });
  await platform.createBot({ state: "Stopped" });
  await platform.createHalt({ scope: { type: "symbol", value: "XRP/USDT:USDT" } });
  await under.settle();
  await under.stop();

  under = await startOperator(platform, { isJournalHeard: false, heardOf: [name, "bot-gone"] });
  await under.settle();
  expect([under.isReported(name), under.isReported("bot-gone")]).toEqual([true, false]);
  under.setHeard(true);
  under.report(name, uid, { generation: 1 });
  await under.settle();
  expect(under.writes).toEqual([]);
  expect(await platform.ready(name)).toBe("True Running");
});
