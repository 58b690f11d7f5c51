import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type KubeClient, createKubeClient, kubeconfigAccess } from "@tradingbots/kube";
import { ExecaError, execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import {
  applyClasses,
  readClasses,
} from "../../../operator/src/default-classes/default-classes.ts";
import { type ControlPlane, startControlPlane } from "../../control-plane/control-plane.ts";
import { toolPath } from "../../tools/tools.ts";
import { schemaLocation, writeSchemas } from "../schemas.ts";

/** The chart as Helm renders it, put before a real API server: schemas, admission, pod security and access rules. */

const chart = resolve(import.meta.dirname, "../../../charts/tradingbots");
const NAMESPACE = "tradingbots";
const VALUES = ["minimal", "everything", "bare"] as const;

const Manifest = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});
type Manifest = z.infer<typeof Manifest>;
const PodTemplate = z.object({
  spec: z.object({ template: z.object({ spec: z.looseObject({ containers: z.unknown() }) }) }),
});

const SecretVolume = z.object({
  secretName: z.string(),
  optional: z.boolean().default(false),
  items: z.array(z.object({ key: z.string(), path: z.string() })).default([]),
});
type SecretVolume = z.infer<typeof SecretVolume>;

/** Of the Prometheus operator, which a cluster with `monitoring.enabled` has. Its schemas are its own affair. */
const MONITORING_KINDS = ["PodMonitor", "PrometheusRule"].map((kind) => {
  const plural = `${kind.toLowerCase()}s`;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.monitoring.coreos.com` },
    spec: {
      group: "monitoring.coreos.com",
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase() },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: "object",
              properties: {
                spec: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
              },
            },
          },
        },
      ],
    },
  };
});

let controlPlane: ControlPlane;
let client: KubeClient;
let directory: string;
const rendered = new Map<string, string>();

beforeAll(async () => {
  controlPlane = await startControlPlane();
  client = createKubeClient(await kubeconfigAccess(controlPlane.kubeconfigPath));
  directory = await mkdtemp(join(tmpdir(), "tradingbots-chart-"));
  for (const name of VALUES) rendered.set(name, await template("-f", valuesFile(name)));
  // The definitions and namespaces for real, so that a dry run finds the kinds and places it needs.
  await kubectl(["create", "namespace", NAMESPACE]);
  const crds = manifestsOf("minimal").filter(({ kind }) => kind === "CustomResourceDefinition");
  const namespaces = manifestsOf("everything").filter(({ kind }) => kind === "Namespace");
  await kubectl(
    ["apply", "--server-side", "-f", "-"],
    JSON.stringify(list([...crds, ...namespaces, ...MONITORING_KINDS])),
  );
  await kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]);
});

afterAll(async () => {
  await client?.close();
  await controlPlane?.stop();
  await rm(directory, { recursive: true, force: true });
});

describe("helm", () => {
  it.each(VALUES)("lint finds nothing in %s values", async (name) => {
    const { stdout } = await helm("lint", "--strict", chart, "-f", valuesFile(name));
    expect(stdout).toContain("0 chart(s) failed");
  });

  it("lint finds nothing in the default values", async () => {
    const { stdout } = await helm("lint", "--strict", chart);
    expect(stdout).toContain("0 chart(s) failed");
  });

  it.each([
    ["no database", ["database.host="], "database.host is needed"],
    ["no database secret", ["database.existingSecret="], "database.existingSecret is needed"],
    ["no Vault", ["vault.address="], "vault.address is needed"],
    ["no class that checks keys", ["classes.free=null"], "classes.free is needed"],
    [
      "no place of Vault",
      ["networkPolicies.vault.peers=null"],
      "networkPolicies.vault.peers is needed",
    ],
    [
      "a password in Redis' address",
      ["api.redis.url=redis://limits:s3cret@redis:6379"],
      "api.redis.url holds a password",
    ],
    ["an address that is none", ["vault.address=vault:8200"], "at '/vault/address'"],
    ["a misspelt value", ["api.replica=2"], "additional properties 'replica' not allowed"],
    ["no replicas", ["operator.replicas=0"], "minimum: got 0, want 1"],
    ["an unknown service type", ["api.service.type=ExternalName"], "value must be one of"],
    ["a class field that is none", ["classes.free.ceiling.leverage=1"], "'ceiling' not allowed"],
    ["a class name that is none", ["classes.Free.image=x"], "Free"],
  ])("refuses %s", async (_name, settings, sentence) => {
    const set = settings.flatMap((setting) => ["--set", setting]);
    await expect(template("-f", valuesFile("minimal"), ...set)).rejects.toThrow(sentence);
  });

  it("does not repeat the password that it refuses", async () => {
    const set = ["--set", "api.redis.url=redis://:s3cret@redis:6379"];
    const failure = await template("-f", valuesFile("minimal"), ...set).then(String, String);
    expect(failure).toContain("api.redis.passwordSecret");
    expect(failure).not.toContain("s3cret");
  });

  it("refuses a release namespace that Vault would take for a bucket", async () => {
    const args = ["template", "t", chart, "-f", valuesFile("minimal"), "-n", "tradingbots-system"];
    await expect(helm(...args)).rejects.toThrow("must not live in such a namespace");
  });
});

describe.each(VALUES)("with %s values", (name) => {
  it("every object passes the API server's strict validation", async () => {
    const args = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    const { stdout } = await kubectl(args, rendered.get(name));
    expect(stdout.trim().split("\n")).toHaveLength(manifestsOf(name).length);
  });

  it("every object passes kubeconform with the API server's own schemas", async () => {
    await writeSchemas((path) => client.raw(path), directory);
    const options = ["-strict", "-summary", "-schema-location", schemaLocation(directory)];
    const { stdout } = await execa(await toolPath("kubeconform"), options, {
      input: rendered.get(name) ?? "",
    });
    expect(stdout).toContain(
      `Valid: ${manifestsOf(name).length}, Invalid: 0, Errors: 0, Skipped: 0`,
    );
  });

  it("no container is given a secret in its environment", () => {
    expect(rendered.get(name)).not.toMatch(/secretKeyRef|secretRef/);
  });

  it("no container finds more of a Secret than it reads", () => {
    const volumes = secretVolumesOf(name);
    expect(volumes.length).toBeGreaterThan(0);
    expect(volumes.filter(({ items }) => items.length === 0)).toEqual([]);
  });

  it("every pod passes restricted pod security", async () => {
    const templates = manifestsOf(name).filter(({ kind }) => ["Deployment", "Job"].includes(kind));
    expect(templates.length).toBeGreaterThanOrEqual(5);
    const accounts = templates.map((owner) => ({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: serviceAccountOf(owner), namespace: "tradingbots-00" },
    }));
    await kubectl(["apply", "-f", "-"], JSON.stringify(list(accounts)));
    const pods = templates.map((owner) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: owner.metadata.name, namespace: "tradingbots-00" },
      spec: { ...PodTemplate.parse(owner).spec.template.spec, restartPolicy: "Never" },
    }));
    const { stderr } = await kubectl(
      ["create", "--dry-run=server", "-f", "-"],
      JSON.stringify(list(pods)),
    );
    expect(stderr).toBe(""); // a warning would be the weaker levels' way to object
  });
});

it("the API's pod starts with either of the two ways by which mails leave", () => {
  expect(secretVolumesOf("everything")).toContainEqual({
    secretName: "mail",
    optional: true,
    items: ["smtp-url", "webhook-url"].map((key) => ({ key, path: key })),
  });
});

describe("access of service accounts", () => {
  beforeAll(async () => {
    const kinds = ["ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"];
    const access = manifestsOf("everything").filter(({ kind }) => kinds.includes(kind));
    await kubectl(["apply", "-f", "-"], JSON.stringify(list(access)));
  });

  const bots = "tradingbots-00";
  const TRADING = ["tradingbots", "exchangeaccounts", "tradinghalts", "botclasses"];
  it.each([
    ["api", "create get list watch patch", "tradingbots exchangeaccounts tradinghalts", bots, true],
    ["api", "delete deletecollection update", TRADING.join(" "), bots, false],
    ["api", "get list", "botclasses", bots, true],
    ["api", "create patch watch", "botclasses", bots, false],
    ["api", "patch", "tradingbots/status exchangeaccounts/status", bots, false],
    ["api", "get list create patch delete", "pods secrets serviceaccounts configmaps", bots, false],
    ["api", "get list create", "pods secrets configmaps", NAMESPACE, false],
    ["api", "create get", "tradingbots", "default", false],
    ["operator", "get list watch", TRADING.join(" "), bots, true],
    ["operator", "patch delete", "tradingbots exchangeaccounts", bots, true],
    ["operator", "patch delete", "tradinghalts botclasses", bots, false],
    ["operator", "create update", TRADING.join(" "), bots, false],
    ["operator", "patch update", TRADING.map((kind) => `${kind}/status`).join(" "), bots, true],
    ["operator", "get list watch create patch delete", "pods", bots, true],
    ["operator", "get list watch create", "serviceaccounts", bots, true],
    ["operator", "get list create delete", "pods serviceaccounts", NAMESPACE, false],
    ["operator", "get list create delete", "pods", "kube-system", false],
    ["operator", "get list create", "secrets pods/exec serviceaccounts/token", bots, false],
    ["operator", "create", "leases.coordination.k8s.io", NAMESPACE, true],
    ["operator", "get list watch patch", "leases.coordination.k8s.io", NAMESPACE, false], // but its own
    ["operator", "get create patch", "leases.coordination.k8s.io", bots, false],
    ["operator", "create", "events.events.k8s.io", bots, true],
    [
      "journal",
      "get list create patch delete",
      "pods secrets tradingbots.tradingbots.dev",
      bots,
      false,
    ],
    ["journal", "get list", "pods secrets configmaps", NAMESPACE, false],
    ["classes", "create patch", "botclasses", bots, true],
    ["classes", "delete list", "botclasses", bots, false],
    ["classes", "get create patch", "tradingbots", bots, false],
  ])("%s: %s on %s in %s: %s", async (...[account, verbs, resources, namespace, allowed]) => {
    for (const verb of verbs.split(" ")) {
      for (const resource of resources.split(" ")) {
        const review = await reviewAccess({ account, verb, resource, namespace });
        expect({ verb, resource, allowed: review }).toEqual({ verb, resource, allowed });
      }
    }
  });
});

describe("default classes", () => {
  it("are applied from the chart's ConfigMap, and again without a change", async () => {
    const folder = join(directory, "classes");
    await writeClasses("minimal", folder);
    await applyClasses(client, await readClasses(folder));
    const before = await classes();
    expect(Object.keys(before)).toEqual(["enterprise", "free", "pro"]);
    expect(before["free"]).toMatchObject({
      spec: { image: "tradingbots/bot:0.1.0", ceilings: { leverage: 10, botsPerUser: 3 } },
    });
    await applyClasses(client, await readClasses(folder));
    expect(await classes()).toEqual(before);
  });

  it("take an SRE's change of a named field back and leave other fields alone", async () => {
    const patch = { spec: { ceilings: { leverage: 1 }, rollout: { paused: true } } };
    await kubectl(["patch", "bc", "free", "--type=merge", "-p", JSON.stringify(patch)]);
    await applyClasses(client, await readClasses(join(directory, "classes")));
    expect((await classes())["free"]).toMatchObject({
      spec: { ceilings: { leverage: 10 }, rollout: { paused: true } },
    });
  });

  it("name the class that is wrong", async () => {
    const folder = await mkdtemp(join(directory, "wrong-"));
    await writeFile(
      join(folder, "gold.json"),
      JSON.stringify({ image: "x", ceilings: { leverage: 0 } }),
    );
    await expect(readClasses(folder)).rejects.toThrow("BotClass gold");
  });
});

function valuesFile(name: (typeof VALUES)[number]): string {
  return join(chart, "ci", `${name}-values.yaml`);
}

async function helm(...args: readonly string[]) {
  try {
    return await execa(await toolPath("helm"), args, { env: { HELM_CACHE_HOME: tmpdir() } });
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error;
    throw new Error(String(error.stderr), { cause: error });
  }
}

async function template(...args: readonly string[]): Promise<string> {
  const { stdout } = await helm("template", "tradingbots", chart, "-n", NAMESPACE, ...args);
  return stdout;
}

function manifestsOf(name: string): readonly Manifest[] {
  return parseAllDocuments(rendered.get(name) ?? "")
    .map((document) => document.toJS() as unknown)
    .filter((value) => value !== null)
    .map((value) => Manifest.parse(value));
}

/** Of whatever has pods, wherever in it they are described. */
function secretVolumesOf(name: string): readonly SecretVolume[] {
  const volumes: SecretVolume[] = [];
  JSON.stringify(manifestsOf(name), (key, value: unknown) => {
    if (key === "secret") volumes.push(SecretVolume.parse(value));
    return value;
  });
  return volumes;
}

function serviceAccountOf(owner: Manifest): string {
  const { serviceAccountName } = PodTemplate.parse(owner).spec.template.spec;
  return z.string().default("default").parse(serviceAccountName);
}

function list(items: readonly unknown[]) {
  return { apiVersion: "v1", kind: "List", items };
}

async function kubectl(args: readonly string[], input?: string) {
  const all = ["--kubeconfig", controlPlane.kubeconfigPath, ...args];
  return execa(await toolPath("kubectl"), all, input === undefined ? {} : { input });
}

interface Question {
  readonly account: string;
  readonly verb: string;
  readonly resource: string;
  readonly namespace: string;
}

/** `kubectl auth can-i` without a process for each question. */
async function reviewAccess({ account, verb, resource, namespace }: Question): Promise<boolean> {
  const [path = "", subresource] = resource.split("/");
  const [plural = "", ...group] = path.split(".");
  const isOurs = ["tradingbots", "exchangeaccounts", "tradinghalts", "botclasses"].includes(plural);
  const review = await client.create(
    {
      apiVersion: "authorization.k8s.io/v1",
      plural: "subjectaccessreviews",
      kind: "SubjectAccessReview",
      scope: "Cluster",
      read: (value) => z.object({ status: z.object({ allowed: z.boolean() }) }).parse(value),
    },
    {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      metadata: { name: "" },
      spec: {
        user: `system:serviceaccount:${NAMESPACE}:tradingbots-${account}`,
        groups: ["system:serviceaccounts", "system:authenticated"],
        resourceAttributes: {
          verb,
          namespace: ["tradinghalts", "botclasses"].includes(plural) ? "" : namespace,
          group: isOurs ? "tradingbots.dev" : group.join("."),
          resource: plural,
          ...(subresource === undefined ? {} : { subresource }),
        },
      },
    },
  );
  return review.status.allowed;
}

async function writeClasses(name: (typeof VALUES)[number], folder: string): Promise<void> {
  const configMap = manifestsOf(name).find(
    ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === "tradingbots-classes",
  );
  const { data } = z.object({ data: z.record(z.string(), z.string()) }).parse(configMap);
  await mkdir(folder, { recursive: true });
  for (const [file, content] of Object.entries(data)) await writeFile(join(folder, file), content);
}

async function classes(): Promise<Record<string, unknown>> {
  const { stdout } = await kubectl(["get", "botclasses", "-o", "json"]);
  const { items } = z.object({ items: z.array(Manifest) }).parse(JSON.parse(stdout));
  return Object.fromEntries(items.map((item) => [item.metadata.name, item]));
}
