import { readdir, readFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { Credentials, Exchange } from "@tradingbots/crds";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { Email } from "../auth/user.ts";
import { DisplayName } from "../fields.ts";
import { RobotConfig } from "../robot/config.ts";

const KEYS_PER_USER_MAX = 20;

const OldKey = z.strictObject({
  exchange: Exchange,
  name: DisplayName,
  testnet: z.boolean().default(false),
  api_key: Credentials.shape.apiKey,
  api_secret: Credentials.shape.apiSecret,
  passphrase: z.string().min(1).max(256).optional(),
  profile: z.string().min(1).max(64).optional(),
});
export type OldKey = z.infer<typeof OldKey>;

const OldUser = z.strictObject({
  email: Email,
  keys: z.array(OldKey).max(KEYS_PER_USER_MAX).default([]),
});
export type OldUser = z.infer<typeof OldUser>;

const KeysFile = z.strictObject({
  users: z.array(OldUser).max(100_000),
  profiles: z.record(z.string().min(1).max(64), RobotConfig).default({}),
});

export interface OldRobots {
  readonly users: readonly OldUser[];
  readonly profiles: ReadonlyMap<string, RobotConfig>;
}

/**
 * Reads what the old robot left: keys by user, and settings by profile.
 * @throws Error that names every mistake by its place, and never by what stands there: it may be a key
 */
export async function readOldRobots(
  keysFile: string,
  profileDirectory: string | undefined,
): Promise<OldRobots> {
  const text = await readFile(keysFile, "utf8");
  const { users, profiles: own } = checked(KeysFile, keysFile, parsedJson(keysFile, text));
  const profiles = new Map(Object.entries(own));
  if (profileDirectory !== undefined) await addProfiles(profiles, profileDirectory);
  assertWhole(users, profiles);
  return { users, profiles };
}

async function addProfiles(profiles: Map<string, RobotConfig>, directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => /\.ya?ml$/.test(name)).toSorted();
  for (const name of names) {
    const path = join(directory, name);
    const profile = basename(name, extname(name));
    if (profiles.has(profile)) throw new Error(`${path}: there is a profile ${profile} already`);
    profiles.set(profile, checked(RobotConfig, path, yamlOf(path, await readFile(path, "utf8"))));
  }
}

/** What JSON.parse complains about it quotes, so its words are not passed on. */
function parsedJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${path} is not valid JSON`);
  }
}

function yamlOf(path: string, text: string): unknown {
  try {
    return parseYaml(text) ?? {};
  } catch {
    throw new Error(`${path} is not valid YAML`);
  }
}

function checked<T>(schema: z.ZodType<T>, path: string, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const mistakes = parsed.error.issues.slice(0, 20).map((issue) => `  ${placeOf(issue)}`);
  throw new Error(`${path} cannot be used:\n${mistakes.join("\n")}`);
}

/** Of an unknown member the name is left out too: who knows what somebody pasted there. */
function placeOf({ path, code, message }: z.core.$ZodIssue): string {
  const place = path.length === 0 ? "at the top" : path.join(".");
  return `${place}: ${code === "unrecognized_keys" ? "has a member that is not known" : message}`;
}

function assertWhole(users: readonly OldUser[], profiles: ReadonlyMap<string, RobotConfig>): void {
  const seen = new Set<string>();
  for (const { email, keys } of users) {
    if (seen.has(email)) throw new Error(`${email} is there twice`);
    seen.add(email);
    const names = keys.map(({ exchange, name, testnet }) => `${exchange} ${testnet} ${name}`);
    if (new Set(names).size !== names.length) {
      throw new Error(`${email} has two keys of one name at one exchange`);
    }
    const missing = keys.findIndex(
      ({ profile }) => profile !== undefined && !profiles.has(profile),
    );
    if (missing >= 0) {
      throw new Error(`${email}: keys.${missing}.profile: there is no such profile`);
    }
  }
}
