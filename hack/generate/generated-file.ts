export interface GeneratedFile {
  /** Relative to the repository. */
  readonly path: string;
  readonly content: string;
}

export const HEADER = "Generated from crds/src; do not edit: `make generate` writes it.";
