import { existsSync } from "node:fs";
import type { Exchange as ExchangeName } from "@tradingbots/crds";
import type { CreateExchange } from "./exchange.ts";

/**
 * Loads the one adapter that a bot needs. In an image every adapter is a bundle of its own beside the program
 * (`bot.mjs`, `verify.mjs`, `exchange-<name>.mjs`, see hack/images); from source it is the module beside this one. The path
 * is computed, so that esbuild leaves the import alone and no adapter ends up inside the program.
 */
export async function loadExchange(name: ExchangeName): Promise<CreateExchange> {
  const bundled = new URL(`./exchange-${name}.mjs`, import.meta.url);
  const source = new URL(`./${name}-ccxt.ts`, import.meta.url);
  const location = existsSync(bundled) ? bundled : source;
  const adapter: unknown = await import(location.href);
  if (!isAdapter(adapter)) throw new Error(`${location.pathname} exports no createExchange`);
  return adapter.createExchange;
}

function isAdapter(module: unknown): module is { readonly createExchange: CreateExchange } {
  return (
    typeof module === "object" &&
    module !== null &&
    "createExchange" in module &&
    typeof module.createExchange === "function"
  );
}
