import { parseArgs } from "node:util";
import { halt, lift } from "./halt.ts";
import { createKubectl } from "./kubectl.ts";
import { report } from "./report.ts";
import { why } from "./why.ts";

const USAGE = `usage: kubectl tradingbots why BOT       why a bot is as it is: conditions, pod, halts, Events
       kubectl tradingbots report        all bots and accounts, counted by what keeps them
       kubectl tradingbots halt REASON [--action BlockEntries|CancelOrders|Flatten]
                                         [--scope all|user=ID|bot=NAME|exchange=NAME|symbol=SYMBOL]
       kubectl tradingbots lift HALT     ends a halt
Each takes --context and --kubeconfig as kubectl does.`;

run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});

async function run(): Promise<void> {
  const text = { type: "string" } as const;
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      action: { ...text, default: "BlockEntries" },
      scope: { ...text, default: "all" },
      context: text,
      kubeconfig: text,
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { action, scope, context, kubeconfig, help } = values;
  if (help) return console.log(USAGE);
  const kubectl = createKubectl([
    ...(context === undefined ? [] : [`--context=${context}`]),
    ...(kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`]),
  ]);
  const [command = "", ...words] = positionals;
  const argument = words.join(" ");
  const isAlone = command === "report";
  if (isAlone === (argument !== "")) throw new Error(USAGE);
  switch (command) {
    case "why":
      return console.log(await why(kubectl, argument, new Date()));
    case "report":
      return console.log(await report(kubectl));
    case "halt":
      return console.log(await halt(kubectl, { action, scope, reason: argument }));
    case "lift":
      return console.log(await lift(kubectl, argument));
    default:
      throw new Error(USAGE);
  }
}
