import { z } from "zod";
import { codeAt, stepAt } from "../../src/auth/totp.ts";
import type { ApiProcess } from "../api-process.ts";
import type { MailSink } from "../mail-sink.ts";
import type { Canary } from "./search.ts";

const EMAIL = "canary@example.com";
const PASSWORDS = [
  "canary-first-Rk41-password",
  "canary-second-Pm72-password",
  "canary-third-Vd93-password",
] as const;
const keyOf = (which: string) => ({
  apiKey: `canary-${which}-Lq17-key`,
  apiSecret: `canary-${which}-Tn28/+secret=`,
  passphrase: `canary-${which}-"Gh39"\\phrase`,
});
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const SignedIn = z.object({ accessToken: z.string() });
const WithId = z.object({ id: z.string() });
const Secret = z.object({ secret: z.string() });
const Recovery = z.object({ recoveryCodes: z.array(z.string()) });
const Token = z.object({ token: z.string() });

interface Options {
  readonly api: ApiProcess;
  readonly sink: MailSink;
  /** Called when keys have been written: from then on Vault is away. */
  readonly loseVault: (accountId: string) => Promise<void>;
}

export interface Lived {
  /** What must be in nobody's hands but the user's. */
  readonly canaries: readonly Canary[];
  /** What the process may hold in memory as long as it is good. */
  readonly held: ReadonlySet<string>;
  /** Of all answers that told of an error. */
  readonly errors: string[];
  readonly accountId: string;
  readonly accessToken: string;
}

/** A user's life with every secret that there is: what they chose, what they were given, and every mistake that they could make. */
export async function live({ api, sink, loseVault }: Options): Promise<Lived> {
  const canaries: Canary[] = [];
  const errors: string[] = [];
  let [accessToken, cookies] = ["", ""];

  async function call(request: string, body?: object | string): Promise<unknown> {
    const [method = "", path = ""] = request.split(" ", 2);
    const text = typeof body === "object" ? JSON.stringify(body) : body;
    const response = await fetch(`${api.url}${path}`, {
      method,
      headers: {
        ...(accessToken === "" ? {} : { authorization: `Bearer ${accessToken}` }),
        ...(cookies === "" ? {} : { cookie: cookies }),
        ...(text === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(text === undefined ? {} : { body: text }),
    });
    const answer = await response.text();
    if (response.status >= 400) errors.push(`${response.status} ${answer}`);
    keep(response.headers.getSetCookie());
    return answer === "" ? undefined : JSON.parse(answer);
  }

  function keep(lines: readonly string[]): void {
    const given = lines.map((line) => line.split(";", 1)[0] ?? "");
    if (given.length > 0) cookies = given.join("; ");
    for (const [name, value] of given.map((each) => each.split("=", 2))) {
      const [, secret = value ?? ""] = (value ?? "").split(".", 2);
      if (secret === "") continue; // taken back
      canaries.push({ name: `cookie ${name}`, secret });
      if (!String(name).endsWith("refresh")) continue;
      const bytes = Buffer.from(secret, "base64url");
      canaries.push({ name: "refresh token's proof", secret: bytes.subarray(0, 32) });
      canaries.push({ name: "refresh token's secret", secret: bytes.subarray(32) });
    }
  }

  async function signIn(request: string, body: object): Promise<void> {
    ({ accessToken } = SignedIn.parse(await call(request, body)));
    canaries.push({ name: "access token", secret: accessToken });
  }

  async function link(words: string): Promise<string> {
    const token = await sink.tokenTo(EMAIL, words);
    const [, secret = ""] = token.split(".", 2);
    canaries.push({ name: `link of "${words}"`, secret });
    canaries.push({ name: `bytes of "${words}"`, secret: Buffer.from(secret, "base64url") });
    return token;
  }

  const [first, second, third] = PASSWORDS;
  await signIn("POST /api/auth/register", { email: EMAIL, password: first });
  await call("POST /api/auth/verify-email", { token: await link("Confirm your e-mail address") });
  const keys = ["one", "two", "refused", "lost"].map(keyOf);
  const [one = {}, two = {}, refused = {}, lost = {}] = keys;
  const account = { exchange: "bybit", name: "Main", testnet: true };
  const created = await call("POST /api/accounts", { ...account, credentials: one });
  const { id: accountId } = WithId.parse(created);
  await call(`PUT /api/accounts/${accountId}/credentials`, two);

  const { secret } = Secret.parse(await call("POST /api/auth/mfa/totp"));
  const totp = bytesOf(secret);
  const code = codeAt(totp, stepAt(Date.now()));
  const { recoveryCodes } = Recovery.parse(await call("POST /api/auth/mfa/totp/confirm", { code }));
  const { token } = Token.parse(await call("POST /api/tokens", { name: "S", scopes: ["read"] }));
  await call("POST /api/auth/refresh");
  await signIn("POST /api/auth/login", { email: EMAIL, password: first, code: recoveryCodes[0] });
  await signIn("POST /api/auth/password", {
    currentPassword: first,
    newPassword: second,
    code: recoveryCodes[1],
  });
  await call("POST /api/auth/forgot", { email: EMAIL });
  const reset = { token: await link("Choose a new password"), newPassword: third };
  await call("POST /api/auth/reset", reset);
  await signIn("POST /api/auth/login", { email: EMAIL, password: third, code: recoveryCodes[2] });

  // Every mistake with a secret in it, and a key for a Vault that is gone.
  await call("POST /api/auth/reset", reset);
  await call("POST /api/auth/login", { email: third, password: third });
  await call("POST /api/auth/login", { email: EMAIL, password: third, more: third });
  await call("POST /api/auth/login", { email: EMAIL, password: second });
  await call("POST /api/auth/login", `{"email":"${EMAIL}","password":"${third}"`);
  await call(`GET /api/trades?cursor=${token}&more=${encodeURIComponent(third)}`);
  await call("POST /api/auth/mfa/totp/confirm", { code: secret, more: secret });
  await call("POST /api/accounts", { ...account, exchange: "none", credentials: refused });
  await call("POST /api/accounts", { ...account, credentials: { ...refused, more: refused } });
  await call("POST /api/accounts", { ...account, credentials: Object.values(refused) });
  await call("POST /api/tokens", { name: "S", scopes: [token] });
  await loseVault(accountId);
  await call(`PUT /api/accounts/${accountId}/credentials`, lost);

  const [recovery = ""] = recoveryCodes;
  canaries.push(
    ...PASSWORDS.map((password, index) => ({ name: `password ${index}`, secret: password })),
    ...keys.flatMap((key, index) =>
      Object.entries(key).map(([part, value]) => ({ name: `${part} ${index}`, secret: value })),
    ),
    { name: "authenticator secret", secret },
    { name: "authenticator bytes", secret: totp },
    ...recoveryCodes.slice(0, 4).map((each) => ({ name: "recovery code", secret: each })),
    { name: "recovery code without dashes", secret: recovery.replaceAll("-", "") },
    { name: "API token", secret: token },
    { name: "service key", secret: api.serviceKey },
  );
  // An access token is looked up in memory until it expires, and what seals must be there.
  const held = new Set(["access token", "service key", "SMTP password"]);
  return { canaries, held, errors, accountId, accessToken };
}

/** RFC 4648, without padding. */
function bytesOf(base32: string): Buffer {
  const bits = Array.from(base32, (each) => BASE32.indexOf(each).toString(2).padStart(5, "0"));
  const groups = bits.join("").match(/.{8}/g) ?? [];
  return Buffer.from(groups.map((group) => Number.parseInt(group, 2)));
}
