import { expect, test } from "vitest";
import { systemLibraries } from "./base-image.ts";

test("the system's libraries are found, the program's own and the kernel's are not", () => {
  const output = `	linux-vdso.so.1 (0x00007f48ed05b000)
	libicuuc.so.60 => /srv/app/native/lib/libicuuc.so.60 (0x00007f48eb000000)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f48eb41e000)
	libm.so.6 => /usr/lib64/libm.so.6 (0x00007f48ec41e000)
	/lib64/ld-linux-x86-64.so.2 (0x00007f48ed05d000)
`;
  expect(systemLibraries(output)).toEqual([
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib64/libm.so.6",
    "/lib64/ld-linux-x86-64.so.2",
  ]);
});
