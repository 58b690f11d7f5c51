import { z } from "zod";
import { totpPurpose } from "../src/auth/second-factors.ts";
import { codeAt, stepAt } from "../src/auth/totp.ts";
import { signUp, type TestApi, type TestUser } from "./api.ts";

/** Of everybody whom `signUp` signs up. */
export const PASSWORD = "correct horse battery";

const Recovery = z.object({ recoveryCodes: z.array(z.string()) });

/** The code that the user's app shows. */
export async function currentCode(
  api: TestApi,
  { id }: Pick<TestUser, "id">,
  stepsAhead = 0,
): Promise<string> {
  const { rows } = await api.database.superuser.query<{ totp_sealed: Buffer }>(
    "select totp_sealed from second_factors where user_id = $1",
    [id],
  );
  const sealed = rows[0]?.totp_sealed ?? Buffer.alloc(0);
  const secret = Buffer.from(api.sealer.open(sealed, totpPurpose(id)), "base64");
  return codeAt(secret, stepAt(Date.now()) + stepsAhead);
}

/** As if the last code had been taken long ago: tests do not wait for half a minute. */
export async function forgetStep(api: TestApi, { id }: Pick<TestUser, "id">): Promise<void> {
  await api.database.superuser.query(
    "update second_factors set totp_last_step = 0 where user_id = $1",
    [id],
  );
}

/** Gives the user an authenticator app, and answers the recovery codes. */
export async function enrolTotp(api: TestApi, user: TestUser): Promise<readonly string[]> {
  await user.call("POST /api/auth/mfa/totp");
  const body = { code: await currentCode(api, user) };
  const confirmed = await user.call("POST /api/auth/mfa/totp/confirm", { body });
  await forgetStep(api, user);
  return Recovery.parse(confirmed.body).recoveryCodes;
}

/** Enrols, and shows the factor in the log-in that the user has. */
export async function showSecondFactor(api: TestApi, user: TestUser): Promise<void> {
  await enrolTotp(api, user);
  const body = { password: PASSWORD, code: await currentCode(api, user) };
  const { status } = await user.call("POST /api/auth/step-up", { body });
  if (status !== 200) throw new Error(`a right code was refused with ${status}`);
  await forgetStep(api, user);
}

/** Somebody who runs the platform. */
export async function signUpAdministrator(
  api: TestApi,
  name: string,
  role: "viewer" | "operator" | "admin",
): Promise<TestUser> {
  const user = await signUp(api, name);
  await api.database.superuser.query("update users set role = $2 where id = $1", [user.id, role]);
  await showSecondFactor(api, user);
  return user;
}
