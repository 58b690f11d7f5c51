import { join, resolve } from "node:path";
import {
  API_VERSION,
  BotClass,
  ExchangeAccount,
  FINALIZERS,
  LABELS,
  TradingBot,
} from "@tradingbots/crds";
import {
  becomeLeader,
  createKubeClient,
  customResource,
  type KubeClient,
  kubeconfigAccess,
  KubernetesError,
  LEASES,
  type NewObject,
  PODS,
  type Resource,
  SERVICE_ACCOUNTS,
} from "@tradingbots/kube";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { ApiError } from "../../../api/src/errors.ts";
import { createKube } from "../../../api/src/kube.ts";
import { accountView } from "../../../operator/src/account/account-view.ts";
import { verifyPod } from "../../../operator/src/account/verify-pod.ts";
import { exampleFacts } from "../../../operator/src/bot/example-facts.ts";
import { botConfig } from "../../../operator/src/bot/config.ts";
import { botView } from "../../../operator/src/bot/bot-view.ts";
import { botPod, podTemplate } from "../../../operator/src/bot/pod.ts";
import { CONTAINER_SECURITY } from "../../../operator/src/pod-parts.ts";
import { classView } from "../../../operator/src/class-view.ts";
import { startControllers } from "../../control-plane/controllers.ts";
import { type ControlPlane, startControlPlane } from "../../control-plane/control-plane.ts";
import { toolPath } from "../../tools/tools.ts";

/** The policies as the chart renders them, on a real API server: what is refused and in which words, and what must pass. */

const chart = resolve(import.meta.dirname, "../../../charts/tradingbots");
const RELEASE = "tradingbots";
const BUCKET = "tradingbots-00";
const USER = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
const OTHER_USER = "00000000-0000-4000-8000-000000000001";
const BOTS = customResource(TradingBot);
const ACCOUNTS = customResource(ExchangeAccount);
const CLASSES = customResource(BotClass);

let controlPlane: ControlPlane;
let admin: KubeClient;
let api: KubeClient;
let operator: KubeClient;
let serial = 0;

beforeAll(async () => {
  controlPlane = await startControlPlane();
  const access = await kubeconfigAccess(controlPlane.kubeconfigPath);
  admin = createKubeClient(access);
  await kubectl(["create", "namespace", RELEASE]);
  const manifests = await rendered();
  const first = ["CustomResourceDefinition", "Namespace", "ServiceAccount"];
  await apply(manifests.filter(({ kind }) => first.includes(kind)));
  await kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]);
  const then = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
  await apply(manifests.filter(({ kind }) => then.includes(kind)));
  await apply(manifests.filter(({ kind }) => kind.startsWith("ValidatingAdmissionPolicy")));
  const as = async (account: string) => {
    const token = await tokenOf(account);
    return createKubeClient({ ...access, clientCertificate: undefined, token: () => token });
  };
  [api, operator] = [await as("tradingbots-api"), await as("tradingbots-operator")];
  await createClass("free", { leverage: 10, positionPercent: 5 });
  await createClass("demo", { modes: ["paper"], exchanges: ["bybit"], dailyLossPercent: 2.5 });
  await createClass("closed", { modes: [] });
  await untilInForce();
});
afterAll(async () => {
  for (const client of [api, operator, admin]) await client?.close();
  await controlPlane?.stop();
});

describe("a bot above its class is refused in words", () => {
  test.each<[string, object, string]>([
    [
      "leverage",
      { risk: { leverage: 11 } },
      "risk.leverage 11 is above the limit 10 of class free",
    ],
    [
      "position",
      { risk: { positionPercent: 5.5 } },
      "risk.positionPercent 5.5 is above the limit 5 of class free",
    ],
    [
      "daily loss",
      { className: "demo", risk: { dailyLossPercent: 3 } },
      "risk.dailyLossPercent 3 is above the limit 2.5 of class demo",
    ],
    [
      "mode",
      { className: "demo", mode: "live", accountName: "acct-1", risk: { dailyLossPercent: 2 } },
      "mode live is not among paper of class demo",
    ],
    [
      "exchange",
      { className: "demo", exchange: "kraken", risk: { dailyLossPercent: 2 } },
      "exchange kraken is not among bybit of class demo",
    ],
    ["no mode at all", { className: "closed" }, "mode paper is not among none of class closed"],
    [
      "also when it is created at rest",
      { state: "Stopped", risk: { leverage: 11 } },
      "risk.leverage 11",
    ],
  ])("%s", async (_name, spec, message) => {
    await expect(createBot(spec)).rejects.toThrow(message);
  });

  test.each<[string, object, object, string]>([
    ["a raised limit", {}, { risk: { leverage: 11 } }, "risk.leverage 11 is above the limit 10"],
    [
      "a class that allows less",
      { risk: { dailyLossPercent: 5 } },
      { className: "demo" },
      "risk.dailyLossPercent 5 is above the limit 2.5 of class demo",
    ],
  ])("on update: %s", async (...[, spec, change, message]) => {
    const name = await createBot({ state: "Running", ...spec });
    await expect(patchBot(name, change)).rejects.toThrow(message);
  });

  test("the API tells its user so, as a problem of theirs", async () => {
    const bots = createKube(api).bots;
    const refused = bots.create({
      ...botObject(`bot-${++serial}`, { risk: { leverage: 50 } }),
      apiVersion: API_VERSION,
      kind: TradingBot.kind,
    });
    await expect(refused).rejects.toThrow(ApiError);
    await expect(refused).rejects.toMatchObject({
      code: "refused_by_rule",
      status: 422,
      message: "risk.leverage 50 is above the limit 10 of class free",
    });
  });
});

test.each<[string, Resource<unknown>, () => object]>([
  ["a bot", BOTS, () => botObject("astray", {}).spec],
  ["an account", ACCOUNTS, () => ({ userId: USER, exchange: "bybit", name: "mine" })],
])("%s is refused where nobody would serve it", async (_name, resource, specOf) => {
  const metadata = { ...DEFAULT, name: "astray" };
  const spec = specOf();
  await expect(make(admin, resource, { metadata, spec })).rejects.toThrow(
    "nobody serves namespace default: bots and accounts live in tradingbots-00",
  );
});

describe("what never depends on the class: after its ceilings were lowered", () => {
  test.each<[string, object]>([
    ["a change of something else", { displayName: "renamed" }],
    ["a pause", { state: "Paused" }],
    ["a stop", { state: "Stopped" }],
    ["a retirement", { state: "Retired" }],
    ["a stop that comes with other changes", { state: "Stopped", risk: { leverage: 9 } }],
    ["a limit that is kept", { risk: { leverage: 4 } }],
  ])("passes: %s", async (_name, change) => {
    const name = await botAbove();
    expect(await patchBot(name, change)).toMatchObject({ spec: change });
  });

  test("passes: a downgrade that comes with a pause", async () => {
    const name = await createBot({ state: "Running", risk: { dailyLossPercent: 5 } });
    const change = { className: "demo", state: "Paused" };
    expect(await patchBot(name, change)).toMatchObject({ spec: change });
  });

  test("passes: deletion, and the end of its finalizer", async () => {
    const name = await botAbove();
    await admin.remove(BOTS, at(name));
    await admin.patch(BOTS, at(name), merge({ metadata: { finalizers: null } }));
    expect(await admin.get(BOTS, at(name))).toBeUndefined();
  });

  test("refused: to start it again", async () => {
    const name = await botAbove();
    await patchBot(name, { state: "Stopped", risk: { leverage: 8 } });
    await expect(patchBot(name, { state: "Running" })).rejects.toThrow(
      "risk.leverage 8 is above the limit 5 of class shrinking",
    );
  });

  test("passes: everything, where there is no such class", async () => {
    const name = await createBot({ className: "unknown", state: "Running" });
    await patchBot(name, { displayName: "renamed" });
    await patchBot(name, { state: "Stopped" });
    await admin.remove(BOTS, at(name));
    await admin.patch(BOTS, at(name), merge({ metadata: { finalizers: null } }));
    expect(await admin.get(BOTS, at(name))).toBeUndefined();
  });
});

describe("a pod in a bucket namespace", () => {
  test("that the operator makes of a bot or an account passes", async () => {
    await expect(make(operator, PODS, await paperPod())).resolves.toBeDefined();
    const name = `acct-${++serial}`;
    const account = await make(admin, ACCOUNTS, {
      metadata: at(name),
      spec: { userId: USER, exchange: "bybit", name: "mine" },
    });
    await make(admin, SERVICE_ACCOUNTS, { metadata: at(name) });
    const botClass = await classNamed("free");
    const pod = verifyPod(accountView(account), botClass, SETTINGS);
    await expect(make(operator, PODS, pod)).resolves.toBeDefined();

    const botName = await createBot({ accountName: name, mode: "live" });
    const bot = botView(BOTS.read(await admin.get(BOTS, at(botName))));
    const facts = exampleFacts({ bot, botClass });
    const inputs = { bot, template: botClass.wanted, credentialsVersion: 1 };
    const live = botPod(inputs, botConfig(facts, "Running"), SETTINGS);
    await expect(make(operator, PODS, live)).resolves.toBeDefined();
  });

  test("that checks a key tells how it stands and goes, while its account is being deleted", async () => {
    const name = `acct-${++serial}`;
    const spec = { userId: USER, exchange: "bybit", name: "mine" };
    const finalizers = [FINALIZERS.account];
    const account = await make(admin, ACCOUNTS, { metadata: { ...at(name), finalizers }, spec });
    await make(admin, SERVICE_ACCOUNTS, { metadata: at(name) });
    const pod = verifyPod(accountView(account), await classNamed("free"), SETTINGS);
    const key = at(pod.metadata.name);
    await make(operator, PODS, { ...pod, metadata: { ...pod.metadata, finalizers: ["x.dev/y"] } });
    await operator.remove(ACCOUNTS, at(name), { propagationPolicy: "Foreground" });

    const ended = { status: { phase: "Failed" } };
    await admin.patch(PODS, key, { ...merge(ended), subresource: "status" });
    await operator.remove(PODS, key);
    await operator.patch(PODS, key, merge({ metadata: { finalizers: null } }));
    expect(await admin.get(PODS, key)).toBeUndefined();
    const status = { status: { observedGeneration: 1 } };
    await operator.patch(ACCOUNTS, at(name), { ...merge(status), subresource: "status" });
    await operator.patch(ACCOUNTS, at(name), merge({ metadata: { finalizers: null } }));
    expect(await admin.get(ACCOUNTS, at(name))).toBeUndefined();
  });

  test("that closes a position of a class that has left the release passes with an image of the release", async () => {
    await make(admin, CLASSES, { metadata: { name: "former" }, spec: { image: "bot:0" } });
    const { inputs, config } = await paperParts("former");
    const own = botPod(inputs, config, SETTINGS);
    await expect(make(operator, PODS, own)).rejects.toThrow("has a class of this release");
    const free = await classNamed("free");
    const template = podTemplate(inputs.template, free);
    const closing = botPod({ ...inputs, template, className: "free" }, config, SETTINGS);
    await expect(make(operator, PODS, closing)).resolves.toBeDefined();
    const imposed = botPod({ ...inputs, className: "free" }, config, SETTINGS);
    await expect(make(operator, PODS, imposed)).rejects.toThrow(
      "image bot:0 is not an image of class free",
    );
  });

  test("that somebody else makes is refused", async () => {
    const message = "pods in bot namespaces are made by the operator: create a TradingBot instead";
    await expect(make(admin, PODS, await paperPod())).rejects.toThrow(message);
  });

  test.each<[string, (pod: AnyPod) => object, string]>([
    [
      "with another image",
      (pod) => ({
        spec: { ...pod.spec, containers: [{ ...pod.spec.containers[0], image: "x:1" }] },
      }),
      "image x:1 is not an image of class free",
    ],
    [
      "as another service account",
      (pod) => ({ spec: { ...pod.spec, serviceAccountName: "acct-of-somebody" } }),
      "runs as that one's service account",
    ],
    [
      "of no owner",
      (pod) => ({ metadata: { ...pod.metadata, ownerReferences: [] } }),
      "belongs to the TradingBot of its name",
    ],
    [
      "of no class",
      (pod) => ({
        metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, [LABELS.class]: null } },
      }),
      "has a class",
    ],
    [
      "of a class that the release does not have, which would have no image to keep to",
      (pod) => ({
        metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, [LABELS.class]: "gold" } },
      }),
      "has a class of this release: enterprise, free, pro",
    ],
    [
      "with a token of the Kubernetes API",
      (pod) => ({ spec: { ...pod.spec, automountServiceAccountToken: true } }),
      "has no token of the Kubernetes API",
    ],
    [
      "with another init container",
      (pod) => ({
        spec: {
          ...pod.spec,
          initContainers: [{ name: "i", image: "x:1", securityContext: CONTAINER_SECURITY }],
        },
      }),
      "an init container of a pod in a bot namespace is the Vault agent",
    ],
  ])("of the operator's, %s, is refused", async (_name, change, message) => {
    await make(admin, SERVICE_ACCOUNTS, { metadata: at("acct-of-somebody") }).catch(() => {}); // there already
    const pod = await paperPod();
    await expect(make(operator, PODS, { ...pod, ...change(pod) })).rejects.toThrow(message);
  });

  test("keeps its image, and gets no container to look inside", async () => {
    const pod = await paperPod();
    await make(operator, PODS, pod);
    const { name } = pod.metadata;
    const other = { spec: { containers: [{ name: "bot", image: "x:1" }] } };
    const strategic = JSON.stringify(other);
    await expect(kubectl(["patch", "pod", name, "-n", BUCKET, "-p", strategic])).rejects.toThrow(
      "the image of a bot's pod is changed by its class's rollout only",
    );
    await expect(
      kubectl(["debug", name, "-n", BUCKET, "--image=x:1", "--profile=restricted"]),
    ).rejects.toThrow("nothing is added to it");
    const annotations = { "tradingbots.dev/config": "{}" };
    await operator.patch(PODS, at(name), merge({ metadata: { annotations } }));
  });

  test.each<[string, object, string]>([
    [
      "the label of its manager",
      { labels: { [LABELS.managedBy]: null } },
      "no halt would reach it",
    ],
    ["the label of its role", { labels: { [LABELS.role]: "verify" } }, "no halt would reach it"],
    [
      "its owner, for another one",
      {
        ownerReferences: [
          { apiVersion: "v1", kind: "ConfigMap", name: "gone", uid: OTHER_USER, controller: true },
        ],
      },
      "gets no other owner",
    ],
  ])("keeps %s", async (_name, metadata, message) => {
    const pod = await paperPod();
    await make(operator, PODS, pod);
    const { name } = pod.metadata;
    await expect(admin.patch(PODS, at(name), merge({ metadata }))).rejects.toThrow(message);
    const labels = { [LABELS.position]: "open" };
    await operator.patch(PODS, at(name), merge({ metadata: { labels } }));
  });

  test("is left by its bot where somebody asks for that: the garbage collector takes its owner away", async () => {
    const controllers = await startControllers(controlPlane, ["garbage-collector-controller"]);
    try {
      const pod = await paperPod();
      await make(operator, PODS, pod);
      const { name } = pod.metadata;
      await admin.remove(BOTS, at(name), { propagationPolicy: "Orphan" });
      const finalizers = async () => BOTS.read(await admin.get(BOTS, at(name))).metadata.finalizers;
      await expect.poll(finalizers, { timeout: 15_000 }).toEqual([FINALIZERS.bot]);
      expect((await admin.get(PODS, at(name)))?.metadata).not.toHaveProperty("ownerReferences");
    } finally {
      await controllers.stop();
    }
  });

  test("may have the image that a rollout brings, or takes back", async () => {
    const before = [await paperPod(), await paperPod()];
    const stable = { image: "bot:1", resources: { requests: {}, limits: {} } };
    const status = { status: { rollout: { stable } } };
    await admin.patch(CLASSES, { name: "free" }, { ...merge(status), subresource: "status" });
    await admin.patch(CLASSES, { name: "free" }, merge({ spec: { image: "bot:2" } }));
    const after = await paperPod();
    await expect
      .poll(() => make(operator, PODS, after).then(() => "made", String), { timeout: 10_000 })
      .toBe("made");
    for (const pod of before) await make(operator, PODS, pod);
  });
});

describe("the operator's identity", () => {
  test("takes, watches and frees its own lease", async () => {
    const errors: unknown[] = [];
    const leadership = await elected("tradingbots-operator", (error) => errors.push(error));
    expect(leadership.holds()).toBe(true);
    await leadership.release();
    expect(errors).toEqual([]);
  });

  test("has no right to another one's", async () => {
    await make(admin, LEASES, { metadata: { namespace: RELEASE, name: "somebody-elses" } });
    const refused = Promise.withResolvers<unknown>();
    void elected("somebody-elses", refused.resolve).catch(() => {}); // ends with the file, or in time
    expect(await refused.promise).toMatchObject({ status: 403 });
  });

  test("cannot give a class an image that nobody asked for", async () => {
    const rollout = (stable: string, target: string) => {
      const resources = { requests: {}, limits: {} };
      const templates = {
        stable: { image: stable, resources },
        target: { image: target, resources },
      };
      const body = { status: { rollout: { ...templates, direction: "Forward" } } };
      return operator.patch(
        CLASSES,
        { name: "rolling" },
        { ...merge(body), subresource: "status" },
      );
    };
    await createClass("rolling", {});
    const message = "status.rollout names images that the specification asks for, or did";
    await expect(rollout("evil:1", "bot:1")).rejects.toThrow(message);
    await rollout("bot:1", "bot:1");
    await admin.patch(CLASSES, { name: "rolling" }, merge({ spec: { image: "bot:2" } }));
    await expect(rollout("bot:1", "evil:1")).rejects.toThrow(message);
    await rollout("bot:1", "bot:2");
    await admin.patch(CLASSES, { name: "rolling" }, merge({ spec: { image: "bot:3" } }));
    await rollout("bot:2", "bot:3");
    await expect(rollout("bot:1", "bot:3")).rejects.toThrow(message);
  });
});

describe("the API's identity", () => {
  test("has no right to delete, and could not use one", async () => {
    const name = await createBot();
    await expect(api.remove(BOTS, at(name))).rejects.toMatchObject({ status: 403 });
    await apply([
      named("ClusterRole", "too-much", {
        rules: [{ apiGroups: ["tradingbots.dev"], resources: ["*"], verbs: ["*"] }],
      }),
      named("ClusterRoleBinding", "too-much", {
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "too-much" },
        subjects: [{ kind: "ServiceAccount", name: "tradingbots-api", namespace: RELEASE }],
      }),
    ]);
    await expect
      .poll(() => api.remove(BOTS, at(name)).catch(String), { timeout: 10_000 })
      .toContain("the API deletes nothing: what is Retired ends by itself");
    expect(await admin.get(BOTS, at(name))).toBeDefined();
  });

  const owner = [{ apiVersion: "v1", kind: "ConfigMap", name: "gone", uid: OTHER_USER }];
  test.each<[string, object, string]>([
    ["user", { spec: { userId: OTHER_USER } }, "userId cannot be changed"],
    [
      "user's label",
      { metadata: { labels: { [LABELS.user]: OTHER_USER } } },
      "names the user of spec.userId",
    ],
    ["owner", { metadata: { ownerReferences: owner } }, "the API does not change owners"],
    ["finalizers", { metadata: { finalizers: [] } }, "the API does not change finalizers"],
    [
      "halts' mark",
      { metadata: { annotations: { "tradingbots.dev/paused-by-halts": "x" } } },
      "is the operator's",
    ],
  ])("cannot change a bot's %s", async (_name, change, message) => {
    const name = await createBot();
    await expect(api.patch(BOTS, at(name), merge(change))).rejects.toThrow(message);
  });

  test("cannot take an account over, nor make a bot that dies with something else", async () => {
    const name = `acct-${++serial}`;
    await make(api, ACCOUNTS, {
      metadata: { ...at(name), labels: { [LABELS.user]: USER } },
      spec: { userId: USER, exchange: "bybit", name: "mine" },
    });
    await expect(
      api.patch(ACCOUNTS, at(name), merge({ spec: { userId: OTHER_USER } })),
    ).rejects.toThrow("userId cannot be changed");
    const bot = botObject(`bot-${++serial}`, {});
    await expect(
      make(api, BOTS, { ...bot, metadata: { ...bot.metadata, ownerReferences: owner } }),
    ).rejects.toThrow("the API gives objects no owner");
  });

  test("does what it is there for", async () => {
    const name = `bot-${++serial}`;
    await make(api, BOTS, botObject(name, {}));
    await api.patch(BOTS, at(name), merge({ spec: { state: "Running", displayName: "b" } }));
    const retired = { spec: { state: "Retired" } };
    expect(await api.patch(BOTS, at(name), merge(retired))).toMatchObject(retired);
  });
});

function elected(name: string, onError: (error: unknown) => void) {
  const signal = AbortSignal.timeout(10_000);
  const identity = "operator-0";
  return becomeLeader({ client: operator, namespace: RELEASE, name, identity, onError }, signal);
}

/** A running bot with leverage 10 in a class whose limit has become 5. */
async function botAbove(): Promise<string> {
  const className = `shrinking-${++serial}`;
  await createClass(className, { leverage: 10 });
  const name = await createBot({ className, state: "Running" });
  await admin.patch(CLASSES, { name: className }, merge({ spec: { ceilings: { leverage: 5 } } }));
  await expect
    .poll(() => createBot({ className, risk: { leverage: 6 } }).catch(String), {
      timeout: 10_000,
    })
    .toContain("above the limit 5");
  return name;
}

type AnyPod = ReturnType<typeof botPod>;

async function paperPod(): Promise<AnyPod> {
  const { inputs, config } = await paperParts("free");
  return botPod(inputs, config, SETTINGS);
}

/** What the pod of a new bot of the class is made from. */
async function paperParts(className: string) {
  const name = await createBot({ className });
  const bot = botView(BOTS.read(await admin.get(BOTS, at(name))));
  await make(admin, SERVICE_ACCOUNTS, { metadata: at(`paper-${name}`) });
  const botClass = await classNamed(className);
  const facts = exampleFacts({ bot, botClass, account: undefined });
  const inputs = { bot, template: botClass.wanted, credentialsVersion: undefined };
  return { inputs, config: botConfig(facts, "Running") };
}

const SETTINGS = {
  vaultAddress: "http://vault:8200",
  vaultImage: "tradingbots/vault:0.1.0",
  journalUrl: "http://journal:8081",
  imagePullPolicy: "IfNotPresent",
} as const;

const Manifest = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
type Manifest = z.infer<typeof Manifest>;

async function rendered(): Promise<readonly Manifest[]> {
  const values = join(chart, "ci", "minimal-values.yaml");
  const args = ["template", RELEASE, chart, "-n", RELEASE, "-f", values];
  const { stdout } = await execa(await toolPath("helm"), args);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as unknown)
    .filter((value) => value !== null)
    .map((value) => Manifest.parse(value));
}

async function apply(items: readonly Manifest[]): Promise<void> {
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  await kubectl(["apply", "--server-side", "-f", "-"], list);
}

async function kubectl(args: readonly string[], input?: string): Promise<void> {
  const all = ["--kubeconfig", controlPlane.kubeconfigPath, ...args];
  await execa(await toolPath("kubectl"), all, input === undefined ? {} : { input });
}

function named(kind: string, name: string, rest: object): Manifest {
  return { apiVersion: "rbac.authorization.k8s.io/v1", kind, metadata: { name }, ...rest };
}

async function tokenOf(account: string): Promise<string> {
  const tokens: Resource<string> = {
    apiVersion: "v1",
    kind: "TokenRequest",
    plural: `serviceaccounts/${account}/token`,
    scope: "Namespaced",
    read: (value) =>
      z.object({ status: z.object({ token: z.string() }) }).parse(value).status.token,
  };
  return admin.create(tokens, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: { name: account, namespace: RELEASE },
    spec: { expirationSeconds: 3_600 },
  });
}

/** The API server notices a policy a moment after it is stored. */
async function untilInForce(): Promise<void> {
  const probes = [
    () => createBot({ risk: { leverage: 100, stopLossPercent: 0.1 } }),
    async () => make(admin, PODS, await paperPod()),
    () => make(admin, BOTS, { ...botObject("probe", {}), metadata: { ...DEFAULT, name: "probe" } }),
    () =>
      make(api, BOTS, {
        ...botObject(`bot-${++serial}`, {}),
        metadata: { ...at("probe"), labels: { [LABELS.user]: OTHER_USER } },
      }),
  ];
  for (const probe of probes) {
    const attempt = () =>
      probe().then(
        () => "taken",
        (error: unknown) => (error instanceof KubernetesError ? error.message : String(error)),
      );
    const deadline = Date.now() + 20_000;
    while (!(await attempt()).includes("ValidatingAdmissionPolicy")) {
      if (Date.now() > deadline) throw new Error(`not refused: ${await attempt()}`);
    }
  }
}

async function make<T>(client: KubeClient, resource: Resource<T>, object: NewObject): Promise<T> {
  const { apiVersion, kind } = resource;
  return client.create(resource, { apiVersion, kind, ...object });
}

async function createClass(name: string, ceilings: object): Promise<void> {
  await make(admin, CLASSES, { metadata: { name }, spec: { image: "bot:1", ceilings } });
}

async function classNamed(name: string) {
  return classView(CLASSES.read(await admin.get(CLASSES, { name })));
}

function botObject(name: string, spec: object) {
  return {
    metadata: { ...at(name), labels: { [LABELS.user]: USER }, finalizers: [FINALIZERS.bot] },
    spec: {
      userId: USER,
      exchange: "bybit",
      displayName: name,
      mode: "paper",
      symbols: ["BTC/USDT:USDT"],
      strategy: { name: "rsi" },
      className: "free",
      ...spec,
    },
  };
}

async function createBot(spec: object = {}): Promise<string> {
  const name = `bot-${++serial}`;
  await make(admin, BOTS, botObject(name, spec));
  return name;
}

async function patchBot(name: string, spec: object): Promise<TradingBot> {
  return admin.patch(BOTS, at(name), merge({ spec }));
}

const DEFAULT = { namespace: "default" };
const at = (name: string) => ({ namespace: BUCKET, name });
const merge = (body: object) => ({ type: "merge", body }) as const;
