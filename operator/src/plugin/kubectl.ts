import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { z } from "zod";

const run = promisify(execFile);
const OUTPUT_MAX = 512 * 1024 * 1024; // 100,000 bots

/**
 * Asks kubectl instead of the API server: whoever has a plugin has kubectl, and with it every way of signing in.
 * @param flags such as --context, handed on with each call
 */
export function createKubectl(flags: readonly string[]) {
  async function text(...args: readonly string[]): Promise<string> {
    const { stdout } = await run("kubectl", [...args, ...flags], { maxBuffer: OUTPUT_MAX });
    return stdout;
  }

  /** Objects that do not have the shape of their kind are left out: a newer release may have made them. */
  async function list<T>(schema: z.ZodType<T>, ...args: readonly string[]): Promise<readonly T[]> {
    const answer = List.parse(JSON.parse(await text("get", "-o", "json", ...args)));
    return answer.items.flatMap((item) => schema.safeParse(item).data ?? []);
  }

  /** The name that the API server gave it. */
  async function create(object: object): Promise<string> {
    const created = run("kubectl", ["create", "-f", "-", "-o", "name", ...flags]);
    created.child.stdin?.end(JSON.stringify(object));
    return (await created).stdout.trim().replace(/^.*\//, "");
  }

  return { text, list, create };
}
export type Kubectl = ReturnType<typeof createKubectl>;

const List = z.object({ items: z.array(z.unknown()) });
