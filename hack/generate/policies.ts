import {
  ANNOTATIONS,
  API_VERSION,
  BotClass,
  type Ceilings,
  ExchangeAccount,
  GROUP,
  LABELS,
  openApiV3Schema,
  TradingBot,
  TradingHalt,
  VERSION,
} from "@tradingbots/crds";
import { stringify } from "yaml";
import { type GeneratedFile, HEADER } from "./generated-file.ts";

/**
 * Admission policies in CEL: what the API server refuses without asking anybody. They stand behind the operator's own checks,
 * which decide what a bot may do when a class changes later.
 */

export const POLICIES_FOLDER = "charts/tradingbots/templates/policies";

interface Validation {
  readonly expression: string;
  readonly message?: string;
  readonly messageExpression?: string;
}

interface Named {
  readonly name: string;
  readonly expression: string;
}

interface Policy {
  readonly name: string;
  /** Who is judged and why, as the file's first lines. */
  readonly about: string;
  readonly resources: readonly string[];
  readonly group: string;
  readonly version: string;
  readonly operations: readonly string[];
  readonly matchConditions: readonly Named[];
  readonly variables?: readonly Named[];
  readonly validations: readonly Validation[];
  /** Evaluated once for every BotClass, which is `params`. */
  readonly perClass: boolean;
  readonly where: "everywhere" | "bucket namespaces" | "other namespaces";
}

export function policyManifests(): readonly GeneratedFile[] {
  const policies = [classCeilings(), botPods(), botPodImages(), apiIdentity(), botNamespaces()];
  return policies.map((policy) => ({
    path: `${POLICIES_FOLDER}/${policy.name}.yaml`,
    content: chartTemplate(policy),
  }));
}

/** How each ceiling of a class limits a field of a bot's specification. Bots a user are counted by API and operator. */
const CEILINGS: Readonly<
  Record<Exclude<keyof Ceilings, "botsPerUser">, { field: string; limit: "highest" | "among" }>
> = {
  modes: { field: "mode", limit: "among" },
  exchanges: { field: "exchange", limit: "among" },
  leverage: { field: "risk.leverage", limit: "highest" },
  positionPercent: { field: "risk.positionPercent", limit: "highest" },
  dailyLossPercent: { field: "risk.dailyLossPercent", limit: "highest" },
};

function classCeilings(): Policy {
  return {
    name: "class-ceilings",
    about: `A bot asks for no more than its class allows. Only what changes is judged, and all of it when the bot is created, started or given
another class. Pausing, stopping, retiring and deleting always pass, whatever became of the class.`,
    group: GROUP,
    version: VERSION,
    resources: [TradingBot.plural],
    operations: ["CREATE", "UPDATE"],
    matchConditions: [
      { name: "not-being-deleted", expression: "!has(object.metadata.deletionTimestamp)" },
      {
        name: "not-coming-to-rest",
        expression:
          "oldObject == null || object.spec.state == oldObject.spec.state || object.spec.state == 'Running'",
      },
    ],
    variables: [
      {
        name: "judgesAll",
        expression:
          "oldObject == null || oldObject.spec.className != object.spec.className || oldObject.spec.state != object.spec.state",
      },
    ],
    validations: Object.entries(CEILINGS).map(([ceiling, { field, limit }]) =>
      ceilingValidation({ ceiling, field, limit }),
    ),
    perClass: true,
    where: "everywhere",
  };
}

interface Ceiling {
  readonly ceiling: string;
  readonly field: string;
  readonly limit: "highest" | "among";
}

function ceilingValidation({ ceiling, field, limit }: Ceiling): Validation {
  assertField(BotClass.spec, `ceilings.${ceiling}`);
  assertField(TradingBot.spec, field);
  const value = `object.spec.${field}`;
  const allowed = `params.spec.ceilings.${ceiling}`;
  const isSame = `(!variables.judgesAll && oldObject.spec.${field} == ${value})`;
  const isWithin = limit === "highest" ? `${value} <= ${allowed}` : `${value} in ${allowed}`;
  const says =
    limit === "highest"
      ? `'${field} ' + string(${value}) + ' is above the limit ' + string(${allowed}) + ' of class '`
      : `'${field} ' + ${value} + ' is not among ' + (size(${allowed}) == 0 ? 'none' : ${allowed}.join(', ')) + ' of class '`;
  return {
    expression: `object.spec.className != params.metadata.name || ${isSame} || ${isWithin}`,
    messageExpression: `${says} + params.metadata.name`,
  };
}

/** A path that moved would be a rule about nothing. */
function assertField(schema: typeof BotClass.spec | typeof TradingBot.spec, path: string): void {
  let at: unknown = openApiV3Schema(schema);
  for (const name of path.split(".")) at = fieldOf(fieldOf(at, "properties"), name);
  if (at === undefined) throw new Error(`no such field: ${path}`);
}

function fieldOf(value: unknown, name: string): unknown {
  const isObject = typeof value === "object" && value !== null;
  return isObject ? Object.entries(value).find(([key]) => key === name)?.[1] : undefined;
}

const IS_OPERATOR = `request.userInfo.username == 'system:serviceaccount:${helm(".Release.Namespace")}:tradingbots-operator'`;
const HAS_LABELS = "has(object.metadata.labels)";
/** By these the operator finds its pods, and tells a bot's from one that verifies a key. */
const FINDING_LABELS = [LABELS.managedBy, LABELS.role];

function created(expression: string): string {
  return `request.operation != 'CREATE' || (${expression})`;
}

function botPods(): Policy {
  const account = `object.metadata.labels[?'${LABELS.account}'].orValue('paper-' + object.metadata.name)`;
  const isBots = `o.kind == '${TradingBot.kind}' && o.name == object.metadata.name && object.spec.serviceAccountName == ${account}`;
  const isAccounts = `o.kind == '${ExchangeAccount.kind}' && o.name == object.spec.serviceAccountName`;
  return {
    name: "bot-pods",
    about: `Whoever can make a pod with an account's ServiceAccount can read the account's key. In bucket namespaces that is the operator alone,
with pods that belong to a bot or an account and run as nobody else.`,
    group: "",
    version: "v1",
    resources: ["pods", "pods/ephemeralcontainers"],
    operations: ["CREATE", "UPDATE"],
    matchConditions: [],
    validations: [
      {
        expression: created(IS_OPERATOR),
        message: "pods in bot namespaces are made by the operator: create a TradingBot instead",
      },
      {
        expression: created(
          `${HAS_LABELS} && has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists_one(o, o.apiVersion == '${API_VERSION}' && has(o.controller) && o.controller && ((${isBots}) || (${isAccounts})))`,
        ),
        message:
          "a pod in a bot namespace belongs to the TradingBot of its name or to an ExchangeAccount, and runs as that one's service account",
      },
      {
        // Every class judges the images of its own pods; of a label that names none, nobody does.
        expression: created(
          `object.metadata.?labels[?'${LABELS.class}'].orValue('') in ['${classes("', '")}']`,
        ),
        message: `a pod in a bot namespace has a class of this release: ${classes(", ")}`,
      },
      {
        expression: created(
          "has(object.spec.automountServiceAccountToken) && !object.spec.automountServiceAccountToken",
        ),
        message: "a pod in a bot namespace has no token of the Kubernetes API",
      },
      {
        expression: created(
          `!has(object.spec.initContainers) || object.spec.initContainers.all(c, c.image == '${helm(".Values.images.vault")}')`,
        ),
        message: "an init container of a pod in a bot namespace is the Vault agent",
      },
      {
        expression:
          "request.operation == 'CREATE' || object.spec.containers.map(c, c.image) == oldObject.spec.containers.map(c, c.image)",
        message: "the image of a bot's pod is changed by its class's rollout only",
      },
      {
        expression: `request.operation == 'CREATE' || ['${FINDING_LABELS.join("', '")}'].all(l, object.metadata.?labels[?l] == oldObject.metadata.?labels[?l])`,
        message: "a pod keeps the labels by which the operator finds it: no halt would reach it",
      },
      {
        // Some may go: with `--cascade=orphan` the garbage collector takes them away, and the bot's configuration still names it.
        expression: `request.operation == 'CREATE' || object.metadata.?ownerReferences.orValue([]).all(o, oldObject.metadata.?ownerReferences.orValue([]).exists(p, p.uid == o.uid))`,
        message: "a bot's pod gets no other owner: it would live and die with that one",
      },
      {
        expression: "!has(object.spec.ephemeralContainers)",
        message: "a bot's pod holds a key: nothing is added to it",
      },
    ],
    perClass: false,
    where: "bucket namespaces",
  };
}

function botPodImages(): Policy {
  const images = [
    "params.spec.image",
    "params.?status.?rollout.?stable.?image.orValue('')",
    "params.?status.?rollout.?target.?image.orValue('')",
  ];
  return {
    name: "bot-pod-images",
    about: `A bot's pod runs an image of the class that its label names: the one asked for, or one of the rollout that is under way.`,
    group: "",
    version: "v1",
    resources: ["pods"],
    operations: ["CREATE"],
    matchConditions: [],
    validations: [
      {
        expression: `!${HAS_LABELS} || object.metadata.labels[?'${LABELS.class}'].orValue('') != params.metadata.name || object.spec.containers.all(c, c.image in [${images.join(", ")}])`,
        messageExpression:
          "'image ' + object.spec.containers[0].image + ' is not an image of class ' + params.metadata.name",
      },
    ],
    perClass: true,
    where: "bucket namespaces",
  };
}

function unchanged(path: string): string {
  const before = `oldObject.metadata.?${path}.orValue([])`;
  return `oldObject == null || object == null || object.metadata.?${path}.orValue([]) == ${before}`;
}

function apiIdentity(): Policy {
  return {
    name: "api-identity",
    about: `The API creates and edits for users, and nothing more: it deletes nothing, not by the back door of owners and finalizers either, and
moves nothing from one user to another. Its role has no verb delete; this holds whatever roles it is given.`,
    group: GROUP,
    version: VERSION,
    resources: [TradingBot.plural, ExchangeAccount.plural, TradingHalt.plural],
    operations: ["CREATE", "UPDATE", "DELETE"],
    matchConditions: [
      {
        name: "from-the-api",
        expression: `request.userInfo.username == 'system:serviceaccount:${helm(".Release.Namespace")}:tradingbots-api'`,
      },
    ],
    validations: [
      {
        expression: "request.operation != 'DELETE'",
        message: "the API deletes nothing: what is Retired ends by itself",
      },
      {
        expression: `oldObject != null || !has(object.metadata.ownerReferences)`,
        message: "the API gives objects no owner: with its owner an object would be deleted",
      },
      { expression: unchanged("ownerReferences"), message: "the API does not change owners" },
      { expression: unchanged("finalizers"), message: "the API does not change finalizers" },
      {
        expression: `object == null || !has(object.spec.userId) || object.metadata.?labels[?'${LABELS.user}'].orValue(object.spec.userId) == object.spec.userId`,
        message: `the label ${LABELS.user} names the user of spec.userId`,
      },
      {
        expression: `object == null || object.metadata.?annotations[?'${ANNOTATIONS.pausedByHalts}'].orValue('') == (oldObject == null ? '' : oldObject.metadata.?annotations[?'${ANNOTATIONS.pausedByHalts}'].orValue(''))`,
        message: `the annotation ${ANNOTATIONS.pausedByHalts} is the operator's`,
      },
    ],
    perClass: false,
    where: "everywhere",
  };
}

function botNamespaces(): Policy {
  return {
    name: "bot-namespaces",
    about: `Bots and accounts live in bucket namespaces. The operator has no right to make pods elsewhere: there nobody would serve them, nor say so.`,
    group: GROUP,
    version: VERSION,
    resources: [TradingBot.plural, ExchangeAccount.plural],
    operations: ["CREATE"],
    matchConditions: [],
    validations: [
      {
        expression: "false",
        messageExpression:
          "'nobody serves namespace ' + request.namespace + ': bots and accounts live in tradingbots-00 and the buckets after it'",
      },
    ],
    perClass: false,
    where: "other namespaces",
  };
}

/** A value of the chart inside an expression. */
function helm(path: string): string {
  return `{{ ${path} }}`;
}

/** Names of the release's classes. Quoted as Go does it, which YAML leaves alone. */
function classes(separator: string): string {
  return helm(`keys .Values.classes | sortAlpha | join \`${separator}\``);
}

const BUCKETS = "BUCKETS";
const LABELS_HERE = "  labels: LABELS\n";

function chartTemplate(policy: Policy): string {
  const name = `tradingbots-${policy.name}`;
  const metadata = { name, labels: "LABELS" };
  const manifest = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    metadata,
    spec: {
      failurePolicy: "Fail",
      ...(policy.perClass ? { paramKind: { apiVersion: API_VERSION, kind: BotClass.kind } } : {}),
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: [policy.group],
            apiVersions: [policy.version],
            operations: policy.operations,
            resources: policy.resources,
          },
        ],
      },
      ...(policy.matchConditions.length === 0 ? {} : { matchConditions: policy.matchConditions }),
      ...(policy.variables === undefined ? {} : { variables: policy.variables }),
      validations: policy.validations,
    },
  };
  const parts = [manifest, bindingOf(policy, metadata)].map((part) =>
    stringify(part, { lineWidth: 0 })
      .replace(LABELS_HERE, LABELS_TEMPLATE)
      .replace(`- ${BUCKETS}\n`, BUCKETS_TEMPLATE),
  );
  return `{{- /* ${HEADER}\n${policy.about} */ -}}\n${parts.join("---\n")}`;
}

function bindingOf({ name, perClass, where }: Policy, metadata: object) {
  // With Deny, a cluster that has lost its last class could not even stop a bot.
  const paramRef = { selector: {}, parameterNotFoundAction: "Allow" };
  const operator = where === "other namespaces" ? "NotIn" : "In";
  const matchExpressions = [{ key: "kubernetes.io/metadata.name", operator, values: [BUCKETS] }];
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicyBinding",
    metadata,
    spec: {
      policyName: `tradingbots-${name}`,
      validationActions: ["Deny"],
      ...(perClass ? { paramRef } : {}),
      ...(where === "everywhere"
        ? {}
        : { matchResources: { namespaceSelector: { matchExpressions } } }),
    },
  };
}

const LABELS_TEMPLATE = `  labels:
    {{- include "tradingbots.labels" (list $ "policies") | nindent 4 }}
`;
const BUCKETS_TEMPLATE = `{{- range include "tradingbots.buckets" $ | splitList "\\n" }}
            - {{ . }}
            {{- end }}
`;
