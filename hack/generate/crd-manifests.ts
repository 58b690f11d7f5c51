import {
  BotClass,
  ExchangeAccount,
  TradingBot,
  TradingHalt,
  customResourceDefinition,
} from "@tradingbots/crds";
import { stringify } from "yaml";
import { type GeneratedFile, HEADER } from "./generated-file.ts";

export const CRD_FOLDERS = ["crds/manifests", "charts/tradingbots/templates/crds"] as const;

/** The CustomResourceDefinitions, once as plain manifests and once as templates of the chart. */
export function crdManifests(): readonly GeneratedFile[] {
  return [TradingBot, ExchangeAccount, BotClass, TradingHalt].flatMap((kind) => {
    const manifest = stringify(customResourceDefinition(kind), { lineWidth: 0 });
    const [manifests, templates] = CRD_FOLDERS;
    return [
      { path: `${manifests}/${kind.plural}.yaml`, content: `# ${HEADER}\n${manifest}` },
      { path: `${templates}/${kind.plural}.yaml`, content: chartTemplate(manifest) },
    ];
  });
}

/** Deleting a CRD deletes every object of its kind, so `helm uninstall` leaves it unless asked otherwise. */
const KEEP = `  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
`;

function chartTemplate(manifest: string): string {
  if (manifest.includes("{{")) throw new Error("a manifest with {{ in it needs escaping for Helm");
  const withPolicy = manifest.replace(/^metadata:\n {2}name: .*\n/m, (metadata) => metadata + KEEP);
  return `{{- /* ${HEADER} */ -}}\n{{- if .Values.crds.enabled }}\n${withPolicy}{{- end }}\n`;
}
